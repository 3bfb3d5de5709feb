//! `dmtcp_bytes`: bytes that a function gives out.

use std::ptr;

use crate::boundary::contain;
use crate::ffi::{In, Owned};

/// Bytes that belong to the caller.
pub struct Bytes(Vec<u8>);

/// Where they are, until they are freed; NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_bytes_data(bytes: In<Bytes>) -> *const u8 {
    contain(ptr::null(), || {
        bytes
            .optional()
            .map_or(ptr::null(), |bytes| bytes.0.as_ptr())
    })
}

/// How many there are; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_bytes_length(bytes: In<Bytes>) -> usize {
    contain(0, || bytes.optional().map_or(0, |bytes| bytes.0.len()))
}

/// Frees them.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_bytes_free(bytes: Owned<Bytes>) {
    contain((), || drop(bytes.take()));
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}
