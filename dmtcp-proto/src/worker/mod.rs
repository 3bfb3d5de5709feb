//! The worker's side of the protocol as a pure function of its inputs.
//!
//! One [`WorkerCore`] is one process of a computation: it joins, takes part in every barrier of a
//! checkpoint or a restart with the right state, and says when its driver must stop the program,
//! write the image and go on ([`WorkerOutput`]). It has no socket, no file and no program: a step
//! that only the driver can do is asked for ([`WorkerOutput::Perform`]) and answered
//! ([`WorkerInput::Finished`]).
//!
//! ```text
//! join     NEW_WORKER -> ACCEPT -> UPDATE_PROCESS_INFO_AFTER_INIT_OR_EXEC          Resume
//! restart  RESTART_WORKER -> ACCEPT -> DMT:Restart -> plugins' barriers            Restore
//!          -> WORKER_RESUMING                                                      Resume
//! round    DO_CHECKPOINT -> DMT:SUSPEND                                            Suspend
//!          -> DMT:CHECKPOINT -> plugins' barriers                                  WriteImage
//!          -> DMT:WriteCkpt                                                        PublishImage
//!          -> CKPT_FILENAME -> WORKER_RESUMING                                     Resume
//! ```
//!
//! The dialect is never negotiated: the caller knows it. A worker speaks first, and the
//! coordinator's answer to a hello is numbered the same in all of them.

mod config;
mod exit;
mod handshake;
mod round;

pub use config::{Entry, WorkerConfig};
pub use exit::WorkerExit;

use alloc::collections::VecDeque;
use bytes::{Bytes, BytesMut};

use crate::dialect::Dialect;
use crate::error::DecodeError;
use crate::ids::UniquePid;
use crate::message::{Body, Message, Reject};
use crate::name::Name;
use crate::state::WorkerState;
use crate::text::Text;
use crate::wire::{Decoder, encode};

/// Something that happened, for the worker to act on.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "made by drivers")]
pub enum WorkerInput<'a> {
    /// The connection to the coordinator is open.
    Opened,
    /// Bytes arrived; any split.
    Received(&'a [u8]),
    /// The connection ended, for whatever reason.
    Closed,
    /// The answer to [`WorkerOutput::Perform`].
    Finished(Finished),
}

/// How a [`Stage`] ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "made by drivers")]
pub enum Finished {
    /// [`Stage::Restore`]: the state is back.
    Restored,
    /// [`Stage::Suspend`]: nothing changes the state any more.
    Suspended,
    /// [`Stage::WriteImage`]: the image is on disk, under a temporary name.
    ImageWritten,
    /// [`Stage::PublishImage`]: the image has its final name.
    ImagePublished {
        /// Path of the image on this host.
        path: Text,
        /// Whether no other checkpoint uses this name.
        unique: bool,
    },
    /// Any stage: it could not be done.
    ///
    /// The protocol has no word for this. A worker can only leave, so [`WorkerExit::Failed`]
    /// follows and the driver closes the connection: the coordinator counts the peer as lost, and
    /// ours fails the round. Whether the program goes on without checkpoints or stops is the
    /// driver's choice.
    Failed,
}

/// Work for the driver, to be done in order.
///
/// Exhaustive on purpose: a driver that forgets one must not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a driver that forgets one must not compile"
)]
pub enum WorkerOutput {
    /// Send these bytes to the coordinator.
    Transmit(Bytes),
    /// The coordinator took this process in.
    Accepted {
        /// The pid that identifies this process in the computation.
        virtual_pid: i32,
        /// The computation; at a restart with the image's generation.
        computation: UniquePid,
        /// The same number for all workers of a computation; 0 while a checkpoint is under way.
        time_stamp: u64,
    },
    /// The coordinator did not take this process in. Close the connection; nothing follows.
    Rejected(Reject),
    /// Do this, then hand in [`WorkerInput::Finished`].
    Perform(Stage),
    /// Let the program run. Not answered.
    Resume,
    /// Close the connection; nothing follows. What it means for the program is the reason's.
    Exit {
        /// Why.
        reason: WorkerExit,
    },
}

/// A step that only the driver can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a driver that forgets one must not compile"
)]
pub enum Stage {
    /// Put the state of the image back. All processes of the computation are connected.
    Restore,
    /// Stop whatever changes the state.
    Suspend,
    /// Write the image under a temporary name. All workers have stopped.
    WriteImage {
        /// The computation with this round's generation.
        computation: UniquePid,
        /// This process.
        process: UniquePid,
        /// Processes of the computation; a restart must announce the same number.
        peers: u32,
    },
    /// Rename the image to its final name. All workers have written theirs.
    PublishImage,
}

/// The worker's side of the protocol.
#[derive(Debug)]
pub struct WorkerCore {
    dialect: Dialect,
    config: WorkerConfig,
    entry: Entry,
    decoder: Decoder,
    /// Who we are; the launcher's identity until the coordinator has given us a pid.
    identity: UniquePid,
    computation: UniquePid,
    state: WorkerState,
    phase: Phase,
    outputs: VecDeque<WorkerOutput>,
}

