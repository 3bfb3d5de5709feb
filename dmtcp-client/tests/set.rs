//! Sealing, finding, verifying, staging and pruning checkpoint sets of made-up images.

mod sample_images;
mod state;

use dmtcp_client::image::ImageError;
use dmtcp_client::set::{self, CheckpointSet, ImageKind, SealError, SetError, SetStore};
use dmtcp_proto::UniquePid;
use sample_images::{computation, name, process, v4};
use state::{LONG, SHORT, State, flip, nobody_starts, request};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

#[test]
fn a_sealed_round_is_a_set_that_says_what_it_is() {
    let state = State::new();
    let store = state.store();
    let mut round = state.round(4);
    round.parent = Some(17);
    let set = store.seal(&round).unwrap();
    set.verify().unwrap();
    assert_eq!(set.sequence(), 1);
    assert_eq!(CheckpointSet::open(set.dir()).unwrap(), set);

    let manifest = set.manifest();
    assert_eq!((manifest.computation, manifest.round), (computation(4), 4));
    assert_eq!(manifest.parent, Some(17));
    assert!(manifest.created_unix_ms >= manifest.started_unix_ms);
    let [zipped, plain] = &manifest.images[..] else {
        panic!("{manifest:?}")
    };
    assert!(zipped.compressed && !plain.compressed);
    assert_eq!(zipped.kind, ImageKind::Dmtcp);
    assert_eq!(zipped.process, process(40000));
    assert_eq!((zipped.virtual_pid, zipped.real_pid), (40000, 77));
    assert_eq!(
        (&zipped.host, &zipped.program),
        (&"node1".into(), &"counter".into())
    );
    let bytes = fs::read(&round.images[1].path).unwrap();
    assert_eq!(
        (plain.size, plain.crc32),
        (bytes.len() as u64, crc32fast::hash(&bytes))
    );
    assert_eq!(set.total_bytes(), zipped.size + plain.size);

    let names: Vec<_> = set
        .images()
        .iter()
        .map(|path| path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(
        names,
        [name(process(40000)).as_str(), &name(process(40001))]
    );
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(store.dir()), 0o700);
    assert_eq!(mode(set.dir()), 0o700);
    assert_eq!(mode(&set.dir().join("manifest.json")), 0o600);
}

#[test]
fn the_next_round_does_not_touch_a_sealed_set() {
    let state = State::new();
    let store = state.store();
    let first = store.seal(&state.round(1)).unwrap();
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let (in_set, raw) = (
        first.images()[0].clone(),
        state.raw.join(name(process(40000))),
    );
    assert_eq!(inode(&in_set), inode(&raw), "linked, not copied");
    let second = store.seal(&state.round(2)).unwrap();
    assert_ne!(inode(&in_set), inode(&raw));
    first.verify().unwrap();
    second.verify().unwrap();
    let listed: Vec<_> = store.list().unwrap().sets;
    assert_eq!(listed, [second, first]);
}

#[test]
fn another_file_system_gets_a_copy() {
    let elsewhere = Path::new("/dev/shm");
    let state = State::new();
    let Ok(dir) = tempfile::tempdir_in(elsewhere) else {
        println!("SKIPPED: no {}", elsewhere.display());
        return;
    };
    if fs::metadata(dir.path()).unwrap().dev() == fs::metadata(&state.raw).unwrap().dev() {
        println!("SKIPPED: {} is the same file system", elsewhere.display());
        return;
    }
    let round = state.round(1);
    let store = SetStore::open(dir.path()).unwrap();
    let set = store.seal(&round).unwrap();
    // Its own inode: what happens to the original does not matter.
    flip(&round.images[0].path, 100);
    set.verify().unwrap();
    let staged = set.stage_into(&state.raw.join("next")).unwrap();
    assert_eq!(
        fs::read(&staged[1]).unwrap(),
        fs::read(&round.images[1].path).unwrap()
    );
}

