//! A disk that is full, limited, read-only or gone: the error says so, and the sets before are as
//! they were.
//!
//! A small disk of its own needs a mount, which is made in a namespace where that is allowed.

mod sample_images;
mod state;

use dmtcp_client::set::{CheckpointSet, PackError, RetentionPolicy, SealError, SetError, SetStore};
use nix::errno::Errno;
use state::State;
use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

const DISK: &str = "DISK_TEST_DISK";

/// The system's code of the error's cause, and whether the error names something in `place`.
fn cause(error: &SealError, place: &Path) -> (Option<Errno>, bool) {
    match error {
        SealError::Io { path, source, .. } => (
            source.raw_os_error().map(Errno::from_raw),
            path.starts_with(place),
        ),
        _ => (None, false),
    }
}

/// Every set verifies, there is nothing beside them, and `latest` leads to the newest.
fn intact(store: &SetStore) -> Vec<u64> {
    let listing = store.list().unwrap();
    assert!(listing.broken.is_empty(), "{listing:?}");
    for set in &listing.sets {
        set.verify().unwrap();
    }
    let names = fs::read_dir(store.dir()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), listing.sets.len() + 2, "{names:?}");
    let latest = fs::canonicalize(store.dir().join("latest")).unwrap();
    let newest = listing.sets[0].sequence();
    assert_eq!(CheckpointSet::open(&latest).unwrap().sequence(), newest);
    listing.sets.iter().map(CheckpointSet::sequence).collect()
}

/// Runs a test of this program as a process with a small disk; false if that cannot be had here.
fn on_a_small_disk(test: &str, options: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o {options} none \"$0\"");
    let unshare = |script: String| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
        command.arg(script).arg(dir.path());
        command
    };
    if !unshare(mount.clone())
        .output()
        .is_ok_and(|output| output.status.success())
    {
        println!("SKIPPED: nothing can be mounted here");
        return false;
    }
    let output = unshare(format!("{mount} && exec \"$@\""))
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(DISK, dir.path())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
    true
}

fn disk() -> Option<PathBuf> {
    env::var_os(DISK).map(PathBuf::from)
}

/// Both the store and what the workers write; images are linked.
fn state_on(disk: &Path) -> State {
    let mut state = State::new();
    state.root = disk.join("state");
    state.raw = disk.join("raw");
    fs::create_dir_all(&state.raw).unwrap();
    state
}

#[test]
fn a_full_disk_costs_no_set() {
    on_a_small_disk("full_disk_program", "size=1m");
}

#[test]
#[ignore = "run by another test as a process of its own"]
fn full_disk_program() {
    let Some(disk) = disk() else { return };
    // The images come from another disk, so they are copied.
    let state = state_on(&disk);
    let other = State::new();
    let store = SetStore::open(&disk.join("copied")).unwrap();
    let mut generation = 0;
    let error = loop {
        generation += 1;
        if let Err(error) = store.seal(&other.round(generation)) {
            break error;
        }
    };
    assert!(generation > 2, "some had room");
    assert_eq!(
        cause(&error, store.dir()),
        (Some(Errno::ENOSPC), true),
        "{error}"
    );
    let source = error.source().unwrap().to_string();
    assert!(source.contains("No space left on device"), "{source}");
    let all = intact(&store);
    assert_eq!(all.len(), generation as usize - 1);
    // Removing needs no room, and then there is some.
    store.retain(&RetentionPolicy::new().keep_last(1)).unwrap();
    store.seal(&other.round(generation)).unwrap();
    intact(&store);
    drop(store);
    fs::remove_dir_all(disk.join("copied")).unwrap();

    // Links need little; with every page less another call fails.
    let store = state.store();
    store.seal(&state.round(1)).unwrap();
    let filler = disk.join("filler");
    let mut failures = 0;
    for free in 0..8 {
        let round = state.round(2 + free);
        let full = fill(&filler);
        File::options()
            .write(true)
            .open(&filler)
            .unwrap()
            .set_len(full.saturating_sub(u64::from(free) * 4096))
            .unwrap();
        match store.seal(&round) {
            Ok(_) => drop(store.prune(1).unwrap()),
            Err(error) => {
                failures += 1;
                let seen = cause(&error, store.dir());
                assert_eq!(seen, (Some(Errno::ENOSPC), true), "{free}: {error}");
            }
        }
        assert_eq!(intact(&store).len(), 1);
        fs::remove_file(&filler).unwrap();
    }
    assert!((1..8).contains(&failures), "{failures}");
    store.seal(&state.round(20)).unwrap();
}

#[test]
fn a_disk_that_takes_no_more_files_costs_no_set() {
    on_a_small_disk("few_files_program", "nr_inodes=80");
}

