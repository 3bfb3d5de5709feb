//! Requests to a job that runs, from any thread of its process or a signal handler.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use super::{JobEvent, JobEvents, Outcome, Reason, RequestError, event::Listeners};
use crate::{
    deadline::Deadline,
    driver::{Driver, Watched, block_on, block_until},
    server::{Computation, Sealed, ServerError},
};

/// The handle to a job, before it starts, while it runs and behind its end.
///
/// Cheap to clone; every clone speaks to the same job, from any thread.
#[derive(Clone, Debug, Default)]
pub struct JobControl {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Watched<State>,
    /// Whoever is at a restart shall give it up.
    interrupt: Arc<AtomicBool>,
    /// Of a signal handler.
    flag: Arc<AtomicBool>,
    listeners: Listeners,
}

#[derive(Debug, Default)]
struct State {
    stop: Option<StopRequest>,
    kill: Option<Reason>,
    /// Of the attempt that runs.
    computation: Option<Computation>,
    outcome: Option<Outcome>,
    /// No outcome will come.
    gone: bool,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StopRequest {
    pub(super) reason: Reason,
    /// `None`: as the job is set to.
    pub(super) grace: Option<Duration>,
}

impl JobControl {
    /// News from now on.
    #[must_use]
    pub fn subscribe(&self) -> JobEvents {
        self.shared.listeners.subscribe()
    }

    /// Makes a checkpoint and waits until its set is complete; the job then goes on. While it is
    /// being started or restarted, or another checkpoint is under way, that is waited for.
    ///
    /// # Errors
    ///
    /// [`RequestError`].
    pub fn checkpoint(&self, limit: Duration) -> Result<Sealed, RequestError> {
        block_on(self.checkpoint_with(&Driver::Blocking, limit))
    }

    pub(crate) async fn checkpoint_with(
        &self,
        driver: &Driver,
        limit: Duration,
    ) -> Result<Sealed, RequestError> {
        let deadline = Deadline::after(limit);
        loop {
            let computation = self.computation_within(driver, deadline).await?;
            let asking = computation.asking(driver);
            match asking.checkpoint(deadline.left()).await {
                Ok(sealed) => return Ok(sealed),
                // The attempt is over; there may be another.
                Err(
                    ServerError::NotRunning
                    | ServerError::Busy { .. }
                    | ServerError::Closed
                    | ServerError::ServerGone,
                ) if !deadline.has_passed() => driver.pause(deadline, RETRY).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Asks for one last checkpoint and the end, within the job's own
    /// [grace](super::Job::grace) or this one; returns at once. The outcome is
    /// [`Checkpointed`](super::OutcomeKind::Checkpointed), or
    /// [`TryAgain`](super::OutcomeKind::TryAgain) where the grace did not suffice. The first such
    /// request counts.
    pub fn checkpoint_and_stop(&self, grace: Option<Duration>) {
        self.stop_for(Reason::Requested, grace);
    }

    /// The same because of a signal: the outcome says so.
    pub fn stop_on_signal(&self, grace: Option<Duration>) {
        self.stop_for(Reason::SignalReceived, grace);
    }

    /// Asks to kill everything at once, without a checkpoint. Sets stay. Returns at once.
    pub fn kill(&self) {
        self.kill_for(Reason::Killed);
    }

    /// A flag which, once set, has the effect of [`stop_on_signal`](Self::stop_on_signal) within a
    /// tenth of a second: all that a signal handler should do. The job takes it back.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.shared.flag)
    }

    /// The computation of the attempt that runs now, for everything that it can tell; `None`
    /// between attempts.
    #[must_use]
    pub fn computation(&self) -> Option<Computation> {
        self.shared.state.look(|state| state.computation.clone())
    }

    /// How it ended; `None`: it has not.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.shared.state.look(|state| state.outcome.clone())
    }

    /// Waits at most `limit` for the end.
    #[must_use]
    pub fn wait_timeout(&self, limit: Duration) -> Option<Outcome> {
        block_until(self.ended(), Deadline::after(limit)).flatten()
    }

    /// Its end, awaited on any runtime; `None`: it ended without an outcome.
    pub fn ended(&self) -> impl Future<Output = Option<Outcome>> + Send + '_ {
        let is_over = |state: &mut State| state.outcome.is_some() || state.gone;
        let over = move |state: &mut State| is_over(state).then(|| state.outcome.clone());
        self.shared.state.until(over)
    }

    async fn computation_within(
        &self,
        driver: &Driver,
        deadline: Deadline,
    ) -> Result<Computation, RequestError> {
        let there = self.shared.state.until(|state| {
            if state.outcome.is_some() || state.gone {
                return Some(Err(RequestError::Ended));
            }
            state.computation.clone().map(Ok)
        });
        let there = driver.within(there, deadline).await;
        there.unwrap_or(Err(RequestError::NotRunning {
            limit: deadline.limit(),
        }))
    }

    pub(super) fn stop_for(&self, reason: Reason, grace: Option<Duration>) {
        let request = StopRequest { reason, grace };
        self.shared.interrupt.store(true, Ordering::Release);
        self.shared.state.change(|state| {
            state.stop.get_or_insert(request);
        });
    }

    pub(super) fn kill_for(&self, reason: Reason) {
        self.shared.interrupt.store(true, Ordering::Release);
        self.shared.state.change(|state| {
            state.kill.get_or_insert(reason);
        });
    }

    /// Of whoever restarts.
    pub(super) fn interrupt(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.shared.interrupt)
    }

    pub(super) fn stop_request(&self) -> Option<StopRequest> {
        if self.shared.flag.swap(false, Ordering::AcqRel) {
            self.stop_on_signal(None);
        }
        self.shared.state.look(|state| state.stop)
    }

    pub(super) fn kill_request(&self) -> Option<Reason> {
        self.shared.state.look(|state| state.kill)
    }

    /// Waits this long, or until something is asked for.
    pub(super) fn pause(&self, limit: Duration) {
        let asked = |state: &mut State| {
            let is_asked = state.stop.is_some() || state.kill.is_some();
            is_asked.then_some(())
        };
        block_until(self.shared.state.until(asked), Deadline::after(limit));
    }

    pub(super) fn set_computation(&self, computation: Option<Computation>) {
        self.shared
            .state
            .change(|state| state.computation = computation);
    }

    pub(super) fn tell(&self, time: SystemTime, event: &JobEvent) {
        self.shared.listeners.tell(time, event);
    }

    /// Nothing comes any more.
    pub(super) fn end(&self, outcome: Option<Outcome>) {
        self.shared.state.change(|state| {
            state.computation = None;
            state.outcome = outcome;
            state.gone = true;
        });
        self.shared.listeners.end();
    }
}

/// Between two tries at a checkpoint of what does not run yet.
const RETRY: Duration = Duration::from_millis(20);
