//! Objects that C holds, and room in which it gets values.

use std::marker::PhantomData;
use std::{fmt, ptr};

use super::null;
use crate::failure::Failure;

/// NULL, or an object that this library gave out and that has not been freed.
#[repr(transparent)]
pub struct In<T>(*const T);

impl<T: Sync> In<T> {
    /// The object; `name` is that of the argument.
    pub(crate) fn get(&self, name: &str) -> Result<&T, Failure> {
        self.optional().ok_or_else(|| null(name))
    }

    /// The same where NULL means that there is none.
    pub(crate) fn optional(&self) -> Option<&T> {
        // SAFETY: not NULL means an object made by `Out::put_object` that is not freed while this
        // call runs, as the header demands; C threads may share it since it is `Sync`.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Clone for In<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for In<T> {}

impl<T> fmt::Debug for In<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Pointer::fmt(&self.0, f)
    }
}

/// NULL, or an object that the caller gives up.
#[repr(transparent)]
pub struct Owned<T>(*mut T);

impl<T: Send> Owned<T> {
    /// The object, which is nobody else's any more.
    pub(crate) fn take(self) -> Option<Box<T>> {
        // SAFETY: not NULL means a box made by `Out::put_object`; the header says that it is
        // freed once and not used afterwards. Any thread may do it since it is `Send`.
        (!self.0.is_null()).then(|| unsafe { Box::from_raw(self.0) })
    }
}

/// NULL, or room for a value.
#[repr(transparent)]
pub struct Out<T>(*mut T);

/// Room that has been looked at.
pub(crate) struct Place<'a, T> {
    at: *mut T,
    call: PhantomData<&'a ()>,
}

impl<T> Out<T> {
    /// To be asked before the work is begun: there is no taking back then.
    pub(crate) fn place(&self, name: &str) -> Result<Place<'_, T>, Failure> {
        if self.0.is_null() {
            return Err(null(name));
        }
        Ok(Place {
            at: self.0,
            call: PhantomData,
        })
    }
}

#[cfg(test)]
impl<T> Out<T> {
    /// What C passes for this room.
    pub(super) fn to(room: &mut T) -> Self {
        Self(room)
    }
}

impl<T> Place<'_, T> {
    pub(crate) fn put(self, value: T) {
        // SAFETY: not NULL, and the header says that there is room for a value. It may be
        // uninitialised: nothing is read or dropped.
        unsafe { self.at.write(value) };
    }
}

impl<T> Place<'_, *mut T> {
    /// Gives the object to the caller, who frees it.
    pub(crate) fn put_object(self, object: T) {
        self.put(Box::into_raw(Box::new(object)));
    }

    /// NULL: there is none.
    pub(crate) fn put_optional(self, object: Option<T>) {
        match object {
            Some(object) => self.put_object(object),
            None => self.put(ptr::null_mut()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::ResultCode;
    use std::mem::MaybeUninit;

    #[test]
    fn an_object_goes_to_the_caller_and_back() {
        let mut room = MaybeUninit::<*mut String>::uninit();
        let out = Out(room.as_mut_ptr());
        out.place("out").unwrap().put_object("text".to_owned());
        // SAFETY: `put_object` has just filled it.
        let object = unsafe { room.assume_init() };
        assert_eq!(In(object.cast_const()).get("object").unwrap(), "text");
        assert_eq!(*Owned(object).take().unwrap(), "text");
    }

    #[test]
    fn null_is_told_by_the_name_of_the_argument() {
        let failures = [
            In::<u32>(ptr::null()).get("object").err(),
            Out::<u32>(ptr::null_mut()).place("value").map(drop).err(),
        ];
        for (failure, name) in failures.iter().zip(["object", "value"]) {
            let failure = failure.as_ref().unwrap();
            assert_eq!(failure.code, ResultCode::DMTCP_ERR_NULL);
            assert_eq!(failure.message, format!("{name} is NULL"));
        }
        assert!(Owned::<u32>(ptr::null_mut()).take().is_none());
        assert!(In::<u32>(ptr::null()).optional().is_none());
    }
}
