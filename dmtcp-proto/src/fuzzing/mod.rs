//! Bodies of the fuzz targets in `fuzz/`. Not part of the API: no promise of stability.
//!
//! They live here so that a refactoring breaks them at compile time, and so that ordinary tests
//! replay the seeds. Each checks what must hold of its input, not only that nothing panics; a
//! violation panics, which is how a fuzzer and a test learn of it.

mod coordinator;
mod input;
mod model;
mod wire;

pub use coordinator::coordinator;
pub use wire::{decoder, detection, message};
