//! The worker's side of the protocol as a pure function of its inputs.
//!
//! One [`WorkerCore`] is one process of a computation: it joins, takes part in every barrier or
//! phase of a checkpoint or a restart with the right state, and says when its driver must stop the
//! program, write the image and go on ([`WorkerOutput`]). It has no socket, no file and no program: a step
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
//! Before 3.0.0 there are no barriers: the coordinator orders one phase after the other
//! ([`Dialect::phases`]), and each is answered with OK and the state that belongs to it.
//!
//! ```text
//! join     NEW_WORKER -> ACCEPT -> UPDATE_PROCESS_INFO_AFTER_INIT_OR_EXEC, OK      Resume
//! restart  RESTART_WORKER -> ACCEPT                                                Restore
//!          -> OK; the phases behind DO_CHECKPOINT -> DO_RESUME -> OK               Resume
//! round    DO_SUSPEND                                                              Suspend
//!          -> OK; more phases -> DO_CHECKPOINT                                     WriteImage
//!                                                                                  PublishImage
//!          -> CKPT_FILENAME, OK; more phases -> DO_RESUME -> OK                    Resume
//! ```
//!
//! A native worker has nothing to ask of the name service, so it answers those phases at once.
//!
//! The dialect is never negotiated: the caller knows it. A worker speaks first, and the
//! coordinator's answer to a hello is numbered the same in all of them.

mod config;
mod exit;
mod handshake;
mod interface;
mod lockstep;
mod round;

pub use config::{Entry, WorkerConfig};
pub use exit::WorkerExit;
pub use interface::{Finished, Stage, WorkerInput, WorkerOutput, WorkerOutputs};

use alloc::collections::VecDeque;
use bytes::BytesMut;

use crate::dialect::Dialect;
use crate::error::DecodeError;
use crate::ids::UniquePid;
use crate::message::{Body, Message};
use crate::name::Name;
use crate::phase::Phase;
use crate::state::WorkerState;
use crate::wire::{Decoder, encode};

/// The worker's side of the protocol.
#[derive(Clone, Debug)]
pub struct WorkerCore {
    dialect: Dialect,
    config: WorkerConfig,
    entry: Entry,
    decoder: Decoder,
    /// Who we are; the launcher's identity until the coordinator has given us a pid.
    identity: UniquePid,
    computation: UniquePid,
    state: WorkerState,
    activity: Activity,
    outputs: VecDeque<WorkerOutput>,
}

/// What we are in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    NotOpened,
    Joining,
    Running,
    Round(round::Round),
    Lockstep(lockstep::Lockstep),
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
            activity: Activity::NotOpened,
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input. Cannot fail: what is wrong ends in [`WorkerOutput::Exit`].
    ///
    /// After [`WorkerOutput::Exit`] or [`WorkerOutput::Rejected`] every input is ignored.
    pub fn handle(&mut self, input: WorkerInput<'_>) -> WorkerOutputs<'_> {
        if self.activity != Activity::Over {
            match input {
                WorkerInput::Opened => self.hello(),
                WorkerInput::Received(bytes) => self.receive(bytes),
                WorkerInput::Closed => self.exit(WorkerExit::CoordinatorLost),
                WorkerInput::Finished(finished) => self.finished(finished),
            }
        }
        WorkerOutputs::new(&mut self.outputs)
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
        self.activity == Activity::Running
    }

    /// Whether this worker has left, or was never taken in.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.activity == Activity::Over
    }

    /// The barrier whose release it waits for.
    #[must_use]
    pub fn waiting_at(&self) -> Option<Name> {
        match self.activity {
            Activity::Round(round) => self.barrier_name(round),
            _ => None,
        }
    }

    /// The phase whose order it waits for in the middle of a round or restart; before 3.0.0.
    #[must_use]
    pub fn awaited_phase(&self) -> Option<Phase> {
        match self.activity {
            Activity::Lockstep(lockstep) => self.due_phase(lockstep),
            _ => None,
        }
    }

    fn receive(&mut self, mut bytes: &[u8]) {
        while self.activity != Activity::Over {
            let message = match &self.decoder.next_frame_from(&mut bytes) {
                Ok(Some(frame)) => Message::parse(self.dialect, frame),
                Ok(None) => return,
                Err(error) => Err(error.clone()),
            };
            match message {
                Ok(message) => self.message(&message),
                Err(error) => self.exit(WorkerExit::Protocol(error)),
            }
        }
    }

    fn message(&mut self, message: &Message) {
        match (self.activity, &message.body) {
            (_, Body::KillPeer) => self.exit(WorkerExit::Killed),
            (Activity::Joining, Body::Accept(accept)) => self.accepted(accept, message.group),
            (Activity::Joining, Body::Reject(reject)) => {
                self.activity = Activity::Over;
                self.outputs.push_back(WorkerOutput::Rejected(*reject));
            }
            (Activity::Running, Body::DoCheckpoint(order)) => self.begin(*order, message.group),
            (Activity::Round(round), Body::DoCheckpoint(_)) => self.repeated(round, message.group),
            (Activity::Round(round), Body::BarrierReleased(released)) => {
                self.released(round, released);
            }
            (Activity::Running, Body::Do(order)) => {
                self.ordered(lockstep::Lockstep::FIRST, order, message.group);
            }
            (Activity::Lockstep(lockstep), Body::Do(order)) => {
                self.ordered(lockstep, order, message.group);
            }
            // Nothing of ours logs by it.
            (_, Body::UpdateLogging { .. }) => {}
            (activity, body) => self.unexpected(body, expected_in(activity)),
        }
    }

    fn finished(&mut self, finished: Finished) {
        let stage = match self.activity {
            Activity::Round(round) => round.stage(),
            Activity::Lockstep(lockstep) => lockstep.stage(),
            _ => None,
        };
        match (self.activity, stage, finished) {
            (_, Some(_), Finished::Failed) => self.exit(WorkerExit::Failed),
            (Activity::Round(round), _, finished) => self.finished_in_round(round, finished),
            (Activity::Lockstep(lockstep), _, finished) => {
                self.finished_in_lockstep(lockstep, finished);
            }
            (_, stage, finished) => self.misdriven(&finished, stage),
        }
    }

    /// The driver's answer is not that of the stage that is due.
    fn misdriven(&mut self, finished: &Finished, due: Option<&'static str>) {
        self.exit(WorkerExit::Misdriven {
            input: match finished {
                Finished::Restored => RESTORED,
                Finished::Suspended => SUSPENDED,
                Finished::ImageWritten => WRITTEN,
                Finished::ImagePublished { .. } => PUBLISHED,
                Finished::Failed => "a failure",
            },
            due: due.unwrap_or("no stage's end"),
        });
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
        self.activity = Activity::Over;
        self.outputs.push_back(WorkerOutput::Exit { reason });
    }
}

/// How each stage ends, in words.
const RESTORED: &str = "a restored state";
const SUSPENDED: &str = "a suspended program";
const WRITTEN: &str = "a written image";
const PUBLISHED: &str = "a published image";

fn expected_in(activity: Activity) -> &'static str {
    match activity {
        Activity::NotOpened | Activity::Over => "the connection is not open",
        Activity::Joining => "an answer to the hello was due",
        Activity::Running => "a running worker can only be told to checkpoint or to exit",
        Activity::Round(_) => "only the release of the barrier was due",
        Activity::Lockstep(_) => "only the order of the next phase was due",
    }
}
