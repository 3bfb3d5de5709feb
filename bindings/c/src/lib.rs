//! The C binding: what `include/dmtcp_rs.h` declares, and nothing that Rust programs should call.
//!
//! Each function takes its pointers through the types of [`ffi`], the only file with `unsafe`
//! code, and runs inside [`boundary`], so that no panic reaches C. The verbs and their guarantees
//! are those of `dmtcp-client`; a new function goes into the file of its type and into the
//! header, and `tests/header.rs` holds the two against each other.
#![deny(unsafe_op_in_unsafe_fn)]

mod arguments;
pub mod boundary;
pub mod bytes;
pub mod checkpoint;
pub mod child;
pub mod codes;
pub mod computation;
pub mod coordinator;
pub mod dialect;
pub mod events;
mod failure;
pub mod ffi;
pub mod foreign_sets;
pub mod job;
pub mod job_contact;
pub mod job_events;
pub mod job_settings;
pub mod key_values;
pub mod launch;
mod native_state;
pub mod native_worker;
pub mod outcome;
pub mod restart;
mod sealing;
pub mod server;
pub mod set;
pub mod set_list;
pub mod set_store;
pub mod status;
pub mod text;
pub mod tools;
pub mod workers;

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
