//! Where a child reads from and writes to.

use std::{fs::OpenOptions, io, path::PathBuf, process::Stdio};

/// One of a child's three standard streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stream {
    /// The same as this program's.
    #[default]
    Inherit,
    /// `/dev/null`.
    Null,
    /// A file; output is appended and the file created if need be, input is read from its
    /// beginning.
    File(PathBuf),
    /// A pipe to this program. DMTCP does not restore a pipe to a process outside the
    /// computation: after a restart the stream is whatever the restart was given.
    Pipe,
}

impl Stream {
    pub(crate) fn input(&self) -> Result<Stdio, (PathBuf, io::Error)> {
        self.open(OpenOptions::new().read(true))
    }

    pub(crate) fn output(&self) -> Result<Stdio, (PathBuf, io::Error)> {
        self.open(OpenOptions::new().create(true).append(true))
    }

    fn open(&self, how: &OpenOptions) -> Result<Stdio, (PathBuf, io::Error)> {
        match self {
            Self::Inherit => Ok(Stdio::inherit()),
            Self::Null => Ok(Stdio::null()),
            Self::Pipe => Ok(Stdio::piped()),
            Self::File(path) => how
                .open(path)
                .map(Stdio::from)
                .map_err(|error| (path.clone(), error)),
        }
    }
}
