//! Wakes one thread that waits, for sockets or for nothing but this.

use std::{
    net::TcpStream,
    os::fd::AsFd as _,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    task::Wake,
    time::Duration,
};

use dmtcp_client::aio::Direction;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};

/// Rung from any thread, heard by one.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
    /// For a thread that waits for sockets, from when it first does; `None` inside: the process has no
    /// descriptors left.
    event: OnceLock<Option<EventFd>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.lock() = true;
        self.changed.notify_one();
        // Behind the note: who makes the event looks for that.
        if let Some(Some(event)) = self.event.get() {
            // Full is rung, too.
            let _ = event.write(1);
        }
    }
}

impl Bell {
    /// Until it is rung, or this is over.
    pub(crate) fn wait(&self, limit: Duration) {
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), limit, |rung| !*rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }

    /// The same, or until one of these sockets may be ready, at most a minute.
    ///
    /// # Errors
    /// A signal came.
    pub(crate) fn poll(
        &self,
        sockets: &[(Arc<TcpStream>, Direction)],
        limit: Duration,
    ) -> Result<(), Errno> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let event = self
            .event
            .get_or_init(|| EventFd::from_value_and_flags(0, flags).ok());
        if std::mem::take(&mut *self.lock()) {
            return Ok(());
        }
        let limit = match event {
            Some(_) => limit,
            None => limit.min(BLIND),
        };
        let mut waited: Vec<_> = sockets
            .iter()
            .map(|(socket, direction)| {
                let wanted = match direction {
                    Direction::Read => PollFlags::POLLIN,
                    Direction::Write => PollFlags::POLLOUT,
                };
                PollFd::new(socket.as_fd(), wanted)
            })
            .collect();
        let sockets = waited.len();
        if let Some(event) = event {
            waited.push(PollFd::new(event.as_fd(), PollFlags::POLLIN));
        }
        // Rounded up: what is early is asked again at once, and again.
        let millis = limit.as_nanos().div_ceil(1_000_000);
        let millis = u16::try_from(millis).unwrap_or(60_000);
        match poll(&mut waited, PollTimeout::from(millis)) {
            Err(Errno::EINTR) => return Err(Errno::EINTR),
            // Memory, mostly: as if all might be ready, but not without a pause.
            Err(_) => self.wait(limit.min(BLIND)),
            Ok(_) => {}
        }
        let heard = waited.get(sockets).and_then(PollFd::any);
        if let (Some(event), Some(true)) = (event, heard) {
            // Its number does not matter.
            let _ = event.read();
        }
        *self.lock() = false;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        // Nothing panics while it holds the lock.
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Between two looks where nobody can wake who looks.
const BLIND: Duration = Duration::from_millis(5);
