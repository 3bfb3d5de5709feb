//! What the larger examples are made of.
//!
//! The examples themselves, `checkpoint_every.rs` and `trace.rs`, are the part to read: they show
//! the library. `synthetic_workers` and `layers` belong to the benchmarks; everything else beside `trace` to
//! `checkpoint_every`: its command line, its built-in computation, its log.

pub mod arguments;
pub mod built_in;
pub mod demonstration;
pub mod job_files;
pub mod layers;
pub mod log;
pub mod reports;
pub mod signals;
pub mod synthetic_workers;
pub mod trace;
pub mod watching;

/// Exit code: stopped without a new set; nothing that an earlier set holds is lost.
pub const TRY_AGAIN: u8 = 75;
