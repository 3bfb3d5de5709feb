//! Replays the seeds of `fuzz/`, and keeps those that are made from the captures up to date.
//!
//! `UPDATE_FUZZ_SEEDS=1 cargo test -p dmtcp-proto --test fuzz_seeds` writes them anew. Other files
//! in `fuzz/seeds/<target>/` (what a fuzzer once found) are replayed as they are.

mod captures;

use dmtcp_proto::{Dialect, fuzzing};
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

/// A dialect's position in `Dialect::ALL`, by which scripts choose it.
fn index(dialect: Dialect) -> u8 {
    let index = Dialect::ALL.iter().position(|&other| other == dialect);
    u8::try_from(index.unwrap()).unwrap()
}

/// One captured frame of each kind and dialect, by dialect and kind.
fn captures() -> BTreeMap<String, captures::Capture> {
    let mut captures = BTreeMap::new();
    for capture in captures::all() {
        let name = format!("{:?}-{}", capture.dialect, capture.kind()).to_lowercase();
        captures.entry(name).or_insert(capture);
    }
    assert!(captures.len() > 100, "only {}", captures.len());
    captures
}

#[test]
fn decoder() {
    let mut made = BTreeMap::new();
    for &dialect in Dialect::ALL {
        let stream: Vec<u8> = captures()
            .into_values()
            .filter(|capture| capture.dialect == dialect)
            .flat_map(|capture| capture.bytes)
            .collect();
        let name = format!("{dialect:?}").to_lowercase();
        let known = index(dialect) + 1;
        made.insert(format!("all-{name}"), [&[known, 7], &stream[..]].concat());
        made.insert(
            format!("all-{name}-detected"),
            [&[0, 99], &stream[..]].concat(),
        );
    }
    for (number, probe) in captures::probes().into_iter().enumerate() {
        let seed = [&[0, 7], &probe.bytes[..]].concat();
        made.insert(format!("probe-{number}-detected"), seed);
    }
    made.insert("garbage".into(), b"\x00\x00GET / HTTP/1.1\r\n\r\n".to_vec());
    replay("decoder", &made, fuzzing::decoder);
}

#[test]
fn message() {
    let made = captures().into_iter().map(|(name, capture)| {
        let seed = [&[index(capture.dialect)], &capture.bytes[16..]].concat();
        (name, seed)
    });
    replay("message", &made.collect(), fuzzing::message);
}

#[test]
fn detection() {
    let all = captures();
    let made = all.iter().map(|(name, second)| {
        let dialect = second.dialect;
        let first = &all[&format!("{dialect:?}-new-worker").to_lowercase()];
        let parts = [first, second].map(|capture| {
            let end = capture.bytes.len().min(dialect.header_len() + 64);
            &capture.bytes[16..end]
        });
        let lens = parts.map(|part| u8::try_from(part.len() + 16 - dialect.header_len()).unwrap());
        let seed = [&[lens[0], lens[1], index(dialect)], parts[0], parts[1]].concat();
        (name.clone(), seed)
    });
    let mut made: BTreeMap<_, _> = made.collect();
    // What begins a connection alone.
    for (name, first) in &all {
        let end = first.bytes.len().min(first.dialect.header_len() + 64);
        let part = &first.bytes[16..end];
        let len = u8::try_from(end - first.dialect.header_len()).unwrap();
        let seed = [&[len, 0, index(first.dialect)], part].concat();
        made.insert(format!("{name}-first"), seed);
    }
    replay("detection", &made, fuzzing::detection);
}

