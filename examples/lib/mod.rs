//! What `checkpoint_every` is made of: its command line, its built-in computation, its log.
//!
//! The example itself, `checkpoint_every.rs`, is the part to read: it shows the library.

pub mod arguments;
pub mod built_in;
pub mod job_files;
pub mod log;
pub mod signals;
