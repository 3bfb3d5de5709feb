//! A native worker that leaves its traces in its working directory, which an image remembers, and
//! is told there what to do. A test that includes this module has a test named
//! `stepper_program` that calls [`main_if_launched`].

use dmtcp_client::image;
use dmtcp_client::native::{Error, Options, Worker, variable};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// Finish with success.
pub(crate) const STOP: &str = "stop";
/// Stay away from safe points, as a long computation does.
pub(crate) const BUSY: &str = "busy";
/// Restarted from an image of a later generation than the number in this file: exit at once.
pub(crate) const EXIT_AFTER: &str = "exit-after";
/// The same: hang before joining.
pub(crate) const HANG_AFTER: &str = "hang-after";

/// A lost or repeated step makes the sum wrong.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Steps {
    next: u64,
    sum: u64,
}

/// Does nothing in a process that is not one of a test's workers.
pub(crate) fn main_if_launched() {
    if env::var_os(variable::COORDINATOR).is_none() {
        return;
    }
    match step() {
        Ok(()) => std::process::exit(0),
        Err(error) => std::process::exit(i32::from(error.exit_code())),
    }
}

fn step() -> Result<(), Error> {
    let options = Options::from_env()?;
    if let Some(image) = options.restart_image() {
        let generation = image::read_header(image).unwrap().computation.generation;
        let is_after =
            |file| read(Path::new("."), file).is_some_and(|limit| generation > limit as u32);
        if is_after(EXIT_AFTER) {
            return Ok(());
        }
        while is_after(HANG_AFTER) {
            thread::sleep(Duration::from_secs(600));
        }
    }
    let mut worker = Worker::join(options)?;
    let restored: Option<Steps> = worker.restore()?;
    let name = worker.identity().pid;
    if let Some(steps) = &restored {
        write(&format!("restored-{name}"), steps.next);
    }
    let mut steps = restored.unwrap_or_default();
    loop {
        assert_eq!(steps.sum, (0..steps.next).sum::<u64>(), "a step is lost");
        steps.sum += steps.next;
        steps.next += 1;
        write(&format!("count-{name}"), steps.next);
        if Path::new(STOP).exists() {
            return worker.finish();
        }
        while Path::new(BUSY).exists() {
            write(&format!("busy-{name}"), steps.next);
            thread::sleep(Duration::from_secs(600));
        }
        worker.safe_point(&steps)?;
        // The work of a step.
        thread::sleep(Duration::from_millis(1));
    }
}

fn write(name: &str, number: u64) {
    let aside = format!(".{name}");
    fs::write(&aside, number.to_string()).unwrap();
    fs::rename(aside, name).unwrap();
}

/// This test binary again, as a worker in `dir`.
pub(crate) fn command(dir: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "stepper_program", "--nocapture"])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// The number in a file of the working directory.
pub(crate) fn read(dir: &Path, name: &str) -> Option<u64> {
    fs::read_to_string(dir.join(name)).ok()?.trim().parse().ok()
}

/// The numbers in all files of this kind, in the order of their names.
pub(crate) fn read_all(dir: &Path, kind: &str) -> Vec<u64> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    names.sort();
    names
        .iter()
        .filter_map(|path| path.file_name()?.to_str())
        .filter(|name| name.starts_with(kind))
        .filter_map(|name| read(dir, name))
        .collect()
}

/// Programs in other processes announce nothing to a test, so it looks again and again.
pub(crate) fn eventually(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
