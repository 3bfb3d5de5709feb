//! Rounds in lockstep, as 2.x runs them: every phase is a barrier.
//!
//! A barrier carries the word of the state in which workers say that they are done with a phase;
//! its release is the order to begin the next one. So the rules for workers that join late, leave
//! or stall are those of barriers, and [`Dialect::phases`] says all that differs.

use super::CoordinatorCore;
use crate::dialect::Dialect;
use crate::error::DecodeError;
use crate::ids::ConnId;
use crate::kind::Kind;
use crate::message::{Body, DoCheckpoint, PhaseOrder};
use crate::name::Name;
use crate::phase::Phase;
use crate::state::WorkerState;

impl CoordinatorCore {
    /// A worker is done with a phase, or its program runs.
    pub(super) fn phase_done(
        &mut self,
        conn: ConnId,
        state: WorkerState,
    ) -> Result<(), DecodeError> {
        let unexpected = |why| {
            let kind = Kind::Ok;
            Err(DecodeError::Unexpected { kind, why })
        };
        let (Some(dialect), Some(worker)) = (self.dialect_of(conn), self.roster.get(conn)) else {
            return Ok(());
        };
        let Some(done) = index_of(dialect, state) else {
            return unexpected("no phase ends in this state");
        };
        let first = match self.restart {
            Some(_) => index_of(dialect, WorkerState::Checkpointed).unwrap_or_default(),
            None => 0,
        };
        let expected = first + worker.passed;
        let before_rounds = matches!(worker.state(), WorkerState::Unknown | WorkerState::Running);
        if state == WorkerState::Running && before_rounds {
            self.roster.set_state(conn, state);
            self.updated(conn);
        } else if done != expected || worker.waiting || !self.is_in_phases() {
            return unexpected("it was not told to begin this phase");
        } else if state == WorkerState::Running {
            self.resumed(conn);
        } else {
            self.roster.set_state(conn, state);
            // Before the barrier, which would wait for a set that cannot be.
            if state == WorkerState::Checkpointed {
                self.should_have_reported(conn);
            }
            self.arrived(conn, barrier_of(state))?;
        }
        Ok(())
    }

    /// Whether workers have been told to do anything that ends in a phase.
    fn is_in_phases(&self) -> bool {
        let ordered = self.round.as_ref().is_some_and(|round| !round.is_asked());
        ordered || self.resuming || self.restart.is_some()
    }

    /// What begins a round.
    pub(super) fn order(&self, dialect: Dialect, then_exit: bool) -> Body {
        match dialect.phases().first() {
            Some(&(phase, _)) => Body::Do(self.phase_order(phase)),
            None => Body::DoCheckpoint(DoCheckpoint {
                peers: self.roster.peers(),
                then_exit,
            }),
        }
    }

    /// What lets workers go on behind a barrier.
    pub(super) fn release_of(&self, dialect: Dialect, barrier: Name) -> Body {
        let mut phases = dialect.phases().iter();
        let _this = phases.find(|&&(_, state)| barrier_of(state) == barrier);
        match phases.next() {
            Some(&(phase, _)) => Body::Do(self.phase_order(phase)),
            None => Body::BarrierReleased(self.released(barrier)),
        }
    }

    fn phase_order(&self, phase: Phase) -> PhaseOrder {
        let mut order = PhaseOrder::new(phase);
        match phase {
            Phase::FdLeaderElection => order.peers = self.roster.peers(),
            Phase::Suspend => order.checkpoint_dir = self.global_checkpoint_dir.clone(),
            _ => {}
        }
        order
    }

    /// What has to be done before the barrier is released.
    pub(super) fn before_release(&mut self, barrier: Name) {
        let Some(dialect) = self.computation.dialects.only() else {
            return;
        };
        // Until 2.5, addresses are registered anew each time; 2.6 needs those from before the image.
        let anew = index_of(dialect, WorkerState::PreCheckpointRegister).is_none();
        if barrier == barrier_of(WorkerState::Checkpointed) && is_lockstep(dialect) && anew {
            self.name_service.clear();
        }
    }

    /// Workers that shall be killed behind their images stay where these are written until the
    /// set is sealed: if it cannot be, they go on.
    pub(super) fn holds_for_seal(&self, barrier: Name) -> bool {
        let dialect = self.computation.dialects.only();
        dialect.is_some_and(is_lockstep)
            && barrier == barrier_of(WorkerState::Checkpointed)
            && self
                .round
                .as_ref()
                .is_some_and(|round| round.then_exit && (round.is_open() || round.is_sealing()))
    }

    /// Whether workers wait for each other only through the coordinator: 3.0.0 and later have a
    /// barrier of their own, inside each host, that no message ends.
    pub(super) fn waits_only_here(&self) -> bool {
        self.computation.dialects.iter().all(is_lockstep)
    }
}

fn is_lockstep(dialect: Dialect) -> bool {
    !dialect.phases().is_empty()
}

/// The barrier behind which no process joins a round: its parent's threads have stopped.
pub(super) fn last_to_join(dialect: Option<Dialect>) -> Name {
    match dialect.and_then(|dialect| dialect.phases().first()) {
        Some(&(_, state)) => barrier_of(state),
        None => Name::from_field(b"DMT:CHECKPOINT"),
    }
}

/// In which state a worker reports its image.
pub(super) fn reporting_state(dialect: Dialect) -> WorkerState {
    match index_of(dialect, WorkerState::Checkpointed).and_then(|at| at.checked_sub(1)) {
        Some(before) => dialect.phases()[before].1,
        None => WorkerState::Checkpointed,
    }
}

fn index_of(dialect: Dialect, state: WorkerState) -> Option<usize> {
    dialect.phases().iter().position(|&(_, end)| end == state)
}

fn barrier_of(state: WorkerState) -> Name {
    use alloc::string::ToString as _;
    Name::from_field(state.to_string().as_bytes())
}
