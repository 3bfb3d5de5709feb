//! What an attempt runs.

use std::{ffi::OsString, process::Command};

use crate::Launch;

/// A program of a computation.
#[derive(Debug)]
#[non_exhaustive]
pub enum Program {
    /// Any program, under DMTCP. Coordinator, checkpoint directory and `DMTCP_TMPDIR` are the
    /// attempt's, whatever the launch says of them.
    Dmtcp(Launch),
    /// A Rust program that is a worker by itself ([`native`](crate::native)). What it needs to
    /// know of the attempt is put into its environment.
    Native(Command),
    /// One of these on a host of this name, by the launcher of
    /// [`Attempts::launcher`](super::Attempts::launcher). Made by [`on_host`](Self::on_host).
    OnHost {
        /// The name by which the launcher knows it; this host's own name needs no launcher.
        host: OsString,
        /// What runs there.
        program: Box<Self>,
    },
}

impl Program {
    /// The same on this host; of several the last counts.
    ///
    /// It starts in the directory of the same path there, with the environment of a login there
    /// and what was set for it here. Its streams are those of the launcher's command: a
    /// [`Launch`] keeps its own, while a native worker on another host reads nothing and writes to
    /// this program's streams, whatever its `Command` says.
    #[must_use]
    pub fn on_host(self, host: impl Into<OsString>) -> Self {
        Self::OnHost {
            host: host.into(),
            program: Box::new(self.placed().1),
        }
    }

    pub(super) fn placed(self) -> (Option<OsString>, Self) {
        match self {
            Self::OnHost { host, program } => (Some(host), *program),
            program => (None, program),
        }
    }
}

impl From<Launch> for Program {
    fn from(launch: Launch) -> Self {
        Self::Dmtcp(launch)
    }
}

impl From<Command> for Program {
    fn from(command: Command) -> Self {
        Self::Native(command)
    }
}
