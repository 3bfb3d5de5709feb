//! One checkpoint, which a caller waits for and may leave: it goes on without.

use super::error::{ForeignError, Stage};
use crate::deadline::Deadline;
use crate::driver::{Driver, Watched};
use crate::set::CheckpointSet;
use dmtcp_proto::WorkerInfo;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What comes of a checkpoint.
pub(super) type Outcome = Result<CheckpointSet, ForeignError>;

/// A checkpoint, as its callers and its thread share it.
#[derive(Debug)]
pub(super) struct Job {
    state: Watched<State>,
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
            state: Watched::new(State {
                stage: Stage::Waiting,
                workers: Vec::new(),
                same_since: Instant::now(),
                has_begun: false,
                is_over: false,
                outcome: None,
            }),
            abandoned: Arc::default(),
        }
    }

    /// The outcome, which can be had once. In time, or what is known instead; then whoever waits next
    /// gets it, unless nothing has been asked for yet: nothing will be.
    pub(super) async fn wait(&self, driver: &Driver, deadline: Deadline) -> Outcome {
        // The thread has the same limit for asking, and says better why it could not.
        let last_word = Deadline::after(deadline.left().saturating_add(LAST_WORD));
        let _leaving = Leaving(self);
        loop {
            let (stage, end) = match self
                .state
                .look(|state| self.outcome(state, deadline, last_word))
            {
                Ok(outcome) => return outcome,
                Err(waiting) => waiting,
            };
            let changed = |state: &mut State| state.is_over || state.stage != stage;
            let changed = self.state.until(|state| changed(state).then_some(()));
            driver.within(changed, end).await;
        }
    }

    /// What there is to tell now; else the stage, and when there will be.
    fn outcome(
        &self,
        state: &mut State,
        deadline: Deadline,
        last_word: Deadline,
    ) -> Result<Outcome, (Stage, Deadline)> {
        if let Some(outcome) = state.outcome.take() {
            return Ok(outcome);
        }
        if state.is_over {
            return Ok(Err(ForeignError::Idle));
        }
        let end = match state.stage {
            Stage::Waiting => last_word,
            Stage::Round | Stage::Sealing => deadline,
        };
        if !end.has_passed() {
            return Err((state.stage, end));
        }
        if state.stage == Stage::Waiting {
            self.abandon();
        }
        Ok(Err(ForeignError::TimedOut {
            limit: deadline.limit(),
            stage: state.stage,
            workers: state.workers.clone(),
            stall: None,
        }))
    }

    /// Whether another one must wait: not for one that was abandoned, which asks for nothing any more.
    pub(super) fn is_under_way(&self) -> bool {
        !self.is_abandoned() && !self.state.look(|state| state.is_over)
    }

    /// The checkpoint is about to be asked for; `false`: nobody wants it any more.
    pub(super) fn enter_round(&self) -> bool {
        self.state.change(|state| {
            if self.is_abandoned() {
                return false;
            }
            state.stage = Stage::Round;
            state.same_since = Instant::now();
            state.has_begun = false;
            true
        })
    }

    pub(super) fn set_stage(&self, stage: Stage) {
        self.state.change(|state| state.stage = stage);
    }

    pub(super) fn set_workers(&self, workers: &[WorkerInfo], has_begun: bool) {
        self.state.look(|state| {
            state.has_begun |= has_begun;
            if state.workers != workers {
                state.same_since = Instant::now();
                state.workers = workers.to_vec();
            }
        });
    }

    /// For how long the workers have been told as they are.
    pub(super) fn quiet(&self) -> Duration {
        self.state.look(|state| state.same_since.elapsed())
    }

    /// Whether any worker has been seen in the round.
    pub(super) fn has_begun(&self) -> bool {
        self.state.look(|state| state.has_begun)
    }

    /// The first outcome stands.
    pub(super) fn finish(&self, outcome: Outcome) {
        self.state.change(|state| {
            if !state.is_over {
                state.is_over = true;
                state.outcome = Some(outcome);
            }
        });
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
}

/// Somebody waits. Where nothing has been asked for when they go, nothing will be.
struct Leaving<'a>(&'a Job);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.state.look(|state| {
            if state.stage == Stage::Waiting && !state.is_over {
                self.0.abandon();
            }
        });
    }
}

const LAST_WORD: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::block_on;

    fn wait(job: &Job, limit: Duration) -> Outcome {
        block_on(job.wait(&Driver::Blocking, Deadline::after(limit)))
    }

    #[test]
    fn who_gives_up_before_the_round_ends_it_and_later_does_not() {
        let job = Job::new();
        let late = wait(&job, Duration::ZERO).unwrap_err();
        let ForeignError::TimedOut { stage, .. } = late else {
            panic!("{late:?}");
        };
        assert_eq!(stage, Stage::Waiting);
        assert!(!job.enter_round() && !job.is_under_way());

        let job = Job::new();
        assert!(job.enter_round());
        let late = wait(&job, Duration::ZERO).unwrap_err();
        let ForeignError::TimedOut { stage, .. } = late else {
            panic!("{late:?}");
        };
        assert_eq!(stage, Stage::Round);
        assert!(job.is_under_way());
        job.finish(Err(ForeignError::Idle));
        job.finish(Err(ForeignError::Busy));
        assert!(!job.is_under_way());
        let outcome = wait(&job, Duration::from_secs(60));
        assert!(matches!(outcome, Err(ForeignError::Idle)), "{outcome:?}");
    }
}
