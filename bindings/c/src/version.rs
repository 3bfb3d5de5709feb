//! Which release this is.

use std::ffi::{CStr, c_char};

/// The release of this library, such as "0.1.0". Lives for ever.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_version() -> *const c_char {
    VERSION.as_ptr()
}

const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("a version has no NUL"),
    };
