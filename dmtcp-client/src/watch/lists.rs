//! Who is late, concluded from one worker list after the other. Pure: lists and their times are
//! handed in.
//!
//! A list has each worker's state and the last barrier that it reached. Nobody reaches a barrier
//! before all have reached the one before, so at any moment workers stand in at most two places:
//! those that are further wait for the others. Which place is further is told by the state, and
//! where that is the same, by which place was seen later.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use dmtcp_proto::{WorkerInfo, WorkerState};

use super::{Awaited, Late, Standing};

/// What the lists so far have told.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    /// By number in the list, which no later worker gets.
    members: BTreeMap<u64, Member>,
    /// Since when some are in a round.
    begun: Option<Instant>,
}

#[derive(Debug)]
struct Member {
    place: Place,
    /// When it was first seen there.
    since: Instant,
    /// Seen stopped in this round.
    stopped: bool,
}

/// Where a worker stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    state: WorkerState,
    barrier: Option<String>,
}

impl Place {
    fn of(worker: &WorkerInfo) -> Self {
        Self {
            state: worker.state,
            barrier: worker.barrier.clone(),
        }
    }

    fn is_in_round(&self) -> bool {
        !matches!(self.state, WorkerState::Running | WorkerState::Unknown)
    }

    /// Whether the workers that run have not answered the order yet: nobody can be further.
    fn is_first(&self) -> bool {
        match self.state {
            WorkerState::PreSuspend => true,
            // 2.x has no barriers.
            WorkerState::Suspended => self.barrier.is_none(),
            _ => false,
        }
    }

    fn name(&self) -> String {
        let state = || self.state.to_string();
        self.barrier.clone().unwrap_or_else(state)
    }
}

impl Lists {
    /// Takes the next list; `None`: nobody is waited for.
    pub(crate) fn see(&mut self, workers: &[WorkerInfo], now: Instant) -> Option<Standing> {
        self.note(workers, now);
        let begun = self.begun?;
        let at = |worker: &&WorkerInfo| self.members.get(&worker.number);
        let front = self.front()?.clone();
        let is_through = |worker: &&WorkerInfo| {
            let runs = worker.state == WorkerState::Running;
            runs && (!front.is_first() || at(worker).is_some_and(|member| member.stopped))
        };
        let through = workers.iter().filter(is_through).count();
        let arrived = |worker: &&WorkerInfo| match through {
            0 => Place::of(worker) == front,
            _ => is_through(worker),
        };
        let mut late: Vec<&WorkerInfo> = workers.iter().filter(|w| !arrived(w)).collect();
        // Nobody waits there: the last one's arrival let all of them go on.
        let released = late.is_empty();
        if released {
            late = workers.iter().collect();
        }
        let awaited = match through {
            0 if released => Awaited::Behind(front.name()),
            0 => Awaited::At(front.name()),
            _ => Awaited::Resumed,
        };
        let since = |worker: &WorkerInfo| {
            let own = self.members.get(&worker.number).map(|member| member.since);
            own.unwrap_or(now).max(begun)
        };
        let latest = workers.iter().map(since).max().unwrap_or(now);
        // One that is late may be so since the first one got further, not since it came there.
        let first_ahead = workers.iter().filter(arrived).map(since).min();
        let free_since = first_ahead.filter(|_| !released).unwrap_or(latest);
        let late = late.into_iter().map(|worker| Late {
            worker: worker.clone(),
            since: now.saturating_duration_since(since(worker).max(free_since)),
            process: None,
        });
        Some(Standing {
            round: None,
            awaited,
            peers: u32::try_from(workers.len()).unwrap_or(u32::MAX),
            missing: 0,
            quiet: now.saturating_duration_since(latest),
            late: late.collect(),
        })
    }

    fn note(&mut self, workers: &[WorkerInfo], now: Instant) {
        let is_listed = |number: &u64| workers.iter().any(|worker| worker.number == *number);
        self.members.retain(|number, _| is_listed(number));
        for worker in workers {
            let place = Place::of(worker);
            let member = self.members.entry(worker.number).or_insert_with(|| Member {
                place: place.clone(),
                since: now,
                stopped: false,
            });
            if member.place != place {
                member.place = place;
                member.since = now;
            }
            member.stopped |= member.place.is_in_round() && !member.place.is_first();
        }
        if self
            .members
            .values()
            .any(|member| member.place.is_in_round())
        {
            self.begun.get_or_insert(now);
        } else {
            self.begun = None;
            for member in self.members.values_mut() {
                member.stopped = false;
            }
        }
    }

    /// The place that is furthest among those in the round.
    fn front(&self) -> Option<&Place> {
        let in_round = self
            .members
            .values()
            .filter(|member| member.place.is_in_round());
        let count = |place: &Place| {
            let there = self
                .members
                .values()
                .filter(|member| member.place == *place);
            there.count()
        };
        // Where all else is the same, most are taken for being ahead.
        let furthest = in_round.max_by_key(|member| {
            let place = &member.place;
            (rank(place.state), self.first_seen(place), count(place))
        });
        furthest.map(|member| &member.place)
    }

    fn first_seen(&self, place: &Place) -> Option<Instant> {
        let there = self
            .members
            .values()
            .filter(|member| member.place == *place);
        there.map(|member| member.since).min()
    }
}

/// How far along a round or restart a state is; a round has states of one release only.
fn rank(state: WorkerState) -> u32 {
    match state {
        WorkerState::PreSuspend => 1,
        WorkerState::Suspended => 2,
        WorkerState::FdLeaderElection => 3,
        WorkerState::PreCheckpointRegister => 4,
        WorkerState::PreCheckpointQuery => 5,
        WorkerState::Drained => 6,
        WorkerState::Checkpointing => 7,
        WorkerState::Checkpointed => 8,
        WorkerState::NameServiceDataRegistered => 9,
        WorkerState::DoneQuerying => 10,
        WorkerState::Refilled => 11,
        _ => 0,
    }
}

/// One list alone, of a round that is known to have begun this long ago.
pub(crate) fn standing_of(workers: &[WorkerInfo], begun: Duration) -> Option<Standing> {
    let now = Instant::now();
    let mut lists = Lists::default();
    lists.see(workers, now.checked_sub(begun)?);
    lists.see(workers, now)
}

/// All of a round that was asked for this long ago and that nobody has answered, as far as this list
/// tells; `None`: somebody has, or cannot have been asked.
pub(crate) fn unanswered(workers: &[WorkerInfo], asked: Duration) -> Option<Standing> {
    let runs = |worker: &WorkerInfo| worker.state == WorkerState::Running;
    if workers.is_empty() || !workers.iter().all(runs) {
        return None;
    }
    let late = workers.iter().map(|worker| Late {
        worker: worker.clone(),
        since: asked,
        process: None,
    });
    Some(Standing {
        round: None,
        awaited: Awaited::FirstStep,
        peers: u32::try_from(workers.len()).unwrap_or(u32::MAX),
        missing: 0,
        quiet: asked,
        late: late.collect(),
    })
}

#[cfg(test)]
mod tests;
