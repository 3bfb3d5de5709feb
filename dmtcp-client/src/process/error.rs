//! What can go wrong with a process.

use std::{io, path::PathBuf, time::Duration};

use thiserror::Error;

use super::Identity;

/// Why a process could not be started, waited for, signalled or looked up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The environment: the program could not be executed.
    #[error("cannot start {}", program.display())]
    Spawn {
        /// The program as it was asked for.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The caller: SIGCHLD is ignored in this program, so the system would not tell how the child ended.
    /// Nothing was started. It may have been so when this program was started itself.
    #[error(
        "cannot start {}: this program ignores SIGCHLD, and would never learn how it ends; set that \
         signal to its default or to a handler",
        program.display()
    )]
    ChildrenIgnored {
        /// The program as it was asked for.
        program: PathBuf,
    },
    /// The environment: a file or pipe for a standard stream cannot be opened.
    #[error("cannot open {} for a standard stream", path.display())]
    Stream {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The environment: the system would not tell how the child ended. Seen when the calling
    /// program waits for children it did not start, or came to ignore SIGCHLD meanwhile.
    #[error("cannot learn how process {pid} ended; something else in this program reaps children")]
    Wait {
        /// The child.
        pid: i32,
        /// What the system said.
        source: io::Error,
    },
    /// The process is still running. Nothing was done to it.
    #[error("process {pid} is still running after {limit:?}")]
    TimedOut {
        /// The process waited for.
        pid: i32,
        /// How long was waited.
        limit: Duration,
    },
    /// The environment: not allowed to signal the process.
    #[error("cannot send {signal} to process {pid}")]
    Signal {
        /// The process, or the leader of the group.
        pid: i32,
        /// Name of the signal.
        signal: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The caller or a peer: 0, 1 and negative numbers are not processes that may be signalled.
    #[error("pid {0} is not one ordinary process")]
    InvalidPid(i32),
    /// The environment: processes that SIGKILL did not end in time, as happens while they are
    /// stuck in a device or a network file system, or when they belong to another user.
    #[error("{} processes are still there {limit:?} after SIGKILL, first {}", left.len(), first(left))]
    Survivors {
        /// Those still there.
        left: Vec<Identity>,
        /// How long was waited.
        limit: Duration,
    },
    /// The environment: `/proc` is not mounted or not readable.
    #[error("cannot read {}", path.display())]
    Proc {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The environment: a file in `/proc` does not look as the kernel documents it.
    #[error("{} is not in the format of proc(5)", path.display())]
    ProcFormat {
        /// The file.
        path: PathBuf,
    },
    /// The environment: the private directory could not be made or removed.
    #[error("cannot {action} the temporary directory {}", path.display())]
    Tmp {
        /// `create` or `remove`.
        action: &'static str,
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The caller: DMTCP has no room for names below a directory this long.
    #[error(
        "temporary directory of {len} bytes is over DMTCP's limit of {max}; choose a shorter base"
    )]
    TmpTooLong {
        /// Length of the path.
        len: usize,
        /// The longest that works.
        max: usize,
    },
}

fn first(left: &[Identity]) -> String {
    left.first().map_or_else(
        || "unknown".to_owned(),
        |identity| identity.pid().to_string(),
    )
}
