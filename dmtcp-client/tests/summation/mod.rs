//! A native worker that sums up numbers to a goal and then ends as it is told to, with everything
//! about it in its working directory, which an image remembers. A test that includes this module has
//! a test named `summation_program` that calls [`main_if_launched`].
#![allow(dead_code, reason = "most test programs use a part")]

use dmtcp_client::native::{Error, Options, Worker, variable};
use dmtcp_client::process::FAIL_CODE;
use nix::sys::signal::{Signal, raise};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs, thread};
use tempfile::TempDir;

/// Longer than anything here takes unless it hangs.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A lost or repeated step makes the sum wrong.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Sum {
    next: u64,
    sum: u64,
}

/// Does nothing in a process that is not one of a test's workers.
pub(crate) fn main_if_launched() {
    if env::var_os(variable::COORDINATOR).is_none() {
        return;
    }
    match add_up() {
        Ok(code) => std::process::exit(code),
        Err(error) => std::process::exit(i32::from(error.exit_code())),
    }
}

fn add_up() -> Result<i32, Error> {
    let mut worker = Worker::join(Options::from_env()?)?;
    let restored: Option<Sum> = worker.restore()?;
    say(match &restored {
        Some(sum) => format!("restored {}", sum.next),
        None => "fresh".to_owned(),
    });
    if restored.is_some() && Path::new("fail-when-restored").exists() {
        // As one that is restored and then found to be no good.
        return Ok(fail());
    }
    let mut sum = restored.unwrap_or_default();
    // When it came how far, for who wants to know.
    let mut steps = fs::OpenOptions::new().append(true).open("steps").ok();
    if let Some(steps) = &mut steps {
        writeln!(steps, "begin {}", unix_ms()).unwrap();
    }
    while read("goal").is_none_or(|goal| sum.next < goal) {
        while Path::new("busy").exists() {
            write("is-busy", sum.next);
            thread::sleep(Duration::from_millis(5));
        }
        sum.sum += sum.next;
        sum.next += 1;
        write("count", sum.next);
        if let Some(steps) = &mut steps {
            writeln!(steps, "{} {}", sum.next, unix_ms()).unwrap();
        }
        worker.safe_point(&sum)?;
        thread::sleep(Duration::from_millis(1));
    }
    say(format!("sum {}", sum.sum));
    eprintln!("done");
    worker.finish()?;
    if Path::new("fail").exists() {
        return Ok(fail());
    }
    if read("signal").is_some() {
        raise(Signal::SIGKILL).unwrap();
    }
    Ok(read("exit").unwrap_or(0) as i32)
}

/// As DMTCP ends a process in which it fails.
fn fail() -> i32 {
    eprintln!("summation_program (40000): Terminating...");
    FAIL_CODE
}

/// The harness swallows nothing that goes to the file itself.
fn say(line: String) {
    let mut out = std::io::stdout();
    writeln!(out, "\n{line}")
        .and_then(|()| out.flush())
        .unwrap();
}

pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis() as u64
}

fn read(name: &str) -> Option<u64> {
    fs::read_to_string(name).ok()?.trim().parse().ok()
}

fn write(name: &str, number: u64) {
    let aside = format!(".{name}");
    fs::write(&aside, number.to_string()).unwrap();
    fs::rename(aside, name).unwrap();
}

/// A place for a job and its program.
pub(crate) struct Stage {
    pub(crate) base: TempDir,
}

impl Stage {
    /// With a program that goes on until it is told to stop.
    pub(crate) fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("work")).unwrap();
        Self { base }
    }

    /// With one that adds up so many numbers.
    pub(crate) fn with_goal(goal: u64) -> Self {
        let stage = Self::new();
        stage.tell("goal", goal);
        stage
    }

    /// The state directory, which is not there yet.
    pub(crate) fn dir(&self) -> PathBuf {
        self.base.path().join("job")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.base.path().join("work")
    }

    pub(crate) fn tell(&self, name: &str, number: u64) {
        fs::write(self.work().join(name), number.to_string()).unwrap();
    }

    pub(crate) fn forget(&self, name: &str) {
        fs::remove_file(self.work().join(name)).unwrap();
    }

    pub(crate) fn count(&self) -> u64 {
        self.number("count").unwrap_or(0)
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        let text = fs::read_to_string(self.work().join(name)).ok()?;
        text.trim().parse().ok()
    }

    /// This test binary again, as the program.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(ARGUMENTS).current_dir(self.work());
        command
    }

    pub(crate) fn argv() -> Vec<std::ffi::OsString> {
        let mut argv = vec![env::current_exe().unwrap().into_os_string()];
        argv.extend(ARGUMENTS.map(Into::into));
        argv
    }

    /// All that the program has written, over all its restarts.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.dir().join("application.log")).unwrap_or_default()
    }

    /// What follows `start` in the lines that begin so.
    pub(crate) fn said(&self, start: &str) -> Vec<String> {
        let output = self.output();
        let lines = output.lines().filter_map(|line| line.strip_prefix(start));
        lines.map(|rest| rest.trim().to_owned()).collect()
    }

    pub(crate) fn await_count(&self, least: u64) {
        eventually("it works", || self.count() >= least);
    }

    /// Nothing of an attempt is left in the state directory.
    pub(crate) fn assert_clean(&self) {
        let attempts = fs::read_dir(self.dir().join("attempts"));
        let left: Vec<_> = attempts.into_iter().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
        for dir in [self.dir(), self.dir().join("sets")] {
            for entry in fs::read_dir(dir).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                assert!(
                    !name.ends_with(".temp") && !name.contains("partial"),
                    "{name}"
                );
            }
        }
    }
}

/// What the program has to find out.
pub(crate) fn sum_to(goal: u64) -> String {
    (0..goal).sum::<u64>().to_string()
}

/// Programs in other processes announce nothing to a test, so it looks again and again.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < end, "not within {LONG:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

const ARGUMENTS: [&str; 4] = ["--ignored", "--exact", "summation_program", "--nocapture"];
