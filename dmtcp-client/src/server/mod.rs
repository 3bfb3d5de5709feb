//! The embedded coordinator: DMTCP's coordinator in this process, on a thread of its own.
//!
//! It drives one [`CoordinatorCore`](dmtcp_proto::CoordinatorCore) per computation: sockets,
//! time and the sealing of checkpoint sets are here, the protocol is not. To speak to a
//! coordinator in another process, see `Coordinator`.
//!
//! Slow peers, silent peers and peers that speak nonsense cost nobody else anything: every
//! socket is non-blocking, what waits for one peer is bounded, and sealing has its own thread.

mod access;
mod asking;
mod clock;
mod computation;
mod config;
mod connection;
mod error;
mod events;
mod hosted;
mod listener;
mod observe;
mod open_files;
mod outputs;
mod poll_loop;
mod processes;
mod rounds;
mod sealing;
mod task;
mod watching;

pub use access::{Access, CommandAccess, Network, ParseNetworkError, PeerRefusal};
pub(crate) use asking::Asking;
pub use computation::Computation;
pub use config::ComputationConfig;
pub use dmtcp_proto::{Event, Interval, KeyValues, Survivors, Traffic};
pub use error::ServerError;
pub use events::{ComputationEvent, Events, Stamped};
pub(crate) use listener::bind;
pub use observe::{
    BarrierPassage, ChromeTrace, Exposition, FailedRounds, Metrics, MetricsEndpoint, PeerCounts,
    ReportError, ReportFiles, Reports, RoundOutcome, RoundTimeline, SealingSpan, Step,
    TraceFileError, TracedBarrier, TracedRound, TracedWorker, TrackStep, WorkerTrack, read_trace,
};
pub use open_files::raise_open_file_limit;
pub use processes::NotKilled;
pub use rounds::Sealed;
pub use sealing::{SealError, SealRound, SealedSet, Sealer};

