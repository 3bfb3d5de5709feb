//! Functions of the caller that this library calls.

use std::ffi::c_void;
use std::fmt;

use super::null;
use crate::failure::Failure;

/// NULL, or a function that may be called on another thread with the context that came with it.
#[repr(transparent)]
pub struct Callback<E>(Option<unsafe extern "C" fn(context: *mut c_void, event: *const E)>);

impl<E> Callback<E> {
    /// The function together with what it is called with.
    pub(crate) fn get(&self, name: &str, context: Context) -> Result<Listener<E>, Failure> {
        self.optional(context).ok_or_else(|| null(name))
    }

    /// The same where NULL means that there is none.
    pub(crate) fn optional(&self, context: Context) -> Option<Listener<E>> {
        self.0.map(|function| Listener { function, context })
    }
}

impl<E> Clone for Callback<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Callback<E> {}

impl<E> fmt::Debug for Callback<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", if self.0.is_some() { "set" } else { "NULL" })
    }
}

/// What a function of the caller is called with; this library does not look at it.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Context(*mut c_void);

/// A function of the caller with its context.
pub(crate) struct Listener<E> {
    function: unsafe extern "C" fn(context: *mut c_void, event: *const E),
    context: Context,
}

// SAFETY: the header says that the function is called on a thread of this library, so the caller
// has made the context fit for that.
unsafe impl<E> Send for Listener<E> {}

impl<E> Listener<E> {
    /// Calls it.
    pub(crate) fn tell(&self, event: &E) {
        // SAFETY: the header says that the function takes these two, keeps the event no longer
        // than the call, and returns; and that the context lives until the subscription is freed.
        unsafe { (self.function)(self.context.0, event) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    unsafe extern "C" fn add(context: *mut c_void, event: *const u32) {
        // SAFETY: the test below passes both.
        unsafe { *context.cast::<u32>() += *event };
    }

    #[test]
    fn the_function_gets_its_context() {
        let mut sum = 1_u32;
        let context = Context(ptr::from_mut(&mut sum).cast());
        let listener = Callback(Some(add)).get("callback", context).unwrap();
        // On another thread, as in real use.
        let thread = std::thread::spawn(move || {
            listener.tell(&4);
            listener.tell(&5);
        });
        thread.join().unwrap();
        assert_eq!(sum, 10);
        let failure = Callback::<u32>(None).get("callback", context).err();
        assert_eq!(failure.unwrap().message, "callback is NULL");
    }
}
