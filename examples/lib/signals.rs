//! Ctrl-C and SIGTERM, noticed without a handler that does anything.

pub use signal_hook::consts::{SIGINT, SIGTERM};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

/// The signals that arrive from its start on.
#[derive(Debug)]
pub struct Signals {
    received: mpsc::Receiver<i32>,
    any: Arc<AtomicBool>,
}

impl Signals {
    /// Notices SIGINT and SIGTERM from now on; they have no other effect any more.
    ///
    /// # Errors
    ///
    /// When no handler can be installed.
    pub fn start() -> io::Result<Self> {
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
        let (sender, received) = mpsc::channel();
        let any = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&any);
        thread::spawn(move || {
            for signal in signals.forever() {
                seen.store(true, Ordering::Release);
                if sender.send(signal).is_err() {
                    return;
                }
            }
        });
        Ok(Self { received, any })
    }

    /// The number of the next one, if it has arrived or arrives within `limit`.
    #[must_use]
    pub fn next_within(&self, limit: Duration) -> Option<i32> {
        match self.received.recv_timeout(limit) {
            Ok(signal) => Some(signal),
            Err(RecvTimeoutError::Timeout) => None,
            // The thread is gone, so no more will come; who asks must still not spin.
            Err(RecvTimeoutError::Disconnected) => {
                thread::sleep(limit);
                None
            }
        }
    }

    /// Set once any signal has arrived.
    #[must_use]
    pub fn any(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.any)
    }
}