use std::{
    io,
    net::TcpListener,
    os::fd::AsRawFd as _,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use mio::{Poll, Waker};

use asking::Forgotten;
use events::Subscribers;
use hosted::{Left, Setup};
use observe::Limits;
use poll_loop::{PollLoop, WAKER};
use sealing::SealThread;
use task::{Lifeline, Link, Task};

use crate::{
    deadline::Deadline,
    driver::{Driver, answer, block_on},
    identity,
};

/// A coordinator in this process. **Dropping it ends all its computations**: their workers exit
/// when their coordinator's connection ends.
///
/// One thread serves any number of computations, each on its own port.
///
/// ```
/// use dmtcp_client::server::{ComputationConfig, Server};
///
/// let server = Server::start()?;
/// let computation = server.open(ComputationConfig::default())?;
/// println!("dmtcp_launch --join-coordinator --coord-port {} …", computation.port());
/// assert_eq!(computation.status()?.peers, 0);
/// # Ok::<(), dmtcp_client::server::ServerError>(())
/// ```
#[derive(Debug)]
pub struct Server {
    link: Arc<Link>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts the thread. It listens nowhere until a computation is opened.
    ///
    /// # Errors
    /// [`ServerError::Start`].
    pub fn start() -> Result<Self, ServerError> {
        Self::try_start().map_err(|source| ServerError::Start { source })
    }

    /// One more computation, without workers, listening when this returns.
    ///
    /// # Errors
    /// [`ServerError::Listen`] when the address cannot be had, [`ServerError::Start`] when
    /// there is no thread for its sealer, [`ServerError::ServerGone`], and
    /// [`ServerError::TimedOut`] after [`Computation::ANSWER_LIMIT`]; there is none then.
    pub fn open(&self, config: ComputationConfig) -> Result<Computation, ServerError> {
        self.open_on(Self::listen(&config)?, config)
    }

    pub(crate) fn listen(config: &ComputationConfig) -> Result<TcpListener, ServerError> {
        let addr = config.addr;
        if !config.access.lets_in_at(addr.ip()) {
            return Err(ServerError::NobodyMayCome { addr });
        }
        bind(addr).map_err(|source| ServerError::Listen { addr, source })
    }

    /// The same on a socket that listens already; the address in `config` does not count. Who may
    /// connect does.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(
        &self,
        listener: TcpListener,
        config: ComputationConfig,
    ) -> Result<Computation, ServerError> {
        block_on(self.open_with(&Driver::Blocking, listener, config))
    }

    pub(crate) async fn open_with(
        &self,
        driver: &Driver,
        listener: TcpListener,
        config: ComputationConfig,
    ) -> Result<Computation, ServerError> {
        let failed = |source| ServerError::Listen {
            addr: config.addr,
            source,
        };
        let start_failed = |source| ServerError::Start { source };
        listener.set_nonblocking(true).map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let host = identity::host_name().map_err(start_failed)?;
        let coordinator = config.coordinator.seal(config.sealer.is_some());
        let mut coordinator = coordinator.steps(config.timelines > 0);
        if coordinator.identity.is_null() {
            coordinator.identity = identity::fresh(&host);
        }
        let key = self.link.new_key();
        let sealing = config
            .sealer
            .map(|sealer| SealThread::spawn(sealer, key, Arc::clone(&self.link)))
            .transpose()
            .map_err(start_failed)?;
        let subscribers = Arc::new(Subscribers::new(config.max_events));
        let left = Left::default();
        let setup = Box::new(Setup {
            key,
            listener,
            coordinator,
            subscribers: Arc::clone(&subscribers),
            sealing,
            max_queued: config.max_queued,
            access: config.access,
            silence_limit: config.silence_limit,
            timelines: Limits {
                rounds: config.timelines,
                workers: config.timeline_workers,
            },
            host: host.to_string_lossy().into_owned(),
            left: Left::clone(&left),
        });
        let (opened, answer) = answer::channel();
        self.link.send(Task::Open { setup, opened })?;
        let computation = Computation {
            key,
            addr,
            link: Arc::clone(&self.link),
            subscribers,
            left,
        };
        // Nobody has a handle to it, should it be opened after all.
        let (closed, _) = answer::channel();
        let forgotten = Forgotten(&self.link, Some(Task::Close { key, closed }));
        let deadline = Deadline::after(Computation::ANSWER_LIMIT);
        match driver.within(answer, deadline).await {
            Some(Some(result)) => result.map_err(failed)?,
            Some(None) => return Err(ServerError::ServerGone),
            None => {
                return Err(ServerError::TimedOut {
                    what: "opening a computation",
                    limit: Computation::ANSWER_LIMIT,
                    stall: None,
                });
            }
        }
        forgotten.not();
        Ok(computation)
    }

    /// Closes all computations as [`Computation::close`] does, and ends the thread.
    ///
    /// # Errors
    /// [`ServerError::TimedOut`]; then sealers are still at work, and everything else is ended
    /// as by dropping it.
    pub fn shutdown(self, limit: Duration) -> Result<(), ServerError> {
        block_on(self.shut_down_with(&Driver::Blocking, limit))
    }

    pub(crate) async fn shut_down_with(
        &self,
        driver: &Driver,
        limit: Duration,
    ) -> Result<(), ServerError> {
        let (closed, ended): (Lifeline, _) = answer::channel();
        self.link.send(Task::CloseAll { closed })?;
        match driver.within(ended, Deadline::after(limit)).await {
            Some(None) => Ok(()),
            Some(Some(never)) => match never {},
            None => Err(ServerError::TimedOut {
                what: "shutting the server down",
                limit,
                stall: None,
            }),
        }
    }

    fn try_start() -> io::Result<Self> {
        let poll = Poll::new()?;
        open_files::make_room(poll.as_raw_fd());
        let (link, tasks) = Link::new(Waker::new(poll.registry(), WAKER)?);
        let poll_loop = PollLoop::new(poll, tasks)?;
        let thread = thread::Builder::new()
            .name("dmtcp-server".to_owned())
            .spawn(move || poll_loop.run())?;
        Ok(Self {
            link,
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the thread has ended already.
        let _ = self.link.send(Task::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