#[test]
fn verify_names_what_was_flipped_cut_or_lost() {
    let state = State::new();
    let store = state.store();
    for (generation, harm) in [0, 1, 2].into_iter().zip(["flip", "cut", "lose"]) {
        let set = store.seal(&state.round(generation)).unwrap();
        let harmed = set.images()[1].clone();
        let len = fs::metadata(&harmed).unwrap().len();
        match harm {
            "flip" => flip(&harmed, 20_000),
            "cut" => OpenOptions::new()
                .write(true)
                .open(&harmed)
                .unwrap()
                .set_len(len - 1)
                .unwrap(),
            _ => fs::remove_file(&harmed).unwrap(),
        }
        let error = CheckpointSet::open(set.dir())
            .unwrap()
            .verify()
            .unwrap_err();
        assert!(
            error.to_string().contains(harmed.to_str().unwrap()),
            "{error}"
        );
        match (harm, &error) {
            ("flip", SetError::Checksum { path, .. })
            | ("cut", SetError::Size { path, .. })
            | ("lose", SetError::Missing { path }) => assert_eq!(path, &harmed),
            _ => panic!("{harm}: {error}"),
        }
    }
}

#[test]
fn the_newest_good_set_is_found_behind_bad_ones() {
    let state = State::new();
    let store = state.store();
    let sets: Vec<_> = (1..=4)
        .map(|n| store.seal(&state.round(n)).unwrap())
        .collect();
    flip(&sets[3].images()[0], 50);
    fs::write(sets[2].dir().join("manifest.json"), "{").unwrap();
    let newest = store.newest_verified().unwrap();
    assert_eq!(newest.set.unwrap(), sets[1]);
    assert_eq!(newest.refused.len(), 2);
    let before = store.newest_verified_before(2).unwrap();
    assert_eq!(before.set.unwrap(), sets[0]);
    assert!(store.newest_verified_before(1).unwrap().set.is_none());
}

#[test]
fn pruning_keeps_the_newest_good_set_and_what_is_newer() {
    let state = State::new();
    let sequences = |store: &SetStore| -> Vec<u64> {
        store
            .list()
            .unwrap()
            .sets
            .iter()
            .map(CheckpointSet::sequence)
            .collect()
    };
    let store = state.store();
    for generation in 1..=5 {
        store.seal(&state.round(generation)).unwrap();
    }
    assert_eq!(store.prune(3).unwrap(), [2, 1]);
    assert_eq!(sequences(&store), [5, 4, 3]);
    drop(store);

    // A new store has to find out which one is good.
    let store = state.store();
    let newest = store.list().unwrap().sets[0].images()[0].clone();
    flip(&newest, 50);
    assert_eq!(store.prune(0).unwrap(), [3]);
    assert_eq!(sequences(&store), [5, 4]);
    // None is good: none is removed.
    let last_good = store.list().unwrap().sets[1].images()[0].clone();
    fs::remove_file(last_good).unwrap();
    assert_eq!(store.prune(1).unwrap(), [0u64; 0]);
    assert_eq!(store.seal(&state.round(6)).unwrap().sequence(), 6);
}

#[test]
fn a_second_owner_is_refused_by_name() {
    let state = State::new();
    let store = state.store();
    match SetStore::open(&state.root).unwrap_err() {
        SetError::Owned { pid, path } => {
            assert_eq!(pid, Some(std::process::id()));
            assert!(path.starts_with(&state.root));
        }
        other => panic!("{other}"),
    }
    // Reading needs no ownership.
    store.seal(&state.round(1)).unwrap();
    assert_eq!(set::list(&state.root).unwrap().sets.len(), 1);
    drop(store);
    state.store();
}

