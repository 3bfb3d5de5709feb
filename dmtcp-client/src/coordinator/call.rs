//! One exchange over TCP, driven until it is done or until some point in time.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use dmtcp_proto::{Command, Dialect, Exchange, ExchangeError, Reply, Step, UniquePid};

use super::error::{ANSWER, Error};
use crate::deadline::Deadline;
use crate::identity;

/// An exchange and its connection. Dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Call {
    addr: SocketAddr,
    exchange: Exchange,
    deadline: Deadline,
    stream: Option<TcpStream>,
}

impl Call {
    /// Nothing happens before the first [`advance`](Self::advance).
    pub(super) fn new(
        addr: SocketAddr,
        dialect: Dialect,
        command: Command,
        deadline: Deadline,
    ) -> Self {
        // Only tells apart who asks.
        let host = identity::host_name().unwrap_or_default();
        Self {
            addr,
            exchange: Exchange::new(dialect, identity::fresh(&host), command),
            deadline,
            stream: None,
        }
    }

    /// The outcome, by the call's own deadline.
    pub(super) fn finish(&mut self) -> Result<Reply, Error> {
        match self.advance(self.deadline)? {
            Some(Ok(reply)) => Ok(reply),
            Some(Err(error)) => Err(Error::from_exchange(self.addr, error)),
            None => Err(self.timed_out(ANSWER)),
        }
    }

    /// The outcome, or `None` if there is none until then. Only waiting for the last answer ends with
    /// `until`; all before it ends with the call's deadline.
    pub(super) fn advance(
        &mut self,
        until: Deadline,
    ) -> Result<Option<Result<Reply, ExchangeError>>, Error> {
        loop {
            match self.exchange.step() {
                Step::Connect => self.stream = Some(self.connect()?),
                Step::Send(bytes) => self.send(&bytes)?,
                Step::Receive if self.exchange.is_announcing() => {
                    if !self.receive(self.deadline)? {
                        return Err(self.timed_out("the answer"));
                    }
                }
                Step::Receive => {
                    if !self.receive(until)? {
                        return Ok(None);
                    }
                }
                Step::Done(result) => {
                    self.stream = None;
                    return Ok(Some(result));
                }
            }
        }
    }

    /// See [`Exchange::computation`].
    pub(super) fn computation(&self) -> Option<UniquePid> {
        self.exchange.computation()
    }

    fn connect(&self) -> Result<TcpStream, Error> {
        let awaited = "the connection";
        let left = self.deadline.remaining();
        let left = left.ok_or_else(|| self.timed_out(awaited))?;
        let stream = TcpStream::connect_timeout(&self.addr, left).map_err(|source| {
            // A refusal is one however late it is heard; and the system has a time limit too.
            if source.kind() == ErrorKind::TimedOut && self.deadline.has_passed() {
                self.timed_out(awaited)
            } else {
                Error::Connect {
                    addr: self.addr,
                    source,
                }
            }
        })?;
        // Only about speed; to give up here would close the connection without a word.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    /// Sends all of it even when the deadline has passed meanwhile: a connection that is closed
    /// without a word, or in the middle of one, ends a coordinator before 4.0.0. A command is
    /// shorter than any send buffer, so this does not wait.
    fn send(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        let mut grace = None;
        while !bytes.is_empty() {
            let left = self.deadline.remaining().or_else(|| {
                let grace = grace.get_or_insert_with(|| Deadline::after(SEND_GRACE));
                grace.remaining()
            });
            let Some(left) = left else {
                return Err(self.timed_out("room to send"));
            };
            let sent = self.with_stream(|stream| {
                stream.set_write_timeout(Some(left))?;
                stream.write(bytes)
            });
            match sent {
                Ok(len) => bytes = bytes.get(len..).unwrap_or_default(),
                Err(error) if is_pause(&error) => {}
                Err(error) if is_end(&error) => {
                    self.exchange.closed();
                    return Ok(());
                }
                Err(error) => return Err(self.io(error)),
            }
        }
        Ok(())
    }

    /// Whether anything happened until then.
    fn receive(&mut self, until: Deadline) -> Result<bool, Error> {
        let mut buffer = [0; 16 * 1024];
        loop {
            let Some(left) = until.remaining() else {
                return Ok(false);
            };
            let received = self.with_stream(|stream| {
                stream.set_read_timeout(Some(left))?;
                stream.read(&mut buffer)
            });
            match received {
                Ok(0) => self.exchange.closed(),
                Ok(len) => self
                    .exchange
                    .received(buffer.get(..len).unwrap_or_default()),
                Err(error) if is_pause(&error) => continue,
                Err(error) if is_end(&error) => self.exchange.closed(),
                Err(error) => return Err(self.io(error)),
            }
            return Ok(true);
        }
    }

    fn with_stream<T>(
        &mut self,
        work: impl FnOnce(&mut TcpStream) -> io::Result<T>,
    ) -> io::Result<T> {
        // An exchange connects before it sends; without a connection it has ended.
        let stream = self.stream.as_mut();
        work(stream.ok_or_else(|| io::Error::from(ErrorKind::NotConnected))?)
    }

    fn timed_out(&self, awaited: &'static str) -> Error {
        Error::TimedOut {
            addr: self.addr,
            awaited,
            limit: self.deadline.limit(),
        }
    }

    fn io(&self, source: io::Error) -> Error {
        Error::Io {
            addr: self.addr,
            source,
        }
    }
}

pub(super) fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// A coordinator that closes with our bytes unread ends the connection with a reset.
pub(super) fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::NotConnected
    )
}

/// How long a command that is not sent yet may still take behind the deadline.
const SEND_GRACE: Duration = Duration::from_secs(1);
