//! One socket: what was read, what waits to be written, and how it ends.
//!
//! Knows nothing of messages. Its options are those of the [listener](super::listener). Stock
//! workers write header and payload apart with Nagle's algorithm on, so a header that is not
//! acknowledged at once costs them 40 ms; and a socket that is closed with unread bytes in it takes
//! back what was last sent. Both are seen to here.

use std::{
    collections::VecDeque,
    io::{self, IoSlice, Read as _},
    net::SocketAddr,
};

use bytes::{Buf as _, Bytes};
use mio::{Interest, Registry, Token, net::TcpStream};
use nix::libc::MSG_NOSIGNAL;
use socket2::SockRef;

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
    outbound: VecDeque<Bytes>,
    queued: usize,
    /// Something was sent, so that closing must not take it back.
    sent: bool,
    /// All was read that had come by then.
    drained: bool,
    state: State,
    /// Its host stopped answering.
    vanished: bool,
    /// It is heard of when something happens.
    watched: bool,
    /// It belongs among those that stay.
    stays: bool,
    /// Somebody comes to send what waits; theirs.
    pub(super) is_listed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// It cannot be written to; what the peer sent before is still read.
    Deaf,
    /// Nothing more is wanted from it. It goes when all is sent and the peer has closed.
    Closing {
        shut: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    Bytes(usize),
    /// Nothing more for now.
    Blocked,
    /// The peer has closed its side.
    End,
    /// The connection is lost.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flush {
    Done,
    /// The peer does not take more for now.
    Blocked,
    /// Nothing can be sent any more. What the peer sent before can still be read.
    Lost,
}

impl Connection {
    /// Not [watched](Self::watch) yet.
    ///
    /// # Errors
    /// When the socket was closed in the meantime.
    pub(super) fn new(
        stream: TcpStream,
        (listens, peer): (SocketAddr, SocketAddr),
    ) -> io::Result<Self> {
        let local = match listens.ip().is_unspecified() {
            true => stream.local_addr()?,
            false => listens,
        };
        Ok(Self {
            stream,
            peer,
            local,
            outbound: VecDeque::new(),
            queued: 0,
            sent: false,
            drained: false,
            state: State::Open,
            vanished: false,
            watched: false,
            stays: false,
            is_listed: false,
        })
    }

    /// From now on it is heard of, what it has said already included.
    ///
    /// # Errors
    /// When the system does not watch it.
    pub(super) fn watch(
        &mut self,
        door: &Registry,
        staying: &Registry,
        token: Token,
    ) -> io::Result<()> {
        let registry = if self.stays { staying } else { door };
        registry.register(&mut self.stream, token, INTERESTS)?;
        self.watched = true;
        Ok(())
    }

    /// From now on it belongs among those that stay.
    ///
    /// # Errors
    /// When the system does not watch it any more.
    pub(super) fn stay(
        &mut self,
        door: &Registry,
        staying: &Registry,
        token: Token,
    ) -> io::Result<()> {
        self.stays = true;
        if std::mem::take(&mut self.watched) {
            door.deregister(&mut self.stream)?;
            self.watch(door, staying, token)?;
        }
        Ok(())
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watched
    }

    pub(super) fn stays(&self) -> bool {
        self.stays
    }

    /// Addresses of our end and of the peer's.
    pub(super) fn ends(&self) -> (SocketAddr, SocketAddr) {
        (self.local, self.peer)
    }

    pub(super) fn queued(&self) -> usize {
        self.queued
    }

    pub(super) fn is_closing(&self) -> bool {
        matches!(self.state, State::Closing { .. })
    }

    /// Whether it has nothing left to send.
    pub(super) fn is_flushed(&self) -> bool {
        self.outbound.is_empty()
    }

    /// Whether it was lost without any sign of the peer's end.
    pub(super) fn has_vanished(&self) -> bool {
        self.vanished
    }

    /// The system tells it once, to whoever reads or writes first.
    fn note(&mut self, error: &io::Error) {
        self.vanished |= matches!(
            error.kind(),
            io::ErrorKind::TimedOut
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::NetworkDown
        );
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        if self.state == State::Open && !bytes.is_empty() {
            self.queued += bytes.len();
            self.outbound.push_back(bytes);
        }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Read {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return Read::End,
                Ok(len) => {
                    self.drained = len < buffer.len();
                    return Read::Bytes(len);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Read::Blocked,
                Err(error) => {
                    self.note(&error);
                    return Read::Lost;
                }
            }
        }
    }

    /// Sends all that waits, as one segment if it fits one.
    pub(super) fn flush(&mut self) -> Flush {
        while !self.outbound.is_empty() {
            match self.send() {
                Ok(len) => self.advance(len),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Flush::Blocked,
                Err(error) => {
                    self.note(&error);
                    self.outbound.clear();
                    self.queued = 0;
                    if self.state == State::Open {
                        self.state = State::Deaf;
                    }
                    return Flush::Lost;
                }
            }
        }
        Flush::Done
    }

    /// Tells the peer's kernel at once that its bytes have arrived. Not needed after a write,
    /// which carries that along. Not sticky: the kernel goes back to waiting by itself.
    pub(super) fn acknowledge(&self) {
        // Only speed is lost where this is not possible.
        let _ = SockRef::from(&self.stream).set_tcp_quickack(true);
    }

    /// From now on only what waits is sent, and what comes is thrown away.
    pub(super) fn start_closing(&mut self) {
        if !self.is_closing() {
            self.state = State::Closing { shut: false };
        }
    }

    /// Once all is sent: tells the peer so, and says whether the socket must stay until the
    /// peer has closed.
    ///
    /// Not that of a tool on this host which has said all that it had to say: the answer is with it
    /// already, beyond recall. This is the way of almost every tool, and half of what it costs.
    pub(super) fn shut(&mut self) -> bool {
        if self.drained && !self.stays && self.peer.ip().is_loopback() {
            return false;
        }
        if self.state == (State::Closing { shut: false }) {
            // Fails only if the peer has gone, which reading will tell.
            let _ = self.stream.shutdown(std::net::Shutdown::Write);
            self.state = State::Closing { shut: true };
        }
        self.sent
    }

    pub(super) fn drop_from(mut self, door: &Registry, staying: &Registry) {
        if !self.watched {
            return;
        }
        let registry = if self.stays { staying } else { door };
        // Closing the socket ends the watch as well, unless a child process has inherited it.
        let _ = registry.deregister(&mut self.stream);
    }

    /// `MSG_NOSIGNAL`: a library cannot know whether its process ignores SIGPIPE.
    fn send(&mut self) -> io::Result<usize> {
        const AT_ONCE: usize = 64;
        let socket = SockRef::from(&self.stream);
        // By far the most frequent, and cheaper for the system.
        if let (Some(only), 1) = (self.outbound.front(), self.outbound.len()) {
            return socket.send_with_flags(only, MSG_NOSIGNAL);
        }
        let mut slices = [IoSlice::new(&[]); AT_ONCE];
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(&self.outbound) {
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        let slices = slices.get(..count).unwrap_or_default();
        socket.send_vectored_with_flags(slices, MSG_NOSIGNAL)
    }

    fn advance(&mut self, mut len: usize) {
        self.sent = true;
        self.queued = self.queued.saturating_sub(len);
        while let Some(first) = self.outbound.front_mut() {
            if len < first.len() {
                first.advance(len);
                return;
            }
            len -= first.len();
            self.outbound.pop_front();
        }
    }
}

const INTERESTS: Interest = Interest::READABLE.add(Interest::WRITABLE);