#[test]
fn sealing_waits_for_a_writer_and_names_it() {
    let state = State::new();
    let store = state.store();
    let report = state.image(40001, 1);
    let alone = nobody_starts();
    let writer = OpenOptions::new().append(true).open(&report.path).unwrap();
    let error = store
        .seal(&request(1, vec![report.clone()], SHORT))
        .unwrap_err();
    drop(alone);
    let me = format!("process {}", std::process::id());
    assert!(matches!(error, SealError::TimedOut { .. }), "{error}");
    assert!(error.to_string().contains(&me), "{error}");

    std::thread::scope(|scope| {
        let sealing = scope.spawn(|| store.seal(&request(1, vec![report], LONG)));
        drop(writer);
        sealing.join().unwrap().unwrap().verify().unwrap();
    });
}

#[test]
fn a_compressor_that_still_works_is_waited_for() {
    // As DMTCP: gzip has the file open, the file already has its final name.
    let state = State::new();
    let store = state.store();
    let mut report = state.image(40001, 1);
    let plain = v4(process(40001), computation(1));
    report.path = state.raw.join("ckpt_late.dmtcp");
    let alone = nobody_starts();
    let Ok(mut gzip) = std::process::Command::new("gzip")
        .args(["-1", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(File::create(&report.path).unwrap())
        .spawn()
    else {
        println!("SKIPPED: no gzip");
        return;
    };
    drop(alone);
    let mut pipe = gzip.stdin.take().unwrap();
    let (half, rest) = plain.split_at(plain.len() / 2);
    pipe.write_all(half).unwrap();
    let error = store
        .seal(&request(1, vec![report.clone()], SHORT))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("process {} (gzip)", gzip.id())),
        "{error}"
    );
    let set = std::thread::scope(|scope| {
        let sealing = scope.spawn(|| store.seal(&request(1, vec![report], LONG)));
        pipe.write_all(rest).unwrap();
        drop(pipe);
        sealing.join().unwrap().unwrap()
    });
    assert!(gzip.wait().unwrap().success());
    assert!(set.manifest().images[0].compressed);
    set.verify().unwrap();
}

#[test]
fn a_forked_checkpoint_is_waited_for_under_its_final_name() {
    let state = State::new();
    let store = state.store();
    let mut report = state.image(40001, 1);
    let path = report.path.clone();
    let temp = path.with_extension("dmtcp.temp");
    report.path = temp.clone();
    // The image of the round before is still there.
    let error = store
        .seal(&request(2, vec![report.clone()], SHORT))
        .unwrap_err();
    assert!(error.to_string().contains("earlier round"), "{error}");
    let set = std::thread::scope(|scope| {
        let sealing = scope.spawn(|| store.seal(&request(2, vec![report.clone()], LONG)));
        fs::write(&temp, v4(process(40001), computation(2))).unwrap();
        fs::rename(&temp, &path).unwrap();
        sealing.join().unwrap().unwrap()
    });
    assert_eq!(set.images()[0].file_name(), path.file_name());

    fs::remove_file(&path).unwrap();
    let error = store.seal(&request(3, vec![report], SHORT)).unwrap_err();
    assert!(
        error.to_string().contains("has not been renamed"),
        "{error}"
    );
}

