//! Usage: worker COUNT, started as a worker
use dmtcp_client::native::{Error, Options, Worker};
use serde::{Deserialize, Serialize};
use std::{env, process::ExitCode, thread::sleep, time::Duration};

#[derive(Debug, Default, Serialize, Deserialize)]
struct Sum {
    next: u64,
    sum: u64,
}

fn main() -> ExitCode {
    match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}"); // mostly that it was told to end, which is no failure
            error.exit_code().into()
        }
    }
}

fn work() -> Result<(), Error> {
    let count = env::args()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(1000);
    let mut worker = Worker::join(Options::from_env()?)?;
    let mut state: Sum = worker.restore()?.unwrap_or_default();
    println!("begins at {}", state.next);
    while state.next < count {
        state.sum += state.next;
        state.next += 1;
        worker.safe_point(&state)?; // costs a load, unless a checkpoint is asked for
        sleep(Duration::from_millis(1)); // the work
    }
    println!("sum {}", state.sum);
    worker.finish()
}