/// What the bytes mean is in `src/fuzzing/coordinator.rs`.
#[test]
fn coordinator() {
    const LAUNCH: [u8; 4] = [1, 0, 0, 0];
    const ALL_STEP: u8 = 10;
    const BLOCKING: [u8; 2] = [17, 3];
    const SEAL: [u8; 2] = [19, 0];
    let mut made = BTreeMap::new();
    for (name, dialect) in [("v3", Dialect::V3), ("v5", Dialect::V5)] {
        let dialect = index(dialect);
        let start = [dialect, 0, 0, 0];
        let two = [&start[..], &LAUNCH, &LAUNCH].concat();
        let round = [&BLOCKING[..], &[ALL_STEP; 5]].concat();
        let whole = [&two[..], &round, &SEAL, &[ALL_STEP; 2], &round, &SEAL].concat();
        made.insert(format!("rounds-{name}"), whole);
        for steps in 0..6 {
            let lost = [&two[..], &BLOCKING, &vec![ALL_STEP; steps], &[16, 0]].concat();
            made.insert(format!("lost-{steps}-{name}"), lost);
        }
        for (survivors, what) in [(0, "run-on"), (1, "killed")] {
            for steps in 0..6 {
                // The first one is late in every step; on the second time it may be too late.
                let some = [&two[..], &BLOCKING, &vec![ALL_STEP; steps], &[9, 1]].concat();
                let given_up = [24, 255, 0, 0, 0, survivors];
                let rest = [ALL_STEP; 8];
                let seed = [
                    &some[..],
                    &given_up,
                    &rest,
                    &given_up,
                    &BLOCKING,
                    &rest,
                    &SEAL,
                ];
                made.insert(format!("given-up-{what}-{steps}-{name}"), seed.concat());
            }
        }
        let killed = [&two[..], &[17, 5], &[ALL_STEP; 6], &SEAL].concat();
        made.insert(format!("killed-{name}"), killed);
        let restart = [
            &start[..],
            &[4, 2, 0, 0, 0],
            &[4, 2, 0, 0, 1],
            &[12, 0, 1, 6],
        ]
        .concat();
        made.insert(format!("restart-{name}"), restart);
        let tools: Vec<u8> = (0..13).flat_map(|verb| [6, dialect, verb, 0]).collect();
        made.insert(format!("tools-{name}"), [&two[..], &tools].concat());
    }
    replay("coordinator", &made, fuzzing::coordinator);
}

/// Positions in `Dialect::ALL`, with names for files.
fn dialects() -> impl Iterator<Item = (u8, String)> {
    let name = |dialect: &Dialect| format!("{dialect:?}").to_lowercase();
    (0u8..).zip(Dialect::ALL.iter().map(name))
}

/// What the bytes mean is in `src/fuzzing/worker.rs` and `both_sides.rs`.
#[test]
fn worker() {
    const HELP: [u8; 2] = [1, 0];
    const JOIN: u8 = 0;
    const BLOCKING: [u8; 2] = [1, 2];
    const SEAL: [u8; 2] = [2, 0];
    const TURN: u8 = 8;
    let mut made = BTreeMap::new();
    for (dialect, name) in dialects() {
        for (restart, entry) in [(0, "new"), (1, "restart")] {
            let start = [0, dialect, restart, 2, 0, 1, 1, 0, 5];
            let whole = [&start[..], &HELP.repeat(40)].concat();
            made.insert(format!("{entry}-{name}"), whole.clone());
            for steps in 9..18 {
                let some = &whole[..start.len() + 2 * steps];
                let unnamed = [some, &[12, 3, 0, 0, 0], &HELP].concat();
                made.insert(format!("{entry}-unnamed-{steps}-{name}"), unnamed);
            }
            for steps in [0, 2, 3, 6, 9] {
                let some = &whole[..start.len() + 2 * steps];
                let killed = [some, &[13, 0]].concat();
                made.insert(format!("{entry}-killed-{steps}-{name}"), killed);
                let wrong = [some, &[12, 1, 0], &HELP].concat();
                made.insert(format!("{entry}-misdriven-{steps}-{name}"), wrong);
                let noise = [some, &[17, 4], b"DMTC", &[0], &HELP].concat();
                made.insert(format!("{entry}-noise-{steps}-{name}"), noise);
                let again = [some, &[8, 0, 1, 2, 0, 3], &HELP, &HELP].concat();
                made.insert(format!("{entry}-ordered-{steps}-{name}"), again);
            }
        }
        let start = [3, dialect, JOIN, JOIN, TURN, TURN];
        let round = [&BLOCKING[..], &[TURN; 12], &SEAL, &[TURN; 4]].concat();
        let rounds = [&start[..], &round, &round].concat();
        made.insert(format!("both-sides-{name}"), rounds);
        let late = [
            &start[..],
            &BLOCKING,
            &[TURN; 3],
            &[JOIN],
            &[TURN; 12],
            &SEAL,
        ]
        .concat();
        made.insert(format!("both-sides-late-{name}"), late);
        let killed = [&start[..], &BLOCKING, &[TURN; 2], &[1, 6], &[TURN; 3]].concat();
        made.insert(format!("both-sides-killed-{name}"), killed);
        for (survivors, what) in [(0, "run-on"), (1, "killed")] {
            let late = [&start[..], &BLOCKING, &[9, 0], &[10, 0, survivors]].concat();
            let seed = [&late[..], &[TURN; 12], &SEAL, &[TURN; 4]].concat();
            made.insert(format!("both-sides-given-up-{what}-{name}"), seed);
        }
        let split: Vec<u8> = (0..120u8).flat_map(|n| [4 + n % 4, n, n * 2]).collect();
        let split = [&start[..], &BLOCKING, &split].concat();
        made.insert(format!("both-sides-split-{name}"), split);
    }
    replay("worker", &made, fuzzing::worker);
}

