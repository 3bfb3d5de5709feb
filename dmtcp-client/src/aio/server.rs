//! The embedded coordinator.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use super::Runtime;
use crate::{
    Interval, Status, WorkerInfo,
    driver::Driver,
    server::{
        self, Asking, ComputationConfig, Events, KeyValues, Metrics, RoundTimeline, Sealed,
        ServerError, Survivors,
    },
    watch::Stall,
};

/// [`server::Server`], awaited. Its thread stays its own; **dropping the last clone ends all its
/// computations**.
#[derive(Clone, Debug)]
pub struct Server {
    server: Arc<server::Server>,
    driver: Driver,
}

#[cfg(feature = "tokio")]
impl Server {
    /// As [`server::Server::start`], which does not block.
    ///
    /// # Errors
    /// [`ServerError::Start`].
    pub fn start() -> Result<Self, ServerError> {
        Ok(Self::on(super::Tokio, server::Server::start()?))
    }
}

impl Server {
    /// The same server on a runtime.
    #[must_use]
    pub fn on(runtime: impl Runtime, server: impl Into<Arc<server::Server>>) -> Self {
        Self {
            server: server.into(),
            driver: Driver::on(runtime),
        }
    }

    /// The blocking handle, for [`Job::start`](crate::job::Job::start) among others.
    #[must_use]
    pub fn handle(&self) -> &Arc<server::Server> {
        &self.server
    }

    /// As [`server::Server::open`]. Where the future is dropped, there is no computation.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn open(&self, config: ComputationConfig) -> Result<Computation, ServerError> {
        let listener = server::Server::listen(&config)?;
        self.open_on(listener, config).await
    }

    /// As [`server::Server::open_on`]. Where the future is dropped, there is no computation.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn open_on(
        &self,
        listener: TcpListener,
        config: ComputationConfig,
    ) -> Result<Computation, ServerError> {
        let opened = self.server.open_with(&self.driver, listener, config).await;
        Ok(Computation::with(opened?, self.driver.clone()))
    }

    /// As [`server::Server::shutdown`], also for all clones.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn shutdown(self, limit: Duration) -> Result<(), ServerError> {
        self.server.shut_down_with(&self.driver, limit).await
    }
}

/// [`server::Computation`], awaited. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Computation {
    computation: server::Computation,
    driver: Driver,
}

#[cfg(feature = "tokio")]
impl From<server::Computation> for Computation {
    fn from(computation: server::Computation) -> Self {
        Self::on(super::Tokio, computation)
    }
}

impl Computation {
    /// The same computation on a runtime.
    #[must_use]
    pub fn on(runtime: impl Runtime, computation: server::Computation) -> Self {
        Self::with(computation, Driver::on(runtime))
    }

    pub(super) fn with(computation: server::Computation, driver: Driver) -> Self {
        Self {
            computation,
            driver,
        }
    }

    /// The blocking handle.
    #[must_use]
    pub fn handle(&self) -> &server::Computation {
        &self.computation
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.computation.addr()
    }

    /// The port on which it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.computation.port()
    }

    /// News from now on; [`Events::recv`] awaits them.
    #[must_use]
    pub fn events(&self) -> Events {
        self.computation.events()
    }

    /// As [`status`](server::Computation::status).
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn status(&self) -> Result<Status, ServerError> {
        self.asking().status().await
    }

    /// As [`workers`](server::Computation::workers).
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn workers(&self) -> Result<Vec<WorkerInfo>, ServerError> {
        self.asking().workers().await
    }

    /// As [`key_values`](server::Computation::key_values).
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn key_values(&self) -> Result<KeyValues, ServerError> {
        self.asking().key_values().await
    }

    /// As [`request_checkpoint`](server::Computation::request_checkpoint).
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn request_checkpoint(&self) -> Result<u32, ServerError> {
        self.asking().request_checkpoint().await
    }

    /// As [`checkpoint`](server::Computation::checkpoint).
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn checkpoint(&self, limit: Duration) -> Result<Sealed, ServerError> {
        self.asking().checkpoint(limit).await
    }

    /// As [`checkpoint_and_kill`](server::Computation::checkpoint_and_kill).
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn checkpoint_and_kill(&self, limit: Duration) -> Result<Sealed, ServerError> {
        self.asking().checkpoint_and_kill(limit).await
    }

    /// As [`set_interval`](server::Computation::set_interval).
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn set_interval(&self, interval: Interval) -> Result<(), ServerError> {
        self.asking().set_interval(interval).await
    }

    /// As [`kill_workers`](server::Computation::kill_workers).
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn kill_workers(&self, limit: Duration) -> Result<(), ServerError> {
        self.asking().kill_workers(limit).await
    }

    /// As [`wait_until_running`](server::Computation::wait_until_running).
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn wait_until_running(
        &self,
        peers: Option<u32>,
        limit: Duration,
    ) -> Result<Status, ServerError> {
        self.asking().wait_until_running(peers, limit).await
    }

    /// As [`give_up`](server::Computation::give_up).
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn give_up(
        &self,
        stall: &Stall,
        survivors: Survivors,
    ) -> Result<Vec<WorkerInfo>, ServerError> {
        self.asking().give_up(stall, survivors).await
    }

    /// As [`timelines`](server::Computation::timelines).
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn timelines(&self) -> Result<Vec<Arc<RoundTimeline>>, ServerError> {
        self.asking().timelines().await
    }

    /// As [`metrics`](server::Computation::metrics).
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn metrics(&self) -> Result<Metrics, ServerError> {
        self.asking().metrics().await
    }

    /// As [`quit`](server::Computation::quit).
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn quit(&self, limit: Duration) -> Result<(), ServerError> {
        self.asking().quit(limit).await
    }

    /// As [`close`](server::Computation::close).
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn close(&self, limit: Duration) -> Result<(), ServerError> {
        self.asking().close(limit).await
    }

    fn asking(&self) -> Asking<'_> {
        self.computation.asking(&self.driver)
    }
}
