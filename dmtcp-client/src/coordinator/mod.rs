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
mod watching;

pub use address::find as find_address;
pub(crate) use checkpoint::Onlooker;
pub use checkpoint::{CheckpointReport, Evidence};
pub use detect::{DetectError, DetectOptions, Detected, DialectCache, How, detect};
pub use error::Error;
pub(crate) use round_watch::RoundWatch;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use dmtcp_proto::{
    AfterCheckpoint, Command, Dialect, ExchangeError, Interval, Quirks, Release, Reply, Status,
    Text, UniquePid, WorkerInfo,
};

use call::Call;

use crate::deadline::Deadline;

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
        let host = std::env::var_os(address::HOST);
        let port = std::env::var_os(address::PORT);
        Ok(Self::new(address::find(host, port)?, dialect))
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
        self.ask_status(self.default_deadline())
    }

    /// Every worker, in the order in which they joined.
    ///
    /// Real pids are those that the workers gave; a process that is about to be forked or has
    /// not started its program yet has -1.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status). 2.4 tells no list: [`ExchangeError::NoList`], whether there are
    /// workers or not.
    pub fn workers(&self) -> Result<Vec<WorkerInfo>, Error> {
        let (workers, _) = self.ask_workers(self.default_deadline())?;
        Ok(workers)
    }

    /// The computation, by the name that it has told; `None`: it has told none, as one without
    /// workers may.
    pub(crate) fn computation(&self) -> Result<Option<UniquePid>, Error> {
        let (_, computation) = self.ask_workers(self.default_deadline())?;
        Ok(computation)
    }

    /// Only asks for a checkpoint: the number of workers that began one. Nothing is known about
    /// its end; [`checkpoint`](Self::checkpoint) waits for it.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status), and [`Error::Command`] when there is no worker, or not all
    /// of them run.
    pub fn request_checkpoint(&self) -> Result<u32, Error> {
        let command = Command::Checkpoint(AfterCheckpoint::ReplyAtOnce);
        match self.ask(command, self.default_deadline())? {
            Reply::Started { peers } => Ok(peers),
            _ => Err(self.wrong_reply()),
        }
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
        if interval == Interval::Unchanged {
            return Ok(());
        }
        let deadline = self.default_deadline();
        self.ask(Command::SetInterval(interval), deadline)?;
        let found = self.ask_status(deadline)?.interval;
        if found.to_wire() == interval.to_wire() {
            Ok(())
        } else {
            Err(Error::IntervalIgnored {
                addr: self.addr,
                dialect: self.dialect,
                release: self.release.clone(),
                asked: interval,
                found,
            })
        }
    }

    /// Where images go unless a worker was told otherwise. 2.5.1 to 2.6.0 only.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status); [`Error::Command`] while not all workers run;
    /// [`ExchangeError::Encode`] in dialects that have no such command: nothing is sent then, and what
    /// the workers have reported stands in the restart script.
    pub fn checkpoint_dir(&self) -> Result<Text, Error> {
        match self.ask(Command::CheckpointDir, self.default_deadline())? {
            Reply::CheckpointDir(dir) => Ok(dir),
            _ => Err(self.wrong_reply()),
        }
    }

    /// Sets which components of the workers log, one bit for each. 2.5.1 to 2.6.0 only, and workers that
    /// were built to log.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status), and [`ExchangeError::Encode`] in dialects that have no such command:
    /// nothing is sent then.
    pub fn set_log_mask(&self, mask: u32) -> Result<(), Error> {
        self.ask(Command::SetLogMask(mask), self.default_deadline())?;
        Ok(())
    }

    /// Kills all workers and waits until they are gone. The coordinator stays, unless it was
    /// started to end with its last worker.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status), and [`Error::WorkersRemain`] or, where no names are told,
    /// [`Error::PeersRemain`] when some have not been seen to obey in time.
    pub fn kill_workers(&self) -> Result<(), Error> {
        let deadline = self.default_deadline();
        self.ask(Command::Kill, deadline)?;
        // Until these are gone, no other can join.
        let mut left = match self.listed_or_gone(deadline) {
            Err(error) if tells_no_list(&error) => return self.wait_until_none(deadline),
            listed => listed?.unwrap_or_default(),
        };
        while !left.is_empty() {
            deadline.pause(POLL);
            let listed = match self.listed_or_gone(deadline) {
                // Who was left says more than which question the deadline cut off.
                Err(Error::TimedOut { .. }) if deadline.has_passed() => {
                    return Err(Error::WorkersRemain {
                        addr: self.addr,
                        workers: left,
                    });
                }
                listed => listed?.unwrap_or_default(),
            };
            let listed: BTreeSet<u64> = listed.iter().map(|worker| worker.number).collect();
            left.retain(|worker| listed.contains(&worker.number));
        }
        Ok(())
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
        let deadline = self.default_deadline();
        self.ask(Command::Quit, deadline)?;
        while !deadline.has_passed() {
            // Any other outcome: it is about to end, or of another dialect.
            if let Err(Error::Connect { addr, source }) = self.ask_status(deadline) {
                match source.kind() {
                    ErrorKind::ConnectionRefused => return Ok(()),
                    // Caught in the backlog of a listener that is closing.
                    ErrorKind::ConnectionReset => {}
                    _ => return Err(Error::Connect { addr, source }),
                }
            }
            deadline.pause(POLL);
        }
        Err(Error::StillListening { addr: self.addr })
    }

    fn default_deadline(&self) -> Deadline {
        Deadline::after(self.timeout)
    }

    /// One question, within the handle's timeout too.
    fn ask(&self, command: Command, deadline: Deadline) -> Result<Reply, Error> {
        self.call(command, deadline).finish()
    }

    fn call(&self, command: Command, deadline: Deadline) -> Call {
        let deadline = deadline.at_most(self.timeout);
        Call::new(self.addr, self.dialect, command, deadline)
    }

    fn ask_status(&self, deadline: Deadline) -> Result<Status, Error> {
        match self.ask(Command::Status, deadline)? {
            Reply::Status(status) => Ok(status),
            _ => Err(self.wrong_reply()),
        }
    }

    /// The workers, and the computation where the coordinator names it.
    fn ask_workers(
        &self,
        deadline: Deadline,
    ) -> Result<(Vec<WorkerInfo>, Option<UniquePid>), Error> {
        let mut call = self.call(Command::List, deadline);
        match call.finish()? {
            Reply::Workers(workers) => Ok((workers, call.computation())),
            _ => Err(self.wrong_reply()),
        }
    }

    /// The workers; `None` when nobody listens any more, as when a coordinator ends with its last
    /// worker.
    fn listed_or_gone(&self, deadline: Deadline) -> Result<Option<Vec<WorkerInfo>>, Error> {
        let listed = self.unless_gone(deadline, || self.ask_workers(deadline))?;
        Ok(listed.map(|(workers, _)| workers))
    }

    /// The status; `None` when nobody listens any more.
    fn status_or_gone(&self, deadline: Deadline) -> Result<Option<Status>, Error> {
        self.unless_gone(deadline, || self.ask_status(deadline))
    }

    fn unless_gone<T>(
        &self,
        deadline: Deadline,
        ask: impl Fn() -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let mut asked = ask();
        if let Err(Error::Exchange {
            source: ExchangeError::NoReply { .. },
            ..
        }) = asked
        {
            // Caught in the middle of its end; or it dislikes us, and does so again.
            deadline.pause(POLL);
            asked = ask();
        }
        match asked {
            Ok(answer) => Ok(Some(answer)),
            Err(Error::Connect { source, .. }) if source.kind() == ErrorKind::ConnectionRefused => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
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

/// Whether that is why there is no list.
fn tells_no_list(error: &Error) -> bool {
    matches!(
        error,
        Error::Exchange {
            source: ExchangeError::NoList { .. },
            ..
        }
    )
}

/// Between two looks at something that is about to end.
const POLL: Duration = Duration::from_millis(20);
