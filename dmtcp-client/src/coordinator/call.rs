//! One exchange over TCP, driven until it is done or until some point in time.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use dmtcp_proto::{Command, Dialect, Exchange, ExchangeError, Reply, Step, UniquePid};

use super::error::{ANSWER, Error};
use crate::deadline::Deadline;
use crate::driver::{Connection, Driver, block_on, detached};
use crate::identity;

/// An exchange and its connection. Dropping it closes the connection; where that comes in the middle,
/// as on a runtime it may at any time, a thread brings the exchange to its end first.
#[derive(Debug)]
pub(super) struct Call {
    addr: SocketAddr,
    exchange: Exchange,
    deadline: Deadline,
    driver: Driver,
    connection: Option<Connection>,
    /// Of the message under way.
    unsent: Bytes,
    /// The coordinator may have seen the connection, and has not got the whole message.
    owes: bool,
    buffer: Vec<u8>,
}

impl Call {
    /// Nothing happens before the first [`advance`](Self::advance).
    pub(super) fn new(
        addr: SocketAddr,
        dialect: Dialect,
        command: Command,
        deadline: Deadline,
        driver: &Driver,
    ) -> Self {
        // Only tells apart who asks.
        let host = identity::host_name().unwrap_or_default();
        Self {
            addr,
            exchange: Exchange::new(dialect, identity::fresh(&host), command),
            deadline,
            driver: driver.clone(),
            connection: None,
            unsent: Bytes::new(),
            owes: false,
            buffer: Vec::new(),
        }
    }

    /// The outcome, by the call's own deadline.
    pub(super) async fn finish(&mut self) -> Result<Reply, Error> {
        match self.advance(self.deadline).await? {
            Some(Ok(reply)) => Ok(reply),
            Some(Err(error)) => Err(Error::from_exchange(self.addr, error)),
            None => Err(self.timed_out(ANSWER)),
        }
    }

    /// The outcome, or `None` if there is none until then. Only waiting for the last answer ends with
    /// `until`; all before it ends with the call's deadline.
    pub(super) async fn advance(
        &mut self,
        until: Deadline,
    ) -> Result<Option<Result<Reply, ExchangeError>>, Error> {
        loop {
            // What somebody else has begun.
            self.send().await?;
            match self.exchange.step() {
                Step::Connect => self.connect().await?,
                Step::Send(bytes) => self.unsent = bytes,
                Step::Receive if self.exchange.is_announcing() => {
                    if !self.receive(self.deadline).await? {
                        return Err(self.timed_out("the answer"));
                    }
                }
                Step::Receive => {
                    if !self.receive(until).await? {
                        return Ok(None);
                    }
                }
                Step::Done(result) => {
                    self.connection = None;
                    return Ok(Some(result));
                }
            }
        }
    }

    /// See [`Exchange::computation`].
    pub(super) fn computation(&self) -> Option<UniquePid> {
        self.exchange.computation()
    }

    async fn connect(&mut self) -> Result<(), Error> {
        let awaited = "the connection";
        let left = self.deadline.remaining();
        let left = left.ok_or_else(|| self.timed_out(awaited))?;
        self.connection = None;
        self.owes = true;
        let place = &mut self.connection;
        let opened = Connection::open(place, &self.driver, self.addr, left).await;
        if opened.is_err() {
            // Who is told that there is no connection is not obeyed later. One that is there after all
            // must not end without a word.
            self.connection = self.connection.take().filter(Connection::is_seen);
            self.owes = self.connection.is_some();
        }
        opened.map_err(|source| {
            // A refusal is one however late it is heard; and the system has a time limit too.
            if source.kind() == ErrorKind::TimedOut && self.deadline.has_passed() {
                self.timed_out(awaited)
            } else {
                Error::Connect {
                    addr: self.addr,
                    source,
                }
            }
        })
    }

    /// Sends all of it even when the deadline has passed meanwhile: a connection that is closed
    /// without a word, or in the middle of one, ends a coordinator before 4.0.0. A command is
    /// shorter than any send buffer, so this does not wait.
    async fn send(&mut self) -> Result<(), Error> {
        let mut grace = None;
        while !self.unsent.is_empty() {
            let left = self.deadline.remaining().or_else(|| {
                let grace = grace.get_or_insert_with(|| Deadline::after(SEND_GRACE));
                grace.remaining()
            });
            let Some(left) = left else {
                return Err(self.timed_out("room to send"));
            };
            let sent = match &self.connection {
                Some(connection) => connection.write(&self.driver, &self.unsent, left).await,
                None => Err(not_connected()),
            };
            match sent {
                Ok(len) => self.unsent.advance(len.min(self.unsent.len())),
                Err(error) if is_pause(&error) => {}
                Err(error) if is_end(&error) => {
                    self.unsent.clear();
                    self.exchange.closed();
                }
                Err(error) => {
                    self.connection = None;
                    return Err(self.io(error));
                }
            }
            self.owes = !self.unsent.is_empty();
        }
        Ok(())
    }

    /// Whether anything happened until then.
    async fn receive(&mut self, until: Deadline) -> Result<bool, Error> {
        self.buffer.resize(16 * 1024, 0);
        loop {
            let Some(left) = until.remaining() else {
                return Ok(false);
            };
            let buffer = &mut self.buffer;
            let received = match &self.connection {
                Some(connection) => connection.read(&self.driver, buffer, left).await,
                None => Err(not_connected()),
            };
            match received {
                Ok(0) => self.exchange.closed(),
                Ok(len) => self
                    .exchange
                    .received(self.buffer.get(..len).unwrap_or_default()),
                Err(error) if is_pause(&error) => continue,
                Err(error) if is_end(&error) => self.exchange.closed(),
                Err(error) => {
                    self.connection = None;
                    return Err(self.io(error));
                }
            }
            return Ok(true);
        }
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

impl Drop for Call {
    fn drop(&mut self) {
        let owes = self.owes || self.exchange.is_announcing();
        // A thread that gives up has waited as long as it may.
        if matches!(self.driver, Driver::Blocking) || (self.deadline.has_passed() && !owes) {
            return;
        }
        // Without an answer that is about to come, a stock coordinator dies of writing it.
        let connection = self.connection.take().map(Connection::into_blocking);
        let Some(Ok(connection)) = connection else {
            return;
        };
        let mut rest = Self {
            addr: self.addr,
            exchange: self.exchange.clone(),
            deadline: self.deadline.at_most(FINISH_LIMIT),
            driver: Driver::Blocking,
            connection: Some(connection),
            unsent: std::mem::take(&mut self.unsent),
            owes,
            buffer: std::mem::take(&mut self.buffer),
        };
        // Nobody wants to know.
        detached(move || drop(block_on(rest.finish())));
    }
}

fn not_connected() -> io::Error {
    // An exchange connects before it sends; without a connection it has ended.
    ErrorKind::NotConnected.into()
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
/// How long the answer is waited for that nobody wants any more.
const FINISH_LIMIT: Duration = Duration::from_secs(10);
