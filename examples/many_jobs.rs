//! Many jobs from one tokio runtime on one thread: how long a status call takes while they all run, and
//! while they all checkpoint, without a pause. Then all are stopped and go on from their sets.
//!
//! ```sh
//! cargo run --release -p dmtcp-examples --features async --example many_jobs -- 100 10
//! ```
//!
//! The numbers are jobs and seconds. The programs are native workers: this one again.

use dmtcp_client::aio::{Coordinator, JobControl, RunningJob, Server};
use dmtcp_client::job::{Job, OutcomeKind, pace::IntervalPolicy};
use dmtcp_client::native::{self, Options, Worker, variable};
use dmtcp_client::{Dialect, server};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, error::Error, fs, thread};
use tokio::task::JoinSet;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    if env::var_os(variable::COORDINATOR).is_some() {
        if let Err(error) = work() {
            // As a worker of DMTCP: when it was told to end, that is no failure.
            std::process::exit(i32::from(error.exit_code()));
        }
        return Ok(());
    }
    let mut numbers = env::args().skip(1).map(|word| word.parse::<u32>());
    let count = numbers.next().transpose()?.unwrap_or(100);
    let seconds = numbers.next().transpose()?.unwrap_or(10);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(count, Duration::from_secs(seconds.into())))
}

async fn measure(count: u32, time: Duration) -> Result<(), Failure> {
    server::raise_open_file_limit()?;
    let dir = tempfile::tempdir()?;
    let server = Server::start()?;
    let begun = Instant::now();
    let jobs = (0..count)
        .map(|number| start(&server, &dir.path().join(number.to_string())))
        .collect::<Result<Vec<_>, _>>()?;
    for job in &jobs {
        // Waits until it runs.
        job.checkpoint(LIMIT).await?;
    }
    println!("{count} jobs run and have a set: {:?}", begun.elapsed());

    print_latencies("while they run", &jobs, time, false).await?;
    print_latencies("while all checkpoint", &jobs, time, true).await?;

    let begun = Instant::now();
    jobs.iter().for_each(|job| job.checkpoint_and_stop(None));
    for mut job in jobs {
        let outcome = job.wait().await?;
        if outcome.kind != OutcomeKind::Checkpointed {
            return Err(outcome.text.into());
        }
    }
    println!("all stopped with a last set: {:?}", begun.elapsed());

    let begun = Instant::now();
    fs::write(dir.path().join(GOAL), "")?;
    let again = (0..count)
        .map(|number| start(&server, &dir.path().join(number.to_string())))
        .collect::<Result<Vec<_>, _>>()?;
    for mut job in again {
        let outcome = job.wait().await?;
        if outcome.kind != OutcomeKind::Finished || outcome.code != 0 {
            return Err(outcome.text.into());
        }
    }
    println!("all went on and ended well: {:?}", begun.elapsed());
    Ok(server.shutdown(LIMIT).await?)
}

fn start(server: &Server, dir: &Path) -> Result<RunningJob, Failure> {
    fs::create_dir_all(dir)?;
    let mut program = Command::new(env::current_exe()?);
    program.current_dir(dir);
    let job = Job::new(dir.join("job"), program)
        .interval(IntervalPolicy::Never)
        .grace(LIMIT);
    Ok(RunningJob::start(job, server.handle())?)
}

/// Asks one job after the other, in this process and over the wire, meanwhile each checkpoints as often
/// as it can.
async fn print_latencies(
    when: &str,
    jobs: &[RunningJob],
    time: Duration,
    checkpoint: bool,
) -> Result<(), Failure> {
    let end = Instant::now() + time;
    let mut tasks = JoinSet::new();
    for job in jobs.iter().filter(|_| checkpoint) {
        tasks.spawn(checkpoint_until(end, job.control()));
    }
    let (mut own, mut wire, mut paused) = (Vec::new(), Vec::new(), Vec::new());
    for job in jobs.iter().cycle() {
        if Instant::now() >= end {
            break;
        }
        let computation = job.computation().ok_or("it has ended")?;
        let asked = Instant::now();
        computation.status().await?;
        own.push(asked.elapsed());
        let coordinator = Coordinator::new(computation.addr(), Dialect::V5);
        let asked = Instant::now();
        coordinator.status().await?;
        wire.push(asked.elapsed());
        let asleep = Instant::now();
        tokio::time::sleep(PAUSE).await;
        paused.push(asleep.elapsed());
    }
    let mut sets = 0;
    while let Some(made) = tasks.join_next().await {
        sets += made??;
    }
    println!("{when}: {sets} sets in {time:?}");
    println!("  a status in this process: {}", spread(own));
    println!("  a status over the wire:   {}", spread(wire));
    println!("  a pause of {PAUSE:?}:           {}", spread(paused));
    Ok(())
}

async fn checkpoint_until(end: Instant, job: JobControl) -> Result<usize, Failure> {
    let mut made = 0;
    while Instant::now() < end {
        job.checkpoint(LIMIT).await?;
        made += 1;
    }
    Ok(made)
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |part: f64| {
        let index = (times.len() as f64 * part) as usize;
        times.get(index.min(times.len().saturating_sub(1)))
    };
    let shown = |part| at(part).copied().unwrap_or_default();
    format!(
        "median {:?}, p99 {:?}, longest {:?}, {} calls",
        shown(0.5),
        shown(0.99),
        shown(1.0),
        times.len()
    )
}

/// The program: sums up numbers until it is told that it is enough, and checks what it has.
fn work() -> Result<(), native::Error> {
    let mut worker = Worker::join(Options::from_env()?)?;
    let (mut next, mut sum): (u64, u64) = worker.restore()?.unwrap_or_default();
    let was_restored = next > 0;
    let enough: PathBuf = ["..", GOAL].iter().collect();
    while !enough.exists() {
        sum += next;
        next += 1;
        thread::sleep(Duration::from_millis(10));
        worker.safe_point(&(next, sum))?;
    }
    assert!(was_restored, "it began again");
    assert_eq!(sum, (0..next).sum::<u64>(), "a step is lost, or done twice");
    worker.finish()
}

const LIMIT: Duration = Duration::from_secs(120);
/// Between two questions; how much longer it takes is what the machine and the other tasks add.
const PAUSE: Duration = Duration::from_millis(2);
const GOAL: &str = "enough";
