//! The pages in `docs/languages`: they have the same tasks in the same order, and what the one for Rust
//! shows are the very programs that run here.

mod built;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const TASKS: [&str; 5] = [
    "Ask a coordinator",
    "Take a checkpoint",
    "Run a job",
    "Embed a coordinator",
    "Be a worker",
];
/// Longer than anything here takes unless it hangs.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn every_page_has_the_same_tasks() {
    let pages = fs::read_dir(root().join("docs/languages")).unwrap();
    let mut checked = 0;
    for page in pages.map(|entry| entry.unwrap().path()) {
        let text = fs::read_to_string(&page).unwrap();
        let parts: Vec<&str> = text.split("\n## ").skip(1).collect();
        let titles: Vec<&str> = parts
            .iter()
            .map(|part| part.lines().next().unwrap())
            .collect();
        let is_task = |title: &&str| TASKS.contains(title);
        let tasks: Vec<&str> = titles.into_iter().filter(is_task).collect();
        assert_eq!(tasks, TASKS, "{}", page.display());
        for part in parts {
            let title = part.lines().next().unwrap();
            let has_program = part.contains("\n```");
            assert!(
                has_program || !TASKS.contains(&title),
                "{title} in {}",
                page.display()
            );
        }
        checked += 1;
    }
    assert!(checked >= 2, "only {checked} pages");
}

#[test]
fn the_page_shows_the_programs() {
    let text = fs::read_to_string(root().join("docs/languages/rust.md")).unwrap();
    let parts = text.split("\n## ").skip(1);
    let names = ["ask", "checkpoint", "job", "embed", "worker"];
    for ((part, task), name) in parts.zip(TASKS).zip(names) {
        assert!(part.starts_with(task));
        let file = root().join(format!("examples/languages/{name}.rs"));
        let program = fs::read_to_string(file).unwrap();
        let shown = part
            .split("```rust\n")
            .nth(1)
            .and_then(|rest| rest.split("```").next());
        assert_eq!(
            shown,
            Some(program.as_str()),
            "copy {name}.rs into the page"
        );
    }
}

#[test]
fn ask_and_take_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    // A coordinator of somebody else, with one worker for ever.
    let server = dmtcp_client::server::Server::start().unwrap();
    let computation = server
        .open(dmtcp_client::server::ComputationConfig::default())
        .unwrap();
    let addr = computation.addr().to_string();
    let mut worker = program("worker", &["1000000000"]);
    let options = dmtcp_client::native::Options::new(computation.addr(), dmtcp_client::Dialect::V5);
    options.checkpoint_dir(dir.path()).to_env(&mut worker);
    let mut worker = Ended(worker.stdout(Stdio::null()).spawn().unwrap());
    computation.wait_until_running(Some(1), LONG).unwrap();

    let told = run(program("ask", &[&addr]));
    assert!(
        told.starts_with("1 processes, all running: true\n"),
        "{told}"
    );
    assert!(told.contains("worker on "), "{told}");

    let state = dir.path().join("state");
    let images = run(program("checkpoint", &[&addr, state.to_str().unwrap()]));
    let images: Vec<&str> = images.lines().collect();
    assert_eq!(images.len(), 1);
    let set = dmtcp_client::set::SetStore::open(&state)
        .unwrap()
        .newest_verified()
        .unwrap();
    let set = set.set.unwrap();
    assert_eq!(set.images(), [PathBuf::from(images[0])]);

    // What goes wrong is said in words, with its cause: nobody has port 0, and no file is a folder.
    for (name, words, cause) in [
        ("ask", &["127.0.0.1:0"][..], ": nobody listens there\n"),
        ("checkpoint", &[&addr, "/dev/null/state"], "(os error 20)"),
    ] {
        let output = program(name, words).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(cause), "{told}");
        assert!(!told.contains('{') && told.lines().count() == 1, "{told}");
    }
    worker.0.kill().unwrap();
}

#[test]
fn embed_a_coordinator() {
    let dir = tempfile::tempdir().unwrap();
    let worker = path("worker");
    let mut embed = program("embed", &[worker.to_str().unwrap(), "1000000000"]);
    let told = run({
        embed.current_dir(dir.path());
        embed
    });
    let image = told
        .lines()
        .find_map(|line| line.strip_prefix("image "))
        .unwrap();
    assert!(dir.path().join(image).is_file(), "{told}");
}

#[test]
fn a_job_goes_on_where_it_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let worker = path("worker");
    let words = [
        state.to_str().unwrap(),
        "--native",
        worker.to_str().unwrap(),
        "4000",
    ];
    let mut first = Ended(
        program("job", &words)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let begun = Instant::now();
    while !state.join("sets/latest").exists() {
        assert!(begun.elapsed() < LONG, "no set");
        assert_eq!(first.0.try_wait().unwrap(), None);
        std::thread::sleep(Duration::from_millis(10));
    }
    kill(Pid::from_raw(first.0.id() as i32), Signal::SIGKILL).unwrap();
    let mut said = String::new();
    // Until the worker has noticed it, too.
    first
        .0
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert!(
        said.contains("begins at 0\n") && !said.contains("sum "),
        "{said}"
    );

    let output = program("job", &words).output().unwrap();
    let said = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{output:?}");
    let sum: u64 = (0..4000).sum();
    assert!(said.contains(&format!("sum {sum}\n")), "{said}");
    let begins = said
        .lines()
        .find_map(|line| line.strip_prefix("begins at "));
    assert!(begins.unwrap().parse::<u64>().unwrap() > 0, "{said}");
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn path(name: &str) -> PathBuf {
    built::example(&format!("language_{name}"))
}

fn program(name: &str, words: &[&str]) -> Command {
    let mut command = Command::new(path(name));
    command.args(words).stdin(Stdio::null());
    command
}

/// What it says; it must end well.
fn run(mut command: Command) -> String {
    let output: Output = command.output().unwrap();
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
