//! Usage: async_worker COUNT, started as a worker
use dmtcp_client::aio;
use dmtcp_client::native::{Error, Options, Worker};
use serde::{Deserialize, Serialize};
use std::{env, time::Duration};
use tokio::sync::watch;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Sum {
    next: u64,
    sum: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let count = env::args().nth(1).and_then(|word| word.parse().ok());
    let count = count.unwrap_or(1000_u64);
    let (progress, mut seen) = watch::channel(0);
    // Safe points block while a checkpoint is taken: what has the state has a thread of its own.
    let done = aio::unblock(move || -> Result<(), Error> {
        let mut worker = Worker::join(Options::from_env()?)?;
        let mut state: Sum = worker.restore()?.unwrap_or_default();
        println!("begins at {}", state.next);
        while state.next < count {
            state.sum += state.next;
            state.next += 1;
            progress.send_replace(state.next);
            worker.safe_point(&state)?; // costs a load, unless a checkpoint is asked for
            std::thread::sleep(Duration::from_millis(1)); // the work
        }
        println!("sum {}", state.sum);
        worker.finish()
    });
    // Meanwhile this thread serves others.
    let told = async {
        while seen.wait_for(|next| next % 100 == 0).await.is_ok() && seen.changed().await.is_ok() {
            eprintln!("{} of {count}", *seen.borrow());
        }
    };
    let (done, ()) = tokio::join!(done, told);
    if let Err(error) = done {
        eprintln!("{error}"); // mostly that it was told to end
        std::process::exit(error.exit_code().into());
    }
}
