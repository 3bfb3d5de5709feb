//! The connection of a worker: drives the core, sends what it says, reads within deadlines.

use dmtcp_proto::{
    Dialect, Entry, Finished, Name, Phase, Stage, WorkerConfig, WorkerCore, WorkerInput,
    WorkerOutput,
};
use nix::unistd::geteuid;
use socket2::{SockRef, TcpKeepalive};
use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use super::error::{Error, cannot};
use super::leaver::Leaver;
use super::watch::Watch;
use crate::deadline::Deadline;
use crate::process::TcpOwners;

/// A worker's connection and its side of the protocol.
#[derive(Debug)]
pub(super) struct Link {
    addr: SocketAddr,
    stream: TcpStream,
    core: WorkerCore,
    watch: Watch,
    accepted: bool,
    /// Asked for by the core and not handed out yet.
    due: Option<Stage>,
    /// The same for a directory that images go to from now on.
    moved_to: Option<PathBuf>,
}

impl Link {
    /// Connects, says hello and waits to be taken in.
    pub(super) fn join(
        addr: SocketAddr,
        dialect: Dialect,
        config: WorkerConfig,
        entry: Entry,
        limit: Duration,
    ) -> Result<Self, Error> {
        let deadline = Deadline::after(limit);
        let stream =
            TcpStream::connect_timeout(&addr, deadline.left().max(SHORTEST)).map_err(|source| {
                match source.kind() {
                    // The system has a time limit too.
                    ErrorKind::TimedOut if deadline.has_passed() => Error::TimedOut {
                        what: taking_in(addr),
                        limit,
                    },
                    _ => Error::Connect { addr, source },
                }
            })?;
        prepare(&stream).map_err(cannot("set up the connection to the coordinator"))?;
        let twin = stream
            .try_clone()
            .map_err(cannot("duplicate the connection to the coordinator"))?;
        let mut link = Self {
            addr,
            stream,
            core: WorkerCore::new(dialect, config, entry),
            watch: Watch::start(twin).map_err(cannot("start a thread"))?,
            accepted: false,
            due: None,
            moved_to: None,
        };
        link.input(WorkerInput::Opened)?;
        loop {
            link.read_until(deadline)?;
            if link.accepted {
                return Ok(link);
            }
            link.check(deadline)?;
        }
    }

    /// Whether the coordinator, which has taken this process in, is its user's or root's. Only then
    /// it is told: a connection that nobody has accepted yet is nobody's.
    pub(super) fn check_owner(&self) -> Result<(), Error> {
        let ends = (self.stream.peer_addr(), self.stream.local_addr());
        let (Ok(theirs), Ok(ours)) = ends else {
            return Ok(());
        };
        match TcpOwners::open().find(theirs, ours) {
            Ok(Some(owner)) if owner.uid != 0 && owner.uid != geteuid().as_raw() => {
                Err(Error::OtherUser {
                    addr: self.addr,
                    uid: owner.uid,
                })
            }
            // Another host's, or not told.
            _ => Ok(()),
        }
    }

    pub(super) fn core(&self) -> &WorkerCore {
        &self.core
    }

    /// Whether the coordinator said something, or there is unfinished business.
    #[inline]
    pub(super) fn is_asked(&self) -> bool {
        self.watch.is_asked()
    }

    /// Leaves the socket to the watch until it calls.
    pub(super) fn arm(&self) -> Result<(), Error> {
        // The thread peeks through the same socket, so a limit on reads would be one on it.
        self.stream
            .set_read_timeout(None)
            .map_err(cannot("set up the connection to the coordinator"))?;
        self.watch.arm();
        Ok(())
    }

    /// Takes what has arrived; a running worker's watch has called.
    pub(super) fn take(&mut self, limit: Duration) -> Result<Option<Stage>, Error> {
        self.read_until(Deadline::after(limit))?;
        Ok(self.due.take())
    }

    /// Waits until there is a stage to do; `None` when the worker runs instead.
    pub(super) fn next_stage(&mut self, limit: Duration) -> Result<Option<Stage>, Error> {
        self.wait(limit)?;
        Ok(self.due.take())
    }

    /// Waits until there is a stage to do, which [`next_stage`](Self::next_stage) then gives, or
    /// the worker runs.
    pub(super) fn wait(&mut self, limit: Duration) -> Result<(), Error> {
        let mut awaited = self.awaits();
        let mut deadline = Deadline::after(limit);
        while self.due.is_none() && !self.core.is_running() {
            self.read_until(deadline)?;
            // Every barrier, and every phase of 2.x, has the whole limit.
            if self.awaits() != awaited {
                awaited = self.awaits();
                deadline = Deadline::after(limit);
            } else if self.due.is_none() && !self.core.is_running() {
                self.check(deadline)?;
            }
        }
        Ok(())
    }

