//! What keeps a program from being a worker.

use dmtcp_proto::{Reject, WorkerExit};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::durable;
use crate::image::ImageError;

/// A program could not join, or is no longer part of its computation.
///
/// After an error of [`Worker::safe_point`](super::Worker::safe_point) or
/// [`Worker::restore`](super::Worker::restore) the worker has left: the connection is closed, and
/// a round that was under way is without it. A program that wants to go on without checkpoints
/// drops its worker; there is no way back in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller: this process was not started as a worker.
    #[error(
        "{variable} is not set: a job or a coordinator starts this program as its worker and sets it"
    )]
    NotLaunched {
        /// The environment variable that is missing.
        variable: &'static str,
    },
    /// The caller: a variable of the environment does not have its form.
    #[error("{variable}={value:?} is not {expected}")]
    BadVariable {
        /// The environment variable.
        variable: &'static str,
        /// What it is set to.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The environment: nobody listens there, or it cannot be reached.
    #[error("cannot reach a coordinator at {addr}")]
    Connect {
        /// The coordinator.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The coordinator did not take this process in.
    #[error("the coordinator at {addr} refused this process: {reason}")]
    Rejected {
        /// The coordinator.
        addr: SocketAddr,
        /// Its reason.
        reason: Reject,
    },
    /// The environment: the coordinator is a process of another user of this host, which a worker
    /// does not obey unless [it is said](super::Options::coordinator_of_any_user).
    #[error("the coordinator at {addr} is a process of user {uid}: choose one of your own")]
    OtherUser {
        /// The coordinator.
        addr: SocketAddr,
        /// The user's number.
        uid: u32,
    },
    /// Something that was due did not come; mostly the release of a barrier, because another
    /// worker has not reached it.
    #[error("waited {limit:?} for {what}")]
    TimedOut {
        /// What was due.
        what: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The computation is over for this process.
    #[error("this worker has left its computation")]
    Left(#[source] WorkerExit),
    /// An image could not be read or written.
    #[error("cannot use the checkpoint image")]
    Image(#[from] ImageError),
    /// The caller: the state cannot be written so that it can be read back, or the image holds
    /// another one.
    #[error("the state cannot be {action}: {why}")]
    State {
        /// "written" or "restored".
        action: &'static str,
        /// Why.
        why: String,
    },
    /// The caller: this process is being restarted, and its state was not asked for. To go on
    /// would write a state over the image that never contained it.
    #[error("this process is being restarted: call `restore` before the first safe point")]
    NotRestored,
    /// The caller: the worker has left already; the first error said why.
    #[error("this worker has already left its computation")]
    AlreadyLeft,
    /// The environment.
    #[error("cannot {action}")]
    Io {
        /// What was tried, in words that follow "cannot".
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The environment: a file or directory.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, in words that follow "cannot".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl Error {
    /// The exit code with which a stock worker would end here: 0 when it was told to exit, 99
    /// otherwise. **End with it:** a [job](crate::job::Job) takes any other for the program's own
    /// end, as the 1 of a `main` that returns this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Left(WorkerExit::Killed | WorkerExit::Checkpointed) => 0,
            _ => 99,
        }
    }
}

impl From<durable::Failed> for Error {
    fn from(failed: durable::Failed) -> Self {
        Self::File {
            action: failed.action,
            path: failed.path,
            source: failed.source,
        }
    }
}

/// For `map_err`: names what was tried.
pub(super) fn cannot(action: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { action, source }
}
