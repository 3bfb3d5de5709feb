//! Why there is no set, or why a set cannot be trusted.

use super::compatibility::Incompatibility;
use crate::durable;
use crate::image::ImageError;
use dmtcp_proto::UniquePid;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// A set on disk, or the directory of sets, is not as it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetError {
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
    /// The caller: another process, or another store of this one, owns the directory.
    #[error(
        "{} belongs to another owner{}: stop it, or use another directory",
        path.display(),
        pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
    )]
    Owned {
        /// The lock file.
        path: PathBuf,
        /// The owner's pid, if it could be read.
        pid: Option<u32>,
    },
    /// There is no manifest in the directory, so it is no set.
    #[error("{} is not a checkpoint set: it has no manifest", path.display())]
    NoManifest {
        /// The directory.
        path: PathBuf,
    },
    /// The manifest cannot be understood.
    #[error("the manifest {} is damaged: {what}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A later release wrote the manifest.
    #[error(
        "the manifest {} has schema {schema}, this release reads up to {known}: use a newer release",
        path.display()
    )]
    Schema {
        /// The manifest.
        path: PathBuf,
        /// What it says.
        schema: u32,
        /// What is known here.
        known: u32,
    },
    /// A file of the set is gone.
    #[error("{} is missing from its checkpoint set", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file of the set is shorter or longer than it was when it was sealed.
    #[error("{} has {found} bytes, its manifest says {expected}", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Bytes in the manifest.
        expected: u64,
        /// Bytes on disk.
        found: u64,
    },
    /// A file of the set has other bytes than when it was sealed.
    #[error("{} has changed: its checksum is {found:08x}, its manifest says {expected:08x}", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// In the manifest.
        expected: u32,
        /// On disk.
        found: u32,
    },
    /// The set is as it was, and this host cannot restore it.
    #[error(transparent)]
    Incompatible(Box<Incompatibility>),
    /// The set is as it was, and the DMTCP here is of another release than the one that wrote it.
    #[error(
        "set {sequence} was written by DMTCP {set}, and {} is {found}: use the programs of {set}",
        tools.display()
    )]
    OtherRelease {
        /// The set.
        sequence: u64,
        /// The release that wrote it, as it named itself.
        set: String,
        /// The one here.
        found: String,
        /// Where that is.
        tools: PathBuf,
    },
}

impl From<Incompatibility> for SetError {
    fn from(error: Incompatibility) -> Self {
        Self::Incompatible(Box::new(error))
    }
}

/// A round could not be made a set. The sets before it are as they were.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
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
    /// The caller: there is nothing to seal.
    #[error("the round has no images")]
    NoImages,
    /// The caller: an image has no path from the root, so it cannot be found from here.
    #[error("the path of image {} is relative: resolve it first", path.display())]
    RelativePath {
        /// As it was reported.
        path: PathBuf,
    },
    /// Two images would have the same name in the set.
    #[error("{} and {} have the same name: checkpoint into one directory", first.display(), second.display())]
    SameName {
        /// One image.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// The image is not there, and nothing shows that it is still to come.
    #[error("image {} does not exist", path.display())]
    NoImage {
        /// Where it should be.
        path: PathBuf,
    },
    /// Images of other hosts are not there as seen from here.
    #[error(
        "{} of {} cannot be seen here: the directory of the images must be shared by all hosts \
         under the same path",
        path.display(), hosts_text(.hosts)
    )]
    NotVisible {
        /// The hosts, as their workers report them.
        hosts: Vec<OsString>,
        /// The first of these images.
        path: PathBuf,
    },
    /// The deadline passed before all images were complete.
    #[error("the set was not sealed within {limit:?}: {what}")]
    TimedOut {
        /// The time that was given.
        limit: Duration,
        /// What was waited for: the file, and who writes it.
        what: String,
    },
    /// The caller did not want the set any more
    /// ([`SealRequest::abandoned`](super::SealRequest::abandoned)).
    #[error("sealing was abandoned")]
    Abandoned,
    /// An image is cut, damaged or none at all.
    #[error("an image of the round is not whole")]
    Image(#[source] ImageError),
    /// An image changed while it was checked.
    #[error("image {} changed while it was sealed", path.display())]
    Changed {
        /// The image.
        path: PathBuf,
    },
    /// The image, or the directory of files saved with it, belongs to another user than the sets.
    /// A restart would run what that user wrote there with the rights of the sets' owner.
    #[error(
        "{} belongs to user {found}, and the sets to user {expected}: run the computation and \
         keep its sets as one user",
        path.display()
    )]
    OtherOwner {
        /// The image or the directory.
        path: PathBuf,
        /// Whose sets they are.
        expected: u32,
        /// Whose image it is.
        found: u32,
    },
    /// The image of another process.
    #[error("image {} holds process {found}, {expected} was expected", path.display())]
    OtherProcess {
        /// The image.
        path: PathBuf,
        /// Who reported it.
        expected: UniquePid,
        /// Who is in it.
        found: UniquePid,
    },
    /// The image of another computation, or of another round of this one.
    #[error(
        "image {} is of computation {found} generation {}, {expected} generation {} was expected",
        path.display(),
        found.generation,
        expected.generation
    )]
    OtherRound {
        /// The image.
        path: PathBuf,
        /// Whose round is sealed.
        expected: UniquePid,
        /// What the image says.
        found: UniquePid,
    },
    /// A file saved with an image is neither a file, a directory nor a symbolic link.
    #[error("{} cannot be copied into a set: it is neither a file, a directory nor a link", path.display())]
    NotCopyable {
        /// The file.
        path: PathBuf,
    },
}

fn hosts_text(hosts: &[OsString]) -> String {
    let names: Vec<_> = hosts.iter().map(|host| host.to_string_lossy()).collect();
    names.join(", ")
}

impl From<durable::Failed> for SetError {
    fn from(failed: durable::Failed) -> Self {
        Self::Io {
            action: failed.action,
            path: failed.path,
            source: failed.source,
        }
    }
}

impl From<durable::Failed> for SealError {
    fn from(failed: durable::Failed) -> Self {
        Self::Io {
            action: failed.action,
            path: failed.path,
            source: failed.source,
        }
    }
}
