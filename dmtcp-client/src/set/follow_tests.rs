//! Files that are followed while this test writes them.

use super::follow::{Follower, LEAST};
use super::request::{ImageReport, SealRequest};
use super::store::SetStore;
use super::writers::FileId;
use crate::deadline::Deadline;
use crate::image::{Whole, checksum_whole, native};
use crate::sample_images::{computation, gzip, name, process, v4_of_size};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An image that is being written.
struct Growing {
    dir: tempfile::TempDir,
    file: File,
    follower: Follower,
}

impl Growing {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let temp = dir.path().join(name(process(1)) + ".temp");
        let file = File::create(&temp).unwrap();
        let follower = Follower::start(dir.path());
        Self {
            dir,
            file,
            follower,
        }
    }

    /// Writes the first part, the others once it is seen, and renames it as DMTCP does.
    fn write(&mut self, image: &[u8]) -> (PathBuf, FileId) {
        let (first, rest) = image.split_at(LEAST as usize);
        self.file.write_all(first).unwrap();
        let id = FileId::of(&self.file.metadata().unwrap());
        let limit = Deadline::after(Duration::from_secs(60));
        while !self.follower.follows(id) {
            assert!(!limit.has_passed(), "it is not followed");
            limit.pause(Duration::from_millis(5));
        }
        for part in rest.chunks(300_000) {
            self.file.write_all(part).unwrap();
        }
        let path = self.dir.path().join(name(process(1)));
        fs::rename(path.with_extension("dmtcp.temp"), &path).unwrap();
        (path, id)
    }

    fn take(&self, id: FileId) -> Option<Whole> {
        let deadline = Instant::now() + Duration::from_secs(60);
        self.follower.take(id, deadline)
    }
}

fn image() -> Vec<u8> {
    let mut image = Vec::new();
    let len = LEAST as usize + 3_000_000;
    v4_of_size(&mut image, process(1), computation(1), len).unwrap();
    image
}

#[test]
fn what_is_followed_is_what_is_read_afterwards() {
    for image in [image(), gzip(&image())] {
        let mut growing = Growing::new();
        let (path, id) = growing.write(&image);
        let whole = growing.take(id).unwrap();
        assert_eq!(whole, checksum_whole(&path, None).unwrap());
        assert_eq!(growing.take(id), None, "it is given once");
    }
}

#[test]
fn one_that_is_cut_is_not_whole() {
    let mut growing = Growing::new();
    let image = image();
    let (_, id) = growing.write(&image[..image.len() - 1]);
    assert_eq!(growing.take(id), None);
}

#[test]
fn native_images_are_not_followed() {
    let mut growing = Growing::new();
    let mut image = native::MAGIC.to_vec();
    image.resize(LEAST as usize + 1, 0);
    let (_, id) = growing.write(&image);
    assert_eq!(growing.take(id), None);
}

/// What a network file system shows of a file that another host writes may have gaps, which read as
/// zeros until they are filled.
#[test]
fn what_was_followed_of_another_host_does_not_count() {
    for (host, is_used) in [("", true), ("elsewhere", false)] {
        let mut growing = Growing::new();
        let (path, id) = growing.write(&image());
        let Growing {
            dir,
            file,
            follower,
        } = growing;
        drop(file);
        let follower = Arc::new(follower);
        let mut report = ImageReport::new(path, process(1));
        report.host = host.into();
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut request = SealRequest::new(computation(1), 1, vec![report], deadline);
        request.follower = Some(Arc::clone(&follower));
        let store = SetStore::open(&dir.path().join("state")).unwrap();
        store.seal(&request).unwrap().verify().unwrap();
        assert_eq!(!follower.follows(id), is_used, "{host:?}");
    }
}