    /// Tells the core how a stage ended.
    pub(super) fn finished(&mut self, finished: Finished) -> Result<Option<Stage>, Error> {
        self.input(WorkerInput::Finished(finished))?;
        Ok(self.due.take())
    }

    /// Where images go from now on, if the coordinator has said so since the last time.
    pub(super) fn moved_to(&mut self) -> Option<PathBuf> {
        self.moved_to.take()
    }

    /// What closes the connection from another thread.
    pub(super) fn leaver(&self) -> Result<Leaver, Error> {
        let twin = self.stream.try_clone();
        twin.map(Leaver::new)
            .map_err(cannot("duplicate the connection to the coordinator"))
    }

    /// Closes the connection. [`is_asked`](Self::is_asked) stays true.
    pub(super) fn close(&mut self) {
        self.watch.stop();
        // What it says does not matter any more; afterwards it ignores every input.
        self.core.handle(WorkerInput::Closed).for_each(drop);
    }

    fn awaits(&self) -> (Option<Name>, Option<Phase>) {
        (self.core.waiting_at(), self.core.awaited_phase())
    }

    /// Reads once. What is there already counts, however late this process has its turn: a
    /// worker that was stopped for longer than its limit goes on.
    fn read_until(&mut self, deadline: Deadline) -> Result<(), Error> {
        let mut buffer = [0; 4096];
        loop {
            self.stream
                .set_read_timeout(Some(deadline.left().max(SHORTEST)))
                .map_err(cannot("set a limit on reading from the coordinator"))?;
            match self.stream.read(&mut buffer) {
                Ok(0) => return self.input(WorkerInput::Closed),
                Ok(len) => {
                    let bytes = buffer.get(..len).unwrap_or_default();
                    return self.input(WorkerInput::Received(bytes));
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::TimedOut | ErrorKind::WouldBlock => self.check(deadline)?,
                    _ => return self.input(WorkerInput::Closed),
                },
            }
        }
    }

    fn check(&self, deadline: Deadline) -> Result<(), Error> {
        if !deadline.has_passed() {
            return Ok(());
        }
        Err(Error::TimedOut {
            what: self.awaited(),
            limit: deadline.limit(),
        })
    }

    fn awaited(&self) -> String {
        match self.awaits() {
            (Some(barrier), _) => format!("all workers to reach the barrier {barrier}"),
            (_, Some(phase)) => format!("all workers to be ready for the phase {phase:?}"),
            _ if self.accepted => "the rest of a message from the coordinator".to_owned(),
            _ => taking_in(self.addr),
        }
    }

    /// Hands an input to the core and acts on what comes out.
    fn input(&mut self, input: WorkerInput<'_>) -> Result<(), Error> {
        let outputs: Vec<_> = self.core.handle(input).collect();
        for output in outputs {
            match output {
                WorkerOutput::Transmit(bytes) => self.send(&bytes)?,
                WorkerOutput::Accepted { .. } => self.accepted = true,
                WorkerOutput::Rejected(reason) => {
                    let addr = self.addr;
                    return Err(Error::Rejected { addr, reason });
                }
                WorkerOutput::CheckpointDir(dir) => {
                    let dir = OsString::from_vec(dir.as_bytes().to_vec());
                    self.moved_to = Some(dir.into());
                }
                WorkerOutput::Perform(stage) => self.due = Some(stage),
                WorkerOutput::Resume => {}
                WorkerOutput::Exit { reason } => return Err(Error::Left(reason)),
            }
        }
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match self.stream.write_all(bytes) {
            Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => {
                Err(Error::TimedOut {
                    what: "the coordinator to take a message".to_owned(),
                    limit: WRITE_LIMIT,
                })
            }
            // A broken connection may still hold the reason, for example an order to exit: the
            // next read tells.
            _ => Ok(()),
        }
    }
}

fn taking_in(addr: SocketAddr) -> String {
    format!("the coordinator at {addr} to take this process in")
}

fn prepare(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(WRITE_LIMIT))?;
    // A coordinator whose host is gone sends nothing, not even an end.
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(10));
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// A message of ours is some hundred bytes: a coordinator that takes none for so long is stuck.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// A limit of zero means "none" to the system.
const SHORTEST: Duration = Duration::from_millis(1);
