//! The coordinator as a pure function of its inputs.
//!
//! One [`CoordinatorCore`] serves one computation: it admits workers, runs checkpoints through
//! their barriers, brings restarts together, keeps the key-value store and answers tools. It has
//! no socket, no clock and no file: the driver hands it bytes, time and requests
//! ([`Input`]) and acts on what comes out ([`Output`]).
//!
//! It does not know how images become a set: it asks for that ([`Output::Seal`]) and waits for
//! the answer ([`Input::Sealed`]).

mod config;
mod event;

pub use config::CoordinatorConfig;
pub use event::{Event, ImageReport, RoundError};

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;

use crate::command::{Command, Reply, Status, WorkerInfo};
use crate::error::CommandError;
use crate::ids::{ConnId, RequestId, UniquePid};
use crate::time::Instant;

/// Something that happened, for the core to act on.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "made by drivers")]
pub enum Input<'a> {
    /// A peer connected.
    Opened {
        /// A number never used before.
        conn: ConnId,
        /// Where it comes from.
        peer: SocketAddr,
    },
    /// Bytes arrived.
    Received {
        /// The connection.
        conn: ConnId,
        /// What arrived; any split.
        bytes: &'a [u8],
    },
    /// The connection ended, for whatever reason. Not needed after [`Output::Close`].
    Closed {
        /// The connection.
        conn: ConnId,
    },
    /// The embedding program asks for something. Answered by exactly one [`Output::Reply`].
    Request {
        /// A number never used before.
        id: RequestId,
        /// What it asks for.
        command: Command,
    },
    /// The embedding program no longer waits for the answer. The command goes on.
    Forget {
        /// The request.
        id: RequestId,
    },
    /// The answer to [`Output::Seal`].
    Sealed {
        /// Number of the round.
        round: u64,
        /// Whether the set is complete on disk; otherwise why not, in words.
        result: Result<(), String>,
    },
    /// [`CoordinatorCore::next_timeout`] has passed. Harmless at any other time.
    Timeout,
}

/// Work for the driver, to be done in order.
///
/// Exhaustive on purpose: a driver that forgets one must not compile.
#[derive(Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a driver that forgets one must not compile"
)]
pub enum Output {
    /// Send these bytes.
    Transmit {
        /// The connection.
        conn: ConnId,
        /// One or more whole messages.
        bytes: Bytes,
    },
    /// Close the connection once everything before is sent.
    Close {
        /// The connection.
        conn: ConnId,
    },
    /// The answer to a request.
    Reply {
        /// The request.
        id: RequestId,
        /// The answer.
        result: Result<Reply, CommandError>,
    },
    /// Make a set of these images, then hand in [`Input::Sealed`].
    Seal {
        /// Number of the round.
        round: u64,
        /// The computation, with the round's generation.
        computation: UniquePid,
        /// One report for each worker of the round.
        images: Vec<ImageReport>,
    },
    /// Send SIGKILL to this worker's process, if it is on this host and still the same process:
    /// no message can free it (a peer died inside DMTCP's own process-shared barrier).
    KillProcess {
        /// The worker.
        worker: WorkerInfo,
    },
    /// News.
    Event(Event),
    /// The coordinator was asked to end: stop listening once everything before is sent.
    Stop,
}

/// The coordinator's side of the protocol for one computation.
#[derive(Debug)]
pub struct CoordinatorCore {
    outputs: VecDeque<Output>,
}

impl CoordinatorCore {
    /// A coordinator without workers.
    #[must_use]
    pub fn new(config: CoordinatorConfig, now: Instant) -> Self {
        let _ = (config, now);
        Self {
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input. Cannot fail: a bad peer is closed and reported, the others go on.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) -> Outputs<'_> {
        let _ = (now, input);
        Outputs {
            queue: &mut self.outputs,
        }
    }

    /// When [`Input::Timeout`] is due; `None`: not before another input.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        None
    }

    /// Peers, running or not, interval.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::new(0, false, crate::Interval::Never)
    }

    /// Every worker, in the order in which they joined.
    pub fn workers(&self) -> impl Iterator<Item = WorkerInfo> + '_ {
        core::iter::empty()
    }

    /// The computation, with its generation; null before the first worker.
    #[must_use]
    pub fn computation(&self) -> UniquePid {
        UniquePid::NULL
    }
}

/// What to do, in order. Borrows the core, so the next input waits until this is gone.
///
/// What is left here when it is dropped comes first the next time.
#[must_use = "outputs left here are only acted on after the next input"]
#[derive(Debug)]
pub struct Outputs<'a> {
    queue: &'a mut VecDeque<Output>,
}

impl Iterator for Outputs<'_> {
    type Item = Output;

    fn next(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }
}
