//! What is to become a set: a round and its images, as they were reported.

use super::error::SealError;
use super::follow::Follower;
use super::manifest::Phase;
use crate::host::HostFingerprint;
use dmtcp_proto::UniquePid;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

/// A finished round whose images shall become a set.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SealRequest {
    /// The computation, with the generation of the round: every image must say the same.
    pub computation: UniquePid,
    /// The coordinator's number of the round.
    pub round: u64,
    /// When the round began.
    pub started: SystemTime,
    /// The set that the computation was restarted from; none by default.
    pub parent: Option<u64>,
    /// How long the parts of the round took that are over; none by default.
    pub phases: Vec<Phase>,
    /// The DMTCP release that wrote the images, as it names itself; not known by default.
    pub dmtcp: Option<String>,
    /// The other hosts that processes ran on. This one is added when one ran here: when an image
    /// reports it, or no host. None by default.
    pub hosts: Vec<HostFingerprint>,
    /// Every image of the round.
    pub images: Vec<ImageReport>,
    /// When to give up. Everything but the file system's own syncing keeps to it.
    pub deadline: Instant,
    /// Set it, from any thread, to end sealing with [`SealError::Abandoned`] before the next
    /// image is looked at, or in the middle of a copy: there is no set then. Without effect once
    /// the set is promoted.
    pub abandoned: Arc<AtomicBool>,
    /// Has seen the images while they were written.
    pub(crate) follower: Option<Arc<Follower>>,
}

impl SealRequest {
    /// A request for a round that begins now and has no parent.
    #[must_use]
    pub fn new(
        computation: UniquePid,
        round: u64,
        images: Vec<ImageReport>,
        deadline: Instant,
    ) -> Self {
        Self {
            computation,
            round,
            started: SystemTime::now(),
            parent: None,
            phases: Vec::new(),
            dmtcp: None,
            hosts: Vec::new(),
            images,
            deadline,
            abandoned: Arc::default(),
            follower: None,
        }
    }

    pub(super) fn check_wanted(&self) -> Result<(), SealError> {
        if self.abandoned.load(Ordering::Acquire) {
            return Err(SealError::Abandoned);
        }
        Ok(())
    }
}

/// An image as its worker reported it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImageReport {
    /// From the root. A forked checkpoint reports `<name>.temp`; `<name>` is then waited for.
    pub path: PathBuf,
    /// Who wrote it, with the virtual pid; the image must say the same.
    pub process: UniquePid,
    /// Where it ran.
    pub host: OsString,
    /// What it ran; what the image says if this is empty.
    pub program: OsString,
    /// The pid that the process sees.
    pub virtual_pid: i32,
    /// The pid that others see; 0 if it is not known.
    pub real_pid: i32,
}

impl ImageReport {
    /// A report that says who and where; everything else is empty.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, process: UniquePid) -> Self {
        Self {
            path: path.into(),
            process,
            host: OsString::new(),
            program: OsString::new(),
            virtual_pid: process.pid,
            real_pid: 0,
        }
    }
}
