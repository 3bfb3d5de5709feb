//! The steps of a checkpoint and of a restart with barriers: which barrier in which state, and what comes next.

use super::{
    Activity, Finished, PUBLISHED, RESTORED, SUSPENDED, Stage, WRITTEN, WorkerCore, WorkerExit,
    WorkerOutput,
};
use crate::error::{DecodeError, EncodeError};
use crate::ids::UniquePid;
use crate::kind::Kind;
use crate::message::{Body, CheckpointFile, DoCheckpoint, Released};
use crate::name::Name;
use crate::state::WorkerState;
use crate::text::Text;

/// Where in a round a worker is: `At…` waits for a release, the others for the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    AtRestart,
    AtRestartPlugin(usize),
    Restoring,
    AtSuspend(Order),
    Suspending(Order),
    AtCheckpoint(Order),
    AtPlugin(Order, usize),
    Writing(Order),
    AtWritten(Order),
    Publishing(Order),
}

/// What a round's DO_CHECKPOINT said, and what was learnt since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    then_exit: bool,
    /// From the release of `DMT:CHECKPOINT`; 0 before.
    peers: u32,
    /// Whether the coordinator said DO_CHECKPOINT again since the last release.
    repeated: bool,
}

impl WorkerCore {
    /// DO_CHECKPOINT reached a running worker.
    pub(super) fn begin(&mut self, order: DoCheckpoint, group: UniquePid) {
        if !self.adopt(group) {
            return;
        }
        self.enter(Round::AtSuspend(Order {
            then_exit: order.then_exit,
            peers: 0,
            repeated: false,
        }));
    }

    /// DO_CHECKPOINT in the middle of a round. A coordinator that took an update of our process
    /// for an exec says it once more; stock workers put up with one at each barrier.
    pub(super) fn repeated(&mut self, round: Round, group: UniquePid) {
        let order = match round {
            Round::AtRestart | Round::AtRestartPlugin(_) | Round::Restoring => None,
            Round::AtSuspend(order)
            | Round::Suspending(order)
            | Round::AtCheckpoint(order)
            | Round::AtPlugin(order, _)
            | Round::Writing(order)
            | Round::AtWritten(order)
            | Round::Publishing(order) => Some(order),
        };
        match order {
            Some(order) if !order.repeated => {
                if self.adopt(group) {
                    let repeated = true;
                    self.activity = Activity::Round(round.with(Order { repeated, ..order }));
                }
            }
            _ => self.exit(WorkerExit::Protocol(DecodeError::Unexpected {
                kind: Kind::DoCheckpoint,
                why: "a checkpoint or restart is under way",
            })),
        }
    }

    pub(super) fn released(&mut self, round: Round, released: &Released) {
        if self.barrier_name(round) != Some(released.name) {
            self.exit(WorkerExit::Protocol(DecodeError::Unexpected {
                kind: Kind::BarrierReleased,
                why: "this worker does not wait at that barrier",
            }));
            return;
        }
        let next = match round {
            Round::AtRestart => self.restart_plugin_or_restore(0),
            Round::AtRestartPlugin(index) => self.restart_plugin_or_restore(index + 1),
            Round::AtSuspend(order) => Round::Suspending(order.fresh()),
            Round::AtCheckpoint(_) if released.peers == 0 => {
                self.exit(WorkerExit::Protocol(DecodeError::Malformed {
                    kind: Kind::BarrierReleased,
                    field: "number of peers",
                }));
                return;
            }
            Round::AtCheckpoint(order) => {
                let peers = released.peers;
                let order = Order { peers, ..order };
                self.plugin_or_write(order.fresh(), 0)
            }
            Round::AtPlugin(order, index) => self.plugin_or_write(order.fresh(), index + 1),
            Round::AtWritten(order) => Round::Publishing(order.fresh()),
            // These have no barrier, so the name was not theirs.
            Round::Restoring | Round::Suspending(_) | Round::Writing(_) | Round::Publishing(_) => {
                round
            }
        };
        self.enter(next);
    }

    pub(super) fn finished_in_round(&mut self, round: Round, finished: Finished) {
        match (round, finished) {
            (Round::Restoring, Finished::Restored) => self.resume(),
            (Round::Suspending(order), Finished::Suspended) => {
                self.enter(Round::AtCheckpoint(order));
            }
            (Round::Writing(order), Finished::ImageWritten) => {
                self.enter(Round::AtWritten(order));
            }
            (Round::Publishing(order), Finished::ImagePublished { path, unique }) => {
                self.report(path, unique);
                if self.activity == Activity::Over {
                    return;
                }
                if order.then_exit {
                    self.exit(WorkerExit::Checkpointed);
                } else {
                    self.resume();
                }
            }
            (round, finished) => self.misdriven(&finished, round.stage()),
        }
    }

