//! What `checkpoint_every` is made of: its command line, its built-in computation, its log.
//!
//! The example itself, `checkpoint_every.rs`, is the part to read: it shows the library.

pub mod arguments;
pub mod built_in;
pub mod demonstration;
pub mod job_files;
pub mod log;
pub mod signals;
pub mod watching;

/// Exit code: stopped without a new set; nothing that an earlier set holds is lost.
pub const TRY_AGAIN: u8 = 75;
