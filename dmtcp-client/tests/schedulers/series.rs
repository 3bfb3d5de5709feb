//! What the jobs of these tests compute, as a native worker and as a program in Python: a sum that
//! is wrong if a step is lost or repeated.
//!
//! `PROGRAM … RESULT`, with the folder of [`DIRECTORY`] in the environment. It leaves there a line in
//! `started` for each fresh start. In its middle it waits until there is `go`, and sees to it all the
//! time that there is `half`. Then it appends its sum to RESULT.

use dmtcp_client::native::{Error, Options, Worker, variable};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, thread};

/// Names the folder.
pub(crate) const DIRECTORY: &str = "SERIES_DIRECTORY";

const STEPS: u64 = 400;

/// The right result.
pub(crate) fn expected() -> u64 {
    (0..STEPS).map(|step| step * step).sum()
}

/// The same program in Python.
pub(crate) const PYTHON: &str = r"
import os, sys, time
def add(path, line):
    with open(path, 'a') as file:
        file.write(line + '\n')
folder = os.environ['SERIES_DIRECTORY']
add(folder + '/started', 'fresh')
total = 0
for step in range(400):
    total += step * step
    if step == 200:
        while not os.path.exists(folder + '/go'):
            if not os.path.exists(folder + '/half'):
                os.mknod(folder + '/half')
            time.sleep(0.02)
    time.sleep(0.002)
add(sys.argv[-1], str(total))
print('the end', flush=True)
";

#[derive(Debug, Default, Serialize, Deserialize)]
struct Series {
    next: u64,
    sum: u64,
}

/// Does nothing in a process that is not one of a test's workers.
pub(crate) fn main_if_launched() {
    if env::var_os(variable::COORDINATOR).is_none() {
        return;
    }
    match compute() {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("the worker ends: {error:?}");
            std::process::exit(i32::from(error.exit_code()));
        }
    }
}

fn compute() -> Result<(), Error> {
    let folder = PathBuf::from(env::var_os(DIRECTORY).unwrap());
    let result = PathBuf::from(env::args_os().next_back().unwrap());
    let mut worker = Worker::join(Options::from_env()?)?;
    let restored: Option<Series> = worker.restore()?;
    if restored.is_none() {
        add(&folder.join("started"), "fresh");
    }
    let mut series = restored.unwrap_or_default();
    while series.next < STEPS {
        if series.next == STEPS / 2 {
            while !folder.join("go").exists() {
                if !folder.join("half").exists() {
                    fs::write(folder.join("half"), "").unwrap();
                }
                thread::sleep(Duration::from_millis(5));
                worker.safe_point(&series)?;
            }
        }
        series.sum += series.next * series.next;
        series.next += 1;
        thread::sleep(Duration::from_millis(2));
        worker.safe_point(&series)?;
    }
    add(&result, &series.sum.to_string());
    println!("the end");
    worker.finish()
}

fn add(path: &Path, line: &str) {
    let file = fs::File::options().create(true).append(true).open(path);
    writeln!(file.unwrap(), "{line}").unwrap();
}
