//! A state directory and rounds of made-up images that can be sealed into it.
#![allow(dead_code, reason = "most test programs use a part")]

use super::sample_images::{computation, gzip, name, process, v4};
use dmtcp_client::set::{ImageReport, SealRequest, SetStore};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longer than anything here takes unless it hangs.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// For what cannot be sealed, and is looked at once at least.
pub(crate) const SHORT: Duration = Duration::from_millis(150);

/// Held while an image is open for writing and while a child is started: that has all open files
/// of this process until it executes its program, and would be seen as a writer.
static STARTING: Mutex<()> = Mutex::new(());

pub(crate) fn nobody_starts() -> MutexGuard<'static, ()> {
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A state directory with the directory that DMTCP writes into.
pub(crate) struct State {
    _dir: tempfile::TempDir,
    /// For the store.
    pub(crate) root: PathBuf,
    /// For what workers write.
    pub(crate) raw: PathBuf,
}

impl State {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("state");
        let raw = dir.path().join("raw");
        fs::create_dir(&raw).unwrap();
        Self {
            _dir: dir,
            root,
            raw,
        }
    }

    pub(crate) fn store(&self) -> SetStore {
        SetStore::open(&self.root).unwrap()
    }

    /// As DMTCP does: written aside, renamed over the image before.
    pub(crate) fn image(&self, pid: i32, generation: u32) -> ImageReport {
        let bytes = v4(process(pid), computation(generation));
        let bytes = if pid % 2 == 0 { gzip(&bytes) } else { bytes };
        let path = self.raw.join(name(process(pid)));
        let temp = path.with_extension("dmtcp.temp");
        let _alone = nobody_starts();
        fs::write(&temp, bytes).unwrap();
        fs::rename(&temp, &path).unwrap();
        report(&self.raw, pid)
    }

    /// Where DMTCP would save the open files of a process.
    pub(crate) fn saved_files(&self, pid: i32) -> PathBuf {
        let image = self.raw.join(name(process(pid)));
        PathBuf::from(image.to_str().unwrap().replace(".dmtcp", "_files"))
    }

    pub(crate) fn round(&self, generation: u32) -> SealRequest {
        let images = vec![self.image(40000, generation), self.image(40001, generation)];
        request(generation, images, LONG)
    }
}

/// What the process reports of its image in this directory.
pub(crate) fn report(raw: &Path, pid: i32) -> ImageReport {
    let mut report = ImageReport::new(raw.join(name(process(pid))), process(pid));
    report.host = "node1".into();
    report.real_pid = 77;
    report
}

/// A round of these images.
pub(crate) fn request(generation: u32, images: Vec<ImageReport>, limit: Duration) -> SealRequest {
    let deadline = Instant::now() + limit;
    SealRequest::new(computation(generation), generation.into(), images, deadline)
}

/// Changes one bit of a file.
pub(crate) fn flip(path: &Path, at: u64) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at as usize] ^= 1;
    // Into the same inode.
    OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .write_all(&bytes)
        .unwrap();
}