#[test]
fn what_is_not_of_the_round_is_refused() {
    let state = State::new();
    let store = state.store();
    let good = state.image(40001, 2);
    let sealed = |images| store.seal(&request(2, images, LONG)).unwrap_err();

    assert!(matches!(sealed(vec![]), SealError::NoImages));

    let mut other = good.clone();
    other.process = process(40005);
    assert!(
        matches!(sealed(vec![other]), SealError::OtherProcess { found, .. } if found == process(40001))
    );

    let late = state.image(40003, 1);
    assert!(
        matches!(sealed(vec![good.clone(), late]), SealError::OtherRound { found, .. } if found.generation == 1)
    );

    let mut strange = request(2, vec![good.clone()], LONG);
    strange.computation = UniquePid {
        time: 9,
        ..strange.computation
    };
    assert!(matches!(
        store.seal(&strange).unwrap_err(),
        SealError::OtherRound { .. }
    ));

    let mut missing = good.clone();
    missing.path = state.raw.join("missing.dmtcp");
    missing.host = OsString::new();
    assert!(matches!(
        sealed(vec![missing.clone()]),
        SealError::NoImage { .. }
    ));

    // A directory that is not shared looks so.
    let mut of_node2 = missing.clone();
    of_node2.host = "node2".into();
    of_node2.path = "/no/such/directory/ckpt_1.dmtcp".into();
    let mut of_node3 = of_node2.clone();
    of_node3.host = "node3".into();
    of_node3.path = "/no/such/directory/ckpt_2.dmtcp.temp".into();
    let error = sealed(vec![of_node3, good.clone(), of_node2]);
    assert!(
        matches!(&error, SealError::NotVisible { hosts, .. } if hosts[..] == ["node2", "node3"]),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("of node2, node3 cannot be seen here"),
        "{error}"
    );

    let mut relative = good.clone();
    relative.path = "ckpt.dmtcp".into();
    assert!(matches!(
        sealed(vec![relative]),
        SealError::RelativePath { .. }
    ));

    let mut link = good.clone();
    link.path = state.raw.join("link.dmtcp");
    std::os::unix::fs::symlink(&good.path, &link.path).unwrap();
    assert!(matches!(
        sealed(vec![link]),
        SealError::Image(ImageError::NotAnImage { .. })
    ));

    let mut twin = good.clone();
    fs::create_dir(state.raw.join("b")).unwrap();
    twin.path = state.raw.join("b").join(good.path.file_name().unwrap());
    fs::copy(&good.path, &twin.path).unwrap();
    assert!(matches!(
        sealed(vec![good.clone(), twin]),
        SealError::SameName { .. }
    ));

    let bytes = fs::read(&good.path).unwrap();
    fs::write(&good.path, &bytes[..bytes.len() - 4096]).unwrap();
    assert!(matches!(
        sealed(vec![good.clone()]),
        SealError::Image(ImageError::Cut { .. })
    ));

    // None of these left a set or a half of one, and the store still works.
    assert_eq!(
        fs::read_dir(store.dir()).unwrap().count(),
        1,
        "only the lock"
    );
    fs::write(&good.path, bytes).unwrap();
    store.seal(&request(2, vec![good], LONG)).unwrap();
}

#[test]
fn saved_open_files_go_with_their_image() {
    let state = State::new();
    let store = state.store();
    let report = state.image(40001, 1);
    let files = report.path.with_extension("").into_os_string();
    let files = PathBuf::from([files, "_files".into()].join("".as_ref()));
    fs::create_dir_all(files.join("deep")).unwrap();
    fs::write(files.join("log_1"), "line 1\n").unwrap();
    fs::write(files.join("deep/data"), [7; 10_000]).unwrap();
    std::os::unix::fs::symlink("log_1", files.join("alias")).unwrap();
    let set = store.seal(&request(1, vec![report.clone()], LONG)).unwrap();
    // DMTCP writes these in place.
    fs::write(files.join("log_1"), "another\n").unwrap();
    set.verify().unwrap();
    let saved = &set.manifest().images[0].saved_files;
    assert_eq!(saved.len(), 2);
    assert_eq!(set.total_bytes(), set.manifest().images[0].size + 10_007);

    // DMTCP looks for them where it wrote them, whether that is still there or not.
    let next = state.raw.join("attempt-2");
    for _ in 0..2 {
        let staged = set.stage_into(&next).unwrap();
        assert_eq!(staged, [next.join(report.path.file_name().unwrap())]);
        assert_eq!(fs::read_to_string(files.join("alias")).unwrap(), "line 1\n");
        assert_eq!(fs::read(files.join("deep/data")).unwrap(), [7; 10_000]);
        // What the restarted process writes does not reach the set.
        fs::write(files.join("log_1"), "after restart\n").unwrap();
        set.verify().unwrap();
    }
    fs::remove_dir_all(&state.raw).unwrap();
    set.stage_into(&state.raw.join("attempt-3")).unwrap();
    assert_eq!(fs::read_to_string(files.join("log_1")).unwrap(), "line 1\n");

    let in_set = set.dir().join(files.file_name().unwrap()).join("deep/data");
    flip(&in_set, 9);
    assert!(matches!(set.verify(), Err(SetError::Checksum { path, .. }) if path == in_set));
}

