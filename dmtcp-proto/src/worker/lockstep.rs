//! The phases of a checkpoint and of a restart before 3.0.0: which order is due, what it asks of
//! the driver, and in which state it is answered. The order and the states stand in the dialect's
//! table ([`Dialect::phases`](crate::Dialect::phases)).

use super::{
    Activity, Finished, PUBLISHED, RESTORED, SUSPENDED, Stage, WRITTEN, WorkerCore, WorkerExit,
    WorkerOutput,
};
use crate::error::DecodeError;
use crate::ids::UniquePid;
use crate::kind::Kind;
use crate::message::{Body, PhaseOrder};
use crate::phase::Phase;
use crate::state::WorkerState;

/// Where in the sequence of phases a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lockstep {
    /// Position in the table of the phase that is awaited or under way.
    index: usize,
    /// From the order to elect; 0 before, and in a restart.
    peers: u32,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// The coordinator's order is due.
    Awaiting,
    Restoring,
    Suspending,
    Writing,
    Publishing,
}

impl Lockstep {
    /// What a running worker awaits.
    pub(super) const FIRST: Self = Self {
        index: 0,
        peers: 0,
        step: Step::Awaiting,
    };

    /// How the driver's stage ends that is under way; `None` while an order is due.
    pub(super) fn stage(self) -> Option<&'static str> {
        match self.step {
            Step::Awaiting => None,
            Step::Restoring => Some(RESTORED),
            Step::Suspending => Some(SUSPENDED),
            Step::Writing => Some(WRITTEN),
            Step::Publishing => Some(PUBLISHED),
        }
    }
}

impl WorkerCore {
    /// Whether this dialect has phases in the place of barriers.
    pub(super) fn in_lockstep(&self) -> bool {
        !self.dialect.phases().is_empty()
    }

    /// A restart takes the place of the order to checkpoint: it is answered in the same state, and
    /// the same phases follow.
    pub(super) fn restore_in_lockstep(&mut self) {
        let mut phases = self.dialect.phases().iter();
        let index = phases.position(|&(phase, _)| phase == Phase::Checkpoint);
        let restart = Lockstep {
            index: index.unwrap_or_default(),
            ..Lockstep::FIRST
        };
        self.perform(restart, Step::Restoring, Stage::Restore);
    }

    /// The phase whose order is due; `None` while the driver is at work.
    pub(super) fn due_phase(&self, lockstep: Lockstep) -> Option<Phase> {
        let entry = self.dialect.phases().get(lockstep.index);
        match lockstep.step {
            Step::Awaiting => entry.map(|&(phase, _)| phase),
            _ => None,
        }
    }

    /// The coordinator ordered a phase.
    pub(super) fn ordered(&mut self, lockstep: Lockstep, order: &PhaseOrder, group: UniquePid) {
        let PhaseOrder { phase, peers, .. } = *order;
        if let Err(error) = self.check_order(lockstep, phase, peers, group) {
            self.exit(WorkerExit::Protocol(error));
            return;
        }
        match phase {
            Phase::Suspend => {
                self.computation = group;
                let dir = order.checkpoint_dir.iter().find(|dir| !dir.is_empty());
                if let Some(dir) = dir {
                    let dir = dir.clone();
                    self.outputs.push_back(WorkerOutput::CheckpointDir(dir));
                }
                self.perform(lockstep, Step::Suspending, Stage::Suspend);
            }
            Phase::FdLeaderElection => self.answer(Lockstep { peers, ..lockstep }),
            Phase::Checkpoint => {
                let image = Stage::WriteImage {
                    computation: self.computation,
                    process: self.identity,
                    peers: lockstep.peers,
                };
                self.perform(lockstep, Step::Writing, image);
            }
            Phase::PreCheckpointRegister
            | Phase::PreCheckpointQuery
            | Phase::Drain
            | Phase::RegisterNameServiceData
            | Phase::SendQueries
            | Phase::Refill
            | Phase::Resume => self.answer(lockstep),
        }
    }

    pub(super) fn finished_in_lockstep(&mut self, lockstep: Lockstep, finished: Finished) {
        match (lockstep.step, finished) {
            (Step::Restoring, Finished::Restored) | (Step::Suspending, Finished::Suspended) => {
                self.answer(lockstep);
            }
            (Step::Writing, Finished::ImageWritten) => {
                self.perform(lockstep, Step::Publishing, Stage::PublishImage);
            }
            (Step::Publishing, Finished::ImagePublished { path, unique }) => {
                self.report(path, unique);
                if self.activity != Activity::Over {
                    self.answer(lockstep);
                }
            }
            (_, finished) => self.misdriven(&finished, lockstep.stage()),
        }
    }

    fn check_order(
        &self,
        lockstep: Lockstep,
        phase: Phase,
        peers: u32,
        group: UniquePid,
    ) -> Result<(), DecodeError> {
        let kind = Kind::Do(phase);
        let unexpected = |why| Err(DecodeError::Unexpected { kind, why });
        match self.due_phase(lockstep) {
            None => unexpected("the phase before is not answered yet"),
            Some(due) if due != phase => unexpected("another phase was due"),
            Some(_) if !group.same_as(&self.computation) => {
                unexpected("it is for another computation")
            }
            Some(Phase::FdLeaderElection) if peers == 0 => Err(DecodeError::Malformed {
                kind,
                field: "number of peers",
            }),
            Some(_) => Ok(()),
        }
    }

    fn perform(&mut self, lockstep: Lockstep, step: Step, stage: Stage) {
        self.activity = Activity::Lockstep(Lockstep { step, ..lockstep });
        self.outputs.push_back(WorkerOutput::Perform(stage));
    }

    /// The phase is done: says so, and awaits the next one or runs.
    fn answer(&mut self, lockstep: Lockstep) {
        if let Some(&(_, state)) = self.dialect.phases().get(lockstep.index) {
            self.state = state;
        }
        let runs = self.state == WorkerState::Running;
        self.activity = if runs {
            Activity::Running
        } else {
            Activity::Lockstep(Lockstep {
                index: lockstep.index + 1,
                step: Step::Awaiting,
                ..lockstep
            })
        };
        self.send(Body::Ok);
        if runs && self.activity == Activity::Running {
            self.outputs.push_back(WorkerOutput::Resume);
        }
    }
}
