//! Who may run a job: one process at a time.
//!
//! The lock is that of the job's sets, which the kernel lets go of however its holder ends. Who holds
//! it is told from `job.json`. Some file systems of several hosts have locks that other hosts do not see:
//! so a run of another host that did not say its farewell is watched for a sign of life before.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    JobControl, JobRecord, Outcome, OutcomeKind, Owner, Reason,
    life::{LOOK, SAVE},
    outcome::unix_ms,
};
use crate::{
    attempt::{AttemptError, Attempts},
    server::Server,
    set::SetError,
    standalone::utc,
    with_causes,
};

/// The right to run the job, or the outcome that follows.
pub(super) fn claim<'s>(server: &'s Server, dir: &Path) -> Result<Attempts<'s>, Box<Outcome>> {
    let begun = Instant::now();
    loop {
        match Attempts::open(server, dir) {
            Ok(attempts) => return Ok(attempts),
            // Somebody who looks after the sets, or a run that is just ending, is soon done.
            Err(AttemptError::Set(SetError::Owned { pid, .. })) => {
                if begun.elapsed() >= PATIENCE {
                    return Err(Box::new(held(dir, pid)));
                }
                thread::sleep(PAUSE);
            }
            Err(error @ AttemptError::Leftover { .. }) => {
                return Err(Box::new(Outcome::new(
                    OutcomeKind::TryAgain,
                    Reason::Environment,
                    with_causes(&error),
                )));
            }
            Err(error) => {
                return Err(Box::new(Outcome::new(
                    OutcomeKind::FailedBeforeReady,
                    Reason::Environment,
                    with_causes(&error),
                )));
            }
        }
    }
}

/// The outcome, if a process of another host goes on writing the record. That takes a while, for a
/// record that is young and names such a process: after an orderly end it names none.
pub(super) fn held_elsewhere(
    dir: &Path,
    record: &JobRecord,
    control: &JobControl,
) -> Option<Box<Outcome>> {
    let owner = record.owner.as_ref()?;
    let age = unix_ms(SystemTime::now()).abs_diff(record.updated_unix_ms);
    if !matches!(owner.is_alive(), Ok(None)) || Duration::from_millis(age) > LONG_SILENCE {
        return None;
    }
    let begun = Instant::now();
    while begun.elapsed() < SAVE + SLACK {
        let now = JobRecord::read(dir).ok().flatten()?;
        if now.owner != record.owner {
            return None;
        }
        if now.updated_unix_ms != record.updated_unix_ms {
            return Some(Box::new(held(dir, None)));
        }
        if control.stop_request().is_some() || control.kill_request().is_some() {
            let text = "it was asked to stop while it was looked whether another host runs the job";
            return Some(Box::new(Outcome::new(
                OutcomeKind::TryAgain,
                Reason::Interrupted,
                text,
            )));
        }
        control.pause(LOOK);
    }
    None
}

fn held(dir: &Path, pid: Option<u32>) -> Outcome {
    let owner = JobRecord::read(dir).ok().flatten();
    let owner = owner.and_then(|record| record.owner);
    let who = match (&owner, pid) {
        (Some(owner), _) => holder(owner),
        (None, Some(pid)) => format!("process {pid} is at its sets"),
        (None, None) => "another process is at its sets".to_owned(),
    };
    Outcome::new(
        OutcomeKind::TryAgain,
        Reason::Held,
        format!("{} is taken: {who}", dir.display()),
    )
    .hint("wait for it, or stop it; two at once would do everything twice")
}

fn holder(owner: &Owner) -> String {
    let since = UNIX_EPOCH + Duration::from_millis(owner.since_unix_ms);
    format!(
        "process {} on {} runs the job since {} UTC",
        owner.pid,
        owner.host.to_string_lossy(),
        utc(since)
    )
}

/// Clocks of hosts differ by minutes at most.
const LONG_SILENCE: Duration = Duration::from_secs(600);
/// A record that is written over a network comes late.
const SLACK: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);
