//! Start, checkpoint, query and restart DMTCP computations, with answers that can be trusted.
//!
//! ```text
//!  Attempts ── start, restart ──▶ Attempt ── its processes: Launch, Restart, native::Worker
//!     │                              │
//!     │ SetStore: what is kept       │ Computation: status, checkpoint, events
//!     ▼                              ▼
//!  disk: sets ◀── seal ────────── Server: the embedded coordinator, one thread
//!
//!  Coordinator: the same questions to a coordinator in another process, stock or ours
//! ```
//!
//! - To run a computation that survives a kill: [`attempt`].
//! - To be the coordinator: [`server`]; as a program of its own: [`standalone`], or
//!   [`helper`], which outlives its caller. To speak to one:
//!   [`coordinator`]. To keep what it checkpoints: [`foreign`].
//! - To be checkpointed without DMTCP: [`native`].
//! - To see who holds the others up: [`watch`].
//! - To see what would go wrong on a machine, or with a program, before it does: [`doctor`].
//! - To run parts of a computation on other hosts: [`remote`].
//! - To look at what was kept: [`set`] and [`image`]; whether it can be restored here: [`host`].
//!
//! The protocol itself is in `dmtcp-proto`. Every call that waits has a deadline, or says that
//! it has none. Linux only.
#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod aio;
pub mod attempt;
mod causes;
mod checksum;
pub mod coordinator;
mod deadline;
pub mod doctor;
mod driver;
mod durable;
mod executable;
pub mod foreign;
pub mod helper;
pub mod host;
mod id_json;
mod identity;
pub mod image;
mod invocation;
pub mod job;
mod launch;
pub mod native;
mod os_text;
pub mod process;
pub mod remote;
mod restart;
#[cfg(test)]
#[path = "../tests/sample_images/mod.rs"]
mod sample_images;
pub mod server;
pub mod set;
pub mod standalone;
mod tools;
pub mod watch;

pub use causes::with_causes;
pub use executable::NotExecutable;
pub use invocation::{Messages, StartError};
pub use launch::Launch;
pub use restart::Restart;
pub use tools::{Looked, Tools, ToolsError};

// What calls here take and give, so that most programs need no other crate.
pub use dmtcp_proto::{Dialect, Interval, Release, Status, UniquePid, WorkerInfo, WorkerState};
