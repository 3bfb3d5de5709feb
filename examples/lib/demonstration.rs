//! The run without arguments: the built-in computation is started, checkpointed, killed,
//! restarted, and its result checked.

use dmtcp_client::{
    attempt::{Attempts, Program},
    process::Exit,
    server::{ComputationEvent, Interval, Server},
    set::CheckpointSet,
};
use std::{
    error::Error,
    ffi::OsString,
    fs, io,
    path::Path,
    process::{Command, ExitCode},
    time::Duration,
};

use crate::{
    TRY_AGAIN,
    arguments::Options,
    built_in,
    log::{Log, bytes, seconds},
    reports::Reports,
    signals::Signals,
    watching::{Ending, prune, tell, tell_recovered, watch},
};
use dmtcp_client::with_causes;

/// How a worker process of the built-in computation is told that it is one.
pub const WORKER: &str = "--worker-of-the-built-in-computation";
/// Sets after which everything is killed.
const SETS_BEFORE_KILL: usize = 3;

/// The body of such a process: its number, the directory, and milliseconds for each term.
#[must_use]
pub fn worker(args: &[OsString]) -> ExitCode {
    let number = |at: usize| args.get(at)?.to_str()?.parse::<u64>().ok();
    let (Some(index), Some(dir), Some(pace)) = (number(0), args.get(1), number(2)) else {
        eprintln!("not a worker's command line: {args:?}");
        return ExitCode::FAILURE;
    };
    match built_in::worker(index, Path::new(dir), Duration::from_millis(pace)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("worker {index}: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// A line of the closing table.
struct Row {
    sequence: u64,
    size: u64,
    sealing: Duration,
    at: Duration,
}

/// The whole run; the exit code is 0 only if the result is right.
///
/// # Errors
///
/// When it does not get as far as a result.
pub fn run(log: &Log, options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let dir = options.dir.as_deref().unwrap_or_else(|| temporary.path());
    fs::create_dir_all(dir)?;
    let interval = options.interval.unwrap_or(Duration::from_secs(1));
    let signals = Signals::start()?;
    let server = Server::start()?;
    let attempts = Attempts::open(&server, dir)?.interval(Interval::Every(interval));

    // Each worker's 3000 terms take six intervals.
    let pace = interval.as_millis() / 500;
    let program = std::env::current_exe()?;
    let workers = (0..built_in::WORKERS).map(|index| {
        let mut command = Command::new(&program);
        command
            .arg(WORKER)
            .arg(index.to_string())
            .arg(dir)
            .arg(pace.to_string());
        Program::from(command)
    });
    let attempt = attempts.start(workers)?;
    log.line(format!(
        "{} worker processes on port {}; a checkpoint every {}, sets in {}",
        built_in::WORKERS,
        attempt.computation().port(),
        seconds(interval),
        dir.display(),
    ));

    let mut reports = Reports::of(options);
    let mut rows = Vec::new();
    let events = attempt.computation().events();
    while rows.len() < SETS_BEFORE_KILL {
        if signals.next_within(Duration::ZERO).is_some() {
            return Ok(stopped(log));
        }
        if attempt.finished()?.is_some() {
            return Err("the workers ended before they could be killed".into());
        }
        let Ok(event) = events.recv_timeout(Duration::from_millis(100)) else {
            continue;
        };
        tell(log, &event);
        reports.note(log, attempt.computation(), &event);
        if let ComputationEvent::SetSealed { set, took, .. } = event {
            let size = CheckpointSet::open(&set.directory)?.total_bytes();
            rows.push(Row {
                sequence: set.sequence,
                size,
                sealing: took,
                at: log.elapsed(),
            });
        }
    }
    // Somewhere between two checkpoints.
    std::thread::sleep(interval / 3);
    attempt.kill()?;
    let killed_at = log.elapsed();
    let before = all_progress(dir)?;
    log.line(format!(
        "killed all of them (SIGKILL) after {} of {} terms",
        terms(&before),
        built_in::TERMS
    ));

    let restart = log.elapsed();
    let attempt = tell_recovered(log, attempts.restart()?);
    let downtime = log.elapsed().saturating_sub(killed_at);
    log.line(format!(
        "running again {} after the kill",
        seconds(downtime)
    ));
    let watched = watch(
        log,
        &attempt,
        &signals,
        attempts.store(),
        options.keep,
        &mut reports,
    )?;
    let exits = match watched {
        // A last set may still be being sealed.
        Ending::Finished(_) => attempt.stop(Duration::from_secs(5))?,
        Ending::Signal(_) => return Ok(stopped(log)),
        Ending::Killed { .. } => return Err("the workers were ended from outside".into()),
    };
    prune(log, attempts.store(), options.keep);
    let after = all_progress(dir)?;
    let result = after
        .iter()
        .try_fold(0u64, |sum, worker| Some(sum.wrapping_add(worker.result?)));
    let lost: u64 = before
        .iter()
        .zip(&after)
        .map(|(before, after)| before.terms.saturating_sub(after.restored))
        .sum();

    println!("\n set        size    sealed at   sealing took");
    for row in &rows {
        let Row {
            sequence,
            size,
            sealing,
            at,
        } = row;
        println!(
            "{sequence:4} {:>11} {:>12} {:>14}",
            bytes(*size),
            seconds(*at),
            seconds(*sealing)
        );
    }
    let last_set = rows.last().map_or(Duration::ZERO, |row| row.at);
    println!("\n killed at            {}", seconds(killed_at));
    println!(
        " running again after  {} (restart {})",
        seconds(downtime),
        seconds(
            log.elapsed()
                .min(restart + downtime)
                .saturating_sub(restart)
        )
    );
    println!(
        " work lost            {lost} of {} terms, all since the last set {} before the kill",
        built_in::TERMS,
        seconds(killed_at.saturating_sub(last_set))
    );
    println!(
        " result               {} (expected {:x})",
        result.map_or_else(|| "none".to_owned(), |sum| format!("{sum:x}")),
        built_in::expected()
    );
    let right =
        result == Some(built_in::expected()) && exits.iter().all(|exit| *exit == Exit::Code(0));
    println!(
        " {}",
        if right {
            "the result is right"
        } else {
            "THE RESULT IS WRONG"
        }
    );
    Ok(if right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn stopped(log: &Log) -> ExitCode {
    log.line("stopped; the built-in run always begins anew");
    ExitCode::from(TRY_AGAIN)
}

fn all_progress(dir: &Path) -> io::Result<Vec<built_in::Progress>> {
    (0..built_in::WORKERS)
        .map(|index| built_in::progress(index, dir))
        .collect()
}

fn terms(progress: &[built_in::Progress]) -> u64 {
    progress.iter().map(|worker| worker.terms).sum()
}
