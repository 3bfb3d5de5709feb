//! Why a set was not packed or unpacked.

use crate::durable;
use crate::set::SetError;
use std::io;
use std::path::PathBuf;

/// A set was not packed, or not unpacked. Nothing is left of the attempt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The environment: a file or directory could not be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, in words that follow "cannot".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The set is not as it was sealed, or the manifest in the archive cannot be used.
    #[error(transparent)]
    Set(#[from] SetError),
    /// There is a link beside an image; archives have none.
    #[error("{} cannot be packed: it is a symbolic link", path.display())]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// The caller: the file was not made by packing a set, or was changed by somebody who wants
    /// it to be more than that.
    #[error("{} is not the archive of a checkpoint set: {what}", path.display())]
    NotAnArchive {
        /// The file.
        path: PathBuf,
        /// What was seen, and where.
        what: String,
    },
    /// The archive ends too early: it was cut, or is still being copied.
    #[error("the archive {} is cut short: it ends in {what}", path.display())]
    Cut {
        /// The archive.
        path: PathBuf,
        /// Where it ends.
        what: String,
    },
    /// A file in the archive is not as its manifest says.
    #[error(
        "{} in the archive {} has changed: its checksum is {found:08x}, its manifest says {expected:08x}",
        file.display(), path.display()
    )]
    Checksum {
        /// The archive.
        path: PathBuf,
        /// The file in it.
        file: PathBuf,
        /// In the manifest.
        expected: u32,
        /// In the archive.
        found: u32,
    },
}

impl From<durable::Failed> for PackError {
    fn from(failed: durable::Failed) -> Self {
        Self::Io {
            action: failed.action,
            path: failed.path,
            source: failed.source,
        }
    }
}
