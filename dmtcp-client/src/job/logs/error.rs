//! Why a log is not kept.

use std::{io, path::PathBuf};

/// Why a log is not kept, or not all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The environment: the file cannot be opened or made.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The environment: something else has the name of the log.
    #[error("{} is no regular file; a log is not written through a link or into a pipe", path.display())]
    NotAFile {
        /// What is there.
        path: PathBuf,
    },
    /// The environment: the file cannot be written, as on a full disk.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The environment: no pipe or thread to read the program's output with.
    #[error("cannot read the program's output")]
    Read {
        /// What the system said.
        source: io::Error,
    },
    /// The environment: the log cannot be read back.
    #[error("cannot read {}", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
