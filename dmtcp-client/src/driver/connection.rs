//! A TCP connection, read and written with limits by either driver.

use std::{
    future::poll_fn,
    io::{self, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use nix::libc::EINPROGRESS;
use socket2::{Domain, Socket as RawSocket, Type};

use super::{Direction, Driver, Socket};
use crate::deadline::Deadline;

#[derive(Debug)]
pub(crate) struct Connection {
    stream: Arc<TcpStream>,
    /// `None`: it blocks.
    watched: Option<Box<dyn Socket>>,
}

impl Connection {
    /// Connects within this time. From when on it may be seen by the other side, it is in `place`.
    pub(crate) async fn open(
        place: &mut Option<Self>,
        driver: &Driver,
        addr: SocketAddr,
        limit: Duration,
    ) -> io::Result<()> {
        let connection = match driver {
            Driver::Blocking => place.insert(Self {
                stream: Arc::new(TcpStream::connect_timeout(&addr, limit)?),
                watched: None,
            }),
            Driver::Async(runtime) => {
                let deadline = Deadline::after(limit);
                let raw = RawSocket::new(Domain::for_address(addr), Type::STREAM, None)?;
                raw.set_nonblocking(true)?;
                match raw.connect(&addr.into()) {
                    Err(error) if error.raw_os_error() != Some(EINPROGRESS) => return Err(error),
                    _ => {}
                }
                let connection = place.insert(Self {
                    stream: Arc::new(raw.into()),
                    watched: None,
                });
                // Not before: a socket that does not connect counts as closed.
                connection.watched = Some(runtime.watch(Arc::clone(&connection.stream))?);
                connection.opened(driver, deadline).await?;
                connection
            }
        };
        // Only about speed; to give up here would close the connection without a word.
        let _ = connection.stream.set_nodelay(true);
        Ok(())
    }

    /// How much was written; `WouldBlock` or `TimedOut` where this time was over before.
    pub(crate) async fn write(
        &self,
        driver: &Driver,
        bytes: &[u8],
        limit: Duration,
    ) -> io::Result<usize> {
        let mut stream = self.stream.as_ref();
        match &self.watched {
            None => {
                stream.set_write_timeout(Some(limit))?;
                stream.write(bytes)
            }
            Some(watched) => {
                let mut io = || stream.write(bytes);
                let done = poll_fn(|cx| watched.poll_io(cx, Direction::Write, &mut io));
                or_timed_out(driver.within(done, Deadline::after(limit)).await)
            }
        }
    }

    /// How much was read; `WouldBlock` or `TimedOut` where this time was over before.
    pub(crate) async fn read(
        &self,
        driver: &Driver,
        buffer: &mut [u8],
        limit: Duration,
    ) -> io::Result<usize> {
        let mut stream = self.stream.as_ref();
        match &self.watched {
            None => {
                stream.set_read_timeout(Some(limit))?;
                stream.read(buffer)
            }
            Some(watched) => {
                let mut io = || stream.read(buffer);
                let done = poll_fn(|cx| watched.poll_io(cx, Direction::Read, &mut io));
                or_timed_out(driver.within(done, Deadline::after(limit)).await)
            }
        }
    }

    /// The same one without its runtime, for a thread. Where it is not connected yet, the first write
    /// waits for that.
    pub(crate) fn into_blocking(self) -> io::Result<Self> {
        self.stream.set_nonblocking(false)?;
        Ok(Self {
            stream: self.stream,
            watched: None,
        })
    }

    /// Whether the other side may have seen it.
    pub(crate) fn is_seen(&self) -> bool {
        self.stream.peer_addr().is_ok()
    }

    async fn opened(&self, driver: &Driver, deadline: Deadline) -> io::Result<()> {
        let Some(watched) = &self.watched else {
            return Ok(());
        };
        let mut look = || match self.stream.take_error()? {
            Some(error) => Err(error),
            None => match self.stream.peer_addr() {
                Ok(_) => Ok(0),
                Err(error) if error.kind() == ErrorKind::NotConnected => {
                    Err(ErrorKind::WouldBlock.into())
                }
                Err(error) => Err(error),
            },
        };
        let done = poll_fn(|cx| watched.poll_io(cx, Direction::Write, &mut look));
        or_timed_out(driver.within(done, deadline).await).map(drop)
    }
}

fn or_timed_out<T>(done: Option<io::Result<T>>) -> io::Result<T> {
    done.unwrap_or_else(|| Err(ErrorKind::TimedOut.into()))
}
