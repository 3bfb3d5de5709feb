//! How a round or restart stands: who has got where, and who is waited for since when. Only a view,
//! made when it is asked for, and what follows when the embedding program gives up on the late ones.

use alloc::vec::Vec;
use core::time::Duration;

use super::CoordinatorCore;
use super::event::RoundError;
use super::roster::{Part, Worker};
use crate::command::WorkerInfo;
use crate::ids::ConnId;
use crate::name::Name;
use crate::state::WorkerState;
use crate::time::Instant;

/// How the running round or restart stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// Number of the round; `None`: it is a restart.
    pub round: Option<u64>,
    /// What is waited for.
    pub awaited: Awaited,
    /// Workers that there will be: those that are connected, or more in a restart.
    pub peers: u32,
    /// Those of a restart that are not connected yet.
    pub missing: u32,
    /// How long ago a worker got to its next step for the last time, or all were let go on.
    pub quiet: Duration,
    /// Those for whom the others wait, in the order in which they joined. In a restart there may be
    /// none, and some that have not joined.
    pub late: Vec<Late>,
}

/// What a round or restart waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Awaited {
    /// That all workers run, so that they can be told to checkpoint.
    Running,
    /// That all workers are at this barrier, where some are. In 2.x that is the word of the state in
    /// which they are then.
    Barrier(Name),
    /// That a worker is at the barrier behind this one, through which all have gone.
    Behind(Name),
    /// That a worker does its first step.
    FirstStep,
    /// That all workers run again behind their images.
    Resumed,
}

/// A worker for which others wait.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Late {
    /// The worker.
    pub worker: WorkerInfo,
    /// How long ago it got to a step for the last time, or was let go on from there.
    pub since: Duration,
}

/// What becomes of those that are not late when a round is [given up](super::Input::GiveUp).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "they live or they do not")]
pub enum Survivors {
    /// They run on, without the late ones. Those that no message can free, since DMTCP lets the
    /// processes of a host wait for each other, are killed; where that is not certain, those that do
    /// not come to run within [`CoordinatorConfig::kill_timeout`](super::CoordinatorConfig::kill_timeout).
    RunOn,
    /// They are killed: the computation begins again from its last set.
    Killed,
}

impl CoordinatorCore {
    /// Who is waited for at this time; `None` when neither a round nor a restart is under way, or
    /// all have done their part. Asking costs as much as there are workers.
    #[must_use]
    pub fn standing(&self, now: Instant) -> Option<Standing> {
        let is_asked = self.round.as_ref().is_some_and(super::Round::is_asked);
        if self.round.is_none() && !self.resuming && self.restart.is_none() {
            return None;
        }
        let late: Vec<Late> = self
            .roster
            .iter()
            .filter(|(_, worker)| self.is_late(worker))
            .map(|(_, worker)| Late {
                worker: worker.info(),
                since: now - worker.stepped,
            })
            .collect();
        let connected = self.roster.peers();
        let peers = self
            .restart
            .as_ref()
            .map_or(connected, |restart| restart.expected.max(connected));
        if late.is_empty() && peers == connected {
            return None;
        }
        let latest = self.roster.iter().map(|(_, worker)| worker.stepped).max();
        let under_way = self.round.as_ref().is_some_and(|round| !round.is_sealing());
        let awaited = if is_asked {
            Awaited::Running
        } else if let Some(name) = self.barriers.current() {
            Awaited::Barrier(name)
        } else if !under_way && self.restart.is_none() {
            Awaited::Resumed
        } else {
            let behind = self.barriers.latest_released();
            behind.map_or(Awaited::FirstStep, Awaited::Behind)
        };
        Some(Standing {
            round: self.restart.is_none().then_some(self.rounds),
            awaited,
            peers,
            missing: peers.saturating_sub(connected),
            quiet: latest.map_or(Duration::ZERO, |latest| now - latest),
            late,
        })
    }

    fn is_late(&self, worker: &Worker) -> bool {
        if worker.waiting {
            return false;
        }
        let runs = worker.state() == WorkerState::Running;
        let owes_its_part = matches!(worker.part, Part::Told | Part::Answered);
        match &self.round {
            Some(round) if round.is_asked() => !runs,
            Some(round) if round.is_open() => owes_its_part,
            Some(round) if round.is_failed() => owes_its_part || !runs,
            _ => (self.resuming || self.restart.is_some()) && !runs,
        }
    }

    /// The embedding program waits no longer for these.
    pub(super) fn give_up(
        &mut self,
        number: u64,
        workers: &[u64],
        after: Duration,
        survivors: Survivors,
    ) {
        if number != self.rounds || self.restart.is_some() {
            return;
        }
        let in_round = self.round.is_some() || self.resuming;
        let is_given_up = |worker: &Worker| {
            // One that has got on since it was looked at is waited for.
            workers.contains(&worker.number)
                && self.is_late(worker)
                && self.now - worker.stepped >= after
        };
        let late: Vec<(ConnId, &Worker)> = self
            .roster
            .iter()
            .filter(|(_, worker)| in_round && is_given_up(worker))
            .collect();
        if late.is_empty() {
            return;
        }
        let named = late.iter().map(|(_, worker)| worker.info()).collect();
        let ended: Vec<ConnId> = match survivors {
            // Those beside them that no message can free end with them, as when one dies.
            Survivors::RunOn => late.into_iter().map(|(conn, _)| conn).collect(),
            Survivors::Killed => self.roster.iter().map(|(conn, _)| conn).collect(),
        };
        self.fail_round(RoundError::Stalled(named));
        self.cut_off(&ended);
    }
}
