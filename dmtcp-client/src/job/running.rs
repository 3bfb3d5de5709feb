//! A job on a thread of its own.

use std::{
    io,
    ops::Deref,
    thread::{self, JoinHandle},
};

use super::{JobControl, JobError, Outcome};
use crate::driver::{
    answer::{self, Answer},
    block_on,
};

/// A job that runs. **Dropping it kills its processes** and waits until they are gone; sets stay.
///
/// It is its [`JobControl`], too: requests, news, waiting for a while.
#[derive(Debug)]
#[must_use = "dropping it kills the job's processes"]
pub struct RunningJob {
    control: JobControl,
    end: Answer<Result<Outcome, JobError>>,
    /// `None`: it was waited for.
    thread: Option<JoinHandle<()>>,
}

impl RunningJob {
    pub(super) fn start(
        control: JobControl,
        run: impl FnOnce() -> Result<Outcome, JobError> + Send + 'static,
    ) -> Result<Self, JobError> {
        let (sender, end) = answer::channel();
        let thread = thread::Builder::new()
            .name("job".to_owned())
            .spawn(move || sender.send(run()))
            .map_err(|source| JobError::Thread {
                action: "start a thread for the job",
                source,
            })?;
        Ok(Self {
            control,
            end,
            thread: Some(thread),
        })
    }

    /// Waits for the end, without a limit; [`JobControl::wait_timeout`] has one.
    ///
    /// # Errors
    ///
    /// [`JobError`]; nothing was done then.
    pub fn wait(mut self) -> Result<Outcome, JobError> {
        block_on(self.end())
    }

    /// The end, awaited on any runtime; once.
    pub(crate) async fn end(&mut self) -> Result<Outcome, JobError> {
        let ended = (&mut self.end).await;
        if let Some(thread) = self.thread.take() {
            // It has nothing more to do.
            drop(thread.join());
        }
        // It was told before, or never will be.
        let again = || self.control.outcome().map(Ok);
        ended.or_else(again).unwrap_or_else(|| {
            Err(JobError::Thread {
                action: "run the job",
                source: io::Error::other("its thread panicked, or this was asked before"),
            })
        })
    }

    /// Asks to kill its processes, and leaves the rest to its own thread.
    pub(crate) fn let_go(&mut self) {
        if self.thread.take().is_some() {
            self.control.kill();
        }
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
