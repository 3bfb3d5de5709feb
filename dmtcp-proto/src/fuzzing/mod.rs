//! Bodies of the fuzz targets in `fuzz/`. Not part of the API: no promise of stability.
//!
//! They live here so that a refactoring breaks them at compile time, and so that ordinary tests
//! replay the seeds. Each checks what must hold of its input, not only that nothing panics; a
//! violation panics, which is how a fuzzer and a test learn of it.

mod both_sides;
mod coordinator;
mod exchange;
mod input;
mod model;
mod restart_script;
mod shell;
mod wire;
mod worker;
mod worker_watch;

pub use coordinator::coordinator;
pub use exchange::exchange;
pub use restart_script::restart_script;
pub use wire::{decoder, detection, message};
pub use worker::worker;
