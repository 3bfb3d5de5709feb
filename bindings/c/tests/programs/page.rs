//! `docs/languages/c.md`: its programs are those of `examples/`, and each does what the page says.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use dmtcp_client::server::{ComputationConfig, Server};
use dmtcp_proto::Dialect;

use crate::compiler::{Compiler, Linked, in_crate, run, succeed};
use crate::coordinators::Workers;

/// The tasks of every language's page, with the program of this one.
const TASKS: &[(&str, &str)] = &[
    ("Ask a coordinator", "status"),
    ("Take a checkpoint", "checkpoint"),
    ("Run a job", "job"),
    ("Embed a coordinator", "embed"),
    ("Be a worker", "native_worker"),
];

/// The program below a heading of the page.
fn snippet(heading: &str) -> String {
    let page = fs::read_to_string(in_crate("../../docs/languages/c.md")).unwrap();
    let part = page
        .split_once(&format!("\n## {heading}\n"))
        .expect(heading)
        .1;
    let part = part.split_once("\n## ").map_or(part, |(part, _)| part);
    let code = part.split_once("```c\n").expect(heading).1;
    code.split_once("```").expect(heading).0.to_owned()
}

/// Compiled from the page's text.
fn program(cc: &Compiler, task: usize) -> PathBuf {
    let (heading, name) = TASKS[task];
    let source = cc.dir().join(format!("page_{name}.c"));
    fs::write(&source, snippet(heading)).unwrap();
    cc.program_in("-std=c11", &source, Linked::Shared)
}

#[test]
fn the_page_shows_the_examples_in_the_order_of_all_pages() {
    let page = fs::read_to_string(in_crate("../../docs/languages/c.md")).unwrap();
    let mut last = 0;
    for (heading, name) in TASKS {
        let at = page.find(&format!("\n## {heading}\n")).expect(heading);
        assert!(at > last, "{heading}");
        last = at;
        let example = fs::read_to_string(in_crate(&format!("examples/{name}.c"))).unwrap();
        assert_eq!(snippet(heading), example, "{heading}");
    }
}

#[test]
fn a_set_out_of_any_coordinator() {
    let Some(cc) = Compiler::find() else { return };
    let program = program(&cc, 1);
    let server = Server::start().unwrap();
    let computation = server.open(ComputationConfig::default()).unwrap();
    let _workers = Workers::start(&computation, Dialect::V5, 2);
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    for number in [1, 2] {
        let port = computation.port().to_string();
        let shown = succeed(run(&program).args(["127.0.0.1", &port]).arg(&state));
        let lines: Vec<_> = shown.lines().collect();
        let set = state.join(format!("sets/{number:06}"));
        assert_eq!(lines[0], format!("set {number} in {}", set.display()));
        assert_eq!(lines.len(), 3, "{shown}");
        for line in &lines[1..] {
            assert!(line.contains(set.to_str().unwrap()), "{line}");
        }
    }
}

#[test]
fn a_job_that_goes_on() {
    let Some(cc) = Compiler::find() else { return };
    let (job, worker) = (program(&cc, 2), program(&cc, 4));
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let start = || {
        let mut command = run(&job);
        command
            .env("NATIVE", "1")
            .arg(&state)
            .arg(&worker)
            .args(["1500", "2"]);
        command
    };
    let mut first = start()
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // It runs once it has a line in its log.
    let deadline = Instant::now() + Duration::from_secs(60);
    let log = state.join("application.log");
    while !fs::read_to_string(&log).is_ok_and(|text| text.contains("begins")) {
        assert!(Instant::now() < deadline, "it did not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = first.id().to_string();
    succeed(Command::new("kill").args(["-TERM", &pid]));
    assert_eq!(first.wait().unwrap().code(), Some(85));
    let shown = succeed(&mut start());
    assert!(shown.contains("restored at "), "{shown}");
    assert!(shown.contains("sum 1124250\n"), "{shown}");
    assert!(shown.contains("finished: "), "{shown}");
}

#[test]
fn a_program_that_is_the_coordinator_of_another() {
    let Some(cc) = Compiler::find() else { return };
    let (embed, worker) = (program(&cc, 3), program(&cc, 4));
    let dir = tempfile::tempdir().unwrap();
    let mut command = run(&embed);
    command
        .current_dir(dir.path())
        .arg("state")
        .arg(&worker)
        .args(["1000000000", "1"]);
    let shown = succeed(&mut command);
    assert!(shown.contains("set 1, "), "{shown}");
    assert!(dir.path().join("state/sets/000001/manifest.json").exists());
}
