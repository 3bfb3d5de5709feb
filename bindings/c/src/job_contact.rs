//! A job that another process runs, by its state directory.

use std::time::Duration;

use dmtcp_client::job::{self, Contact};

use crate::arguments::limit;
use crate::boundary::call;
use crate::codes::ResultCode;
use crate::coordinator::Coordinator;
use crate::failure::Failure;
use crate::ffi::{Out, Text};
use crate::outcome::Outcome;

/// A handle to the coordinator of the job in this directory, whatever process of this host runs it,
/// once it is certain that it is that. limit_ms is for each question, also those that are asked of the
/// handle later. DMTCP_ERR_JOB_ENDED: it does not run.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_job_contact(
    state_dir: Text,
    limit_ms: u64,
    coordinator: Out<*mut Coordinator>,
) -> ResultCode {
    call(|| {
        let place = coordinator.place("coordinator")?;
        let limit = limit(limit_ms)?;
        let contact = Contact::open(state_dir.path("state_dir")?)?;
        place.put_object(contact.coordinator(limit)?.into());
        Ok(())
    })
}

/// Waits until the job in this directory has ended, on whatever host it runs, and says how.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_job_wait_for_outcome(
    state_dir: Text,
    limit_ms: u64,
    outcome: Out<*mut Outcome>,
) -> ResultCode {
    call(|| {
        let place = outcome.place("outcome")?;
        let dir = state_dir.path("state_dir")?;
        let found = job::wait_for_outcome(dir, limit(limit_ms)?)?;
        place.put_object(found.into());
        Ok(())
    })
}

/// Makes a last checkpoint of the job in this directory, within this grace, and ends it; where that
/// does not succeed in time it is killed, its older sets stay, and the code says why. 0: it is killed
/// at once. Returns when its run has ended. NULL: the process that ran it ended without a word, or it
/// has never run.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_job_stop(
    state_dir: Text,
    grace_ms: u64,
    outcome: Out<*mut Outcome>,
) -> ResultCode {
    call(|| {
        let place = outcome.place("outcome")?;
        let dir = state_dir.path("state_dir")?;
        let stopped = match grace_ms {
            0 => job::kill(dir)?,
            ms => job::checkpoint_and_stop(dir, Duration::from_millis(ms))?,
        };
        if let Some(error) = stopped.not_checkpointed {
            return Err(Failure::from(error));
        }
        place.put_optional(stopped.outcome.map(Outcome::from));
        Ok(())
    })
}
