//! The scripts in `docs/languages/command-line.md`, run as they stand there.

use crate::state::{LONG, nobody_starts};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn ask_a_coordinator() {
    assert!(said("Ask a coordinator").contains("\"command\": \"workers\""));
}

#[test]
fn take_a_checkpoint() {
    assert!(said("Take a checkpoint").contains("000001"));
}

#[test]
fn run_a_job() {
    assert!(said("Run a job").contains("\nsum 499500\n"));
}

#[test]
fn embed_a_coordinator() {
    let said = said("Embed a coordinator");
    assert!(said.ends_with("dmtcp_restart_script.sh\n"), "{said}");
}

#[test]
fn be_a_worker() {
    let said = said("Be a worker");
    assert!(said.contains("\nrestored "), "{said}");
}

/// What the script below this heading says; it must end well, and leave nothing that runs.
fn said(task: &str) -> String {
    let page = include_str!("../../../docs/languages/command-line.md");
    let part = page
        .split("\n## ")
        .find(|part| part.starts_with(task))
        .unwrap();
    let script = part
        .split("```sh\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let dir = tempfile::tempdir().unwrap();
    let programs = programs(dir.path());
    let work = dir.path().join("work");
    fs::create_dir(&work).unwrap();
    let path = std::env::var("PATH").unwrap();
    let (out, err) = (dir.path().join("out"), dir.path().join("err"));
    let child = {
        let _alone = nobody_starts();
        Command::new("bash")
            .args(["-euc", script.unwrap()])
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("XDG_STATE_HOME", dir.path())
            .env_remove("DMTCP_COORD_HOST")
            .env_remove("DMTCP_COORD_PORT")
            .current_dir(&work)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(fs::File::create(&out).unwrap())
            .stderr(fs::File::create(&err).unwrap())
            .spawn()
            .unwrap()
    };
    let mut script = Script(child);
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = script.0.try_wait().unwrap() {
            break Some(status);
        }
        if begun.elapsed() > LONG {
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let [out, err] = [out, err].map(|file| fs::read_to_string(file).unwrap());
    assert!(
        status.is_some_and(|status| status.success()),
        "{status:?}\n{out}\n{err}"
    );
    out
}

/// A directory with what the page says is in `PATH`.
fn programs(dir: &Path) -> std::path::PathBuf {
    let programs = dir.join("bin");
    fs::create_dir(&programs).unwrap();
    symlink(env!("CARGO_BIN_EXE_dmtcpctl"), programs.join("dmtcpctl")).unwrap();
    // Written by another process: nobody here has it open while it is executed.
    let test = std::env::current_exe().unwrap();
    let _alone = nobody_starts();
    let made = Command::new("sh")
        .args(["-c", MAKE_WORKER, "sh"])
        .args([test, programs.join("my_worker")])
        .status()
        .unwrap();
    assert!(made.success());
    programs
}

/// Sums numbers up to its argument: the program of the other tests reads its goal from a file.
const MAKE_WORKER: &str = r#"
printf '#!/bin/sh\n[ -e goal ] || echo "$1" > goal\nexec "%s" --ignored --exact summation_program --nocapture\n' "$1" > "$2"
chmod +x "$2"
"#;

/// Its process group is killed with the test.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        // Whoever is left of it; most of the time nobody is.
        let _ = killpg(Pid::from_raw(self.0.id() as i32), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}
