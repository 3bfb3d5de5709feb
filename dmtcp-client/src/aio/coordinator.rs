//! The handle to any coordinator.

use std::{net::SocketAddr, time::Duration};

use super::{Runtime, unblock};
use crate::{
    Interval, Status, WorkerInfo,
    coordinator::{self, CheckpointReport, DetectError, DetectOptions, Error, Talk},
    driver::Driver,
};
use dmtcp_proto::Text;

/// [`coordinator::Coordinator`], awaited. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Coordinator {
    to: coordinator::Coordinator,
    driver: Driver,
}

#[cfg(feature = "tokio")]
impl Coordinator {
    /// As [`coordinator::Coordinator::new`]. Nothing is sent.
    #[must_use]
    pub fn new(addr: SocketAddr, dialect: crate::Dialect) -> Self {
        coordinator::Coordinator::new(addr, dialect).into()
    }

    /// As [`coordinator::Coordinator::detect`].
    ///
    /// # Errors
    /// [`DetectError`].
    pub async fn detect(addr: SocketAddr, options: &DetectOptions) -> Result<Self, DetectError> {
        Self::detect_on(super::Tokio, addr, options).await
    }
}

#[cfg(feature = "tokio")]
impl From<coordinator::Coordinator> for Coordinator {
    fn from(handle: coordinator::Coordinator) -> Self {
        Self::on(super::Tokio, handle)
    }
}

impl Coordinator {
    /// The same handle on a runtime.
    #[must_use]
    pub fn on(runtime: impl Runtime, handle: coordinator::Coordinator) -> Self {
        Self {
            to: handle,
            driver: Driver::on(runtime),
        }
    }

    /// As [`coordinator::Coordinator::detect`], for a runtime. It looks at processes and may run one, so
    /// it has a thread; that ends within its own limit.
    ///
    /// # Errors
    /// [`DetectError`].
    pub async fn detect_on(
        runtime: impl Runtime,
        addr: SocketAddr,
        options: &DetectOptions,
    ) -> Result<Self, DetectError> {
        let options = options.clone();
        let detected = unblock(move || coordinator::Coordinator::detect(addr, &options)).await?;
        Ok(Self::on(runtime, detected))
    }

    /// The blocking handle, which also tells address, dialect and release.
    #[must_use]
    pub fn handle(&self) -> &coordinator::Coordinator {
        &self.to
    }

    /// The same handle with another deadline for each call that names none itself. Default 10 s.
    #[must_use]
    pub fn timeout(self, limit: Duration) -> Self {
        Self {
            to: self.to.timeout(limit),
            ..self
        }
    }

    /// As [`coordinator::Coordinator::status`].
    ///
    /// # Errors
    /// [`Error`].
    pub async fn status(&self) -> Result<Status, Error> {
        self.talk().status().await
    }

    /// As [`coordinator::Coordinator::workers`].
    ///
    /// # Errors
    /// [`Error`].
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>, Error> {
        self.talk().workers().await
    }

    /// As [`coordinator::Coordinator::checkpoint`].
    ///
    /// # Errors
    /// [`Error`].
    pub async fn checkpoint(&self, limit: Duration) -> Result<CheckpointReport, Error> {
        self.talk().checkpoint(limit).await
    }

    /// As [`coordinator::Coordinator::checkpoint_and_kill`]. Where the future is dropped behind a
    /// refusal, a stock coordinator stays [armed](Error::RefusedButArmed).
    ///
    /// # Errors
    /// [`Error`].
    pub async fn checkpoint_and_kill(&self, limit: Duration) -> Result<CheckpointReport, Error> {
        self.talk().checkpoint_and_kill(limit).await
    }

    /// As [`coordinator::Coordinator::request_checkpoint`].
    ///
    /// # Errors
    /// [`Error`].
    pub async fn request_checkpoint(&self) -> Result<u32, Error> {
        self.talk().request_checkpoint().await
    }

    /// As [`coordinator::Coordinator::set_interval`].
    ///
    /// # Errors
    /// [`Error`].
    pub async fn set_interval(&self, interval: Interval) -> Result<(), Error> {
        self.talk().set_interval(interval).await
    }

    /// As [`coordinator::Coordinator::checkpoint_dir`].
    ///
    /// # Errors
    /// [`Error`].
    pub async fn checkpoint_dir(&self) -> Result<Text, Error> {
        self.talk().checkpoint_dir().await
    }

    /// As [`coordinator::Coordinator::set_log_mask`].
    ///
    /// # Errors
    /// [`Error`].
    pub async fn set_log_mask(&self, mask: u32) -> Result<(), Error> {
        self.talk().set_log_mask(mask).await
    }

    /// As [`coordinator::Coordinator::kill_workers`].
    ///
    /// # Errors
    /// [`Error`].
    pub async fn kill_workers(&self) -> Result<(), Error> {
        self.talk().kill_workers().await
    }

    /// As [`coordinator::Coordinator::quit`].
    ///
    /// # Errors
    /// [`Error`].
    pub async fn quit(self) -> Result<(), Error> {
        self.talk().quit().await
    }

    fn talk(&self) -> Talk<'_> {
        self.to.talk(&self.driver)
    }
}
