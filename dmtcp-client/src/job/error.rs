//! What keeps a job from coming to an outcome at all, and what keeps a request from being done.

use std::{ffi::OsString, io, path::PathBuf, time::Duration};

use thiserror::Error;

use super::state_file::StateError;
use crate::server::ServerError;

/// Why nothing was done, and nothing written to the state directory.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JobError {
    /// The caller: the directory is that of another command, whose sets must not become this one's.
    #[error(
        "{} is the state directory of {}",
        dir.display(),
        other(found, asked)
    )]
    OtherProgram {
        /// The directory.
        dir: PathBuf,
        /// The command that it is of.
        found: Vec<OsString>,
        /// The command that was asked for.
        asked: Vec<OsString>,
    },
    /// The caller: a [fresh start](super::Begin::Start) was asked for, and there are sets to go on
    /// from.
    #[error(
        "{} has {} to go on from, the newest is {newest}",
        dir.display(),
        counted(*count, "checkpoint set")
    )]
    SetsThere {
        /// The state directory.
        dir: PathBuf,
        /// How many.
        count: usize,
        /// Number of the newest.
        newest: u64,
    },
    /// The caller: a [restart](super::Job::restart) was asked for, and no job was ever begun in this
    /// directory.
    #[error("there is no job in {}", dir.display())]
    NoJob {
        /// The directory.
        dir: PathBuf,
    },
    /// A file of the state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The environment: there is no thread, or it ended in a panic, which is a bug of this library.
    #[error("cannot {action}")]
    Thread {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a request to a running job was not done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The job is over, or is about to be.
    #[error("the job has ended")]
    Ended,
    /// Its programs did not all run within the limit: it is being started or restarted.
    #[error("its programs did not all run within {limit:?}")]
    NotRunning {
        /// What was allowed.
        limit: Duration,
    },
    /// The coordinator.
    #[error(transparent)]
    Server(Box<ServerError>),
}

impl From<ServerError> for RequestError {
    fn from(error: ServerError) -> Self {
        Self::Server(Box::new(error))
    }
}

/// Both, so that the difference can be seen.
fn other(found: &[OsString], asked: &[OsString]) -> String {
    if found == asked {
        return format!(
            "the same command, {}, once as a worker by itself and once under DMTCP",
            words(found)
        );
    }
    format!(
        "another command: {}; now it is {}",
        words(found),
        words(asked)
    )
}

fn words(argv: &[OsString]) -> String {
    let words = argv.iter().map(|word| {
        let word = word.to_string_lossy();
        match word.is_empty() || word.contains(char::is_whitespace) {
            true => format!("{word:?}"),
            false => word.into_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn counted(count: usize, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}
