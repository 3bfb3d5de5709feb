//! One checkpoint, which a caller waits for and may leave: it goes on without.

use super::error::{ForeignError, Stage};
use crate::deadline::Deadline;
use crate::set::CheckpointSet;
use dmtcp_proto::WorkerInfo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// What comes of a checkpoint.
pub(super) type Outcome = Result<CheckpointSet, ForeignError>;

/// A checkpoint, as its callers and its thread share it.
#[derive(Debug)]
pub(super) struct Job {
    state: Mutex<State>,
    over: Condvar,
    abandoned: Arc<AtomicBool>,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    workers: Vec<WorkerInfo>,
    /// Since when those have been as they are; since the round was asked for at the most.
    same_since: Instant,
    /// Some have been seen in the round.
    has_begun: bool,
    is_over: bool,
    /// Until somebody takes it.
    outcome: Option<Outcome>,
}

impl Job {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                stage: Stage::Waiting,
                workers: Vec::new(),
                same_since: Instant::now(),
                has_begun: false,
                is_over: false,
                outcome: None,
            }),
            over: Condvar::new(),
            abandoned: Arc::default(),
        }
    }

    /// The outcome, which can be had once. In time, or what is known instead; then whoever waits next
    /// gets it, unless nothing has been asked for yet: nothing will be.
    pub(super) fn wait(&self, deadline: Deadline) -> Outcome {
        // The thread has the same limit for asking, and says better why it could not.
        let last_word = Deadline::after(deadline.left().saturating_add(LAST_WORD));
        let mut state = self.lock();
        loop {
            if let Some(outcome) = state.outcome.take() {
                return outcome;
            }
            if state.is_over {
                return Err(ForeignError::Idle);
            }
            let end = match state.stage {
                Stage::Waiting => last_word,
                Stage::Round | Stage::Sealing => deadline,
            };
            let Some(left) = end.remaining() else {
                if state.stage == Stage::Waiting {
                    self.abandon();
                }
                return Err(ForeignError::TimedOut {
                    limit: deadline.limit(),
                    stage: state.stage,
                    workers: state.workers.clone(),
                    stall: None,
                });
            };
            // The stage may change meanwhile, and with it the end.
            let waited = self.over.wait_timeout(state, left.min(LOOK));
            state = waited.unwrap_or_else(|e| e.into_inner()).0;
        }
    }

    /// Whether another one must wait: not for one that was abandoned, which asks for nothing any more.
    pub(super) fn is_under_way(&self) -> bool {
        !self.is_abandoned() && !self.lock().is_over
    }

    /// The checkpoint is about to be asked for; `false`: nobody wants it any more.
    pub(super) fn enter_round(&self) -> bool {
        let mut state = self.lock();
        if self.is_abandoned() {
            return false;
        }
        state.stage = Stage::Round;
        state.same_since = Instant::now();
        state.has_begun = false;
        true
    }

    pub(super) fn set_stage(&self, stage: Stage) {
        self.lock().stage = stage;
    }

    pub(super) fn set_workers(&self, workers: &[WorkerInfo], has_begun: bool) {
        let mut state = self.lock();
        state.has_begun |= has_begun;
        if state.workers != workers {
            state.same_since = Instant::now();
            state.workers = workers.to_vec();
        }
    }

    /// For how long the workers have been told as they are.
    pub(super) fn quiet(&self) -> Duration {
        self.lock().same_since.elapsed()
    }

    /// Whether any worker has been seen in the round.
    pub(super) fn has_begun(&self) -> bool {
        self.lock().has_begun
    }

    /// The first outcome stands.
    pub(super) fn finish(&self, outcome: Outcome) {
        let mut state = self.lock();
        if !state.is_over {
            state.is_over = true;
            state.outcome = Some(outcome);
        }
        self.over.notify_all();
    }

    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// Ends sealing when it is set.
    pub(super) fn abandoned(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.abandoned)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

const LAST_WORD: Duration = Duration::from_millis(300);
const LOOK: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_gives_up_before_the_round_ends_it_and_later_does_not() {
        let job = Job::new();
        let late = job.wait(Deadline::after(Duration::ZERO)).unwrap_err();
        let ForeignError::TimedOut { stage, .. } = late else {
            panic!("{late:?}");
        };
        assert_eq!(stage, Stage::Waiting);
        assert!(!job.enter_round() && !job.is_under_way());

        let job = Job::new();
        assert!(job.enter_round());
        let late = job.wait(Deadline::after(Duration::ZERO)).unwrap_err();
        let ForeignError::TimedOut { stage, .. } = late else {
            panic!("{late:?}");
        };
        assert_eq!(stage, Stage::Round);
        assert!(job.is_under_way());
        job.finish(Err(ForeignError::Idle));
        job.finish(Err(ForeignError::Busy));
        assert!(!job.is_under_way());
        let outcome = job.wait(Deadline::after(Duration::from_secs(60)));
        assert!(matches!(outcome, Err(ForeignError::Idle)), "{outcome:?}");
    }
}
