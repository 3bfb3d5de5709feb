//! Why a trace or metrics could not be written to a file.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::durable::Failed;

/// The environment: a file of metrics or of a trace could not be written. What was there before
/// is as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was to be done, in words.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<Failed> for ReportError {
    fn from(failed: Failed) -> Self {
        let Failed {
            action,
            path,
            source,
        } = failed;
        Self::File {
            action,
            path,
            source,
        }
    }
}
