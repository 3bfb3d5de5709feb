//! The examples for asynchronous runtimes, run as they are built, and the page that shows them. Native
//! workers do; no DMTCP is needed.

mod built;

use built::example;
use dmtcp_client::server::{ComputationConfig, Server};
use dmtcp_client::{Dialect, native::Options, set::SetStore};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here takes unless it hangs.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn the_page_shows_the_programs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(root.join("docs/languages/async.md")).unwrap();
    let parts: Vec<&str> = page.split("\n## ").skip(1).collect();
    let programs = [
        ("Ask a coordinator", "ask"),
        ("Take a checkpoint", "checkpoint"),
        ("Run a job", "job"),
        ("Embed a coordinator", "embed"),
        ("Be a worker", "worker"),
    ];
    for (part, (task, name)) in parts.iter().zip(programs) {
        assert!(part.starts_with(task), "{part}");
        let file = root.join(format!("examples/languages/async/{name}.rs"));
        let program = fs::read_to_string(file).unwrap();
        let shown = part.split("```rust\n").nth(1);
        let shown = shown.and_then(|rest| rest.split("```").next());
        assert_eq!(shown, Some(program.as_str()), "copy {name}.rs there");
    }
    assert!(parts.len() >= programs.len());
}

#[test]
fn ask_and_take_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    // A coordinator of somebody else, with one worker for ever.
    let server = Server::start().unwrap();
    let computation = server.open(ComputationConfig::default()).unwrap();
    let addr = computation.addr().to_string();
    let mut worker = program("async_worker", &["1000000000"]);
    let options = Options::new(computation.addr(), Dialect::V5).checkpoint_dir(dir.path());
    options.to_env(&mut worker);
    let worker = worker.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let _worker = Ended(worker.unwrap());
    computation.wait_until_running(Some(1), LONG).unwrap();

    let told = run(&mut program("async_ask", &[&addr]));
    let begins = "1 processes, all running: true\n";
    assert!(told.starts_with(begins), "{told}");
    assert!(told.contains("async_worker on "), "{told}");
    let state = dir.path().join("state");
    let words = [addr.as_str(), state.to_str().unwrap()];
    let images = run(&mut program("async_checkpoint", &words));
    let set = SetStore::open(&state).unwrap().newest_verified().unwrap();
    let set = set.set.expect("a set");
    assert_eq!(set.images(), [PathBuf::from(images.trim())]);
}

#[test]
fn embed_a_coordinator() {
    let dir = tempfile::tempdir().unwrap();
    let worker = example("async_worker");
    let mut embed = program("async_embed", &[worker.to_str().unwrap(), "1000000000"]);
    let told = run(embed.current_dir(dir.path()));
    let image = told.lines().find_map(|line| line.strip_prefix("image "));
    assert!(dir.path().join(image.unwrap()).is_file(), "{told}");
}

#[test]
fn a_job_goes_on_where_it_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let worker = example("async_worker");
    let (state_text, worker) = (state.to_str().unwrap(), worker.to_str().unwrap());
    let words = [state_text, "--native", worker, "4000"];
    let mut first = program("async_job", &words);
    let mut first = Ended(first.stdout(Stdio::piped()).spawn().unwrap());
    let begun = Instant::now();
    while !state.join("sets/latest").exists() {
        assert!(begun.elapsed() < LONG, "no set");
        assert_eq!(first.0.try_wait().unwrap(), None);
        std::thread::sleep(Duration::from_millis(10));
    }
    first.0.kill().unwrap();
    let mut said = String::new();
    // Until the worker has noticed it, too.
    let stdout = first.0.stdout.as_mut().unwrap();
    std::io::Read::read_to_string(stdout, &mut said).unwrap();
    assert!(said.contains("begins at 0\n"), "{said}");
    assert!(!said.contains("sum "), "{said}");

    let said = run(&mut program("async_job", &words));
    let sum: u64 = (0..4000).sum();
    assert!(said.contains(&format!("sum {sum}\n")), "{said}");
    let begins = said
        .lines()
        .find_map(|line| line.strip_prefix("begins at "));
    assert!(begins.unwrap().parse::<u64>().unwrap() > 0, "{said}");
}

#[test]
fn another_runtime_does() {
    let told = run(&mut program("smol", &[]));
    assert!(told.starts_with("100 answers over the wire\n"), "{told}");
    assert!(told.ends_with("over\n"), "{told}");
    let server = Server::start().unwrap();
    let computation = server.open(ComputationConfig::default()).unwrap();
    let addr = computation.addr().to_string();
    let told = run(&mut program("smol", &[&addr]));
    assert!(told.contains("peers: 0"), "{told}");
}

#[test]
fn many_jobs_on_one_thread() {
    let told = run(&mut program("many_jobs", &["5", "1"]));
    assert!(told.contains("5 jobs run and have a set"), "{told}");
    assert!(told.contains("all went on and ended well"), "{told}");
    assert_eq!(told.matches("median ").count(), 6, "{told}");
}

fn program(name: &str, words: &[&str]) -> Command {
    let mut command = Command::new(example(name));
    command.args(words).stdin(Stdio::null());
    command
}

/// What it says; it must end well.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Killed with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended, and been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