#[test]
#[ignore = "run by another test as a process of its own"]
fn few_files_program() {
    let Some(disk) = disk() else { return };
    let state = state_on(&disk);
    let store = state.store();
    store.seal(&state.round(1)).unwrap();
    let mut failed = Vec::new();
    // Directory, two links, manifest and `latest` each fail once, as the first that has no room.
    for free in 0.. {
        let round = state.round(2 + free);
        let files = (0..).map(|n| disk.join(format!("filler-{n}")));
        let mut files: Vec<_> = files
            .take_while(|path| File::create(path).is_ok())
            .collect();
        for file in files.drain(files.len() - free as usize..) {
            fs::remove_file(file).unwrap();
        }
        let sealed = store.seal(&round);
        assert_eq!(intact(&store).len(), 1 + usize::from(sealed.is_ok()));
        for file in files {
            fs::remove_file(file).unwrap();
        }
        match sealed {
            Ok(_) => break,
            Err(error) => {
                let seen = cause(&error, &disk);
                assert_eq!(seen, (Some(Errno::ENOSPC), true), "{free}: {error}");
                failed.push(error.to_string());
            }
        }
    }
    assert_eq!(failed.len(), 5, "{failed:#?}");
    assert!(failed[4].contains("latest"), "{failed:#?}");
}

#[test]
fn a_directory_that_turns_read_only_can_still_be_read() {
    on_a_small_disk("read_only_program", "size=2m");
}

#[test]
#[ignore = "run by another test as a process of its own"]
fn read_only_program() {
    let Some(disk) = disk() else { return };
    let state = state_on(&disk);
    let store = state.store();
    for generation in 1..=2 {
        store.seal(&state.round(generation)).unwrap();
    }
    let round = state.round(3);
    let sets = store.dir().to_owned();
    mount(&["--bind", sets.to_str().unwrap(), sets.to_str().unwrap()]);
    mount(&["-o", "remount,bind,ro", sets.to_str().unwrap()]);
    let error = store.seal(&round).unwrap_err();
    assert_eq!(cause(&error, &sets), (Some(Errno::EROFS), true), "{error}");
    for result in [
        store.prune(1).map(drop),
        SetStore::open(&state.root).map(drop),
    ] {
        match result.unwrap_err() {
            SetError::Io { path, source, .. } => {
                assert!(path.starts_with(&sets), "{path:?}");
                assert_eq!(source.kind(), io::ErrorKind::ReadOnlyFilesystem);
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(intact(&store), [2, 1]);
    let newest = store.newest_verified().unwrap().set.unwrap();
    let hold = newest.hold().unwrap();
    assert_eq!(newest.stage_into(&disk.join("staged")).unwrap().len(), 2);
    drop(hold);
    let status = Command::new("umount").arg(&sets).status().unwrap();
    assert!(status.success());
    store.seal(&round).unwrap();
    intact(&store);
}

/// As a quota, but needing no rights: no file may grow beyond some bytes.
#[test]
fn a_limit_on_what_may_be_written_costs_no_set() {
    let state = State::new();
    state.store().seal(&state.round(1)).unwrap();
    state.round(2);
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "limited_program", "--ignored", "--nocapture"])
        .env(DISK, &state.root)
        .env("DISK_TEST_RAW", &state.raw)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
    let store = state.store();
    assert_eq!(intact(&store), [1]);
    assert_eq!(store.seal(&state.round(2)).unwrap().sequence(), 2);
}

#[test]
#[ignore = "run by another test as a process of its own"]
fn limited_program() {
    let (Some(root), Some(raw)) = (disk(), env::var_os("DISK_TEST_RAW")) else {
        return;
    };
    let store = SetStore::open(&root).unwrap();
    let reports = [40000, 40001].map(|pid| state::report(raw.as_ref(), pid));
    let round = state::request(2, reports.to_vec(), state::LONG);
    let error = store.seal(&round).unwrap_err();
    assert_eq!(cause(&error, &root), (Some(Errno::EFBIG), true), "{error}");
    assert_eq!(intact(&store), [1]);
    let set = store.newest_verified().unwrap().set.unwrap();
    let error = set.pack(&root.join("set.tar")).unwrap_err();
    assert!(
        matches!(&error, PackError::Io { source, .. } if source.kind() == io::ErrorKind::FileTooLarge),
        "{error}"
    );
    assert_eq!(fs::read_dir(&root).unwrap().count(), 1, "only the sets");
}

#[test]
fn a_directory_that_vanishes_is_named_and_its_sets_are_where_it_went() {
    let state = State::new();
    let store = state.store();
    store.seal(&state.round(1)).unwrap();
    let away = state.raw.with_file_name("away");
    fs::rename(&state.root, &away).unwrap();
    let error = store.seal(&state.round(2)).unwrap_err();
    let seen = cause(&error, &state.root);
    assert_eq!(seen, (Some(Errno::ENOENT), true), "{error}");
    assert!(store.list().unwrap().sets.is_empty());
    assert!(store.prune(1).unwrap().is_empty());
    // It is not made again behind the owner's back.
    assert!(!state.root.exists());
    let set = CheckpointSet::open(&away.join("sets/latest").canonicalize().unwrap()).unwrap();
    set.verify().unwrap();
    fs::rename(&away, &state.root).unwrap();
    store.seal(&state.round(3)).unwrap();
    assert_eq!(intact(&store), [3, 1]);
}

fn mount(arguments: &[&str]) {
    let status = Command::new("mount").args(arguments).status().unwrap();
    assert!(status.success(), "{arguments:?}");
}

/// Takes all room that there is, and says how much that was.
fn fill(path: &Path) -> u64 {
    let mut file = File::create(path).unwrap();
    let mut full = 0;
    while let Ok(written) = file.write(&[0; 4096]) {
        full += written as u64;
    }
    full
}
