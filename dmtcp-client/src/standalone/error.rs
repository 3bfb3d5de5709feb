//! Why a coordinator of its own did not start, or did not write a file.

use crate::durable;
use crate::server::ServerError;
use std::io;
use std::path::PathBuf;

/// A coordinator of its own did not start, or did not write a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StandaloneError {
    /// The environment: it cannot listen, there is no thread for it, or that one does not answer.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The environment: a file could not be written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, in words that follow "cannot".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl From<durable::Failed> for StandaloneError {
    fn from(failed: durable::Failed) -> Self {
        Self::Io {
            action: failed.action,
            path: failed.path,
            source: failed.source,
        }
    }
}
