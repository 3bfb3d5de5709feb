//! Who may run a job: one process at a time.
//!
//! The lock is that of the job's sets, which the kernel lets go of however its holder ends. Who holds
//! it is told from `job.json`.

use std::{
    path::Path,
    thread,
    time::{Duration, Instant, UNIX_EPOCH},
};

use super::{JobRecord, Outcome, OutcomeKind, Owner, Reason};
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

const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(50);
