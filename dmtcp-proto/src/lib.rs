//! DMTCP's coordinator protocol, sans-IO: what is said on the wire, and both sides of it as pure
//! state machines.
//!
//! ```text
//!   bytes ──▶ Decoder ──▶ Frame ──▶ Message ──▶ CoordinatorCore ──▶ Outputs ──▶ driver
//!             (layout)   (lossless) (meaning)   WorkerCore, Exchange
//! ```
//!
//! Nothing here opens a socket, reads a clock or touches a file: the crate is `no_std`. A driver
//! hands in bytes, time and requests and acts on what comes out; `dmtcp-client` is one.
//!
//! Five wire formats share one magic and no version number ([`Dialect`]). Each is one static
//! table; what is said here as a fact about the wire stands in `docs/PROTOCOL.md`.
//!
//! # Features
//!
//! - `serde`: `Serialize` and `Deserialize` for the plain data types.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod command;
mod coordinator;
mod dialect;
mod dump;
mod error;
mod exchange;
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod ids;
mod interval;
mod kind;
mod message;
mod name;
mod phase;
mod probe;
mod release;
mod restart_script;
mod state;
mod text;
mod time;
mod wire;
mod worker;
pub mod worker_list;

pub use command::{AfterCheckpoint, Checkpointed, Command, Reply, Status, Verb, WorkerInfo};
pub use coordinator::{
    Awaited, CoordinatorConfig, CoordinatorCore, Event, ImageReport, Input, KeyValues, Late,
    Output, Outputs, RoundError, Standing, Survivors, Traffic, WorkerStep,
};
pub use dialect::{Candidates, Dialect};
pub use dump::Dump;
pub use error::{CommandError, DecodeError, EncodeError, Expected};
pub use exchange::{Exchange, ExchangeError, Step};
pub use ids::{ConnId, ParseUniquePidError, RequestId, UniquePid};
pub use interval::Interval;
pub use kind::Kind;
pub use message::{
    Accept, Body, CheckpointFile, CommandStatus, DoCheckpoint, Hello, KeyValueOp, KeyValueRequest,
    KeyValueResponse, Message, NameServiceId, NameServiceOp, NameServiceRequest, PhaseOrder,
    Reject, Released, UserCommand, UserResult,
};
pub use name::Name;
pub use phase::Phase;
pub use probe::{Probe, ProbeError, ProbeStep, Probed, Probing};
pub use release::{
    BlockingCheckpoint, ImageFormat, KillingCheckpoint, Quirks, Release, RestartScriptForm,
    Strangers,
};
pub use restart_script::{
    RemoteShell, RestartHost, RestartMode, RestartScript, RestartScriptError,
};
pub use state::WorkerState;
pub use text::Text;
pub use time::Instant;
pub use wire::{Decoder, Frame, Header, Limits, encode};
pub use worker::{
    Entry, Finished, Stage, WorkerConfig, WorkerCore, WorkerExit, WorkerInput, WorkerOutput,
    WorkerOutputs,
};
pub use worker_list::WorkerListError;
