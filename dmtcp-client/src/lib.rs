//! Start, checkpoint, query and restart DMTCP computations.
#![forbid(unsafe_code)]

mod invocation;
mod launch;
pub mod process;
mod restart;
mod tools;

pub use invocation::{Messages, StartError};
pub use launch::Launch;
pub use restart::Restart;
pub use tools::{Looked, Release, Tools, ToolsError};
