//! Pointers from C, and the only `unsafe` code of the project.
//!
//! Each type is a pointer as C passes it, with the same ABI. Only C makes values of them (their
//! fields are private), and the header says what C promises by passing one. What can be checked,
//! NULL and sizes, is checked before anything else is done; outputs are written only on success.
#![expect(
    unsafe_code,
    reason = "what C promises about its pointers is taken on here"
)]

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::ptr;

use crate::error::{Failure, ResultCode};

/// NULL, or an object that this library gave out and that has not been freed.
#[repr(transparent)]
pub struct In<T>(*const T);

impl<T: Sync> In<T> {
    /// The object; `name` is that of the argument.
    pub(crate) fn get(&self, name: &str) -> Result<&T, Failure> {
        // SAFETY: not NULL means an object made by `Out::put_object` that is not freed while this
        // call runs, as the header demands; C threads may share it since it is `Sync`.
        unsafe { self.0.as_ref() }.ok_or_else(|| null(name))
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

/// NULL, or a string that ends with a NUL byte and does not change during the call.
#[repr(transparent)]
pub struct Text(*const c_char);

impl Text {
    /// The string, if it is UTF-8.
    pub(crate) fn get(&self, name: &str) -> Result<&str, Failure> {
        if self.0.is_null() {
            return Err(null(name));
        }
        // SAFETY: not NULL means a terminated string that outlives the call, as the header says.
        let text = unsafe { CStr::from_ptr(self.0) };
        text.to_str()
            .map_err(|_| Failure::argument(format!("{name} is not UTF-8: {text:?}")))
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
}

/// A struct that later releases may make longer. The caller says how long his is.
///
/// # Safety
///
/// `repr(C)`, the first field is the `usize` that the caller sets, and `OLDEST` reaches at least
/// behind it and at most to the end.
pub unsafe trait Grows: Copy {
    /// Its length in the first release, in bytes.
    const OLDEST: usize;
}

/// NULL, or a [`Grows`] struct that is as long as the `size` in it says.
#[repr(transparent)]
pub struct GrowingOut<T>(*mut T);

/// Room for as much of the struct as the caller knows.
pub(crate) struct GrowingPlace<'a, T> {
    at: *mut u8,
    size: usize,
    call: PhantomData<&'a T>,
}

impl<T: Grows> GrowingOut<T> {
    /// To be asked before the work is begun: there is no taking back then.
    pub(crate) fn place(&self, name: &str) -> Result<GrowingPlace<'_, T>, Failure> {
        if self.0.is_null() {
            return Err(null(name));
        }
        // SAFETY: not NULL, and by the header's word at least the field `size` is there and set.
        let size = unsafe { self.0.cast::<usize>().read() };
        if size < T::OLDEST || size > LONGEST {
            return Err(Failure {
                code: ResultCode::STRUCT_SIZE,
                message: format!(
                    "{name}->size is {size}, not {}: set it to sizeof before the call",
                    size_of::<T>()
                ),
            });
        }
        Ok(GrowingPlace {
            at: self.0.cast(),
            size,
            call: PhantomData,
        })
    }
}

impl<T: Grows> GrowingPlace<'_, T> {
    /// Fills all fields but `size`; those that this release does not know become 0.
    pub(crate) fn put(self, value: T) {
        let skipped = size_of::<usize>();
        let known = self.size.min(size_of::<T>());
        // SAFETY: the caller's struct has `self.size` bytes, ours has `size_of::<T>()`; `known`
        // is at most either, and `skipped` is at most `OLDEST`, which is at most `known`.
        unsafe {
            let from = ptr::from_ref(&value).cast::<u8>();
            ptr::copy_nonoverlapping(from.add(skipped), self.at.add(skipped), known - skipped);
            ptr::write_bytes(self.at.add(known), 0, self.size - known);
        }
    }
}

/// More than any struct will have. A `size` beyond it was never set.
const LONGEST: usize = 4096;

