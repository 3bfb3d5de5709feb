//! A crash after every step of sealing: there is always an old or a new set, whole.

use super::error::SealError;
use super::names::Entry;
use super::request::{ImageReport, SealRequest};
use super::seal::{Step, seal};
use super::store::SetStore;
use crate::image::native::{self, NativeHeader};
use dmtcp_proto::UniquePid;
use std::path::Path;
use std::time::{Duration, Instant};

const STEPS: [Step; 6] = [
    Step::Settled,
    Step::DirectoryMade,
    Step::ImagesAdded,
    Step::ManifestWritten,
    Step::DirectorySynced,
    Step::Renamed,
];

fn round(dir: &Path, generation: u32) -> SealRequest {
    let process = UniquePid {
        host_id: 1,
        time: 2,
        pid: 3,
        generation: 0,
    };
    let computation = process.with_generation(generation);
    let path = dir.join("ckpt_worker.dmtcp");
    let payload = generation.to_le_bytes().repeat(5000);
    native::write(&path, &NativeHeader::new(process, computation), &payload).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    SealRequest::new(
        computation,
        generation.into(),
        vec![ImageReport::new(path, process)],
        deadline,
    )
}

fn crash_after(crash: Step) -> impl Fn(Step) -> Result<(), SealError> {
    move |step| match step == crash {
        true => Err(SealError::NoImages),
        false => Ok(()),
    }
}

#[test]
fn a_crash_after_any_step_leaves_the_old_or_the_new_set_whole() {
    for crash in STEPS {
        let dir = tempfile::tempdir().unwrap();
        let store = SetStore::open(dir.path()).unwrap();
        store.seal(&round(dir.path(), 1)).unwrap();
        drop(store);

        let sets = dir.path().join("sets");
        seal(&sets, 2, &round(dir.path(), 2), &crash_after(crash)).unwrap_err();

        // The next run of the program.
        let store = SetStore::open(dir.path()).unwrap();
        let expected = if crash == Step::Renamed { 2 } else { 1 };
        let newest = store.newest_verified().unwrap();
        assert!(newest.refused.is_empty(), "{crash:?}");
        let set = newest.set.unwrap();
        assert_eq!(set.sequence(), expected, "{crash:?}");
        assert_eq!(set.manifest().computation.generation, expected as u32);

        let left = matches!(
            crash,
            Step::DirectoryMade | Step::ImagesAdded | Step::ManifestWritten | Step::DirectorySynced
        );
        let partial = Entry::Partial(2).path(&sets);
        assert_eq!(partial.exists(), left, "{crash:?}");
        assert_eq!(store.sweep().unwrap().len(), usize::from(left));
        assert!(!partial.exists());

        // Its number is not used again while it is known.
        let next = store.seal(&round(dir.path(), 3)).unwrap();
        let last = if left { 2 } else { expected };
        assert_eq!(next.sequence(), last + 1, "{crash:?}");
        next.verify().unwrap();
    }
}

#[test]
fn a_removal_that_was_cut_off_is_no_set_and_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    let store = SetStore::open(dir.path()).unwrap();
    for generation in 1..=3 {
        store.seal(&round(dir.path(), generation)).unwrap();
    }
    // Put aside, partly deleted.
    let removing = Entry::Removing(1).path(store.dir());
    std::fs::rename(Entry::Set(1).path(store.dir()), &removing).unwrap();
    std::fs::remove_file(removing.join("ckpt_worker.dmtcp")).unwrap();
    let listed = |store: &SetStore| -> Vec<u64> {
        let listing = store.list().unwrap();
        assert!(listing.broken.is_empty());
        listing.sets.iter().map(|set| set.sequence()).collect()
    };
    assert_eq!(listed(&store), [3, 2]);
    assert_eq!(store.sweep().unwrap(), [removing]);
    assert_eq!(listed(&store), [3, 2]);
}

#[test]
fn what_stands_beside_a_native_image_is_not_taken_in() {
    let dir = tempfile::tempdir().unwrap();
    let request = round(dir.path(), 1);
    let beside = dir.path().join("ckpt_worker_files");
    std::fs::create_dir(&beside).unwrap();
    std::fs::write(beside.join("of somebody else"), "").unwrap();
    let store = SetStore::open(&dir.path().join("state")).unwrap();
    let set = store.seal(&request).unwrap();
    assert!(set.manifest().images[0].saved_files.is_empty());
    assert!(!set.dir().join("ckpt_worker_files").exists());
}
