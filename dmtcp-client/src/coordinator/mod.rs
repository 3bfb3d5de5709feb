//! A handle to any coordinator, stock or ours, over TCP.
//!
//! It asks and waits, blocking, one connection a question and every call with a deadline. It
//! starts nothing and holds nothing: a coordinator in this process is `Server`.

mod address;
mod call;
mod checkpoint;
mod error;
mod round_watch;

pub use checkpoint::{CheckpointReport, Evidence};
pub use error::Error;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use dmtcp_proto::{
    AfterCheckpoint, Command, Dialect, ExchangeError, Interval, Reply, Status, UniquePid,
    WorkerInfo,
};

use call::Call;

use crate::deadline::Deadline;

/// A handle to a running coordinator: cheap to clone, one connection a question.
///
/// ```no_run
/// use dmtcp_client::{Dialect, coordinator::Coordinator};
/// use std::time::Duration;
///
/// let coordinator = Coordinator::from_env(Dialect::V5)?;
/// println!("{} workers", coordinator.status()?.peers);
/// let report = coordinator.checkpoint(Duration::from_secs(60))?;
/// println!("{} images, known by {:?}", report.peers, report.evidence);
/// # Ok::<(), dmtcp_client::coordinator::Error>(())
/// ```
///
/// An embedded coordinator of this library ([`server`](crate::server)) answers in every dialect, and
/// what it checkpoints for a caller from outside, stock `dmtcp_command` included, is sealed as any
/// other round. Its port is [`Computation::port`](crate::server::Computation::port); the embedding
/// program hands it on.
///
/// For a stock coordinator the dialect must be its own. There is no question that is safe in every
/// dialect: asked in `V5`, a coordinator of 3.0.0 to 3.2.0 ends, and its computation with it.
#[derive(Clone, Debug)]
pub struct Coordinator {
    addr: SocketAddr,
    dialect: Dialect,
    timeout: Duration,
}

impl Coordinator {
    /// A handle to the coordinator that listens at `addr`. Nothing is sent.
    #[must_use]
    pub fn new(addr: SocketAddr, dialect: Dialect) -> Self {
        Self {
            addr,
            dialect,
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
    /// As [`status`](Self::status).
    pub fn workers(&self) -> Result<Vec<WorkerInfo>, Error> {
        let (workers, _) = self.ask_workers(self.default_deadline())?;
        Ok(workers)
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
                asked: interval,
                found,
            })
        }
    }

    /// Kills all workers and waits until they are gone. The coordinator stays, unless it was
    /// started to end with its last worker.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status), and [`Error::WorkersRemain`] when some have not been seen to
    /// obey in time.
    pub fn kill_workers(&self) -> Result<(), Error> {
        let deadline = self.default_deadline();
        self.ask(Command::Kill, deadline)?;
        // Until these are gone, no other can join.
        let mut left = self.listed_or_gone(deadline)?.unwrap_or_default();
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
    /// # Errors
    ///
    /// As [`status`](Self::status), and [`Error::StillListening`].
    pub fn quit(self) -> Result<(), Error> {
        let deadline = self.default_deadline();
        self.ask(Command::Quit, deadline)?;
        while let Some(left) = deadline.remaining() {
            match TcpStream::connect_timeout(&self.addr, left) {
                Ok(_) => deadline.pause(POLL),
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(()),
                // Caught in the backlog of a listener that is closing.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => deadline.pause(POLL),
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                Err(source) => {
                    return Err(Error::Connect {
                        addr: self.addr,
                        source,
                    });
                }
            }
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
        let mut asked = self.ask_workers(deadline);
        if let Err(Error::Exchange {
            source: ExchangeError::NoReply { .. },
            ..
        }) = asked
        {
            // Caught in the middle of its end; or it dislikes us, and does so again.
            deadline.pause(POLL);
            asked = self.ask_workers(deadline);
        }
        match asked {
            Ok((workers, _)) => Ok(Some(workers)),
            Err(Error::Connect { source, .. }) if source.kind() == ErrorKind::ConnectionRefused => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// An exchange answers each command with the reply that belongs to it.
    fn wrong_reply(&self) -> Error {
        Error::Io {
            addr: self.addr,
            source: std::io::Error::other("the reply is not one to this command"),
        }
    }
}

/// Between two looks at something that is about to end.
const POLL: Duration = Duration::from_millis(20);
