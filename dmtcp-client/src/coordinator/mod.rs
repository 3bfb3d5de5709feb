//! A handle to any coordinator, stock or ours, over TCP.
//!
//! It asks and waits, blocking, one connection a question and every call with a deadline. It
//! starts nothing and holds nothing: a coordinator in this process is `Server`.

mod address;
mod by_count;
mod call;
mod checkpoint;
mod detect;
mod error;
mod round_watch;
mod talk;
mod watching;

pub use address::find as find_address;
pub(crate) use checkpoint::Onlooker;
pub use checkpoint::{CheckpointReport, Evidence};
pub use detect::{DetectError, DetectOptions, Detected, DialectCache, How, detect};
pub use error::Error;
pub(crate) use round_watch::RoundWatch;
pub(crate) use talk::Talk;

use std::net::SocketAddr;
use std::time::Duration;

use dmtcp_proto::{Dialect, Interval, Quirks, Release, Status, Text, UniquePid, WorkerInfo};

use crate::driver::{Driver, block_on};

/// A handle to a running coordinator: cheap to clone, one connection a question.
///
/// ```no_run
/// use dmtcp_client::coordinator::{Coordinator, DetectOptions};
/// use std::time::Duration;
///
/// // A question in a wrong dialect ends many coordinators: ask first which it is.
/// let coordinator = Coordinator::detect("127.0.0.1:7779".parse()?, &DetectOptions::default())?;
/// println!("{} workers", coordinator.status()?.peers);
/// let report = coordinator.checkpoint(Duration::from_secs(60))?;
/// println!("{} images, known by {:?}", report.peers, report.evidence);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// An embedded coordinator of this library ([`server`](crate::server)) answers in every dialect, and
/// what it checkpoints for a caller from outside, stock `dmtcp_command` included, is sealed as any
/// other round. Its port is [`Computation::port`](crate::server::Computation::port); the embedding
/// program hands it on.
///
/// For a stock coordinator the dialect must be its own. There is no question that is safe in every
/// dialect: asked in `V5`, a coordinator of 3.0.0 to 3.2.0 ends, and its computation with it.
/// [`detect`](Self::detect) finds the dialect out, and refuses a wrong one where it can be known.
#[derive(Clone, Debug)]
pub struct Coordinator {
    addr: SocketAddr,
    dialect: Dialect,
    release: Option<Release>,
    timeout: Duration,
}

impl Coordinator {
    /// A handle to the coordinator that listens at `addr`. Nothing is sent.
    #[must_use]
    pub fn new(addr: SocketAddr, dialect: Dialect) -> Self {
        Self {
            addr,
            dialect,
            release: None,
            timeout: Duration::from_secs(10),
        }
    }

    /// The coordinator that `DMTCP_COORD_HOST` and `DMTCP_COORD_PORT` name, with DMTCP's own
    /// defaults: 127.0.0.1 and 7779. Nothing is sent.
    ///
    /// A host name is looked up as the system does it, without a deadline.
    ///
    /// # Errors
    ///
    /// [`Error::Environment`]: no port number, or a host without an IPv4 address.
    pub fn from_env(dialect: Dialect) -> Result<Self, Error> {
        Ok(Self::new(address::find(None, None)?, dialect))
    }

    /// The same handle with another deadline for each call that names none itself: it covers
    /// connecting, sending and the answer. Default 10 s.
    #[must_use]
    pub fn timeout(self, limit: Duration) -> Self {
        Self {
            timeout: limit,
            ..self
        }
    }

    /// The same handle to a coordinator of this release, as [`Tools::version`](crate::Tools::version)
    /// tells it. The dialect stays: a release is a hint, and where it contradicts the dialect, it
    /// is taken for the nearest one that speaks it.
    ///
    /// Nothing depends on it but words and detours: without it, what the coordinator cannot do is found
    /// out by trying.
    #[must_use]
    pub fn with_release(self, release: Release) -> Self {
        Self {
            release: Some(release.on_wire(self.dialect)),
            ..self
        }
    }

