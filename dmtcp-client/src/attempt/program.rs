//! What an attempt runs.

use std::process::Command;

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
