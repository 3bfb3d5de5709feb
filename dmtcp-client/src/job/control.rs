//! Requests to a job that runs, from any thread of its process or a signal handler.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use super::{JobEvent, JobEvents, Outcome, Reason, RequestError, event::Listeners};
use crate::{
    deadline::Deadline,
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
    state: Mutex<State>,
    changed: Condvar,
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
        let deadline = Deadline::after(limit);
        loop {
            let computation = self.computation_within(deadline)?;
            match computation.checkpoint(deadline.left()) {
                Ok(sealed) => return Ok(sealed),
                // The attempt is over; there may be another.
                Err(
                    ServerError::NotRunning
                    | ServerError::Busy { .. }
                    | ServerError::Closed
                    | ServerError::ServerGone,
                ) if !deadline.has_passed() => deadline.pause(RETRY),
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
        self.lock().computation.clone()
    }

    /// How it ended; `None`: it has not.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.lock().outcome.clone()
    }

    /// Waits at most `limit` for the end.
    #[must_use]
    pub fn wait_timeout(&self, limit: Duration) -> Option<Outcome> {
        let deadline = Deadline::after(limit);
        let mut state = self.lock();
        loop {
            if state.outcome.is_some() || state.gone || deadline.has_passed() {
                return state.outcome.clone();
            }
            let waited = self.shared.changed.wait_timeout(state, deadline.left());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn computation_within(&self, deadline: Deadline) -> Result<Computation, RequestError> {
        let mut state = self.lock();
        loop {
            if state.outcome.is_some() || state.gone {
                return Err(RequestError::Ended);
            }
            if let Some(computation) = &state.computation {
                return Ok(computation.clone());
            }
            if deadline.has_passed() {
                return Err(RequestError::NotRunning {
                    limit: deadline.limit(),
                });
            }
            let waited = self.shared.changed.wait_timeout(state, deadline.left());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(super) fn stop_for(&self, reason: Reason, grace: Option<Duration>) {
        let request = StopRequest { reason, grace };
        self.lock().stop.get_or_insert(request);
        self.shared.interrupt.store(true, Ordering::Release);
        self.shared.changed.notify_all();
    }

    pub(super) fn kill_for(&self, reason: Reason) {
        self.lock().kill.get_or_insert(reason);
        self.shared.interrupt.store(true, Ordering::Release);
        self.shared.changed.notify_all();
    }

    /// Of whoever restarts.
    pub(super) fn interrupt(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.shared.interrupt)
    }

    pub(super) fn stop_request(&self) -> Option<StopRequest> {
        if self.shared.flag.swap(false, Ordering::AcqRel) {
            self.stop_on_signal(None);
        }
        self.lock().stop
    }

    pub(super) fn kill_request(&self) -> Option<Reason> {
        self.lock().kill
    }

    /// Waits this long, or until something is asked for.
    pub(super) fn pause(&self, limit: Duration) {
        let state = self.lock();
        if state.stop.is_none() && state.kill.is_none() {
            let waited = self.shared.changed.wait_timeout(state, limit);
            drop(waited);
        }
    }

    pub(super) fn set_computation(&self, computation: Option<Computation>) {
        self.lock().computation = computation;
        self.shared.changed.notify_all();
    }

    pub(super) fn tell(&self, time: SystemTime, event: &JobEvent) {
        self.shared.listeners.tell(time, event);
    }

    /// Nothing comes any more.
    pub(super) fn end(&self, outcome: Option<Outcome>) {
        let mut state = self.lock();
        state.computation = None;
        state.outcome = outcome;
        state.gone = true;
        drop(state);
        self.shared.changed.notify_all();
        self.shared.listeners.end();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, so what a poisoned one guards is whole.
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Between two tries at a checkpoint of what does not run yet.
const RETRY: Duration = Duration::from_millis(20);
