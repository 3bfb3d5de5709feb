//! Barriers: who has arrived, and when all may go on.
//!
//! A round (or a restart) is a sequence of barriers. Each worker goes through the same sequence,
//! each at its own pace: one that joined late, the child of a fork, walks through those that the
//! others have already passed without holding anybody up. Counting positions instead of comparing
//! names makes the same name twice in a row two barriers, as it is for the workers.

use alloc::vec::Vec;

use super::roster::Worker;
use crate::name::Name;
use crate::time::Instant;

/// The barriers of the running round or restart.
#[derive(Clone, Debug, Default)]
pub(super) struct Barriers {
    released: Vec<Name>,
    current: Option<Name>,
    arrived: usize,
}

/// What an arrival means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It waits; ask [`Barriers::met`] whether that was the last one.
    Waits,
    /// The others have long gone on: release this one alone.
    CatchesUp,
    /// It waits already; a stock worker never says so twice.
    Repeated,
    /// The others are at, or went through, another barrier.
    Elsewhere,
    /// More barriers than any set of plugins has.
    TooMany,
}

/// More than any set of plugins has; a peer cannot make us remember more.
const MAX_BARRIERS: usize = 4096;

impl Barriers {
    /// Forgets everything: a new round or restart begins.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(super) fn has_released(&self, name: Name) -> bool {
        self.released.contains(&name)
    }

    /// The one at which some wait.
    pub(super) fn current(&self) -> Option<Name> {
        self.current
    }

    /// The last one that everybody has gone through.
    pub(super) fn latest_released(&self) -> Option<Name> {
        self.released.last().copied()
    }

    /// Barriers that everybody has gone through.
    pub(super) fn count(&self) -> usize {
        self.released.len()
    }

    pub(super) fn arrive(&mut self, worker: &mut Worker, name: Name) -> Arrival {
        if worker.waiting {
            return if self.current == Some(name) {
                Arrival::Repeated
            } else {
                Arrival::Elsewhere
            };
        }
        if let Some(&earlier) = self.released.get(worker.passed) {
            if earlier != name {
                return Arrival::Elsewhere;
            }
            worker.passed += 1;
            return Arrival::CatchesUp;
        }
        if self.current.is_some_and(|current| current != name) {
            return Arrival::Elsewhere;
        }
        if self.released.len() >= MAX_BARRIERS {
            return Arrival::TooMany;
        }
        self.current = Some(name);
        self.arrived += 1;
        worker.waiting = true;
        Arrival::Waits
    }

    /// A worker left.
    pub(super) fn leave(&mut self, worker: &Worker) {
        if worker.waiting {
            self.arrived -= 1;
            if self.arrived == 0 {
                self.current = None;
            }
        }
    }

    /// The current barrier, if all of so many workers are there.
    pub(super) fn met(&self, workers: usize) -> Option<Name> {
        self.current.filter(|_| self.arrived == workers)
    }

    /// Lets all go on.
    pub(super) fn release<'a>(
        &mut self,
        workers: impl Iterator<Item = &'a mut Worker>,
        now: Instant,
    ) {
        let Some(name) = self.current.take() else {
            return;
        };
        self.released.push(name);
        self.arrived = 0;
        for worker in workers {
            worker.waiting = false;
            worker.passed = self.released.len();
            worker.stepped = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UniquePid;
    use crate::message::Hello;
    use crate::state::WorkerState;

    fn worker() -> Worker {
        Worker::new(
            1,
            UniquePid::NULL,
            1,
            &Hello::default(),
            WorkerState::Running,
        )
    }

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    /// The development head swallows the second one (`docs/PROTOCOL.md`, weakness 30).
    #[test]
    fn w30_the_same_name_twice_is_two_barriers() {
        let mut barriers = Barriers::default();
        let mut worker = worker();
        for _ in 0..2 {
            assert_eq!(barriers.arrive(&mut worker, name("x")), Arrival::Waits);
            assert_eq!(barriers.arrive(&mut worker, name("x")), Arrival::Repeated);
            assert_eq!(barriers.met(1), Some(name("x")));
            barriers.release([&mut worker].into_iter(), Instant::ZERO);
            assert_eq!(barriers.met(1), None);
        }
    }

    #[test]
    fn a_late_worker_walks_through_what_the_others_passed() {
        let mut barriers = Barriers::default();
        let (mut early, mut late) = (worker(), worker());
        assert_eq!(barriers.arrive(&mut early, name("a")), Arrival::Waits);
        barriers.release([&mut early].into_iter(), Instant::ZERO);
        assert_eq!(barriers.arrive(&mut early, name("b")), Arrival::Waits);
        assert_eq!(barriers.arrive(&mut late, name("b")), Arrival::Elsewhere);
        assert_eq!(barriers.arrive(&mut late, name("a")), Arrival::CatchesUp);
        assert_eq!(barriers.met(2), None);
        assert_eq!(barriers.arrive(&mut late, name("b")), Arrival::Waits);
        assert_eq!(barriers.met(2), Some(name("b")));
    }

    #[test]
    fn a_worker_that_leaves_is_no_longer_counted() {
        let mut barriers = Barriers::default();
        let (mut one, mut two) = (worker(), worker());
        barriers.arrive(&mut one, name("a"));
        barriers.leave(&one);
        assert_eq!(barriers.arrive(&mut two, name("z")), Arrival::Waits);
        assert_eq!(barriers.met(1), Some(name("z")));
    }
}
