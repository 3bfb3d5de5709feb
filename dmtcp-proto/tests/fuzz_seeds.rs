//! Replays the seeds of `fuzz/`, and keeps those that are made from the captures up to date.
//!
//! `UPDATE_FUZZ_SEEDS=1 cargo test -p dmtcp-proto --test fuzz_seeds` writes them anew. Other files
//! in `fuzz/seeds/<target>/` (what a fuzzer once found) are replayed as they are.

use dmtcp_proto::{Dialect, fuzzing};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../fuzz/seeds")
        .join(target)
}

/// Replays every file of a target's folder; first checks or writes the ones that are made.
fn replay(target: &str, made: &BTreeMap<String, Vec<u8>>, body: fn(&[u8])) {
    let folder = folder(target);
    let update = std::env::var_os("UPDATE_FUZZ_SEEDS").is_some();
    for (name, seed) in made {
        let path = folder.join(name);
        if update {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, seed).unwrap();
        }
        let kept = std::fs::read(&path).unwrap_or_default();
        assert_eq!(&kept, seed, "{} is out of date", path.display());
    }
    let mut replayed = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        eprintln!("{}", path.display());
        body(&std::fs::read(path).unwrap());
        replayed += 1;
    }
    assert!(replayed >= made.len() && replayed > 0);
}

/// One captured frame of each kind and dialect, with the dialect's position in `Dialect::ALL`.
fn captures() -> Vec<(String, u8, Vec<u8>)> {
    let sources = [
        include_str!("../vectors/v3.jsonl"),
        include_str!("../vectors/v5.jsonl"),
    ];
    let mut captures = Vec::new();
    for (index, (source, dialect)) in (0u8..).zip(sources.iter().zip(Dialect::ALL)) {
        let mut seen = Vec::new();
        for line in source.lines() {
            let sidecar: Value = serde_json::from_str(line).unwrap();
            let kind = sidecar["type_name"].as_str().unwrap().to_lowercase();
            if seen.contains(&kind) {
                continue;
            }
            let hex = sidecar["hex"].as_str().unwrap();
            let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            let bytes = (0..hex.len()).step_by(2).map(digits).collect();
            let name = format!("{dialect:?}-{}", kind.replace('_', "-")).to_lowercase();
            captures.push((name, index, bytes));
            seen.push(kind);
        }
    }
    assert!(captures.len() > 30, "only {}", captures.len());
    captures
}

#[test]
fn decoder() {
    let mut made = BTreeMap::new();
    let mut streams: [Vec<u8>; 2] = Default::default();
    for (_, index, bytes) in captures() {
        streams[usize::from(index)].extend(bytes);
    }
    for (number, stream) in (1u8..).zip(&streams) {
        made.insert(
            format!("all-{number}"),
            [&[number, 7], &stream[..]].concat(),
        );
        made.insert(
            format!("all-{number}-detected"),
            [&[0, 99], &stream[..]].concat(),
        );
    }
    made.insert("garbage".into(), b"\x00\x00GET / HTTP/1.1\r\n\r\n".to_vec());
    replay("decoder", &made, fuzzing::decoder);
}

#[test]
fn message() {
    let made = captures().into_iter().map(|(name, dialect, bytes)| {
        let mut seed = vec![dialect];
        seed.extend_from_slice(&bytes[16..]);
        (name, seed)
    });
    replay("message", &made.collect(), fuzzing::message);
}

#[test]
fn detection() {
    let all = captures();
    let hello = all
        .iter()
        .find(|(name, ..)| name == "v3-new-worker")
        .unwrap();
    let made = all.iter().map(|(name, dialect, bytes)| {
        let payload = bytes.len() > 208;
        let mut seed = vec![u8::from(payload) * 2, 0];
        seed.extend_from_slice(&hello.2[16..208]);
        seed.push(*dialect);
        seed.extend_from_slice(&bytes[16..bytes.len().min(209)]);
        (name.clone(), seed)
    });
    replay("detection", &made.collect(), fuzzing::detection);
}

/// What the bytes mean is in `src/fuzzing/coordinator.rs`.
#[test]
fn coordinator() {
    const LAUNCH: [u8; 4] = [1, 0, 0, 0];
    const ALL_STEP: u8 = 10;
    const BLOCKING: [u8; 2] = [17, 3];
    const SEAL: [u8; 2] = [19, 0];
    let mut made = BTreeMap::new();
    for dialect in [0u8, 1] {
        let start = [dialect, 0, 0, 0];
        let two = [&start[..], &LAUNCH, &LAUNCH].concat();
        let round = [&BLOCKING[..], &[ALL_STEP; 5]].concat();
        let whole = [&two[..], &round, &SEAL, &[ALL_STEP; 2], &round, &SEAL].concat();
        made.insert(format!("rounds-{dialect}"), whole);
        for steps in 0..6 {
            let lost = [&two[..], &BLOCKING, &vec![ALL_STEP; steps], &[16, 0]].concat();
            made.insert(format!("lost-{steps}-{dialect}"), lost);
        }
        let killed = [&two[..], &[17, 5], &[ALL_STEP; 6], &SEAL].concat();
        made.insert(format!("killed-{dialect}"), killed);
        let restart = [
            &start[..],
            &[4, 2, 0, 0, 0],
            &[4, 2, 0, 0, 1],
            &[12, 0, 1, 6],
        ]
        .concat();
        made.insert(format!("restart-{dialect}"), restart);
        let tools: Vec<u8> = (0..13).flat_map(|verb| [6, dialect, verb, 0]).collect();
        made.insert(format!("tools-{dialect}"), [&two[..], &tools].concat());
    }
    replay("coordinator", &made, fuzzing::coordinator);
}
