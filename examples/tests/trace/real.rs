//! DMTCP's own programs on their own coordinator, with the trace between them.

use super::{LONG, Trace, eventually, frames, objects};
use dmtcp_client::{
    Launch, Restart, Tools,
    process::{Child, ComputationTmp, Exit, Stream},
};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Command, Stdio},
};

#[test]
fn launch_checkpoint_kill_and_restart_go_through_the_trace() {
    let all = Tools::all();
    if all.is_empty() {
        println!("SKIPPED: no DMTCP");
    }
    for tools in all {
        println!("--- {}", tools.dir().display());
        on(&tools);
    }
}

/// Runs one of DMTCP's tools through the trace; what it prints.
fn command(tools: &Tools, trace: &Trace, tmp: &ComputationTmp, option: &str) -> String {
    let port = trace.port.to_string();
    let output = Command::new(tools.command())
        .args(["-h", "127.0.0.1", "-p", &port, option])
        .env("DMTCP_TMPDIR", tmp.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{option}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn on(tools: &Tools) {
    let dir = tempfile::tempdir().unwrap();
    let tmp = ComputationTmp::create().unwrap();
    let port_file = dir.path().join("port");
    let mut coordinator = Command::new(tools.coordinator());
    coordinator
        .args(["-q", "-q", "-p", "0", "--port-file"])
        .arg(&port_file)
        .current_dir(dir.path())
        .env("DMTCP_TMPDIR", tmp.path())
        // At the end of its input 4.2.0 would print prompts without a pause.
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let _coordinator = Child::spawn(coordinator).unwrap();
    let port = eventually("the coordinator's port", || {
        fs::read_to_string(&port_file).ok()?.trim().parse().ok()
    });
    let addr: SocketAddr = (Ipv4Addr::LOCALHOST, port).into();
    let trace = Trace::start(addr, &["--format", "json"]);
    let running = || {
        eventually("it runs", || {
            let status = command(tools, &trace, &tmp, "-s");
            (status.contains("NUM_PEERS=1\n") && status.contains("RUNNING=yes")).then_some(())
        });
    };
    let images = || -> Vec<PathBuf> {
        let entries = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let is_image = |path: &PathBuf| path.extension().is_some_and(|ext| ext == "dmtcp");
        entries.filter(is_image).collect()
    };

    let program = Launch::new(tools, "sleep")
        .args(["1000"])
        .join(trace.addr())
        .checkpoint_dir(dir.path())
        .tmpdir(tmp.path())
        .gzip(false)
        .stdin(Stream::Null)
        .spawn()
        .unwrap();
    running();
    command(tools, &trace, &tmp, "-c");
    let image = eventually("an image", || images().pop());
    running();
    let release = tools.version().unwrap();
    if (release.major, release.minor) != (2, 4) {
        assert!(command(tools, &trace, &tmp, "-l").contains("sleep"));
    }
    command(tools, &trace, &tmp, "-k");
    assert_eq!(program.wait(LONG).unwrap(), Exit::Code(0));

    let mut again = Restart::new(tools, [image])
        .join(trace.addr())
        .checkpoint_dir(dir.path())
        .tmpdir(tmp.path())
        .stdin(Stream::Null);
    if (release.major, release.minor) == (2, 4) {
        // Root is refused without it.
        again = again.raw_option("--run-as-root");
    }
    let again = again.spawn().unwrap();
    eventually("it has been taken in again", || {
        command(tools, &trace, &tmp, "-s")
            .contains("NUM_PEERS=1\n")
            .then_some(())
    });
    command(tools, &trace, &tmp, "-q");
    again.kill_group().unwrap();
    again.wait(LONG).unwrap();

    let out = trace.stop();
    let seen = objects(&out);
    let dialect = format!("{:?}", tools.dialect().unwrap());
    let is_raw = |object: &&serde_json::Value| object["event"] == "raw";
    let raw: Vec<_> = seen.iter().filter(is_raw).collect();
    assert!(raw.is_empty(), "{raw:?}");
    let problems = seen.iter().filter(|object| object["problem"].is_string());
    assert_eq!(problems.count(), 0, "{out}");
    let hello = seen.iter().find(|object| object["kind"] == "NewWorker");
    let connection = hello.unwrap()["connection"].as_u64().unwrap();
    let worker = frames(&seen, connection);
    let round: &[&str] = match tools.dialect().unwrap().phases().is_empty() {
        true => &[
            "ProcessAfterExec",
            "DoCheckpoint",
            "Barrier",
            "BarrierReleased",
            "KeyValueRequest",
            "KeyValueResponse",
            "CheckpointFile",
            "WorkerResuming",
            "KillPeer",
        ],
        false => &[
            "Do(Suspend)",
            "Do(FdLeaderElection)",
            "Ok",
            "Do(Checkpoint)",
            "CheckpointFile",
            "Do(Resume)",
            "KillPeer",
        ],
    };
    for kind in round {
        let way = |way| worker.contains(&format!("{way} {dialect} {kind}"));
        assert!(way("c2s") || way("s2c"), "{kind}: {worker:?}");
    }
    let all: Vec<&str> = seen
        .iter()
        .filter_map(|object| object["kind"].as_str())
        .collect();
    for kind in ["RestartWorker", "UserCommand", "UserResult"] {
        assert!(all.contains(&kind), "{kind}");
    }
    assert_eq!(trace.replay(&["--format", "json"]), out);
}
