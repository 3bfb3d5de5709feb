//! What is wrong with an image file.

use crate::durable;
use std::io;
use std::path::PathBuf;

/// An image could not be read, or is not what it should be.
///
/// Offsets count the bytes of the image's content; in a compressed image that is after
/// decompression.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The environment: the file could not be opened, read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, in words that follow "cannot".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The caller: this is no checkpoint image, whole or not.
    #[error("{} is not a checkpoint image: it {what}", path.display())]
    NotAnImage {
        /// The file.
        path: PathBuf,
        /// What was seen instead.
        what: String,
    },
    /// The file ends too early: it was cut, or its writer died or is still at work.
    #[error("image {} is cut short: it ends at byte {at} in {what}", path.display())]
    Cut {
        /// The file.
        path: PathBuf,
        /// Where it ends.
        at: u64,
        /// The part that is not complete.
        what: String,
    },
    /// The content contradicts itself.
    #[error("image {} is damaged at byte {at}: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        at: u64,
        /// What was seen and what was expected.
        what: String,
    },
    /// A format that is recognised and cannot be checked here.
    #[error("image {} is of a kind that is not supported: {what}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Which kind.
        what: String,
    },
    /// The caller: more than the caller wants to hold in memory.
    #[error("image {} has {len} bytes of {what}, more than the limit of {limit}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Of what.
        what: &'static str,
        /// How many bytes there are.
        len: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// The check did not end within the caller's deadline.
    #[error("image {} was not checked in time: {done} of {len} bytes read", path.display())]
    TimedOut {
        /// The file.
        path: PathBuf,
        /// Bytes of the file that were read.
        done: u64,
        /// Bytes of the file.
        len: u64,
    },
}

impl ImageError {
    /// The same, said of a compressed image: offsets may be larger than the file.
    pub(super) fn in_compressed(mut self) -> Self {
        if let Self::Cut { what, .. } | Self::Damaged { what, .. } = &mut self {
            what.push_str(" (offsets in a compressed image count its uncompressed content)");
        }
        self
    }
}

impl From<durable::Failed> for ImageError {
    fn from(failed: durable::Failed) -> Self {
        Self::Io {
            action: failed.action,
            path: failed.path,
            source: failed.source,
        }
    }
}
