//! What an asynchronous runtime has to lend: readiness of sockets, and time.

use std::{
    fmt,
    future::Future,
    io,
    net::TcpStream,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// A future whose type is not named.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An asynchronous runtime, as far as it is needed here: nothing is spawned on it, and none of its
/// threads is held. With the feature `tokio`, `aio::Tokio` is one; `examples/smol.rs` shows another.
pub trait Runtime: fmt::Debug + Send + Sync + 'static {
    /// Watches a socket that does not block and that is connecting.
    ///
    /// # Errors
    /// Of the system.
    fn watch(&self, socket: Arc<TcpStream>) -> io::Result<Box<dyn Socket>>;

    /// Over when this time is.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()>;
}

/// A socket that a runtime watches, until this is dropped.
pub trait Socket: fmt::Debug + Send + Sync {
    /// Does `io` whenever the socket may have become ready for it, until it says something else than
    /// [`WouldBlock`](io::ErrorKind::WouldBlock).
    fn poll_io(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        io: &mut dyn FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>>;
}

/// What a socket shall be ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a socket has no third")]
pub enum Direction {
    /// There is something to read, or its end.
    Read,
    /// It is connected, and there is room to write.
    Write,
}
