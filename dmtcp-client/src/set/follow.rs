//! Checking images, and having them written out to disk, while their processes still write them.
//!
//! What is large is read right behind its writer, while it is in memory anyway, so that little
//! is left to do once it is complete. Nothing depends on it: an image that was not followed, or
//! not to its end, is checked when it is sealed.

use super::store::lock;
use super::writers::FileId;
use crate::checksum;
use crate::durable;
use crate::image::{self, ImageError, Tail, Whole};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Follows the images that are being written in a directory, until it is dropped.
#[derive(Debug)]
pub(crate) struct Follower {
    files: Arc<Mutex<BTreeMap<FileId, Followed>>>,
    /// Dropping it ends the thread.
    _alive: mpsc::Sender<()>,
}

#[derive(Debug)]
struct Followed {
    tail: Arc<Tail>,
    check: Option<JoinHandle<Result<Option<Whole>, ImageError>>>,
}

impl Follower {
    /// Begins to look for files in `dir` that are named as those which are being written.
    pub(crate) fn start(dir: &Path) -> Self {
        let files = Arc::default();
        let (alive, ended) = mpsc::channel();
        let watch = Watch {
            dir: dir.to_owned(),
            files: Arc::clone(&files),
            written_out: BTreeMap::new(),
        };
        let thread = thread::Builder::new().name("dmtcp-follow".to_owned());
        // Without a thread nothing is followed.
        drop(thread.spawn(move || watch.run(&ended)));
        let _alive = alive;
        Self { files, _alive }
    }

    /// What was found of this file, which nobody writes any more; waits until it is read to its
    /// end, or for `deadline`. `None`: it was not followed, or not to its end.
    pub(super) fn take(&self, id: FileId, deadline: Instant) -> Option<Whole> {
        let mut followed = lock(&self.files).remove(&id)?;
        followed.tail.complete(deadline);
        followed.check.take()?.join().ok()?.ok()?
    }

    #[cfg(test)]
    pub(super) fn follows(&self, id: FileId) -> bool {
        lock(&self.files).contains_key(&id)
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        // Of a file that is complete this comes too late.
        if self.check.is_some() {
            self.tail.give_up();
        }
    }
}

/// The thread that looks for files.
struct Watch {
    dir: PathBuf,
    files: Arc<Mutex<BTreeMap<FileId, Followed>>>,
    /// The files that are followed, and how much of each is on disk.
    written_out: BTreeMap<FileId, (File, u64)>,
}

impl Watch {
    fn run(mut self, ended: &mpsc::Receiver<()>) {
        while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            self.find();
            self.write_out();
        }
        // The checks end by themselves, of what is said of their files.
        lock(&self.files).clear();
    }

    fn find(&mut self) {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if !name.as_bytes().ends_with(durable::TEMP_SUFFIX.as_bytes()) {
                continue;
            }
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let id = FileId::of(&metadata);
            let is_new = !self.written_out.contains_key(&id);
            let few = self.written_out.len() < checksum::processors();
            if metadata.is_file() && metadata.len() >= LEAST && is_new && few {
                self.follow(entry.path(), id);
            }
        }
    }

    fn follow(&mut self, path: PathBuf, id: FileId) {
        let Ok(file) = File::open(&path) else { return };
        // Another one of that name by now.
        if !file.metadata().is_ok_and(|found| FileId::of(&found) == id) {
            return;
        }
        let Ok(to_check) = file.try_clone() else {
            return;
        };
        self.written_out.insert(id, (file, 0));
        let tail = Arc::new(Tail::default());
        let reader = Arc::clone(&tail);
        let thread = thread::Builder::new().name("dmtcp-check".to_owned());
        let check = thread.spawn(move || image::checksum_growing(to_check, &path, reader));
        let Ok(check) = check else { return };
        let check = Some(check);
        lock(&self.files).insert(id, Followed { tail, check });
    }

    /// Has the file system write out what has been added, while more is.
    fn write_out(&mut self) {
        for (file, written) in self.written_out.values_mut() {
            let Ok(metadata) = file.metadata() else {
                continue;
            };
            if metadata.len().saturating_sub(*written) >= STEP && file.sync_data().is_ok() {
                *written = metadata.len();
            }
        }
    }
}

/// Between two looks into the directory.
const LOOK: Duration = Duration::from_millis(10);
/// Smaller images are checked in a moment when they are complete.
pub(super) const LEAST: u64 = 16 << 20;
/// Written out at once.
const STEP: u64 = 32 << 20;
