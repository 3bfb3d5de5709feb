//! Ending a job from another process, with a checkpoint or without.
//!
//! It goes through the job's coordinator, as `dmtcp_command -kc` and `--kill` do, once [`Contact`] is
//! certain that it is that. From inside, [`JobControl`](super::JobControl) does the same.

use std::{path::Path, time::Duration};

use dmtcp_proto::CommandError;

use super::{Contact, ContactError, Outcome, OutcomeKind, Standing, wait_for_outcome};
use crate::{
    coordinator::{Coordinator, Error as CoordinatorError},
    deadline::Deadline,
};

/// A job that was told to end, and has.
#[derive(Debug)]
#[non_exhaustive]
pub struct Stopped {
    /// Whether it still ran when it was told to.
    pub was_running: bool,
    /// Why no checkpoint could be made, where one was to be and the job was killed instead.
    pub not_checkpointed: Option<CoordinatorError>,
    /// How its run ended; `None`: the process that ran it had ended without a word before, or it has
    /// never run.
    pub outcome: Option<Outcome>,
}

/// Makes a last checkpoint of the job in this directory, within `grace`, and ends it; where that does
/// not succeed in time it is killed, and its older sets stay. Returns when its run has ended.
///
/// A job that is just being started or restarted is waited for, within `grace`, too. One that does not
/// run is left as it is.
///
/// # Errors
///
/// [`ContactError`]; nothing was done then, or, with [`ContactError::TimedOut`], the job was told to
/// end and has not a minute later.
pub fn checkpoint_and_stop(directory: &Path, grace: Duration) -> Result<Stopped, ContactError> {
    let deadline = Deadline::after(grace);
    let mut was_running = false;
    loop {
        let Some(coordinator) = reach(directory, deadline)? else {
            return ended(directory, was_running, None);
        };
        was_running = true;
        match coordinator.checkpoint_and_kill(deadline.left()) {
            Ok(_) => return ended(directory, true, None),
            Err(error) if is_passing(&error) && !deadline.has_passed() => deadline.pause(PAUSE),
            Err(error) => {
                // It may have ended by itself.
                if let Some(coordinator) = reach(directory, Deadline::after(ANSWER))? {
                    // Whoever has gone meanwhile is dead, too; who has not is seen below.
                    drop(coordinator.kill_workers());
                }
                return ended(directory, true, Some(error));
            }
        }
    }
}

/// Kills the processes of the job in this directory at once. Its sets stay. Returns when its run has
/// ended.
///
/// # Errors
///
/// As [`checkpoint_and_stop`].
pub fn kill(directory: &Path) -> Result<Stopped, ContactError> {
    match reach(directory, Deadline::after(ANSWER))? {
        Some(coordinator) => {
            drop(coordinator.kill_workers());
            ended(directory, true, None)
        }
        None => ended(directory, false, None),
    }
}

/// The coordinator of the job, once it has one; `None`: the job does not run.
fn reach(directory: &Path, deadline: Deadline) -> Result<Option<Coordinator>, ContactError> {
    loop {
        let contact = Contact::open(directory)?;
        if let Standing::NotRunning | Standing::Lost(_) = contact.standing() {
            return Ok(None);
        }
        match contact.coordinator(ANSWER) {
            // It changes its coordinator, or ends.
            Err(
                ContactError::NoCoordinator { .. }
                | ContactError::Coordinator(CoordinatorError::Connect { .. }),
            ) if !deadline.has_passed() => deadline.pause(PAUSE),
            reached => return reached.map(Some),
        }
    }
}

fn ended(
    directory: &Path,
    was_running: bool,
    not_checkpointed: Option<CoordinatorError>,
) -> Result<Stopped, ContactError> {
    let outcome = match wait_for_outcome(directory, END) {
        Ok(outcome) => Some(outcome),
        Err(ContactError::Lost { .. } | ContactError::NotRunning { .. }) => None,
        Err(error) => return Err(error),
    };
    // It was told too late that it had no time left, or had come to its end by itself.
    let needed_none = |outcome: &Outcome| {
        matches!(
            outcome.kind,
            OutcomeKind::Checkpointed | OutcomeKind::Finished | OutcomeKind::KilledBySignal
        )
    };
    let is_fine = outcome.as_ref().is_some_and(needed_none);
    Ok(Stopped {
        was_running,
        not_checkpointed: not_checkpointed.filter(|_| !is_fine),
        outcome,
    })
}

/// Whether it is another matter a moment later.
fn is_passing(error: &CoordinatorError) -> bool {
    matches!(
        error,
        CoordinatorError::Command {
            source: CommandError::NotRunning | CommandError::Busy { .. },
            ..
        } | CoordinatorError::Connect { .. }
            | CoordinatorError::ComputationEnded { .. }
    )
}

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// For one question.
const ANSWER: Duration = Duration::from_secs(10);
/// From the end of its processes to that of its run: the set may still have to be sealed.
const END: Duration = Duration::from_secs(60);
