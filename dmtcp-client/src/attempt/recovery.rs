//! Restarts that are bounded, confirmed and repeated.
//!
//! That `dmtcp_restart` was started says nothing: it can hang, and did in one of six tries with
//! the development head. A restart counts when the coordinator has seen every process of the set
//! connected and running, and none has been killed at a second look. One that does not get there in time is
//! killed and tried again; then the set before is taken.

use std::{
    process::Stdio,
    sync::{atomic::Ordering, mpsc::RecvTimeoutError},
    time::{Duration, Instant},
};

use dmtcp_proto::{Event, WorkerState};

use super::{
    Attempt, AttemptError, Attempts, FailedRestart, RestartFailure, attempts::spawn_native,
};
use crate::{
    Restart,
    host::HostFingerprint,
    native,
    process::{Exit, FAIL_CODE},
    server::{ComputationEvent, Events},
    set::{CheckpointSet, ImageKind, Incompatibility},
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
    /// Newer sets that were passed over since they are not as they were sealed, or cannot be
    /// restored on this host.
    pub refused: Vec<crate::set::SetError>,
}

impl Attempts<'_> {
    /// Restarts the computation from its newest set that verifies and fits this host, or from one
    /// before.
    ///
    /// # Errors
    ///
    /// [`AttemptError::NoGoodSet`]: there is nothing to restart. [`AttemptError::NoRestart`]: there
    /// is, and every try failed. [`AttemptError::NoTools`] and others that no older set would
    /// mend. Nothing is left running then, except with [`AttemptError::Process`] for processes
    /// that do not even end of SIGKILL.
    pub fn restart(&self) -> Result<Recovered, AttemptError> {
        let mut failed = Vec::new();
        let mut refused = Vec::new();
        let mut before = u64::MAX;
        loop {
            let newest = self.store.newest_verified_before(before)?;
            refused.extend(newest.refused);
            let Some(set) = newest.set else { break };
            before = set.sequence();
            if let Err(error) = self.check_host(&set) {
                refused.push(error.into());
                continue;
            }
            // Retention may have taken it since it was verified.
            let _hold = match set.hold() {
                Ok(hold) => hold,
                Err(error) => {
                    refused.push(error);
                    continue;
                }
            };
            for _ in 0..self.tries {
                let begun = Instant::now();
                match self.try_restart(&set)? {
                    Ok(attempt) => {
                        return Ok(Recovered {
                            attempt,
                            set,
                            took: begun.elapsed(),
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
        Err(AttemptError::NoRestart { failed, refused })
    }

    /// One try; the outer error is one that further tries would not mend.
    fn try_restart(
        &self,
        set: &CheckpointSet,
    ) -> Result<Result<Attempt, RestartFailure>, AttemptError> {
        self.check_interrupt()?;
        let images = &set.manifest().images;
        if images.iter().any(|image| image.kind == ImageKind::Dmtcp) {
            self.tools_for_dmtcp()?;
        }
        let mut attempt = self.prepare(Some((set.sequence(), set.hold()?)), 0)?;
        let events = attempt.computation().events();
        let tried = self
            .spawn(set, &mut attempt)
            .map_err(start)
            .and_then(|()| Confirmation::of(set, self.restart_limit).wait(self, &attempt, &events));
        let Err(reason) = tried else {
            return Ok(Ok(attempt));
        };
        // Before anything else is tried: two of a kind would do everything twice.
        attempt.kill()?;
        self.check_interrupt()?;
        Ok(Err(reason))
    }

    fn check_host(&self, set: &CheckpointSet) -> Result<(), Incompatibility> {
        if self.any_host {
            return Ok(());
        }
        set.compatible_with(&HostFingerprint::of_this_host())
    }

    fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::Acquire)
    }

    fn check_interrupt(&self) -> Result<(), AttemptError> {
        if self.is_interrupted() {
            return Err(AttemptError::Interrupted);
        }
        Ok(())
    }

    fn spawn(&self, set: &CheckpointSet, attempt: &mut Attempt) -> Result<(), AttemptError> {
        let images =
            set.stage_into(attempt.images_dir())
                .map_err(|source| AttemptError::Stage {
                    sequence: set.sequence(),
                    source,
                })?;
        let mut dmtcp = Vec::new();
        for (image, path) in set.manifest().images.iter().zip(images) {
            match image.kind {
                ImageKind::Native => {
                    let options = self.native_options(attempt)?;
                    let mut command = native::restart_command(&path, &options)?;
                    // As with DMTCP's: it is in the background, where reading would stop it.
                    command.stdin(Stdio::null());
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
}

/// What has to be seen before a restart counts.
struct Confirmation {
    expected: usize,
    /// Native workers, which are started first.
    native: usize,
    limit: Duration,
}

impl Confirmation {
    fn of(set: &CheckpointSet, limit: Option<Duration>) -> Self {
        let images = &set.manifest().images;
        let native = images
            .iter()
            .filter(|image| image.kind == ImageKind::Native);
        let by_size = || LEAST_LIMIT + Duration::from_secs(set.total_bytes() / BYTES_PER_SECOND);
        Self {
            expected: images.len(),
            native: native.count(),
            limit: limit.unwrap_or_else(by_size),
        }
    }

    fn wait(
        &self,
        attempts: &Attempts<'_>,
        attempt: &Attempt,
        events: &Events,
    ) -> Result<(), RestartFailure> {
        let begun = Instant::now();
        let mut latest_step = None;
        loop {
            let left = self.limit.saturating_sub(begun.elapsed());
            let is_stuck = latest_step.is_some_and(|step: Instant| step.elapsed() > STEP_LIMIT);
            if left.is_zero() || is_stuck || attempts.is_interrupted() {
                return Err(self.timed_out(attempt, begun.elapsed()));
            }
            let event = events.recv_timeout(left.min(CHILD_LOOK));
            // Up to this barrier memory is read back, which takes as long as it takes.
            let is_restored = matches!(&event,
                Ok(ComputationEvent::Coordinator(Event::BarrierReleased { name, .. }))
                    if name.as_bytes() == b"DMT:Restart");
            if is_restored || (latest_step.is_some() && event.is_ok()) {
                latest_step = Some(Instant::now());
            }
            match event {
                Ok(ComputationEvent::Coordinator(Event::RestartComplete { .. })) => {
                    return Self::look_again(attempt, events);
                }
                // It may be among what was missed.
                Ok(ComputationEvent::Lagged(_)) if self.all_run(attempt)? => {
                    return Self::look_again(attempt, events);
                }
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(RestartFailure::CoordinatorEnded);
                }
                Err(RecvTimeoutError::Timeout) => {
                    let exits = attempt.exits().map_err(start)?;
                    let (native, dmtcp) = exits.split_at(self.native.min(exits.len()));
                    // A `dmtcp_restart` whose first process had ended before the checkpoint ends
                    // with 0.
                    let dmtcp = dmtcp.iter().filter(|exit| **exit != Some(Exit::Code(0)));
                    if let Some(exit) = native.iter().chain(dmtcp).find_map(|exit| *exit) {
                        return Err(RestartFailure::Ended { exit });
                    }
                }
            }
        }
    }

    /// All were running. What ends by itself right now is done; what is killed was restored badly.
    fn look_again(attempt: &Attempt, events: &Events) -> Result<(), RestartFailure> {
        let begun = Instant::now();
        loop {
            let left = CHILD_LOOK.saturating_sub(begun.elapsed());
            if left.is_zero() || events.recv_timeout(left).is_err() {
                break;
            }
        }
        let mut exits = attempt.exits().map_err(start)?.into_iter().flatten();
        let is_bad = |exit: &Exit| matches!(exit, Exit::Signal(_) | Exit::Code(FAIL_CODE));
        match exits.find(is_bad) {
            Some(exit) => Err(RestartFailure::Ended { exit }),
            None => Ok(()),
        }
    }

    fn all_run(&self, attempt: &Attempt) -> Result<bool, RestartFailure> {
        let status = attempt.computation().status();
        let status = status.map_err(|error| start(error.into()))?;
        Ok(status.running && usize::try_from(status.peers) == Ok(self.expected))
    }

    fn timed_out(&self, attempt: &Attempt, waited: Duration) -> RestartFailure {
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
            waited,
            running,
            expected: self.expected,
            seen,
        }
    }
}

fn start(error: AttemptError) -> RestartFailure {
    RestartFailure::Start(Box::new(error))
}

/// [`Attempts::restart_limit`], where it is not given.
const LEAST_LIMIT: Duration = Duration::from_secs(60);
const BYTES_PER_SECOND: u64 = 16 << 20;
/// Once memory is read back, a restart that hangs shows no next step. One that does not takes
/// milliseconds for each.
const STEP_LIMIT: Duration = Duration::from_secs(10);
/// How often it is looked whether a process has ended, which the coordinator may not see.
const CHILD_LOOK: Duration = Duration::from_millis(50);
