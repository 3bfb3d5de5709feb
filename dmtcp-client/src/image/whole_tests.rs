//! A file that changes while it is read.

use super::error::ImageError;
use super::open::{Opened, Reading};
use super::tail::Tail;
use super::whole::read_through;
use crate::sample_images::{computation, process, v4};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn a_beginning_that_is_written_again_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let read = |change: Option<u64>| {
        std::fs::write(&path, v4(process(1), computation(1))).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let writer = file.try_clone().unwrap();
        let tail = Arc::new(Tail::default());
        let reading = Reading {
            deadline: None,
            tail: Some(Arc::clone(&tail)),
        };
        // Reads the first bytes.
        let opened = Opened::of(file, &path, &reading).unwrap();
        if let Some(at) = change {
            writer.write_all_at(b"!", at).unwrap();
        }
        tail.complete(Instant::now() + Duration::from_secs(60));
        read_through(opened, &path)
    };
    read(None).unwrap();
    for at in [0, 5000] {
        let error = read(Some(at)).unwrap_err();
        assert!(matches!(error, ImageError::Damaged { .. }), "{error}");
    }
}
