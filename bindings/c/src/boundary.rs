//! Where Rust ends: a panic becomes a result code, a failure becomes a code and a message.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::codes::ResultCode;
use crate::failure::Failure;

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// What went wrong in the last call on this thread that failed, with its causes; "" if none has.
/// Lives until the next call on this thread fails, or the thread ends.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_last_error_message() -> *const c_char {
    contain(c"".as_ptr(), || {
        // A thread that is ending may have no messages any more.
        LAST_ERROR
            .try_with(|message| message.borrow().as_ptr())
            .unwrap_or_else(|_| c"".as_ptr())
    })
}

/// Does the work of a function that can fail.
pub(crate) fn call(work: impl FnOnce() -> Result<(), Failure>) -> ResultCode {
    // Objects that are shared hold nothing but what one step replaces as a whole.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => ResultCode::DMTCP_OK,
        Ok(Err(failure)) => record(failure),
        Err(payload) => record(panicked(payload)),
    }
}

/// Does the work of a function that cannot fail; if it panics, this is its value.
pub(crate) fn contain<T>(if_panicked: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        record(panicked(payload));
        if_panicked
    })
}

/// C strings have no NUL in them; what came from a peer may.
pub(crate) fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', "?")).unwrap_or_default()
}

fn record(failure: Failure) -> ResultCode {
    let message = c_string(&failure.message);
    let _ = LAST_ERROR.try_with(|last| last.replace(message));
    failure.code
}

fn panicked(payload: Box<dyn Any + Send>) -> Failure {
    let text = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied());
    let message = format!(
        "panic, which is a bug of this library: {}",
        text.unwrap_or("no text")
    );
    // Its destructor is foreign code that could panic again.
    std::mem::forget(payload);
    Failure {
        code: ResultCode::DMTCP_ERR_INTERNAL,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last() -> String {
        LAST_ERROR.with(|last| last.borrow().to_str().unwrap().to_owned())
    }

    struct PanicsAgain;

    impl Drop for PanicsAgain {
        fn drop(&mut self) {
            panic!("and again");
        }
    }

    #[test]
    fn no_panic_gets_through() {
        assert_eq!(
            call(|| panic!("number {}", 7)).value(),
            ResultCode::DMTCP_ERR_INTERNAL.value()
        );
        assert!(last().ends_with("number 7"), "{}", last());
        let code = call(|| std::panic::panic_any(PanicsAgain));
        assert_eq!(code.value(), ResultCode::DMTCP_ERR_INTERNAL.value());
        assert_eq!(contain(5, || panic!("static")), 5);
        assert!(last().ends_with("static"), "{}", last());
    }

    #[test]
    fn success_leaves_the_message_and_threads_have_their_own() {
        let failure = || Failure {
            code: ResultCode::DMTCP_ERR_ARGUMENT,
            message: "a\0b".to_owned(),
        };
        assert_eq!(
            call(|| Err(failure())).value(),
            ResultCode::DMTCP_ERR_ARGUMENT.value()
        );
        assert_eq!(call(|| Ok(())).value(), 0);
        assert_eq!(last(), "a?b");
        std::thread::spawn(|| assert_eq!(last(), ""))
            .join()
            .unwrap();
    }
}