#[test]
fn a_place_that_cannot_be_written_is_named_and_nothing_is_lost() {
    let state = State::new();
    let store = state.store();
    let first = store.seal(&state.round(1)).unwrap();
    // Where the set is put together stands a file.
    let in_the_way = store.dir().join("000002.partial");
    fs::write(&in_the_way, "").unwrap();
    let error = store.seal(&state.round(2)).unwrap_err();
    assert!(
        matches!(&error, SealError::Io { action: "create", path, .. } if path == &in_the_way),
        "{error}"
    );
    assert_eq!(store.newest_verified().unwrap().set.unwrap(), first);
    assert_eq!(store.seal(&state.round(3)).unwrap().sequence(), 3);

    fs::write(state.raw.join("file"), "").unwrap();
    let error = SetStore::open(&state.raw.join("file")).unwrap_err();
    assert!(matches!(error, SetError::Io { .. }), "{error}");
    assert!(error.to_string().contains("file"), "{error}");
}

#[test]
fn strange_entries_are_left_alone() {
    let state = State::new();
    let store = state.store();
    for entry in ["latest", "7", "notes.partial", "000009.partial"] {
        fs::create_dir(store.dir().join(entry)).unwrap();
    }
    store.seal(&state.round(1)).unwrap();
    assert_eq!(store.list().unwrap().sets.len(), 1);
    assert_eq!(store.sweep().unwrap(), [store.dir().join("000009.partial")]);
    assert!(store.dir().join("notes.partial").exists());
    // Not the link of that name.
    assert!(store.dir().join("latest").is_dir());
}

#[test]
fn what_another_user_wrote_is_not_taken_in() {
    let state = State::new();
    let store = state.store();
    let somebody = 12_345;
    let chown = |path: &Path| std::os::unix::fs::lchown(path, Some(somebody), None);
    let mut round = state.round(1);
    let image = round.images[1].path.clone();
    if chown(&image).is_err() {
        println!("SKIPPED: only root can give files away");
        return;
    }
    let refused = |error: &SealError, path: &Path| matches!(error, SealError::OtherOwner { path: p, found, .. } if p == path && *found == somebody);
    let error = store.seal(&round).unwrap_err();
    assert!(refused(&error, &image), "{error:?}");

    // Nor the files beside an image.
    round.images[1] = state.image(40001, 1);
    let saved = image.with_file_name(format!(
        "{}_files",
        image.file_stem().unwrap().to_str().unwrap()
    ));
    fs::create_dir(&saved).unwrap();
    store.seal(&round).unwrap();
    chown(&saved).unwrap();
    let error = store.seal(&round).unwrap_err();
    assert!(refused(&error, &saved), "{error:?}");
    assert_eq!(store.list().unwrap().sets.len(), 1);
}

#[test]
fn behind_the_last_number_there_is_no_set() {
    let state = State::new();
    let last = state.root.join("sets").join(u64::MAX.to_string());
    fs::create_dir_all(&last).unwrap();
    fs::write(last.join("something"), "").unwrap();
    let store = state.store();
    for generation in 1..=2 {
        let error = store.seal(&state.round(generation)).unwrap_err();
        assert!(
            matches!(
                error,
                SealError::Io {
                    action: "promote",
                    ..
                }
            ),
            "{error:?}"
        );
    }
    assert!(last.join("something").exists());
}