    /// The release, if [it was told](Self::with_release).
    #[must_use]
    pub fn release(&self) -> Option<&Release> {
        self.release.as_ref()
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What is spoken with it.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Peers, running or not, interval.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`], [`Error::TimedOut`], [`Error::Exchange`].
    pub fn status(&self) -> Result<Status, Error> {
        block_on(self.talk(&Driver::Blocking).status())
    }

    /// Every worker, in the order in which they joined.
    ///
    /// Real pids are those that the workers gave; a process that is about to be forked or has
    /// not started its program yet has -1.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status). 2.4 tells no list: [`ExchangeError::NoList`](dmtcp_proto::ExchangeError::NoList), whether there are
    /// workers or not.
    pub fn workers(&self) -> Result<Vec<WorkerInfo>, Error> {
        block_on(self.talk(&Driver::Blocking).workers())
    }

    /// The computation, by the name that it has told; `None`: it has told none, as one without
    /// workers may.
    pub(crate) fn computation(&self) -> Result<Option<UniquePid>, Error> {
        block_on(self.talk(&Driver::Blocking).computation())
    }

    /// Only asks for a checkpoint: the number of workers that began one. Nothing is known about
    /// its end; [`checkpoint`](Self::checkpoint) waits for it.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status), and [`Error::Command`] when there is no worker, or not all
    /// of them run.
    pub fn request_checkpoint(&self) -> Result<u32, Error> {
        block_on(self.talk(&Driver::Blocking).request_checkpoint())
    }

    /// Changes the interval of periodic checkpoints, and reads it back.
    ///
    /// [`Interval::Unchanged`] asks for nothing, and nothing is sent.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status), and [`Error::IntervalIgnored`]: 3.1.1 to 4.2.0 say yes and
    /// do nothing.
    pub fn set_interval(&self, interval: Interval) -> Result<(), Error> {
        block_on(self.talk(&Driver::Blocking).set_interval(interval))
    }

    /// Where images go unless a worker was told otherwise. 2.5.1 to 2.6.0 only.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status); [`Error::Command`] while not all workers run;
    /// [`ExchangeError::Encode`](dmtcp_proto::ExchangeError::Encode) in dialects that have no such command: nothing is sent then, and what
    /// the workers have reported stands in the restart script.
    pub fn checkpoint_dir(&self) -> Result<Text, Error> {
        block_on(self.talk(&Driver::Blocking).checkpoint_dir())
    }

    /// Sets which components of the workers log, one bit for each. 2.5.1 to 2.6.0 only, and workers that
    /// were built to log.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status), and [`ExchangeError::Encode`](dmtcp_proto::ExchangeError::Encode) in dialects that have no such command:
    /// nothing is sent then.
    pub fn set_log_mask(&self, mask: u32) -> Result<(), Error> {
        block_on(self.talk(&Driver::Blocking).set_log_mask(mask))
    }

    /// Kills all workers and waits until they are gone. The coordinator stays, unless it was
    /// started to end with its last worker.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status), and [`Error::WorkersRemain`] or, where no names are told,
    /// [`Error::PeersRemain`] when some have not been seen to obey in time.
    pub fn kill_workers(&self) -> Result<(), Error> {
        block_on(self.talk(&Driver::Blocking).kill_workers())
    }

    /// Kills all workers, ends the coordinator, and waits until nobody listens there any more.
    ///
    /// To see that, it asks for the status: a connection without a word would end what it may have
    /// failed to end, and any before 4.0.0 that has taken its place.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status), and [`Error::StillListening`].
    pub fn quit(self) -> Result<(), Error> {
        block_on(self.talk(&Driver::Blocking).quit())
    }

    /// Asks with this driver.
    pub(crate) fn talk<'a>(&'a self, driver: &'a Driver) -> Talk<'a> {
        Talk { to: self, driver }
    }

    /// What its release does differently, if it is known.
    fn quirks(&self) -> Option<&'static Quirks> {
        self.release.as_ref().and_then(Release::quirks)
    }

    /// An exchange answers each command with the reply that belongs to it.
    fn wrong_reply(&self) -> Error {
        Error::Io {
            addr: self.addr,
            source: std::io::Error::other("the reply is not one to this command"),
        }
    }
}