    /// The barrier that this part of a round waits at.
    pub(super) fn barrier_name(&self, round: Round) -> Option<Name> {
        let fixed = |text: &str| Some(Name::from_field(text.as_bytes()));
        match round {
            Round::AtRestart => fixed("DMT:Restart"),
            Round::AtRestartPlugin(index) => self.config.restart_barriers.get(index).copied(),
            Round::AtSuspend(_) => fixed("DMT:SUSPEND"),
            Round::AtCheckpoint(_) => fixed("DMT:CHECKPOINT"),
            Round::AtPlugin(_, index) => self.config.checkpoint_barriers.get(index).copied(),
            Round::AtWritten(_) => fixed("DMT:WriteCkpt"),
            Round::Restoring | Round::Suspending(_) | Round::Writing(_) | Round::Publishing(_) => {
                None
            }
        }
    }

    /// Goes to this part of the round: tells the coordinator or asks the driver.
    pub(super) fn enter(&mut self, round: Round) {
        self.state = match round {
            Round::AtRestart | Round::AtRestartPlugin(_) | Round::Restoring => {
                WorkerState::Restarting
            }
            Round::AtSuspend(_) | Round::Suspending(_) => WorkerState::PreSuspend,
            Round::AtCheckpoint(_) => WorkerState::Suspended,
            Round::AtPlugin(..) | Round::Writing(_) => WorkerState::Checkpointing,
            Round::AtWritten(_) | Round::Publishing(_) => WorkerState::Checkpointed,
        };
        self.activity = Activity::Round(round);
        if let Some(name) = self.barrier_name(round) {
            self.send(Body::Barrier(name));
        }
        let stage = match round {
            Round::Restoring => Stage::Restore,
            Round::Suspending(_) => Stage::Suspend,
            Round::Writing(order) => Stage::WriteImage {
                computation: self.computation,
                process: self.identity,
                peers: order.peers,
            },
            Round::Publishing(_) => Stage::PublishImage,
            Round::AtRestart
            | Round::AtRestartPlugin(_)
            | Round::AtSuspend(_)
            | Round::AtCheckpoint(_)
            | Round::AtPlugin(..)
            | Round::AtWritten(_) => return,
        };
        self.outputs.push_back(WorkerOutput::Perform(stage));
    }

    fn restart_plugin_or_restore(&self, index: usize) -> Round {
        if index < self.config.restart_barriers.len() {
            Round::AtRestartPlugin(index)
        } else {
            Round::Restoring
        }
    }

    fn plugin_or_write(&self, order: Order, index: usize) -> Round {
        if index < self.config.checkpoint_barriers.len() {
            Round::AtPlugin(order, index)
        } else {
            Round::Writing(order)
        }
    }

    pub(super) fn report(&mut self, path: Text, unique: bool) {
        if path.is_empty() {
            let field = "image path";
            self.exit(WorkerExit::Unsendable(EncodeError::Text { field }));
            return;
        }
        self.send(Body::CheckpointFile(CheckpointFile {
            path,
            // 2.4.x would have it left out, but nothing tells it from 2.5.0, which aborts then.
            // 2.4.x takes the empty text for the host, which is only written into its script.
            shell: Some(Text::default()),
            host: self.config.host.clone(),
            unique,
        }));
    }

    fn resume(&mut self) {
        self.state = WorkerState::Running;
        self.activity = Activity::Running;
        self.send(Body::WorkerResuming);
        if self.activity == Activity::Running {
            self.outputs.push_back(WorkerOutput::Resume);
        }
    }

    /// Takes over the generation of a DO_CHECKPOINT, if it is for our computation.
    fn adopt(&mut self, group: UniquePid) -> bool {
        let ours = group.same_as(&self.computation);
        if ours {
            self.computation = group;
        } else {
            self.exit(WorkerExit::Protocol(DecodeError::Unexpected {
                kind: Kind::DoCheckpoint,
                why: "it is for another computation",
            }));
        }
        ours
    }
}

impl Round {
    /// How the driver's stage ends that is under way; `None` at a barrier.
    pub(super) fn stage(self) -> Option<&'static str> {
        match self {
            Self::Restoring => Some(RESTORED),
            Self::Suspending(_) => Some(SUSPENDED),
            Self::Writing(_) => Some(WRITTEN),
            Self::Publishing(_) => Some(PUBLISHED),
            Self::AtRestart
            | Self::AtRestartPlugin(_)
            | Self::AtSuspend(_)
            | Self::AtCheckpoint(_)
            | Self::AtPlugin(..)
            | Self::AtWritten(_) => None,
        }
    }

    /// The same part of a round with another order.
    fn with(self, order: Order) -> Self {
        match self {
            Self::AtRestart | Self::AtRestartPlugin(_) | Self::Restoring => self,
            Self::AtSuspend(_) => Self::AtSuspend(order),
            Self::Suspending(_) => Self::Suspending(order),
            Self::AtCheckpoint(_) => Self::AtCheckpoint(order),
            Self::AtPlugin(_, index) => Self::AtPlugin(order, index),
            Self::Writing(_) => Self::Writing(order),
            Self::AtWritten(_) => Self::AtWritten(order),
            Self::Publishing(_) => Self::Publishing(order),
        }
    }
}

impl Order {
    fn fresh(self) -> Self {
        Self {
            repeated: false,
            ..self
        }
    }
}