/// What we are in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    NotOpened,
    Joining,
    Running,
    Round(round::Round),
    Over,
}

impl WorkerCore {
    /// A worker that has not connected yet.
    #[must_use]
    pub fn new(dialect: Dialect, config: WorkerConfig, entry: Entry) -> Self {
        let (identity, computation) = match entry {
            Entry::New { launcher, .. } => (launcher, UniquePid::NULL),
            Entry::Restart {
                process,
                computation,
                ..
            } => (process, computation),
        };
        Self {
            dialect,
            decoder: Decoder::new(dialect, config.limits),
            config,
            entry,
            identity,
            computation,
            state: WorkerState::Unknown,
            phase: Phase::NotOpened,
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input. Cannot fail: what is wrong ends in [`WorkerOutput::Exit`].
    ///
    /// After [`WorkerOutput::Exit`] or [`WorkerOutput::Rejected`] every input is ignored.
    pub fn handle(&mut self, input: WorkerInput<'_>) -> WorkerOutputs<'_> {
        if self.phase != Phase::Over {
            match input {
                WorkerInput::Opened => self.hello(),
                WorkerInput::Received(bytes) => self.receive(bytes),
                WorkerInput::Closed => self.exit(WorkerExit::CoordinatorLost),
                WorkerInput::Finished(finished) => self.finished(finished),
            }
        }
        WorkerOutputs {
            queue: &mut self.outputs,
        }
    }

    /// Who this process is; before it is accepted, its launcher.
    #[must_use]
    pub fn identity(&self) -> UniquePid {
        self.identity
    }

    /// The computation with its generation; null before this process is accepted.
    #[must_use]
    pub fn computation(&self) -> UniquePid {
        self.computation
    }

    /// The state last told to the coordinator.
    #[must_use]
    pub fn state(&self) -> WorkerState {
        self.state
    }

    /// Whether nothing is under way: the program may run.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// Whether this worker has left, or was never taken in.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// The barrier whose release it waits for.
    #[must_use]
    pub fn waiting_at(&self) -> Option<Name> {
        match self.phase {
            Phase::Round(round) => self.barrier_name(round),
            _ => None,
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.decoder.feed(bytes);
        while self.phase != Phase::Over {
            let message = match self.decoder.next_frame() {
                Ok(Some(frame)) => Message::parse(self.dialect, &frame),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            match message {
                Ok(message) => self.message(&message),
                Err(error) => self.exit(WorkerExit::Protocol(error)),
            }
        }
    }

    fn message(&mut self, message: &Message) {
        match (self.phase, &message.body) {
            (_, Body::KillPeer) => self.exit(WorkerExit::Killed),
            (Phase::Joining, Body::Accept(accept)) => self.accepted(accept, message.group),
            (Phase::Joining, Body::Reject(reject)) => {
                self.phase = Phase::Over;
                self.outputs.push_back(WorkerOutput::Rejected(*reject));
            }
            (Phase::Running, Body::DoCheckpoint(order)) => self.begin(*order, message.group),
            (Phase::Round(round), Body::DoCheckpoint(_)) => self.repeated(round, message.group),
            (Phase::Round(round), Body::BarrierReleased(released)) => {
                self.released(round, released);
            }
            (phase, body) => self.unexpected(body, expected_in(phase)),
        }
    }

    fn send(&mut self, body: Body) {
        let group = match body {
            Body::RestartWorker(_) => self.computation,
            _ => UniquePid::NULL,
        };
        let message = Message::new(self.identity, body)
            .in_group(group)
            .in_state(self.state);
        let mut bytes = BytesMut::new();
        let encoded = message
            .to_frame(self.dialect)
            .and_then(|frame| encode(self.dialect, &frame, &mut bytes));
        match encoded {
            Ok(()) => self
                .outputs
                .push_back(WorkerOutput::Transmit(bytes.freeze())),
            Err(error) => self.exit(WorkerExit::Unsendable(error)),
        }
    }

    fn unexpected(&mut self, body: &Body, why: &'static str) {
        self.exit(WorkerExit::Protocol(DecodeError::Unexpected {
            kind: body.kind(),
            why,
        }));
    }

    fn exit(&mut self, reason: WorkerExit) {
        self.phase = Phase::Over;
        self.outputs.push_back(WorkerOutput::Exit { reason });
    }
}

fn expected_in(phase: Phase) -> &'static str {
    match phase {
        Phase::NotOpened | Phase::Over => "the connection is not open",
        Phase::Joining => "an answer to the hello was due",
        Phase::Running => "a running worker can only be told to checkpoint or to exit",
        Phase::Round(_) => "only the release of the barrier was due",
    }
}

/// What to do, in order. Borrows the core, so the next input waits until this is gone.
///
/// What is left here when it is dropped comes first the next time.
#[must_use = "outputs left here are only acted on after the next input"]
#[derive(Debug)]
pub struct WorkerOutputs<'a> {
    queue: &'a mut VecDeque<WorkerOutput>,
}

impl Iterator for WorkerOutputs<'_> {
    type Item = WorkerOutput;

    fn next(&mut self) -> Option<WorkerOutput> {
        self.queue.pop_front()
    }
}
