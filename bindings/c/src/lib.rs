//! The C binding: what `include/dmtcp_rs.h` declares, and nothing that Rust programs should call.
//!
//! Each function takes its pointers through the types of [`ffi`], the only place with `unsafe`
//! code, and runs inside [`boundary`], so that no panic reaches C. The verbs and their guarantees
//! are those of `dmtcp-client`; a new function goes into the file of its type, with the comment
//! that C programmers read, and `tests/header` makes the header of it.
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
pub mod helper;
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
pub mod version;
pub mod workers;
