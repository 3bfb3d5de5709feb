//! What a driver hands in, and what it has to do.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;

use super::event::{Event, ImageReport};
use super::standing::Survivors;
use super::step::WorkerStep;
use crate::command::{Command, Reply, WorkerInfo};
use crate::error::CommandError;
use crate::ids::{ConnId, RequestId, UniquePid};

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
    /// The peer may ask for the status and the list of workers; other commands of tools are
    /// refused. What it may do as a worker is not touched. Best behind [`Opened`](Self::Opened).
    Restrict {
        /// The connection.
        conn: ConnId,
    },
    /// Bytes arrived.
    Received {
        /// The connection.
        conn: ConnId,
        /// What arrived; any split.
        bytes: &'a [u8],
    },
    /// The connection ended, by the peer or because its process has. Not needed after
    /// [`Output::Close`].
    Closed {
        /// The connection.
        conn: ConnId,
    },
    /// The connection was given up though nothing says that its peer has ended: its host did not
    /// answer, or it did not read. A round that it had a part in fails, where a process that ends
    /// early is only left out.
    Vanished {
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
    /// The embedding program waits no longer for some workers: they are cut off and killed, and the
    /// round, if it is not complete by then, has failed as [stalled](super::RoundError::Stalled).
    /// Those that got to their next step since the program looked stay, and if that is all of them,
    /// nothing happens. A restart is not given up by this.
    GiveUp {
        /// Number of the round, as [`Standing`](super::Standing) tells it; any other is over.
        round: u64,
        /// The workers, by [`WorkerInfo::number`](crate::WorkerInfo::number).
        workers: &'a [u64],
        /// For how long they must have been late.
        after: Duration,
        /// What becomes of the others.
        survivors: Survivors,
    },
    /// [`CoordinatorCore::next_timeout`](super::CoordinatorCore::next_timeout) has passed. Harmless at any other time.
    Timeout,
}

/// Work for the driver, to be done in order.
///
/// Exhaustive on purpose: a driver that forgets one must not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Send the same bytes to all of these, which may be a crowd.
    TransmitAll {
        /// The connections, each once.
        conns: Vec<ConnId>,
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
        images: Arc<[ImageReport]>,
    },
    /// Send SIGKILL to this worker's process, if it is on this host and still the same process:
    /// no message can free it (a peer died inside DMTCP's own process-shared barrier).
    ///
    /// Comes before the end of the worker is told, by [`Output::Close`] and
    /// [`Event::WorkerLeft`].
    KillProcess {
        /// The worker's connection.
        conn: ConnId,
        /// The worker.
        worker: WorkerInfo,
    },
    /// A worker got to its next step. Only if
    /// [`CoordinatorConfig::steps`](super::CoordinatorConfig::steps) asks for it: there is one for
    /// each worker and step, so it is no news for everybody.
    Step {
        /// Number of the worker.
        worker: u64,
        /// What it got to.
        step: WorkerStep,
    },
    /// News.
    Event(Event),
    /// The coordinator was asked to end: stop listening once everything before is sent.
    Stop,
}

/// What to do, in order. Borrows the core, so the next input waits until this is gone.
///
/// What is left here when it is dropped comes first the next time.
#[must_use = "outputs left here are only acted on after the next input"]
#[derive(Debug)]
pub struct Outputs<'a> {
    queue: &'a mut VecDeque<Output>,
}

impl<'a> Outputs<'a> {
    pub(super) fn new(queue: &'a mut VecDeque<Output>) -> Self {
        Self { queue }
    }
}

impl Iterator for Outputs<'_> {
    type Item = Output;

    fn next(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }
}