/// Defines a struct that may grow, by adding fields at its end. `oldest` names the last field of
/// its first release.
macro_rules! growing {
    (
        $(#[$doc:meta])*
        $vis:vis struct $name:ident, oldest = $last:ident {
            $($(#[$field_doc:meta])* pub $field:ident: $ty:ty,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        #[repr(C)]
        #[non_exhaustive]
        $vis struct $name {
            /// Set by the caller to the size of its struct, in bytes.
            pub size: usize,
            $($(#[$field_doc])* pub $field: $ty,)*
        }

        // SAFETY: `repr(C)` with `size` first, and `OLDEST` the end of a later field, by this macro.
        unsafe impl $crate::ffi::Grows for $name {
            const OLDEST: usize = {
                const fn end<T, F>(offset: usize, _: fn(&T) -> &F) -> usize {
                    offset + size_of::<F>()
                }
                end(std::mem::offset_of!($name, $last), |this: &Self| &this.$last)
            };
        }
    };
}

pub(crate) use growing;

fn null(name: &str) -> Failure {
    Failure {
        code: ResultCode::NULL,
        message: format!("{name} is NULL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::MaybeUninit;

    growing! {
        /// As a later release might have it.
        struct Sample, oldest = second {
            /// First.
            pub first: u32,
            /// Second.
            pub second: u32,
            /// Added later.
            pub third: u64,
        }
    }

    const SAMPLE: Sample = Sample {
        size: 0,
        first: 1,
        second: 2,
        third: 3,
    };

    /// What a caller with a struct of this size finds, in words of 32 bits behind `size`.
    fn filled(size: usize) -> Result<Vec<u32>, ResultCode> {
        let mut room = [u64::MAX; 8];
        room[0] = size as u64;
        let out = GrowingOut(room.as_mut_ptr().cast::<Sample>());
        let put = out.place("out").map(|place| place.put(SAMPLE));
        assert_eq!(room[0], size as u64);
        put.map_err(|failure| failure.code)?;
        let words = room[1..].iter().flat_map(|word| {
            let bytes = word.to_ne_bytes();
            [0, 4].map(|at| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap()))
        });
        Ok(words.collect())
    }

    #[test]
    fn callers_of_older_and_newer_releases_get_what_they_have_room_for() {
        const X: u32 = u32::MAX;
        let third = 3u64.to_ne_bytes();
        let low = u32::from_ne_bytes(third[..4].try_into().unwrap());
        let high = u32::from_ne_bytes(third[4..].try_into().unwrap());
        let older = filled(16).unwrap();
        assert_eq!(older[..6], [1, 2, X, X, X, X]);
        let same = filled(24).unwrap();
        assert_eq!(same[..6], [1, 2, low, high, X, X]);
        let newer = filled(40).unwrap();
        assert_eq!(newer[..10], [1, 2, low, high, 0, 0, 0, 0, X, X]);
    }

    #[test]
    fn sizes_that_no_release_has_are_refused() {
        for size in [0, 1, 8, 15, LONGEST + 1, usize::MAX] {
            assert_eq!(filled(size).err(), Some(ResultCode::STRUCT_SIZE), "{size}");
        }
    }

    #[test]
    fn null_is_told_by_the_name_of_the_argument() {
        let failures = [
            In::<u32>(ptr::null()).get("object").err(),
            Text(ptr::null()).get("text").map(drop).err(),
            Out::<u32>(ptr::null_mut()).place("value").map(drop).err(),
            GrowingOut::<Sample>(ptr::null_mut())
                .place("struct")
                .map(drop)
                .err(),
        ];
        for (failure, name) in failures.iter().zip(["object", "text", "value", "struct"]) {
            let failure = failure.as_ref().unwrap();
            assert_eq!(failure.code, ResultCode::NULL);
            assert_eq!(failure.message, format!("{name} is NULL"));
        }
        assert!(Owned::<u32>(ptr::null_mut()).take().is_none());
    }

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
    fn text_must_be_utf_8() {
        assert_eq!(Text(c"host".as_ptr()).get("host").unwrap(), "host");
        let failure = Text(c"\xff".as_ptr()).get("host").unwrap_err();
        assert_eq!(failure.code, ResultCode::ARGUMENT);
    }
}
