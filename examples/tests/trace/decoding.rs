//! What is shown of conversations with the embedded coordinator, in each dialect.

use super::{LONG, Trace, bytes, eventually, example, frames, objects};
use dmtcp_client::{
    Dialect,
    coordinator::Coordinator,
    native::Options,
    process::Child,
    server::{ComputationConfig, Server},
};
use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
};

/// A worker of the built-in computation of `checkpoint_every`, which takes its time.
fn worker(trace: &Trace, dialect: Dialect) -> Child {
    let dir = trace.dir.path();
    let mut command = Command::new(example("checkpoint_every"));
    command
        .arg(dmtcp_examples::demonstration::WORKER)
        .arg("0")
        .arg(dir)
        .arg("20")
        .stderr(File::create(dir.join("worker")).unwrap());
    Options::new(trace.addr(), dialect)
        .checkpoint_dir(dir.join("images"))
        .barrier_limit(LONG)
        .to_env(&mut command);
    Child::spawn(command).unwrap()
}

#[test]
fn a_native_worker_is_checkpointed_through_the_trace() {
    let server = Server::start().unwrap();
    for &dialect in Dialect::ALL {
        let computation = server.open(ComputationConfig::default()).unwrap();
        let trace = Trace::start(computation.addr(), &["--format", "json"]);
        let worker = worker(&trace, dialect);
        computation.wait_until_running(Some(1), LONG).unwrap();
        let coordinator = Coordinator::new(trace.addr(), dialect).timeout(LONG);
        assert_eq!(coordinator.status().unwrap().peers, 1);
        coordinator.checkpoint(LONG).unwrap();
        let images = fs::read_dir(trace.dir.path().join("images")).unwrap();
        assert_eq!(images.count(), 1);
        // The round goes on behind the last image, in 2.x for some phases.
        computation.wait_until_running(Some(1), LONG).unwrap();
        coordinator.kill_workers().unwrap();
        worker.wait(LONG).unwrap();
        eventually("the worker's end", || {
            trace
                .read("out")
                .contains("\"event\":\"closed\",\"time\"")
                .then_some(())
        });

        let out = trace.stop();
        let seen = objects(&out);
        assert_eq!(seen[0]["event"], "trace");
        assert_eq!(seen[0]["coordinator"], computation.addr().to_string());
        let worker = frames(&seen, 1);
        let of_dialect = |text: &str| text.replace("V?", &format!("{dialect:?}"));
        // Those with the same header have the same beginning.
        let same_header = |other: &&Dialect| other.header_len() == dialect.header_len();
        let open: Vec<String> = Dialect::ALL
            .iter()
            .filter(same_header)
            .map(|dialect| format!("{dialect:?}"))
            .collect();
        let open = open.join("|");
        assert_eq!(worker[0], format!("c2s {open} NewWorker"));
        assert_eq!(worker[1], format!("s2c {open} Accept"));
        let rest: Vec<&String> = worker[2..].iter().collect();
        let in_lockstep = !dialect.phases().is_empty();
        let round: &[&str] = match in_lockstep {
            true => &[
                "s2c V? Do(Suspend)",
                "c2s V? Ok",
                "s2c V? Do(Checkpoint)",
                "c2s V? CheckpointFile",
                "s2c V? Do(Resume)",
                "s2c V? KillPeer",
            ],
            false => &[
                "c2s V? ProcessAfterExec",
                "s2c V? DoCheckpoint",
                "c2s V? Barrier",
                "s2c V? BarrierReleased",
                "c2s V? CheckpointFile",
                "c2s V? WorkerResuming",
                "s2c V? KillPeer",
            ],
        };
        let mut order = rest.iter();
        for step in round.iter().copied().map(of_dialect) {
            assert!(order.any(|frame| **frame == step), "{step}: {rest:?}");
        }
        // Commands of those with 144 bytes are the same.
        let of_tool = |text: &str| match dialect.header_len() {
            144 => text.replace("V?", &open),
            _ => of_dialect(text),
        };
        let tool = frames(&seen, 2);
        let command = ["c2s V? UserCommand", "s2c V? UserResult"];
        assert_eq!(tool, command.map(of_tool));
        let status = seen
            .iter()
            .find(|object| object["connection"] == 2 && object["kind"] == "UserResult")
            .unwrap();
        assert_eq!(status["fields"]["peers"], 1);
        assert_eq!(status["fields"]["status"], "Success");
        assert!(seen.iter().all(|object| object["event"] != "raw"), "{out}");

        // The recording says the same again, in every form.
        assert_eq!(trace.replay(&["--format", "json"]), out);
        let recorded = objects(&trace.read("recording"));
        for direction in ["c2s", "s2c"] {
            assert_eq!(bytes(&recorded, 1, direction), bytes(&seen, 1, direction));
        }
        let lines = trace.replay(&[]);
        let count = |object: &&serde_json::Value| object["event"] == "frame";
        let in_lines = lines.matches(" from=").count();
        assert_eq!(in_lines, seen.iter().filter(count).count());
        let hex = trace.replay(&["--format", "hex"]);
        if in_lockstep {
            assert!(lines.contains(" Ok SUSPENDED from="), "{lines}");
            let row = "      0  44 4d 54 43 50 5f 43 4b 50 54 5f 56 30 0a 00";
            assert!(hex.contains(row), "{hex}");
        } else {
            let barrier = lines.lines().find(|line| line.contains(" Barrier "));
            let barrier = barrier.unwrap();
            assert!(barrier.contains("#1 > "), "{barrier}");
            assert!(barrier.ends_with("name=\"DMT:SUSPEND\""), "{barrier}");
            let row = "     16  44 4d 54 3a 53 55 53 50 45 4e 44 00 ";
            assert!(hex.contains(row), "{hex}");
        }
        // What was printed as JSON is a recording itself.
        fs::write(trace.dir.path().join("recording"), &out).unwrap();
        assert_eq!(trace.replay(&["--format", "json"]), out);
    }
}

