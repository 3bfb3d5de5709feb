//! The signals this crate sends.

use nix::sys::signal;

/// A signal to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// SIGINT: what Ctrl-C sends.
    Interrupt,
    /// SIGTERM: please end.
    Terminate,
    /// SIGKILL: ends the process at once; it cannot refuse.
    Kill,
}

impl Signal {
    pub(super) fn native(self) -> signal::Signal {
        match self {
            Self::Interrupt => signal::SIGINT,
            Self::Terminate => signal::SIGTERM,
            Self::Kill => signal::SIGKILL,
        }
    }

    pub(super) fn name(self) -> &'static str {
        self.native().as_str()
    }
}
