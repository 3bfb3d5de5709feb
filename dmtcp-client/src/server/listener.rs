//! The socket on which a computation's peers arrive.

use std::{io, net::SocketAddr, time::Duration};

use dmtcp_proto::Instant;
use mio::{
    Interest, Registry, Token,
    net::{TcpListener, TcpStream},
};
use socket2::{Domain, Protocol, Socket, Type};

/// A listening socket of the system, before a server watches it.
///
/// # Errors
/// When the address is taken, not allowed or not one of this host.
pub(super) fn bind(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // A port of one's own choice must work again right after its last user.
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    // Thousands of workers may arrive at once; the system cuts this down to what it allows.
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

#[derive(Debug)]
pub(super) struct Listener {
    socket: TcpListener,
    token: Token,
    /// The system refused to accept; nothing is tried before.
    retry: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum Accepted {
    Peer(TcpStream, SocketAddr),
    /// Nobody is waiting.
    Blocked,
    /// The system refuses; to be tried again at [`Listener::retry_at`].
    Paused(io::Error),
}

impl Listener {
    pub(super) fn new(
        socket: std::net::TcpListener,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let mut socket = TcpListener::from_std(socket);
        registry.register(&mut socket, token, Interest::READABLE)?;
        Ok(Self {
            socket,
            token,
            retry: None,
        })
    }

    pub(super) fn token(&self) -> Token {
        self.token
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry
    }

    /// The next peer; and whether this ends a pause.
    pub(super) fn accept(&mut self, now: Instant) -> (Accepted, bool) {
        loop {
            match self.socket.accept() {
                Ok((stream, peer)) => {
                    return (Accepted::Peer(stream, peer), self.retry.take().is_some());
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => {
                        return (Accepted::Blocked, self.retry.take().is_some());
                    }
                    // The peer went away again before it was accepted.
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => {
                        self.retry = Some(now + ACCEPT_PAUSE);
                        return (Accepted::Paused(error), false);
                    }
                },
            }
        }
    }

    pub(super) fn drop_from(mut self, registry: &Registry) {
        // Closing the socket ends the watch as well, unless a child process has inherited it.
        let _ = registry.deregister(&mut self.socket);
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