#[test]
fn two_dialects_at_a_time_and_garbage_beside_them() {
    let server = Server::start().unwrap();
    let computation = server.open(ComputationConfig::default()).unwrap();
    let trace = Trace::start(computation.addr(), &[]);
    for dialect in [Dialect::V3, Dialect::V5] {
        let coordinator = Coordinator::new(trace.addr(), dialect).timeout(LONG);
        coordinator.status().unwrap();
    }
    let mut stranger = TcpStream::connect(trace.addr()).unwrap();
    stranger.set_read_timeout(Some(LONG)).unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut nothing = Vec::new();
    // The coordinator has hung up on it; whether by an end or a reset is its matter.
    let _ended = stranger.read_to_end(&mut nothing);
    assert_eq!(nothing, b"");
    drop(stranger);
    eventually("three ends", || {
        (trace.read("out").matches(" closed\n").count() == 3).then_some(())
    });
    let out = trace.stop();
    assert!(out.contains("#1 > V3 UserCommand UNKNOWN"), "{out}");
    assert!(out.contains("#2 < V5 UserResult UNKNOWN"), "{out}");
    let raw = r#"#3 > raw 18 bytes "GET / HTTP/1.1\r\n\r\n": bad magic"#;
    assert!(out.contains(raw), "{out}");
    assert_eq!(trace.replay(&[]), out);
}

#[test]
fn captured_frames_are_read_as_well() {
    for dialect in Dialect::ALL {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../dmtcp-proto/vectors");
        let word = format!("{dialect:?}").to_lowercase();
        let vectors = format!("{folder}/{word}.jsonl");
        let mut command = Command::new(example("trace"));
        let output = command
            .args(["--dialect", &word, "--read", &vectors])
            .output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let count = fs::read_to_string(vectors).unwrap().lines().count();
        assert_eq!(text.matches(" from=").count(), count, "{text}");
        assert!(!text.contains(" raw "), "{text}");
        assert!(text.contains("-c2s-NEW_WORKER"), "{text}");
    }
}

#[test]
fn mistakes_end_with_2_and_missing_files_with_1() {
    let run = |args: &[&str]| Command::new(example("trace")).args(args).output().unwrap();
    let usage = run(&["--foo"]);
    assert_eq!(usage.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&usage.stderr).contains("usage: trace"));
    let missing = run(&["--read", "/no/such/file"]);
    assert_eq!(missing.status.code(), Some(1));
    let said = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(said.contains("/no/such/file"), "{said}");
    let nowhere = run(&["no-port"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("HOST:PORT"));
}
