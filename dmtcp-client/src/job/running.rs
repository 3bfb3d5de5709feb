//! A job on a thread of its own.

use std::{io, ops::Deref, thread::JoinHandle};

use super::{JobControl, JobError, Outcome};

/// A job that runs. **Dropping it kills its processes** and waits until they are gone; sets stay.
///
/// It is its [`JobControl`], too: requests, news, waiting for a while.
#[derive(Debug)]
#[must_use = "dropping it kills the job's processes"]
pub struct RunningJob {
    control: JobControl,
    /// `None`: it was waited for.
    thread: Option<JoinHandle<Result<Outcome, JobError>>>,
}

impl RunningJob {
    pub(super) fn new(control: JobControl, thread: JoinHandle<Result<Outcome, JobError>>) -> Self {
        Self {
            control,
            thread: Some(thread),
        }
    }

    /// Waits for the end, without a limit; [`JobControl::wait_timeout`] has one.
    ///
    /// # Errors
    ///
    /// [`JobError`]; nothing was done then.
    pub fn wait(mut self) -> Result<Outcome, JobError> {
        let panicked = || JobError::Thread {
            action: "run the job",
            source: io::Error::other("its thread panicked"),
        };
        let thread = self.thread.take().ok_or_else(panicked)?;
        thread.join().unwrap_or_else(|_| Err(panicked()))
    }

    /// The handle to it, which can be cloned.
    #[must_use]
    pub fn control(&self) -> JobControl {
        self.control.clone()
    }
}

impl Deref for RunningJob {
    type Target = JobControl;

    fn deref(&self) -> &JobControl {
        &self.control
    }
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.control.kill();
            // Nobody is left to be told.
            drop(thread.join());
        }
    }
}
