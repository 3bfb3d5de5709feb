//! Ctrl-C and SIGTERM, noticed without a handler that does anything.

pub use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::{io, sync::mpsc, thread};

/// A receiver of the signal numbers that arrive from now on: SIGINT and SIGTERM.
///
/// # Errors
///
/// When no handler can be installed.
pub fn receive() -> io::Result<mpsc::Receiver<i32>> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for signal in signals.forever() {
            if sender.send(signal).is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}
