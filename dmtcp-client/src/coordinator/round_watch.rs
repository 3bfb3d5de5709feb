//! What successive worker lists tell about one checkpoint round.
//!
//! Pure: it is fed lists and asks for none. The evidence is in the states: a worker that was
//! seen stopped and then RUNNING again has sent its file name in between, because only the
//! message that follows it makes a worker RUNNING. And barriers are collective: once one worker
//! has come through, all that are RUNNING have.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use dmtcp_proto::{WorkerInfo, WorkerState};

/// What the workers of a round do behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Resume,
    Exit,
}

/// What the lists so far tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Not over, as far as can be seen.
    Waiting,
    /// Every worker was seen to have come through.
    Complete,
    /// This worker vanished in the middle.
    Lost(WorkerInfo),
    /// No worker is left, and the round was not over.
    Ended,
    /// All have exited; these were not seen to have written their images.
    Unseen(Vec<WorkerInfo>),
    /// These run again and should have exited.
    Survived(Vec<WorkerInfo>),
}

/// One round, seen from outside.
#[derive(Debug)]
pub(crate) struct RoundWatch {
    ending: Ending,
    /// By number in the list, which no later worker gets.
    members: BTreeMap<u64, Member>,
    begun: bool,
    come_through: bool,
    listed: Vec<WorkerInfo>,
    lists: u32,
    /// How many there were when it began.
    entered: usize,
    /// Since when the lists have told the same.
    same_since: Instant,
}

#[derive(Debug)]
struct Member {
    last: WorkerInfo,
    stopped: bool,
}

impl RoundWatch {
    /// A round that these workers are about to enter.
    pub(super) fn new(ending: Ending, workers: Vec<WorkerInfo>) -> Self {
        let mut watch = Self {
            ending,
            members: BTreeMap::new(),
            begun: false,
            come_through: false,
            listed: Vec::new(),
            lists: 0,
            entered: workers.len(),
            same_since: Instant::now(),
        };
        for worker in &workers {
            watch.note(worker);
        }
        watch.listed = workers;
        watch
    }

    /// Takes the next list.
    pub(super) fn see(&mut self, workers: Vec<WorkerInfo>) -> Progress {
        self.lists = self.lists.saturating_add(1);
        for worker in &workers {
            self.note(worker);
        }
        if self.listed != workers {
            self.same_since = Instant::now();
        }
        self.listed = workers;
        let gone = self.take_gone();
        if self.listed.is_empty() {
            self.all_gone(gone)
        } else {
            self.some_listed(gone)
        }
    }

    /// Whether any worker has been seen to obey.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    fn has_stopped(&self) -> bool {
        self.stopped() > 0
    }

    /// How many workers have been seen with their threads stopped.
    pub(super) fn stopped(&self) -> usize {
        self.members.values().filter(|m| m.stopped).count()
    }

    /// Every worker that may be part of the round, as it was last seen, and whether it has been seen
    /// stopped, so that it is.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&WorkerInfo, bool)> {
        let members = self.members.values();
        members.map(|member| (&member.last, member.stopped))
    }

    /// A worker of the round that is no longer listed.
    pub(super) fn missing(&self) -> Option<&WorkerInfo> {
        self.members
            .values()
            .map(|member| &member.last)
            .find(|last| !self.is_listed(last.number))
    }

    /// How many workers there were when it began.
    pub(super) fn entered(&self) -> usize {
        self.entered
    }

    /// How many lists there were.
    pub(super) fn lists(&self) -> u32 {
        self.lists
    }

    /// The latest list.
    pub(crate) fn listed(&self) -> &[WorkerInfo] {
        &self.listed
    }

    /// For how long the lists have told the same.
    pub(super) fn quiet(&self) -> Duration {
        self.same_since.elapsed()
    }

    /// Whether what comes next may be over within milliseconds.
    pub(super) fn is_urgent(&self) -> bool {
        match self.ending {
            Ending::Resume => !self.has_stopped(),
            Ending::Exit => true,
        }
    }

    fn note(&mut self, worker: &WorkerInfo) {
        let stopped = is_stopped(worker.state);
        self.begun |= stopped || worker.state == WorkerState::PreSuspend;
        let member = self.members.entry(worker.number).or_insert_with(|| Member {
            last: worker.clone(),
            stopped: false,
        });
        member.stopped |= stopped;
        self.come_through |= member.stopped && worker.state == WorkerState::Running;
        member.last = worker.clone();
    }

    /// Those that have gone. Whoever goes before its threads are stopped leaves the round to the
    /// others, as long as there are others.
    fn take_gone(&mut self) -> Vec<WorkerInfo> {
        let listed: BTreeSet<u64> = self.listed.iter().map(|worker| worker.number).collect();
        let others = !listed.is_empty();
        self.members.retain(|number, member| {
            !others || member.last_is_stopped() || listed.contains(number)
        });
        self.members
            .values()
            .map(|member| &member.last)
            .filter(|last| !listed.contains(&last.number))
            .cloned()
            .collect()
    }

    fn some_listed(&self, mut gone: Vec<WorkerInfo>) -> Progress {
        let in_round = |worker: &&WorkerInfo| {
            is_stopped(worker.state) || worker.state == WorkerState::PreSuspend
        };
        match self.ending {
            Ending::Resume if !gone.is_empty() => Progress::Lost(gone.swap_remove(0)),
            Ending::Resume if self.come_through && !self.listed.iter().any(|w| in_round(&w)) => {
                Progress::Complete
            }
            Ending::Resume => Progress::Waiting,
            Ending::Exit => {
                // Nobody exits before everybody has written.
                let unwritten = |worker: &WorkerInfo| worker.state != WorkerState::Checkpointed;
                let early = gone.iter().position(unwritten);
                match early.filter(|_| self.listed.iter().any(unwritten)) {
                    Some(index) => Progress::Lost(gone.swap_remove(index)),
                    None if self.come_through && !self.listed.iter().any(|w| in_round(&w)) => {
                        Progress::Survived(self.listed.clone())
                    }
                    None => Progress::Waiting,
                }
            }
        }
    }

    fn all_gone(&self, gone: Vec<WorkerInfo>) -> Progress {
        let written = |worker: &WorkerInfo| worker.state == WorkerState::Checkpointed;
        if self.ending == Ending::Resume || !self.has_stopped() {
            return Progress::Ended;
        }
        let unseen: Vec<WorkerInfo> = gone.into_iter().filter(|w| !written(w)).collect();
        if unseen.is_empty() {
            Progress::Complete
        } else {
            Progress::Unseen(unseen)
        }
    }

    fn is_listed(&self, number: u64) -> bool {
        self.listed.iter().any(|worker| worker.number == number)
    }
}

