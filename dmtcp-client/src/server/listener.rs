//! The socket on which a computation's peers arrive.

use std::{io, net::SocketAddr, time::Duration};

use dmtcp_proto::Instant;
use mio::{
    Interest, Registry, Token,
    net::{TcpListener, TcpStream},
};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

/// A listening socket of the system, before a server watches it.
///
/// # Errors
/// When the address is taken, not allowed or not one of this host.
pub(crate) fn bind(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
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
    /// For peers that were there before it had its options, as where a launcher hands it over:
    /// until one comes that has them, since peers come in their order.
    late: Option<Duration>,
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
    /// The system gives every peer's socket the options of this one: that costs nothing for each.
    pub(super) fn new(
        socket: std::net::TcpListener,
        registry: &Registry,
        token: Token,
        silence_limit: Duration,
    ) -> io::Result<Self> {
        let limit = silence_limit.clamp(LEAST_SILENCE, LONGEST_SILENCE);
        set_options(SockRef::from(&socket), limit)?;
        let mut socket = TcpListener::from_std(socket);
        registry.register(&mut socket, token, Interest::READABLE)?;
        Ok(Self {
            socket,
            token,
            retry: None,
            late: Some(limit),
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
                    if let Some(limit) = self.late {
                        self.late = set_late(SockRef::from(&stream), limit);
                    }
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

fn set_options(socket: SockRef<'_>, limit: Duration) -> io::Result<()> {
    socket.set_tcp_keepalive(&keepalive(limit))?;
    // While something is not acknowledged nothing is probed, and the system sends it again for
    // a quarter of an hour.
    socket.set_tcp_user_timeout(Some(limit))?;
    // Last: who has it has all of them.
    socket.set_tcp_nodelay(true)
}

/// The limit for the next one, if this one did not have the options of the listener.
fn set_late(socket: SockRef<'_>, limit: Duration) -> Option<Duration> {
    if socket.tcp_nodelay().unwrap_or(false) {
        return None;
    }
    // Fails only if it went away again, which reading will tell.
    let _ = set_options(socket, limit);
    Some(limit)
}

/// A peer whose host has vanished is noticed within this time, also if nothing is sent to it.
fn keepalive(limit: Duration) -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(limit / 2)
        .with_interval((limit / 8).max(Duration::from_secs(1)))
        .with_retries(4)
}

/// The system counts in whole seconds.
const LEAST_SILENCE: Duration = Duration::from_secs(4);
/// The most that the system takes for the pause between two probes is some hours.
const LONGEST_SILENCE: Duration = Duration::from_secs(24 * 3600);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpStream as Client};

    const LIMIT: Duration = Duration::from_secs(40);

    fn listener() -> (std::net::TcpListener, SocketAddr, mio::Poll) {
        let socket = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let addr = socket.local_addr().unwrap();
        (socket, addr, mio::Poll::new().unwrap())
    }

    fn assert_options(peer: SockRef<'_>) {
        assert!(peer.tcp_nodelay().unwrap());
        assert!(peer.keepalive().unwrap());
        assert_eq!(peer.tcp_keepalive_time().unwrap(), LIMIT / 2);
        assert_eq!(peer.tcp_keepalive_interval().unwrap(), LIMIT / 8);
        assert_eq!(peer.tcp_keepalive_retries().unwrap(), 4);
        assert_eq!(peer.tcp_user_timeout().unwrap(), Some(LIMIT));
    }

    /// That accepted sockets have them is a habit of Linux, not of TCP.
    #[test]
    fn peers_have_the_options_of_the_listener() {
        let (socket, addr, poll) = listener();
        let same = socket.try_clone().unwrap();
        let _listener = Listener::new(same, poll.registry(), Token(1), LIMIT).unwrap();
        let _client = Client::connect(addr).unwrap();
        socket.set_nonblocking(false).unwrap();
        let (peer, _) = socket.accept().unwrap();
        assert_options(SockRef::from(&peer));
    }

    /// `dmtcp_launch` connects to the socket that it hands over before the coordinator has it.
    #[test]
    fn peers_that_were_there_before_have_them_too() {
        let (socket, addr, poll) = listener();
        let early = [(); 2].map(|()| Client::connect(addr).unwrap());
        let mut listener = Listener::new(socket, poll.registry(), Token(1), LIMIT).unwrap();
        let late = [(); 2].map(|()| Client::connect(addr).unwrap());
        for client in early.iter().chain(&late) {
            let (Accepted::Peer(peer, from), _) = listener.accept(Instant::ZERO) else {
                panic!("nobody is there");
            };
            assert_eq!(from, client.local_addr().unwrap());
            assert_options(SockRef::from(&peer));
        }
        assert_eq!(listener.late, None, "it looks at every peer for ever");
    }
}
