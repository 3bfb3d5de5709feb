//! What a set says of itself: all that is known, guarded, and read in every schema.

mod sample_images;
mod state;

use dmtcp_client::host::HostFingerprint;
use dmtcp_client::set::{CheckpointSet, Manifest, Phase, SetError};
use state::State;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

#[test]
fn a_set_keeps_what_was_known_of_its_round() {
    let state = State::new();
    let store = state.store();
    let this = HostFingerprint::of_this_host();
    let mut round = state.round(1);
    round.dmtcp = Some("4.2.0".to_owned());
    round.phases = vec![Phase::new("DMT:SUSPEND", Duration::from_millis(1500))];
    round.images[0].host.clone_from(&this.name);
    let set = store.seal(&round).unwrap();
    let manifest = set.manifest();
    assert_eq!(manifest.schema, Manifest::SCHEMA);
    assert_eq!(manifest.dmtcp.as_deref(), Some("4.2.0"));
    // The other image came from a host that nobody described.
    assert_eq!(manifest.hosts, [this]);
    let phases: Vec<_> = manifest
        .phases
        .iter()
        .map(|phase| phase.name.as_str())
        .collect();
    assert_eq!(phases, ["DMT:SUSPEND", "settle", "check"]);
    assert_eq!(manifest.phases[0].ms, 1500);
    assert_eq!(CheckpointSet::open(set.dir()).unwrap(), set);

    // Nothing ran here.
    let set = store.seal(&state.round(2)).unwrap();
    assert_eq!(set.manifest().hosts, []);
}

#[test]
fn a_changed_bit_anywhere_in_the_manifest_is_found() {
    let state = State::new();
    let set = state.store().seal(&state.round(1)).unwrap();
    let path = set.dir().join("manifest.json");
    let good = fs::read(&path).unwrap();
    // Every place in a byte comes up.
    for bit in (0..good.len() * 8).step_by(13) {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, bad).unwrap();
        match CheckpointSet::open(set.dir()) {
            Err(SetError::Manifest { path: named, .. }) => assert_eq!(named, path, "bit {bit}"),
            Err(SetError::Schema { .. }) => panic!("bit {bit} was believed"),
            other => panic!("bit {bit}: {other:?}"),
        }
    }
    for len in (0..good.len()).step_by(7) {
        fs::write(&path, &good[..len]).unwrap();
        let error = CheckpointSet::open(set.dir()).unwrap_err();
        assert!(matches!(error, SetError::Manifest { .. }), "{len}: {error}");
    }
    fs::write(&path, good).unwrap();
    assert_eq!(CheckpointSet::open(set.dir()).unwrap(), set);
    fs::remove_file(&path).unwrap();
    assert!(matches!(
        CheckpointSet::open(set.dir()),
        Err(SetError::NoManifest { .. })
    ));
}

#[test]
fn manifests_of_other_releases() {
    let state = State::new();
    let store = state.store();
    let set = store.seal(&state.round(1)).unwrap();
    let path = set.dir().join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        write_guarded(&path, &text.replacen(from, to, 1));
        CheckpointSet::open(set.dir())
    };
    let schema = "\"schema\": 2,";
    assert_eq!(
        with(schema, "\"schema\": 2, \"later\": [1, {}],").unwrap(),
        set
    );
    assert!(matches!(
        with(schema, "\"schema\": 3,").unwrap_err(),
        SetError::Schema {
            schema: 3,
            known: 2,
            ..
        }
    ));
    for (from, to) in [
        ("\"sequence\": 1", "\"sequence\": 2"),
        ("\"ckpt_", "\"../ckpt_"),
        ("\"ckpt_", "\"/ckpt_"),
        ("\"ckpt_", "\"deep/ckpt_"),
        ("\"crc32\"", "\"crc\""),
        ("98ff-", "98ff"),
    ] {
        let error = with(from, to).unwrap_err();
        assert!(matches!(error, SetError::Manifest { .. }), "{to}: {error}");
    }
}

/// Written by the release that wrote schema 1, which had no checksum of its own.
#[test]
fn schema_1_is_read_and_its_images_are_verified() {
    let state = State::new();
    let sets = state.root.join("sets");
    let dir = sets.join("000001");
    fs::create_dir_all(&dir).unwrap();
    fs::write(
        dir.join("manifest.json"),
        include_str!("manifests/schema-1.json"),
    )
    .unwrap();
    let image = dir.join("ckpt_counter_98ff-40001-e235cb49c5.dmtcp");
    fs::write(&image, b"image of schema 1\n").unwrap();
    let set = CheckpointSet::open(&dir).unwrap();
    set.verify().unwrap();
    let manifest = set.manifest();
    assert_eq!((manifest.schema, manifest.round), (1, 4));
    assert_eq!(manifest.images[0].host, OsString::from("node1"));
    assert_eq!(
        (&manifest.dmtcp, manifest.hosts.len(), manifest.phases.len()),
        (&None, 0, 0)
    );
    // And taken into account by a store.
    let store = state.store();
    assert_eq!(store.newest_verified().unwrap().set.unwrap(), set);
    assert_eq!(store.seal(&state.round(5)).unwrap().sequence(), 2);
    state::flip(&image, 3);
    assert!(matches!(set.verify(), Err(SetError::Checksum { path, .. }) if path == image));
}

#[test]
fn the_fields_of_a_manifest_are_those_of_its_description() {
    let state = State::new();
    let set = state.store().seal(&state.round(1)).unwrap();
    let text = fs::read_to_string(set.dir().join("manifest.json")).unwrap();
    let page = include_str!("../../docs/SETS.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let described: Vec<&str> = rows.flat_map(|row| row.split('`').step_by(2)).collect();
    // Two blanks: the fields of the set itself.
    let fields = text.lines().filter_map(|line| line.strip_prefix("  \""));
    let fields: Vec<&str> = fields.filter_map(|line| line.split('"').next()).collect();
    assert!(fields.len() > 14, "{fields:?}");
    for field in fields.iter().filter(|field| **field != "crc32_of_the_rest") {
        assert!(described.contains(field), "{field} is not in docs/SETS.md");
    }
    assert!(page.contains(fields[0]));
}

/// What a program that knows the format would write.
fn write_guarded(path: &Path, text: &str) {
    let (_, rest) = text.split_once(",\n").unwrap();
    let sum = crc32fast::hash(rest.as_bytes());
    let text = format!("{{\n  \"crc32_of_the_rest\": \"{sum:08x}\",\n{rest}");
    fs::write(path, text).unwrap();
}
