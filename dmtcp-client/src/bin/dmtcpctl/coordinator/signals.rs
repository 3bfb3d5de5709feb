//! Signals that end the coordinator in order: its processes exit, its files go.

use dmtcp_client::standalone::Input;
use nix::sys::signal::{SigSet, Signal};
use std::io;
use std::sync::mpsc::Sender;
use std::thread;

/// Those that are waited for, on a thread of their own.
#[derive(Debug)]
pub(super) struct Signals {
    set: SigSet,
}

impl Signals {
    /// Blocks them for this thread and those that it starts.
    pub(super) fn block() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            set.add(signal);
        }
        set.thread_block()?;
        Ok(Self { set })
    }

    /// Any of them ends it; in the background, a terminal that goes away does not.
    pub(super) fn quit_on(self, input: Sender<Input>, is_daemon: bool) -> io::Result<()> {
        thread::Builder::new()
            .name("dmtcp-signals".to_owned())
            .spawn(move || {
                while let Ok(signal) = self.set.wait() {
                    let is_wanted = signal != Signal::SIGHUP || !is_daemon;
                    if is_wanted && input.send(Input::Quit).is_err() {
                        break;
                    }
                }
            })?;
        Ok(())
    }
}
