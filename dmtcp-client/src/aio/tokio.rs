//! Tokio as the runtime.

use std::{
    io,
    net::TcpStream,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::io::Interest;

use super::{BoxFuture, Direction, Runtime, Socket};

/// The tokio runtime on which a future is polled; its I/O and time must be enabled.
///
/// # Panics
/// As tokio does, where futures of it are polled elsewhere.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Tokio;

impl Runtime for Tokio {
    fn watch(&self, socket: Arc<TcpStream>) -> io::Result<Box<dyn Socket>> {
        // Tokio wants one of its own.
        let socket = tokio::net::TcpStream::from_std(socket.try_clone()?)?;
        Ok(Box::new(Watched(socket)))
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}

#[derive(Debug)]
struct Watched(tokio::net::TcpStream);

impl Socket for Watched {
    fn poll_io(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        io: &mut dyn FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let interest = match direction {
                Direction::Read => {
                    ready!(self.0.poll_read_ready(cx))?;
                    Interest::READABLE
                }
                Direction::Write => {
                    ready!(self.0.poll_write_ready(cx))?;
                    Interest::WRITABLE
                }
            };
            match self.0.try_io(interest, &mut *io) {
                // It was not ready, which is noted now.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}
