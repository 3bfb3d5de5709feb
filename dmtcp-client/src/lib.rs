//! Start, checkpoint, query and restart DMTCP computations.
#![forbid(unsafe_code)]

pub mod attempt;
pub mod coordinator;
mod durable;
mod id_json;
pub mod image;
mod invocation;
mod launch;
pub mod native;
mod os_text;
pub mod process;
mod restart;
pub mod server;
pub mod set;
mod tools;

pub use invocation::{Messages, StartError};
pub use launch::Launch;
pub use restart::Restart;
pub use tools::{Looked, Release, Tools, ToolsError};
