//! Where a child reads from and writes to.

use std::{fs::OpenOptions, io, os::fd::OwnedFd, path::PathBuf, process::Stdio};

use nix::{fcntl::OFlag, unistd::pipe2};

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

/// The child's end of a stream, and for a pipe this program's end.
type Ends = (Stdio, Option<OwnedFd>);

impl Stream {
    pub(super) fn input(&self) -> io::Result<Ends> {
        self.open(OpenOptions::new().read(true), |(read, write)| (read, write))
    }

    pub(super) fn output(&self) -> io::Result<Ends> {
        let append = OpenOptions::new().create(true).append(true).clone();
        self.open(&append, |(read, write)| (write, read))
    }

    /// `theirs_first` orders the two ends of a pipe.
    fn open(
        &self,
        how: &OpenOptions,
        theirs_first: fn((OwnedFd, OwnedFd)) -> (OwnedFd, OwnedFd),
    ) -> io::Result<Ends> {
        match self {
            Self::Inherit => Ok((Stdio::inherit(), None)),
            Self::Null => Ok((Stdio::null(), None)),
            Self::File(path) => Ok((how.open(path)?.into(), None)),
            Self::Pipe => {
                let (theirs, ours) = theirs_first(pipe2(OFlag::O_CLOEXEC)?);
                Ok((theirs.into(), Some(ours)))
            }
        }
    }

    /// What to name when it cannot be opened.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            _ => PathBuf::from("a pipe"),
        }
    }
}
