//! `sets`, `verify`, `prune`, `pack` and `unpack`.

use crate::run::{Ran, run};
use crate::state::{State, flip};
use dmtcp_client::set::CheckpointSet;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;

fn with_sets(count: u32) -> State {
    let state = State::new();
    let store = state.store();
    for generation in 1..=count {
        store.seal(&state.round(generation)).unwrap();
    }
    state
}

fn on(state: &State, command: &str, options: &[&str]) -> Ran {
    let mut arguments: Vec<&OsStr> = vec![command.as_ref(), state.root.as_os_str()];
    arguments.extend(options.iter().map(OsStr::new));
    run(arguments)
}

fn numbers(json: &Value) -> Vec<u64> {
    let sets = json.as_array().unwrap().iter();
    sets.map(|set| set["sequence"].as_u64().unwrap()).collect()
}

#[test]
fn sets_are_listed_newest_first() {
    let state = with_sets(3);
    let ran = on(&state, "sets", &[]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!(lines.len(), 4, "{}", ran.out);
    assert!(lines[1].starts_with("000003  20"), "{}", ran.out);
    assert!(
        lines[1].ends_with("2 images  92.0 KiB  2 × counter") || lines[1].contains("2 × counter")
    );
    let json = on(&state, "sets", &["--json"]).json("sets");
    let sets = json["sets"].as_array().unwrap();
    let sequences: Vec<_> = sets
        .iter()
        .map(|set| &set["manifest"]["sequence"])
        .collect();
    assert_eq!(sequences, [3, 2, 1]);
    assert_eq!(sets[0]["manifest"]["images"][0]["program"], "counter");
    assert_eq!(json["unreadable"].as_array().unwrap().len(), 0);
}

#[test]
fn verify_names_what_is_wrong_with_which_set() {
    let state = with_sets(4);
    let all_well = on(&state, "verify", &[]);
    assert_eq!(
        (all_well.code, all_well.out.matches("  whole  ").count()),
        (0, 4)
    );
    let set = |number: u32| state.root.join(format!("sets/{number:06}"));
    let image = |number| {
        CheckpointSet::open(&set(number))
            .unwrap()
            .images()
            .remove(0)
    };
    flip(&image(4), 9000);
    fs::remove_file(image(3)).unwrap();
    fs::write(set(2).join("manifest.json"), "{}").unwrap();

    let ran = on(&state, "verify", &["--json"]);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    let json = ran.json("verify");
    let verdict = |index: usize| {
        let set = &json["sets"][index];
        (
            set["sequence"].as_u64(),
            set["whole"].as_bool(),
            set["error"]["slug"].as_str(),
        )
    };
    assert_eq!(verdict(0), (Some(4), Some(false), Some("checksum")));
    assert_eq!(verdict(1), (Some(3), Some(false), Some("file-missing")));
    assert_eq!(verdict(2), (Some(1), Some(true), None));
    assert_eq!(verdict(3), (Some(2), Some(false), Some("manifest-damaged")));
    assert!(json["sets"][3]["bytes"].is_null());
    assert!(
        json["sets"][3]["directory"]
            .as_str()
            .unwrap()
            .ends_with("/000002")
    );

    let text = on(&state, "verify", &[]);
    assert_eq!(text.code, 1);
    assert!(
        text.out.contains("000004  BAD    checksum: "),
        "{}",
        text.out
    );
    assert!(
        text.out.contains("\n000002  BAD    manifest-damaged: "),
        "{}",
        text.out
    );
    let listed = on(&state, "sets", &["--json"]);
    assert_eq!(listed.code, 1);
    assert_eq!(listed.json("sets")["unreadable"][0]["sequence"], 2);
    assert_eq!(on(&state, "verify", &["--set", "1"]).code, 0);
    assert_eq!(on(&state, "verify", &["--set", "2"]).code, 1);
    let none = on(&state, "verify", &["--set", "9"]);
    assert_eq!((none.code, none.slug()), (1, "no-sets"));
    assert!(none.err.contains("`dmtcpctl sets` lists"), "{}", none.err);
}

#[test]
fn where_nothing_was_sealed_no_list_is_promised() {
    let state = with_sets(0);
    let archive = state.raw.join("set.tar");
    let archive = archive.to_str().unwrap();
    for (command, options) in [("verify", &[][..]), ("pack", &[archive])] {
        let ran = on(&state, command, options);
        assert_eq!((ran.code, ran.slug()), (1, "no-sets"));
        assert!(
            ran.err.contains("no set in ") && !ran.err.contains("lists"),
            "{}",
            ran.err
        );
    }
}

#[test]
fn an_older_set_is_not_packed_for_a_newest_that_is_damaged() {
    let state = with_sets(3);
    let archive = state.raw.join("set.tar");
    let name = archive.to_str().unwrap();
    let manifest = state.root.join("sets/000003/manifest.json");
    let sealed = fs::read(&manifest).unwrap();
    fs::write(&manifest, "{}").unwrap();
    for options in [&[name][..], &[name, "--set", "3"]] {
        let ran = on(&state, "pack", options);
        assert_eq!((ran.code, ran.slug()), (1, "manifest-damaged"), "{ran:?}");
        assert!(ran.err.contains("000003"), "{}", ran.err);
        assert!(ran.err.contains("  hint: `--set 2` packs"), "{}", ran.err);
        assert!(!archive.exists());
    }
    assert_eq!(on(&state, "pack", &[name, "--set", "2"]).code, 0);
    fs::remove_file(&archive).unwrap();

    fs::write(&manifest, sealed).unwrap();
    let set = CheckpointSet::open(manifest.parent().unwrap()).unwrap();
    flip(&set.images().remove(0), 9000);
    let ran = on(&state, "pack", &[name]);
    assert_eq!((ran.code, ran.slug()), (1, "checksum"), "{ran:?}");
    assert!(ran.err.contains("  hint: "), "{}", ran.err);
    assert!(!archive.exists());
}

#[test]
fn who_names_a_directory_below_is_told_the_right_one() {
    let state = with_sets(1);
    let root = state.root.canonicalize().unwrap();
    for below in ["sets", "sets/000001"] {
        let ran = run(["sets".as_ref(), root.join(below).as_os_str()]);
        assert_eq!((ran.code, ran.slug()), (1, "no-state-directory"));
        let hint = format!("  hint: try {}\n", root.display());
        assert!(ran.err.ends_with(&hint), "{}", ran.err);
    }
    let ran = run(["inspect".as_ref(), root.as_os_str()]);
    assert_eq!((ran.code, ran.slug()), (1, "not-an-image"));
    assert!(ran.err.contains("name its *.dmtcp files"), "{}", ran.err);
}

#[test]
fn prune_does_what_its_dry_run_says() {
    let state = with_sets(6);
    let said = on(
        &state,
        "prune",
        &["--keep", "2", "--keep-every", "3", "--dry-run", "--json"],
    );
    let said = said.json("prune");
    assert_eq!(said["dry_run"], true);
    assert_eq!(numbers(&said["kept"]), [6, 5, 3]);
    assert_eq!(numbers(&said["removed"]), [4, 2, 1]);
    assert_eq!(said["kept"][0]["why"], "newest-good");
    assert_eq!(said["kept"][2]["why"], "keep-every");
    assert_eq!(
        on(&state, "sets", &[]).out.lines().count(),
        7,
        "nothing was done"
    );
    let ran = on(&state, "prune", &["--keep", "2", "--keep-every", "3"]);
    assert_eq!(ran.code, 0);
    assert!(ran.out.contains("3 sets removed, "), "{}", ran.out);
    let left = on(&state, "sets", &["--json"]).json("sets");
    let left = left["sets"].as_array().unwrap().iter();
    let left: Vec<_> = left.map(|set| &set["manifest"]["sequence"]).collect();
    assert_eq!(left, [6, 5, 3]);
    let size = ["--max-bytes", "1G", "--dry-run", "--json"];
    let sized = on(&state, "prune", &size).json("prune");
    assert_eq!(numbers(&sized["removed"]), [0; 0]);
}

#[test]
fn sets_of_another_owner_are_for_later() {
    let state = with_sets(2);
    let _owner = state.store();
    let ran = on(&state, "prune", &["--keep", "1"]);
    assert_eq!((ran.code, ran.slug()), (75, "owned"));
    assert_eq!(on(&state, "verify", &[]).code, 0, "reading needs no owner");
    let asked = on(&state, "prune", &["--keep", "1", "--dry-run", "--json"]);
    assert_eq!(asked.code, 0, "nor does asking: {asked:?}");
    let asked = asked.json("prune");
    assert_eq!(numbers(&asked["kept"]), [2]);
    assert_eq!(numbers(&asked["removed"]), [1]);
}

#[test]
fn a_set_is_packed_and_unpacked_elsewhere() {
    let state = with_sets(2);
    let archive = state.raw.join("set.tar");
    let archive = archive.to_str().unwrap();
    let packed = on(&state, "pack", &[archive, "--set", "1", "--json"]);
    assert_eq!(packed.code, 0);
    let packed = packed.json("pack");
    assert_eq!(packed["sequence"], 1);
    assert_eq!(
        packed["archive_bytes"],
        fs::metadata(archive).unwrap().len()
    );
    let other = state.raw.join("other");
    let unpacked = run(["unpack", archive, other.to_str().unwrap(), "--json"]);
    assert_eq!(unpacked.code, 0);
    let unpacked = unpacked.json("unpack");
    assert_eq!(
        (&unpacked["sequence"], &unpacked["packed_as"]),
        (&1.into(), &1.into())
    );
    let verified = run(["verify".as_ref(), other.as_os_str()]);
    assert_eq!(
        (verified.code, verified.out.matches("  whole  ").count()),
        (0, 1)
    );

    fs::write(archive, [b'x'; 4096]).unwrap();
    let refused = run(["unpack", archive, other.to_str().unwrap()]);
    assert_eq!((refused.code, refused.slug()), (1, "not-an-archive"));
    assert_eq!(run(["verify".as_ref(), other.as_os_str()]).code, 0);
    let missing = on(&state, "pack", &[archive, "--set", "7"]);
    assert_eq!((missing.code, missing.slug()), (1, "no-sets"));
}

#[test]
fn an_archive_that_fails_leaves_no_state_directory() {
    let state = with_sets(1);
    let archive = state.raw.join("set.tar");
    let name = archive.to_str().unwrap();
    assert_eq!(on(&state, "pack", &[name]).code, 0);
    let whole = fs::read(&archive).unwrap();
    let damaged = [
        &whole[..whole.len() - 20_000],
        &[1],
        &whole[whole.len() - 19_999..],
    ]
    .concat();
    let nowhere = state.raw.join("a/b");
    let there = state.raw.join("there");
    fs::create_dir(&there).unwrap();
    let cases = [
        (None, "io"),
        (Some(&b""[..]), "not-an-archive"),
        (Some(b"a short text\n"), "not-an-archive"),
        (Some(&whole[..whole.len() / 2]), "archive-cut"),
        (Some(&damaged), "checksum"),
    ];
    for (bytes, slug) in cases {
        match bytes {
            None => fs::remove_file(&archive).unwrap(),
            Some(bytes) => fs::write(&archive, bytes).unwrap(),
        }
        for dir in [&nowhere, &there] {
            let ran = run(["unpack", name, dir.to_str().unwrap()]);
            assert_eq!((ran.code, ran.slug()), (1, slug), "{ran:?}");
        }
        assert!(!state.raw.join("a").exists(), "{slug}");
        assert_eq!(fs::read_dir(&there).unwrap().count(), 0, "{slug}");
    }
}

#[test]
fn a_directory_without_sets_is_not_made_one() {
    let state = State::new();
    for command in ["sets", "verify"] {
        let ran = on(&state, command, &[]);
        assert_eq!((ran.code, ran.slug()), (1, "no-state-directory"));
    }
    let ran = on(&state, "prune", &["--keep", "1"]);
    assert_eq!((ran.code, ran.slug()), (1, "no-state-directory"));
    assert!(ran.err.contains("  hint: "), "{}", ran.err);
    assert!(!state.root.exists());
}