/// What the bytes mean is in `src/fuzzing/exchange.rs`.
#[test]
fn exchange() {
    const COMMANDS: [&str; 9] = [
        "status",
        "list",
        "checkpoint",
        "blocking",
        "kill-after",
        "never",
        "every",
        "kill",
        "quit",
    ];
    let good = [0, 0, 0, 0, 1, 1, 1, 1, 0, 0];
    let mut made = BTreeMap::new();
    for (dialect, name) in dialects() {
        for (command, word) in (0u8..).zip(COMMANDS) {
            let start = [dialect, 5, command, 9];
            let answers = [
                ("good", good),
                ("refused", [0, 0, 0, 4, 0, 0, 0, 0, 0, 0]),
                ("unknown", [0, 0, 0, 3, 0, 0, 0, 0, 0, 0]),
                ("wrong-verb", [0, 0, 7, 0, 0, 0, 0, 0, 0, 0]),
                ("other-dialect", [3, dialect + 1, 0, 0, 0, 0, 0, 0, 0, 0]),
                ("closed", [7, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            ];
            for (what, answer) in answers {
                let seed = [&start[..], &answer, &good].concat();
                made.insert(format!("{word}-{what}-{name}"), seed);
            }
        }
    }
    replay("exchange", &made, fuzzing::exchange);
}

/// What the bytes mean is in `src/fuzzing/restart_script.rs`.
#[test]
fn restart_script() {
    let lines = "ckpt_timestamp=\"Sun Nov 22 11:43:07 2026\"\n\
        coord_host=$DMTCP_COORD_HOST\nif test -z \"$x\"; then\n  coord_host=vm\nfi\n\
        coord_port=35841\ncheckpoint_interval=0\ndmt_rstr_cmd=/opt/bin/dmtcp_restart\n\
        # Number of hosts in the computation = 1\n";
    let images = [
        (
            "one-host",
            "given_ckpt_files=\" /d/ckpt_a.dmtcp /d/ckpt_b.dmtcp\"\n",
        ),
        (
            "ssh",
            "worker_ckpts='\n :: nodea :bg: /d/ckpt_a.dmtcp /d/ckpt_b.dmtcp : ssh\n'\n",
        ),
        ("2-4", "worker_ckpts='\n :: nodea :bg: /d/ckpt_a.dmtcp\n'\n"),
        ("ours", "host_ckpts 'a b' bg ssh '/d/it'\\''s' /d/b\n"),
        ("expands", "given_ckpt_files=\" $HOME/a `ls`\"\n"),
        ("cut-off", "worker_ckpts='\n :: nodea :bg: /d/ckpt_a.dm"),
    ];
    let mut made = BTreeMap::new();
    for (name, images) in images {
        let seed = format!("\0{lines}{images}# it's \\\n\"$(x 'y')\" $'\\''\n");
        made.insert(name.to_owned(), seed.into_bytes());
    }
    let pieces: Vec<u8> = (0..64).flat_map(|n| [3, n, n + 1, n + 2, 1, n]).collect();
    made.insert("made".to_owned(), [&[1], &pieces[..]].concat());
    made.insert("edited".to_owned(), [&[2], &pieces[..]].concat());
    replay("restart_script", &made, fuzzing::restart_script);
}
