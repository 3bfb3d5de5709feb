//! Where a child reads from and writes to.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::fs::FileTypeExt as _,
    },
    path::PathBuf,
    process::Stdio,
    sync::Arc,
};

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
    /// What this program has open already; each child gets a duplicate.
    Shared(SharedStream),
}

/// An open descriptor that several children can have, such as the writing end of one pipe. Two are
/// equal if they are the same.
#[derive(Clone, Debug)]
pub struct SharedStream(Arc<OwnedFd>);

impl From<OwnedFd> for SharedStream {
    fn from(descriptor: OwnedFd) -> Self {
        Self(Arc::new(descriptor))
    }
}

impl SharedStream {
    /// A duplicate for a command of the standard library.
    ///
    /// # Errors
    ///
    /// When there are no descriptors left.
    pub fn to_stdio(&self) -> io::Result<Stdio> {
        Ok(self.0.as_fd().try_clone_to_owned()?.into())
    }
}

impl PartialEq for SharedStream {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SharedStream {}

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
            Self::Shared(shared) => Ok((shared.to_stdio()?, None)),
            Self::Pipe => {
                let (theirs, ours) = theirs_first(pipe2(OFlag::O_CLOEXEC)?);
                Ok((theirs.into(), Some(ours)))
            }
        }
    }

    /// Whether a child that has it as its standard error writes into a pipe.
    pub(crate) fn is_pipe(&self) -> bool {
        let descriptor = match self {
            Self::Pipe => return true,
            Self::Null | Self::File(_) => return false,
            Self::Inherit => io::stderr().as_fd().try_clone_to_owned(),
            Self::Shared(shared) => shared.0.try_clone(),
        };
        let metadata = descriptor.and_then(|descriptor| File::from(descriptor).metadata());
        metadata.is_ok_and(|metadata| metadata.file_type().is_fifo())
    }

    /// What to name when it cannot be opened.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Shared(_) => PathBuf::from("an open descriptor"),
            _ => PathBuf::from("a pipe"),
        }
    }
}
