//! Jobs.

use std::{ops::Deref, sync::Arc, time::Duration};

use super::{Computation, Runtime};
use crate::{
    driver::Driver,
    job::{self, Job, JobError, JobEvents, Outcome, RequestError},
    server::{self, Sealed},
};

/// [`job::JobControl`], awaited. Cheap to clone.
#[derive(Clone, Debug)]
pub struct JobControl {
    control: job::JobControl,
    driver: Driver,
}

#[cfg(feature = "tokio")]
impl From<job::JobControl> for JobControl {
    fn from(control: job::JobControl) -> Self {
        Self::on(super::Tokio, control)
    }
}

impl JobControl {
    /// The same handle on a runtime.
    #[must_use]
    pub fn on(runtime: impl Runtime, control: job::JobControl) -> Self {
        let driver = Driver::on(runtime);
        Self { control, driver }
    }

    /// The blocking handle.
    #[must_use]
    pub fn handle(&self) -> &job::JobControl {
        &self.control
    }

    /// News from now on; [`JobEvents::recv`] awaits them.
    #[must_use]
    pub fn subscribe(&self) -> JobEvents {
        self.control.subscribe()
    }

    /// As [`job::JobControl::checkpoint`].
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn checkpoint(&self, limit: Duration) -> Result<Sealed, RequestError> {
        self.control.checkpoint_with(&self.driver, limit).await
    }

    /// As [`job::JobControl::checkpoint_and_stop`]: asks, and does not wait.
    pub fn checkpoint_and_stop(&self, grace: Option<Duration>) {
        self.control.checkpoint_and_stop(grace);
    }

    /// As [`job::JobControl::stop_on_signal`]: asks, and does not wait.
    pub fn stop_on_signal(&self, grace: Option<Duration>) {
        self.control.stop_on_signal(grace);
    }

    /// As [`job::JobControl::kill`]: asks, and does not wait.
    pub fn kill(&self) {
        self.control.kill();
    }

    /// The computation of the attempt that runs now.
    #[must_use]
    pub fn computation(&self) -> Option<Computation> {
        let computation = self.control.computation()?;
        Some(Computation::with(computation, self.driver.clone()))
    }

    /// How it ended; `None`: it has not.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.control.outcome()
    }

    /// Waits for the end; `None`: it ended without an outcome, of which
    /// [`RunningJob::wait`] tells why.
    pub async fn ended(&self) -> Option<Outcome> {
        self.control.ended().await
    }
}

/// [`job::RunningJob`], awaited. **Dropping it kills its processes**, without waiting until they are
/// gone: the job's own thread does that, unless this process ends before. Sets stay.
#[derive(Debug)]
#[must_use = "dropping it kills the job's processes"]
pub struct RunningJob {
    control: JobControl,
    running: job::RunningJob,
}

#[cfg(feature = "tokio")]
impl RunningJob {
    /// As [`Job::start`], which does not block; for `server`, [`Server::handle`](super::Server::handle).
    ///
    /// # Errors
    /// [`JobError::Thread`].
    pub fn start(job: Job, server: &Arc<server::Server>) -> Result<Self, JobError> {
        Self::start_on(super::Tokio, job, server)
    }
}

impl RunningJob {
    /// As [`Job::start`], on a runtime.
    ///
    /// # Errors
    /// [`JobError::Thread`].
    pub fn start_on(
        runtime: impl Runtime,
        job: Job,
        server: &Arc<server::Server>,
    ) -> Result<Self, JobError> {
        let running = job.start(server)?;
        let control = JobControl::on(runtime, running.control());
        Ok(Self { control, running })
    }

    /// Waits for the end, without a limit; once. If the future is dropped before, it can be called again.
    ///
    /// # Errors
    ///
    /// [`JobError`]; nothing was done then.
    pub async fn wait(&mut self) -> Result<Outcome, JobError> {
        self.running.end().await
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
        self.running.let_go();
    }
}
