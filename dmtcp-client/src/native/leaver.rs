//! Leaving from another thread, while the worker is in a call.

use std::net::{Shutdown, TcpStream};

/// Ends a worker's connection from any thread, so that a call that waits for others returns.
///
/// Holding one does not keep the worker in its computation.
#[derive(Debug)]
pub struct Leaver {
    stream: TcpStream,
}

impl Leaver {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream }
    }

    /// Leaves: a safe point or a restore that waits returns [`Error::Left`](super::Error::Left) at once,
    /// one that writes an image when that is written. The image does not replace the one before unless it
    /// is whole and all others had theirs. What has left already is left.
    pub fn leave(&self) {
        // Fails when the connection is over.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