impl Member {
    fn last_is_stopped(&self) -> bool {
        is_stopped(self.last.state)
    }
}

/// Whether the threads of a worker in this state are stopped for a checkpoint.
fn is_stopped(state: WorkerState) -> bool {
    matches!(
        state,
        WorkerState::Suspended
            | WorkerState::Checkpointing
            | WorkerState::Checkpointed
            | WorkerState::FdLeaderElection
            | WorkerState::PreCheckpointRegister
            | WorkerState::PreCheckpointQuery
            | WorkerState::Drained
            | WorkerState::NameServiceDataRegistered
            | WorkerState::DoneQuerying
            | WorkerState::Refilled
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use WorkerState::{
        Checkpointed, Checkpointing, PreSuspend, Restarting, Running, Suspended, Unknown,
    };

    fn list(states: &[(u64, WorkerState)]) -> Vec<WorkerInfo> {
        let row = |&(number, state): &(u64, WorkerState)| {
            format!("{number}, p[{number}:{number}]@h, 1-{number}-1, WorkerState::{state}, \n")
        };
        let rows: String = states.iter().map(row).collect();
        let empty = dmtcp_proto::worker_list::write([]);
        let head = empty.trim_end_matches('\n');
        dmtcp_proto::worker_list::parse(&format!("{head}\n{rows}\n")).unwrap()
    }

    /// What the last of these lists tells.
    fn after(ending: Ending, lists: &[&[(u64, WorkerState)]]) -> Progress {
        let (first, rest) = lists.split_first().unwrap();
        let mut watch = RoundWatch::new(ending, list(first));
        let (last, before) = rest.split_last().unwrap();
        for states in before {
            assert_eq!(watch.see(list(states)), Progress::Waiting, "{states:?}");
        }
        watch.see(list(last))
    }

    #[test]
    fn through_the_round_and_running_again() {
        let rounds: &[&[(u64, WorkerState)]] = &[
            &[(1, Running), (2, Running)],
            &[(1, Running), (2, Running)],
            &[(1, PreSuspend), (2, Running)],
            &[(1, Suspended), (2, Suspended)],
            &[(1, Checkpointed), (2, Checkpointing)],
            &[(1, Running), (2, Checkpointed)],
            &[(1, Running), (2, Running)],
        ];
        assert_eq!(after(Ending::Resume, rounds), Progress::Complete);
    }

    #[test]
    fn phases_of_2_x_are_a_round() {
        let rounds: &[&[(u64, WorkerState)]] = &[
            &[(1, Running), (2, Running)],
            &[(1, WorkerState::FdLeaderElection), (2, Suspended)],
            &[(1, WorkerState::Drained), (2, WorkerState::Drained)],
            &[(1, WorkerState::Refilled), (2, WorkerState::DoneQuerying)],
            &[(1, Running), (2, WorkerState::Refilled)],
            &[(1, Running), (2, Running)],
        ];
        assert_eq!(after(Ending::Resume, rounds), Progress::Complete);
        let lost: &[&[(u64, WorkerState)]] = &[
            &[(1, Running), (2, Running)],
            &[(1, WorkerState::Drained), (2, WorkerState::Drained)],
            &[(1, WorkerState::Refilled)],
        ];
        let lost = after(Ending::Resume, lost);
        assert!(matches!(lost, Progress::Lost(worker) if worker.number == 2));
    }

    #[test]
    fn one_that_was_never_seen_stopped_came_through_with_the_others() {
        let rounds: &[&[(u64, WorkerState)]] = &[
            &[(1, Running), (2, Running)],
            &[(1, Checkpointed), (2, PreSuspend)],
            &[(1, Running), (2, Running), (3, Unknown)],
        ];
        assert_eq!(after(Ending::Resume, rounds), Progress::Complete);
    }

    #[test]
    fn running_again_from_presuspend_proves_nothing() {
        // An exec in that state looks like this; the worker is asked a second time.
        let rounds: &[&[(u64, WorkerState)]] =
            &[&[(1, Running)], &[(1, PreSuspend)], &[(1, Running)]];
        assert_eq!(after(Ending::Resume, rounds), Progress::Waiting);
    }

    #[test]
    fn who_leaves_before_it_is_stopped_is_not_missed() {
        let rounds: &[&[(u64, WorkerState)]] = &[
            &[(1, Running), (2, Running)],
            &[(1, PreSuspend), (2, PreSuspend)],
            &[(1, Suspended)],
            &[(1, Running)],
        ];
        assert_eq!(after(Ending::Resume, rounds), Progress::Complete);
    }

    #[test]
    fn who_vanishes_when_stopped_is_lost() {
        for ending in [Ending::Resume, Ending::Exit] {
            let rounds: &[&[(u64, WorkerState)]] = &[
                &[(1, Running), (2, Running)],
                &[(1, Checkpointing), (2, Checkpointing)],
                &[(1, Checkpointing)],
            ];
            let Progress::Lost(worker) = after(ending, rounds) else {
                panic!("not lost");
            };
            assert_eq!(worker.number, 2);
        }
    }

    #[test]
    fn nobody_left() {
        let rounds: &[&[(u64, WorkerState)]] = &[&[(1, Running)], &[(1, Checkpointed)], &[]];
        assert_eq!(after(Ending::Resume, rounds), Progress::Ended);
        let rounds: &[&[(u64, WorkerState)]] = &[&[(1, Running)], &[(1, PreSuspend)], &[]];
        assert_eq!(after(Ending::Exit, rounds), Progress::Ended);
    }

    #[test]
    fn exit_behind_the_checkpoint() {
        let rounds: &[&[(u64, WorkerState)]] = &[
            &[(1, Running), (2, Running)],
            &[(1, Checkpointed), (2, Checkpointing)],
            &[(1, Checkpointed), (2, Checkpointed)],
            &[(2, Checkpointed)],
            &[],
        ];
        assert_eq!(after(Ending::Exit, rounds), Progress::Complete);
    }

    #[test]
    fn exit_that_was_not_seen_to_be_behind_the_checkpoint() {
        let rounds: &[&[(u64, WorkerState)]] = &[
            &[(1, Running), (2, Running)],
            &[(1, Checkpointed), (2, Checkpointing)],
            &[],
        ];
        let Progress::Unseen(workers) = after(Ending::Exit, rounds) else {
            panic!("seen");
        };
        assert_eq!(workers.len(), 1);
        assert_eq!(workers[0].number, 2);
    }

    #[test]
    fn who_should_exit_and_runs_on_is_named() {
        let rounds: &[&[(u64, WorkerState)]] = &[
            &[(1, Running), (2, Running)],
            &[(1, Checkpointed), (2, Checkpointed)],
            &[(2, Running)],
        ];
        let Progress::Survived(workers) = after(Ending::Exit, rounds) else {
            panic!("not named");
        };
        assert_eq!(workers[0].number, 2);
    }

    #[test]
    fn a_restart_is_not_a_round() {
        let mut watch = RoundWatch::new(Ending::Resume, list(&[(1, Restarting)]));
        assert_eq!(watch.see(list(&[(1, Running)])), Progress::Waiting);
        assert!(!watch.has_begun());
    }

    #[test]
    fn a_missing_worker_is_named_as_last_seen() {
        let mut watch = RoundWatch::new(Ending::Resume, list(&[(1, Running), (2, Running)]));
        watch.see(list(&[(1, Checkpointing), (2, Checkpointed)]));
        assert_eq!(watch.stopped(), 2);
        assert_eq!(watch.missing(), None);
        watch.see(list(&[(1, Running)]));
        assert_eq!(watch.missing().map(|w| w.state), Some(Checkpointed));
    }
}
