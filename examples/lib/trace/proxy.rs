//! Passes bytes on between clients and a coordinator, both ways, unchanged and at once.
//!
//! It never waits for a whole frame, nor for anybody who records. An end of one direction is
//! passed on as such and leaves the other one open. A client that says nothing never reaches the
//! coordinator: old ones die of a bare connection.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use super::event::{Direction, Event};
use super::queue::{Sink, Slot, Tap};

/// How long a client may say nothing at first. Stock ones speak at once.
const FIRST_BYTE: Duration = Duration::from_secs(60);
/// How long the coordinator may take to accept.
const CONNECT: Duration = Duration::from_secs(10);
/// Before another try when no connection can be accepted, as for lack of descriptors.
const PAUSE: Duration = Duration::from_millis(100);
const BUFFER: usize = 64 << 10;

/// A proxy that runs as long as its process.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
}

impl Proxy {
    /// Listens at `listen` and forwards to `coordinator`.
    ///
    /// More connections than the queue has room for wait in the listener's backlog.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened at, or no thread be started.
    pub fn start(listen: SocketAddr, coordinator: SocketAddr, sink: Sink) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        let addr = listener.local_addr()?;
        let accept = move || accept_all(&listener, coordinator, &sink);
        thread::Builder::new().name("accept".into()).spawn(accept)?;
        Ok(Self { addr })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

fn accept_all(listener: &TcpListener, coordinator: SocketAddr, sink: &Sink) {
    for connection in 1.. {
        let slot = sink.slot();
        let (client, peer) = loop {
            match listener.accept() {
                Ok(accepted) => break accepted,
                Err(_) => thread::sleep(PAUSE),
            }
        };
        let own = sink.clone();
        let serve = move || {
            own.event(Event::Opened {
                time: own.time(),
                connection,
                peer: peer.to_string(),
            });
            serve(&client, coordinator, &own, connection);
            own.event(Event::Closed {
                time: own.time(),
                connection,
            });
            leave(&own, slot, client);
        };
        // Without a thread the client is let go: there is nothing that could serve it.
        let _no_thread = thread::Builder::new().spawn(serve);
    }
}

/// The descriptor is free before the place is.
fn leave(sink: &Sink, slot: Slot, client: TcpStream) {
    drop(client);
    sink.gone(slot);
}

fn serve(client: &TcpStream, coordinator: SocketAddr, sink: &Sink, connection: u64) {
    let mut up = Tap::new(sink, connection, Direction::ToCoordinator);
    let mut down = Tap::new(sink, connection, Direction::ToClient);
    let mut buffer = vec![0; BUFFER];
    let first = match first_bytes(client, &mut buffer) {
        Ok(0) => return up.ended(None),
        Ok(len) => buffer.get(..len).unwrap_or_default(),
        Err(error) => return up.ended(Some(error.to_string())),
    };
    up.data(first);
    let server = match connect(coordinator) {
        Ok(server) => server,
        Err(error) => return up.ended(Some(format!("no connection to {coordinator}: {error}"))),
    };
    if let Err(error) = (&server).write_all(first) {
        // What the coordinator has said before it went away is still for the client.
        up.ended(Some(error.to_string()));
        return pump(&server, client, &mut down);
    }
    thread::scope(|scope| {
        let answers = || pump(&server, client, &mut down);
        match thread::Builder::new().spawn_scoped(scope, answers) {
            Ok(_joined_by_the_scope) => pump(client, &server, &mut up),
            Err(error) => up.ended(Some(format!("no thread: {error}"))),
        }
    });
}

fn first_bytes(client: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    client.set_nodelay(true)?;
    client.set_read_timeout(Some(FIRST_BYTE))?;
    let len = read(client, buffer)?;
    client.set_read_timeout(None)?;
    Ok(len)
}

fn connect(coordinator: SocketAddr) -> io::Result<TcpStream> {
    let server = TcpStream::connect_timeout(&coordinator, CONNECT)?;
    server.set_nodelay(true)?;
    Ok(server)
}

/// Passes on what comes from one side until it ends, and then that.
fn pump(from: &TcpStream, mut to: &TcpStream, tap: &mut Tap<'_>) {
    let mut buffer = vec![0; BUFFER];
    // A side that is gone already needs no end passed on.
    loop {
        match read(from, &mut buffer) {
            Ok(0) => {
                tap.ended(None);
                let _gone = to.shutdown(Shutdown::Write);
                return;
            }
            Ok(len) => {
                let bytes = buffer.get(..len).unwrap_or_default();
                // Before it is passed on: an answer must not be recorded before its question.
                tap.data(bytes);
                if let Err(error) = to.write_all(bytes) {
                    tap.ended(Some(error.to_string()));
                    let _gone = from.shutdown(Shutdown::Read);
                    return;
                }
            }
            Err(error) => {
                tap.ended(Some(error.to_string()));
                let _gone = to.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}

fn read(mut from: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
