//! Restarts that are bounded, confirmed and repeated.
//!
//! That `dmtcp_restart` was started says nothing: it can hang, and did in one of six tries with
//! the development head. A restart counts when the coordinator has seen every process of the set
//! connected and running, and still does at a second look. One that does not get there in time is
//! killed and tried again; then the set before is taken.

use std::{
    sync::mpsc::RecvTimeoutError,
    time::{Duration, Instant},
};

use dmtcp_proto::{Event, WorkerState};

use super::{
    Attempt, AttemptError, Attempts, FailedRestart, RestartFailure, attempts::spawn_native,
};
use crate::{
    Restart, native,
    process::Exit,
    server::{ComputationEvent, Events},
    set::{CheckpointSet, ImageKind},
};

/// A computation that runs again.
#[derive(Debug)]
#[non_exhaustive]
pub struct Recovered {
    /// It runs; all its processes do.
    pub attempt: Attempt,
    /// The set from which it was restarted.
    pub set: CheckpointSet,
    /// How long the successful try took until all processes were running.
    pub took: Duration,
    /// Tries that failed before.
    pub failed: Vec<FailedRestart>,
    /// Newer sets that were passed over since they are not as they were sealed.
    pub refused: Vec<crate::set::SetError>,
}

impl Attempts<'_> {
    /// Restarts the computation from its newest set that verifies, or from one before.
    ///
    /// # Errors
    ///
    /// [`AttemptError::NoGoodSet`]: there is nothing to restart. [`AttemptError::NoRestart`]: there
    /// is, and every try failed. Nothing is left running then.
    pub fn restart(&self) -> Result<Recovered, AttemptError> {
        let mut failed = Vec::new();
        let mut refused = Vec::new();
        let mut before = u64::MAX;
        loop {
            let newest = self.store.newest_verified_before(before)?;
            if before == u64::MAX {
                refused = newest.refused;
            }
            let Some(set) = newest.set else { break };
            before = set.sequence();
            for _ in 0..self.tries {
                let begun = Instant::now();
                match self.try_restart(&set) {
                    Ok((attempt, took)) => {
                        return Ok(Recovered {
                            attempt,
                            set,
                            took,
                            failed,
                            refused,
                        });
                    }
                    Err(reason) => failed.push(FailedRestart {
                        sequence: set.sequence(),
                        took: begun.elapsed(),
                        reason,
                    }),
                }
            }
        }
        if failed.is_empty() {
            return Err(AttemptError::NoGoodSet { refused });
        }
        Err(AttemptError::NoRestart { failed })
    }

    /// One try. An attempt that is dropped on the way kills what it had started.
    fn try_restart(&self, set: &CheckpointSet) -> Result<(Attempt, Duration), RestartFailure> {
        let begun = Instant::now();
        let start = |error| RestartFailure::Start(Box::new(error));
        let mut attempt = self.prepare(Some(set.sequence())).map_err(start)?;
        let events = attempt.computation().events();
        self.spawn(set, &mut attempt).map_err(start)?;
        self.confirm(&attempt, &events, set.manifest().images.len())?;
        Ok((attempt, begun.elapsed()))
    }

    fn spawn(&self, set: &CheckpointSet, attempt: &mut Attempt) -> Result<(), AttemptError> {
        let images =
            set.stage_into(&attempt.images_dir())
                .map_err(|source| AttemptError::Stage {
                    sequence: set.sequence(),
                    source,
                })?;
        let mut dmtcp = Vec::new();
        for (image, path) in set.manifest().images.iter().zip(images) {
            match image.kind {
                ImageKind::Native => {
                    let options = self.native_options(attempt)?;
                    let command = native::restart_command(&path, &options)?;
                    let child = spawn_native(command, attempt)?;
                    attempt.add(child);
                }
                ImageKind::Dmtcp => dmtcp.push(path),
            }
        }
        if !dmtcp.is_empty() {
            let child = Restart::new(self.tools_for_dmtcp()?, dmtcp)
                .join(attempt.computation().addr())
                .checkpoint_dir(attempt.images_dir())
                .tmpdir(attempt.tmp_dir())
                .spawn()?;
            attempt.add(child);
        }
        Ok(())
    }

    fn confirm(
        &self,
        attempt: &Attempt,
        events: &Events,
        expected: usize,
    ) -> Result<(), RestartFailure> {
        let limit = self.restart_limit;
        let end = Instant::now() + limit;
        let start = |error: AttemptError| RestartFailure::Start(Box::new(error));
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match events.recv_timeout(left.min(CHILD_LOOK)) {
                Ok(ComputationEvent::Coordinator(Event::RestartComplete { peers })) => {
                    let now = attempt
                        .computation()
                        .status()
                        .map_err(|error| start(error.into()))?;
                    let stable = now.running && now.peers == peers && peers as usize == expected;
                    return if stable {
                        Ok(())
                    } else {
                        Err(RestartFailure::NotStable)
                    };
                }
                Ok(_) => continue,
                Err(RecvTimeoutError::Disconnected) => return Err(RestartFailure::NotStable),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // A `dmtcp_restart` whose first process had ended before the checkpoint ends with 0.
            let mut ended = attempt.exits().map_err(start)?.into_iter().flatten();
            if let Some(exit) = ended.find(|exit| *exit != Exit::Code(0)) {
                return Err(RestartFailure::Ended { exit });
            }
            if left.is_zero() {
                return Err(timed_out(attempt, limit, expected));
            }
        }
    }
}

fn timed_out(attempt: &Attempt, limit: Duration, expected: usize) -> RestartFailure {
    let workers = attempt.computation().workers().unwrap_or_default();
    let running = workers
        .iter()
        .filter(|worker| worker.state == WorkerState::Running)
        .count();
    let seen = workers
        .iter()
        .filter(|worker| worker.state != WorkerState::Running)
        .map(|worker| {
            let at = worker
                .barrier
                .as_ref()
                .map(|barrier| format!(" at {barrier}"))
                .unwrap_or_default();
            format!(
                "{} (pid {}) is {}{at}",
                worker.program, worker.real_pid, worker.state
            )
        })
        .collect();
    RestartFailure::TimedOut {
        limit,
        running,
        expected,
        seen,
    }
}

/// How often it is looked whether a process has ended, which the coordinator may not see.
const CHILD_LOOK: Duration = Duration::from_millis(50);
