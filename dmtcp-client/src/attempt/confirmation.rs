//! What has to be seen before a restart counts.
//!
//! Not here: what is started, and what is tried next (`recovery`).

use std::{
    collections::VecDeque,
    sync::mpsc::RecvTimeoutError,
    time::{Duration, Instant},
};

use dmtcp_proto::{Event, UniquePid, WorkerInfo, WorkerState};

use super::{Attempt, AttemptError, Attempts, RestartFailure, hosts::Place, running::Started};
use crate::{
    process::{Exit, FAIL_CODE},
    server::{ComputationEvent, Events},
    set::{CheckpointSet, ImageKind},
};

pub(super) struct Confirmation {
    /// Every process of the set, and the other host that it goes to.
    expected: Vec<(UniquePid, Place)>,
    /// Native workers, which are started first.
    native: usize,
    limit: Duration,
    timeline: VecDeque<(Duration, String)>,
}

impl Confirmation {
    /// `places`: of the images, in the order of the manifest.
    pub(super) fn of(set: &CheckpointSet, places: &[Place], limit: Option<Duration>) -> Self {
        let images = &set.manifest().images;
        let native = images
            .iter()
            .filter(|image| image.kind == ImageKind::Native);
        let by_size = || LEAST_LIMIT + Duration::from_secs(set.total_bytes() / BYTES_PER_SECOND);
        let processes = images.iter().map(|image| image.process);
        Self {
            expected: processes.zip(places.iter().cloned()).collect(),
            native: native.count(),
            limit: limit.unwrap_or_else(by_size),
            timeline: VecDeque::new(),
        }
    }

    /// What the coordinator told, and when after the start: the last of it.
    pub(super) fn timeline(&self) -> impl Iterator<Item = &(Duration, String)> {
        self.timeline.iter()
    }

    pub(super) fn wait(
        &mut self,
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
            if let Ok(event) = &event {
                self.note(begun.elapsed(), event);
            }
            // Up to this barrier memory is read back, which takes as long as it takes.
            let is_restored = matches!(&event,
                Ok(ComputationEvent::Coordinator(Event::BarrierReleased { name, .. }))
                    if name.as_bytes() == b"DMT:Restart");
            if is_restored || (latest_step.is_some() && event.is_ok()) {
                latest_step = Some(Instant::now());
            }
            match event {
                Ok(ComputationEvent::Coordinator(Event::RestartComplete { peers })) => {
                    // How many there are is what the first one that connected says.
                    if usize::try_from(peers) != Ok(self.expected.len()) {
                        return Err(self.timed_out(attempt, begun.elapsed()));
                    }
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
                Err(RecvTimeoutError::Timeout) => self.look_for_ended(attempt)?,
            }
        }
    }

    /// Nobody has any business to end before all run, but a `dmtcp_restart` whose first process had
    /// ended before the checkpoint, which ends with 0.
    fn look_for_ended(&self, attempt: &Attempt) -> Result<(), RestartFailure> {
        for (index, started) in attempt.started().iter().enumerate() {
            let is_fine = index >= self.native;
            match exit_of(started)? {
                None => {}
                Some(Exit::Code(0)) if is_fine => {}
                Some(exit) => return Err(ended(started, exit)),
            }
        }
        Ok(())
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
        for started in attempt.started() {
            let is_bad = |exit: &Exit| match exit {
                Exit::Signal(_) | Exit::Code(FAIL_CODE) => true,
                // A launcher shows a signal, and its own failure, as a high code.
                Exit::Code(code) => started.place.is_some() && *code >= LAUNCHER_CODES,
            };
            if let Some(exit) = exit_of(started)?.filter(is_bad) {
                return Err(ended(started, exit));
            }
        }
        Ok(())
    }

    fn all_run(&self, attempt: &Attempt) -> Result<bool, RestartFailure> {
        let status = attempt.computation().status();
        let status = status.map_err(|error| start(error.into()))?;
        Ok(status.running && usize::try_from(status.peers) == Ok(self.expected.len()))
    }

    fn timed_out(&self, attempt: &Attempt, waited: Duration) -> RestartFailure {
        let workers = attempt.computation().workers().unwrap_or_default();
        let is_running = |worker: &&WorkerInfo| worker.state == WorkerState::Running;
        let mut seen: Vec<String> = workers
            .iter()
            .filter(|worker| !is_running(worker))
            .map(state_text)
            .collect();
        let is_connected = |process: &UniquePid| {
            let mut ids = workers.iter().map(|worker| &worker.id);
            ids.any(|id| id.same_as(process))
        };
        let mut missing: Vec<(&Place, usize)> = Vec::new();
        for (process, place) in &self.expected {
            if is_connected(process) {
                continue;
            }
            match missing.iter_mut().find(|(host, _)| *host == place) {
                Some((_, count)) => *count += 1,
                None => missing.push((place, 1)),
            }
        }
        seen.extend(missing.into_iter().map(|(place, count)| {
            let on = place.as_ref().map(|host| host.to_string_lossy());
            let on = on.map_or_else(String::new, |host| format!(" on {host}"));
            format!("{count}{on} did not connect")
        }));
        RestartFailure::TimedOut {
            waited,
            running: workers.iter().filter(is_running).count(),
            expected: self.expected.len(),
            seen,
        }
    }

    fn note(&mut self, at: Duration, event: &ComputationEvent) {
        if self.timeline.len() >= MAX_TIMELINE {
            self.timeline.pop_front();
        }
        let mut text = format!("{event:?}");
        let end = (0..=MAX_EVENT.min(text.len())).rev();
        let end = end.into_iter().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        self.timeline.push_back((at, text));
    }
}

fn exit_of(started: &Started) -> Result<Option<Exit>, RestartFailure> {
    started
        .child
        .try_wait()
        .map_err(|error| start(error.into()))
}

fn ended(started: &Started, exit: Exit) -> RestartFailure {
    RestartFailure::Ended {
        exit,
        host: started.place.clone(),
    }
}

/// A worker as the coordinator sees it.
pub(super) fn state_text(worker: &WorkerInfo) -> String {
    let at = worker
        .barrier
        .as_ref()
        .map(|barrier| format!(" at {barrier}"))
        .unwrap_or_default();
    format!(
        "{} (pid {} on {}) is {}{at}",
        worker.program, worker.real_pid, worker.host, worker.state
    )
}

pub(super) fn start(error: AttemptError) -> RestartFailure {
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
/// Of `sh` that could not start the program, of 128 plus a signal, of ssh.
const LAUNCHER_CODES: i32 = 125;
const MAX_TIMELINE: usize = 2000;
const MAX_EVENT: usize = 400;
