//! Watching a computation: what happens is told, one line each, until it ends.

use dmtcp_client::{
    attempt::{Attempt, Recovered},
    process::Exit,
    server::{ComputationEvent, Event},
    set::{CheckpointSet, SetStore},
};
use std::{
    error::Error,
    sync::mpsc::RecvTimeoutError,
    time::{Duration, UNIX_EPOCH},
};

use crate::{
    log::{Log, bytes, seconds},
    reports::Reports,
    signals::Signals,
};
use dmtcp_client::with_causes;

/// How watching a computation ended.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "made for one example")]
pub enum Ending {
    /// The first program ended like this, and no worker is left.
    Finished(Exit),
    /// Its workers were told to exit, by somebody who speaks DMTCP's protocol.
    Killed {
        /// Directly behind a complete set, so that nothing is lost.
        behind_set: bool,
    },
    /// This signal came; the computation still runs.
    Signal(i32),
}

/// What has been seen of a computation that may be ended from outside.
#[derive(Default)]
struct Seen {
    killed: bool,
    /// A set was sealed, and its workers have not come to run again.
    behind_set: bool,
    /// Its workers have reported their images and not come to run again.
    behind_images: bool,
}

impl Seen {
    fn note(&mut self, event: &ComputationEvent) {
        match event {
            ComputationEvent::Coordinator(Event::Killing { .. }) => self.killed = true,
            ComputationEvent::Coordinator(Event::ImagesReported { .. }) => {
                self.behind_images = true;
            }
            ComputationEvent::SetSealed { .. } => self.behind_set = self.behind_images,
            ComputationEvent::Coordinator(Event::Resumed) => {
                (self.behind_images, self.behind_set) = (false, false);
            }
            _ => {}
        }
    }
}

/// Tells what happens until the computation ends or somebody wants to stop it; `keep` sets are
/// kept, 0: all; what is to be seen is written to the files of `reports`.
///
/// # Errors
///
/// When the embedded coordinator or a child process cannot be asked.
pub fn watch(
    log: &Log,
    attempt: &Attempt,
    signals: &Signals,
    store: &SetStore,
    keep: usize,
    reports: &mut Reports,
) -> Result<Ending, Box<dyn Error>> {
    let events = attempt.computation().events();
    let mut seen = Seen::default();
    loop {
        if let Some(signal) = signals.next_within(Duration::ZERO) {
            return Ok(Ending::Signal(signal));
        }
        let finished = attempt.finished()?;
        let patience = match finished {
            Some(_) => Duration::ZERO,
            None => Duration::from_millis(100),
        };
        match (events.recv_timeout(patience), finished) {
            (Ok(event), _) => {
                seen.note(&event);
                tell(log, &event);
                reports.note(log, attempt.computation(), &event);
                if matches!(event, ComputationEvent::SetSealed { .. }) {
                    prune(log, store, keep);
                }
            }
            // Everything that led to it has been heard.
            (Err(_), Some(exits)) => {
                let behind_set = seen.behind_set;
                return Ok(match exits.first() {
                    Some(Exit::Code(0)) if seen.killed || behind_set => {
                        Ending::Killed { behind_set }
                    }
                    Some(exit) => Ending::Finished(*exit),
                    None => Ending::Finished(Exit::Code(0)),
                });
            }
            (Err(RecvTimeoutError::Disconnected), None) => {
                // The coordinator was told to quit, so the program is about to end.
                if let Some(signal) = signals.next_within(Duration::from_millis(20)) {
                    return Ok(Ending::Signal(signal));
                }
            }
            (Err(RecvTimeoutError::Timeout), None) => {
                reports.refresh(log, attempt.computation());
            }
        }
    }
}

/// Removes all but the `keep` newest sets; 0: none.
pub fn prune(log: &Log, store: &SetStore, keep: usize) {
    if keep == 0 {
        return;
    }
    match store.prune(keep) {
        Ok(removed) if removed.is_empty() => {}
        Ok(removed) => log.line(format!("removed sets {removed:?}, {keep} kept")),
        Err(error) => log.line(format!("cannot remove old sets: {}", with_causes(&error))),
    }
}

/// Tells of one event, if it is worth a line.
pub fn tell(log: &Log, event: &ComputationEvent) {
    match event {
        ComputationEvent::Coordinator(Event::CheckpointStarted { round, workers, .. }) => {
            log.line(format!("checkpoint {round}: {workers} processes …"));
        }
        ComputationEvent::Coordinator(Event::CheckpointFailed { round, reason, .. }) => {
            log.line(format!("checkpoint {round} FAILED: {reason}"));
        }
        ComputationEvent::SetSealed { set, took, .. } => {
            let size = CheckpointSet::open(&set.directory).map_or(0, |set| set.total_bytes());
            log.line(format!(
                "set {} is sealed: {}, sealing took {}",
                set.sequence,
                bytes(size),
                seconds(*took)
            ));
        }
        ComputationEvent::ProcessKilled(worker) => {
            log.line(format!(
                "killed {} (pid {}): no message could free it",
                worker.program, worker.real_pid
            ));
        }
        ComputationEvent::ProcessSpared { worker, reason } => {
            log.line(format!(
                "{} (pid {}) is stuck and was left alone: {reason}",
                worker.program, worker.real_pid
            ));
        }
        ComputationEvent::Coordinator(Event::PeerMisbehaved { error, .. }) => {
            log.line(format!("cut off a peer that broke the protocol: {error}"));
        }
        ComputationEvent::Coordinator(Event::Refused { reason, .. }) => {
            log.line(format!("refused a process: {reason:?}"));
        }
        ComputationEvent::Lagged(count) => log.line(format!("{count} events were missed")),
        _ => {}
    }
}

/// Tells how a restart went.
#[must_use]
pub fn tell_recovered(log: &Log, recovered: Recovered) -> Attempt {
    let Recovered {
        attempt,
        set,
        took,
        failed,
        refused,
        ..
    } = recovered;
    for error in refused {
        log.line(format!("passed over: {}", with_causes(&error)));
    }
    for failure in failed {
        log.line(format!(
            "a restart failed after {}: {failure}",
            seconds(failure.took)
        ));
    }
    log.line(format!(
        "restarted from set {} ({} images, {}, {} old): all processes running after {}",
        set.sequence(),
        set.images().len(),
        bytes(set.total_bytes()),
        seconds(age(&set)),
        seconds(took),
    ));
    attempt
}

fn age(set: &CheckpointSet) -> Duration {
    let created = UNIX_EPOCH + Duration::from_millis(set.manifest().created_unix_ms);
    created.elapsed().unwrap_or_default()
}
