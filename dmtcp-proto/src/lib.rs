//! DMTCP's coordinator protocol, sans-IO.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod command;
mod dialect;
mod ids;
mod interval;
mod kind;
mod state;
mod time;

pub use command::{AfterCheckpoint, Checkpointed, Command, Reply, Status, Verb, WorkerInfo};
pub use dialect::{Candidates, Dialect};
pub use ids::{ConnId, ParseUniquePidError, RequestId, UniquePid};
pub use interval::Interval;
pub use kind::Kind;
pub use state::WorkerState;
pub use time::Instant;
