//! Runs a computation, checkpoints it every so often, and goes on from its newest set.
//!
//! `cargo run --example checkpoint_every` shows it all in one run, without DMTCP: three worker
//! processes, a checkpoint every second, SIGKILL for all of them in the middle of their work, a
//! restart, and a result that proves itself. With a program it does the same for any command
//! line under DMTCP: kill it as you like and give the same command again.

use dmtcp_client::{
    Launch, Tools,
    attempt::{Attempt, AttemptError, Attempts, Program, Recovered},
    process::{Exit, FAIL_CODE, Stream, passed_on_descriptors},
    server::{ComputationEvent, Event, Interval, Server, ServerError},
    set::{CheckpointSet, SetStore},
};
use dmtcp_examples::{
    arguments::{self, Options, Request, USAGE},
    built_in,
    job_files::JobFiles,
    log::{Log, bytes, seconds},
    signals::{SIGINT, Signals},
};
use std::{
    error::Error,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::mpsc::RecvTimeoutError,
    time::{Duration, UNIX_EPOCH},
};

/// A complete set was taken and the program was stopped on purpose: run me again.
const CHECKPOINTED: u8 = 85;
/// Stopped without a new set; nothing that an earlier set holds is lost.
const TRY_AGAIN: u8 = 75;
const CANNOT_START: u8 = 170;
const CANNOT_RESTART: u8 = 171;
const USAGE_ERROR: u8 = 2;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let [mode, index, dir] = &args[..] {
        if mode == WORKER {
            return worker(index, dir.as_ref());
        }
    }
    let log = Log::start();
    let done = match arguments::parse(args) {
        Ok(Request::Help) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Ok(Request::BuiltIn(options)) => run_built_in(&log, &options),
        Ok(Request::Program(options, program, args)) => run_program(&log, &options, program, args),
        Err(wrong) => {
            eprintln!("checkpoint_every: {wrong}\n\n{USAGE}");
            return ExitCode::from(USAGE_ERROR);
        }
    };
    done.unwrap_or_else(|error| {
        log.line(format!("error: {}", chain(error.as_ref())));
        ExitCode::from(CANNOT_START)
    })
}

// ------------------------------------------------------------- any program, under DMTCP

fn run_program(
    log: &Log,
    options: &Options,
    program: OsString,
    args: Vec<OsString>,
) -> Result<ExitCode, Box<dyn Error>> {
    let tools = match Tools::find(options.dmtcp_bin.as_deref()) {
        Ok(tools) => tools,
        Err(error) => {
            eprintln!("checkpoint_every: {error}\n");
            eprintln!("To see it work without DMTCP: cargo run --example checkpoint_every");
            return Ok(ExitCode::from(USAGE_ERROR));
        }
    };
    let signals = Signals::start()?;
    let dir = options.dir.clone().unwrap_or_else(|| default_dir(&program));
    let files = JobFiles::of(&dir, &program, &args);
    if let Some(other) = files.other_command()? {
        eprintln!(
            "checkpoint_every: {} is of another command, {}: choose another directory with --dir",
            dir.display(),
            other.to_string_lossy()
        );
        return Ok(ExitCode::from(USAGE_ERROR));
    }
    if let Some(code) = files.exit_code()? {
        log.line(format!(
            "it has ended before, with exit code {code}; remove {} to run it again",
            dir.display()
        ));
        return Ok(ExitCode::from(code));
    }
    log.line(format!(
        "DMTCP {} in {}",
        tools.version()?.text,
        tools.dir().display()
    ));
    let passed_on = passed_on_descriptors()?;
    if !passed_on.is_empty() {
        log.line(format!(
            "warning: the program inherits the open descriptors {passed_on:?}, which can make \
             restarts hang; close them in the shell"
        ));
    }

    let server = Server::start()?;
    let interval = options.interval.unwrap_or(Duration::from_secs(60));
    let attempts = Attempts::open(&server, &dir)?
        .tools(tools.clone())
        .interval(Interval::Every(interval))
        .interrupted_by(signals.any());
    files.write_command()?;
    let attempt = match attempts.restart() {
        Ok(recovered) => tell_recovered(log, recovered),
        Err(AttemptError::NoGoodSet { refused }) => {
            for error in refused {
                log.line(format!("passed over: {}", chain(&error)));
            }
            let launch = Launch::new(&tools, &program)
                .args(args)
                .gzip(options.gzip)
                .stdin(Stream::Null);
            let attempt = attempts.start([Program::from(launch)])?;
            log.line(format!(
                "started {} on port {}",
                program.to_string_lossy(),
                attempt.computation().port()
            ));
            attempt
        }
        Err(AttemptError::Interrupted) => {
            log.line("stopped while it was restarted; all sets are as they were");
            return Ok(ExitCode::from(TRY_AGAIN));
        }
        Err(error) => {
            log.line(format!("error: {}", chain(&error)));
            return Ok(ExitCode::from(CANNOT_RESTART));
        }
    };
    log.line(format!(
        "a checkpoint every {} in {}; Ctrl-C: one last one, then stop",
        seconds(interval),
        dir.display()
    ));

    match watch(log, &attempt, &signals, attempts.store(), options.keep)? {
        Ending::Finished(exit) => ended(log, exit, &files, attempts.store()),
        Ending::Killed { behind_set } => {
            log.line("the program was ended from outside, through its coordinator");
            Ok(ExitCode::from(if behind_set {
                CHECKPOINTED
            } else {
                TRY_AGAIN
            }))
        }
        Ending::Signal(signal) => match stop(log, attempt, &signals, signal)? {
            Stopped::Code(code) => Ok(ExitCode::from(code)),
            Stopped::Finished(exit) => ended(log, exit, &files, attempts.store()),
        },
    }
}

/// The program ended. Only what it did of its own accord is final: a kill or a failure of DMTCP
/// is what the sets are for.
fn ended(
    log: &Log,
    exit: Exit,
    files: &JobFiles,
    store: &SetStore,
) -> Result<ExitCode, Box<dyn Error>> {
    let code = u8::try_from(exit.shell_code()).unwrap_or(u8::MAX);
    match exit {
        Exit::Code(FAIL_CODE) => {
            let sets = store.list()?.sets.len();
            log.line(format!(
                "DMTCP has failed, see above; there are {sets} checkpoint sets"
            ));
            return Ok(ExitCode::from(if sets == 0 {
                CANNOT_START
            } else {
                TRY_AGAIN
            }));
        }
        Exit::Code(_) => files.write_exit_code(code)?,
        _ => {}
    }
    log.line(format!("the program ended: {exit}"));
    Ok(ExitCode::from(code))
}

fn tell_recovered(log: &Log, recovered: Recovered) -> Attempt {
    let Recovered {
        attempt,
        set,
        took,
        failed,
        refused,
        ..
    } = recovered;
    for error in refused {
        log.line(format!("passed over: {}", chain(&error)));
    }
    for failure in failed {
        log.line(format!(
            "a restart failed after {}: {failure}",
            seconds(failure.took)
        ));
    }
    log.line(format!(
        "restarted from set {} ({} images, {}, {} old): all processes running after {}",
        set.sequence(),
        set.images().len(),
        bytes(set.total_bytes()),
        seconds(age(&set)),
        seconds(took),
    ));
    attempt
}

fn age(set: &CheckpointSet) -> Duration {
    let created = UNIX_EPOCH + Duration::from_millis(set.manifest().created_unix_ms);
    created.elapsed().unwrap_or_default()
}

/// How watching a computation ended.
enum Ending {
    Finished(Exit),
    /// Its workers were told to exit, by somebody who speaks DMTCP's protocol.
    Killed {
        /// Directly behind a complete set, so that nothing is lost.
        behind_set: bool,
    },
    Signal(i32),
}

/// What has been seen of a computation that may be ended from outside.
#[derive(Default)]
struct Seen {
    killed: bool,
    /// A set was sealed, and its workers have not come to run again.
    behind_set: bool,
    /// Its workers have reported their images and not come to run again.
    behind_images: bool,
}

impl Seen {
    fn note(&mut self, event: &ComputationEvent) {
        match event {
            ComputationEvent::Coordinator(Event::Killing { .. }) => self.killed = true,
            ComputationEvent::Coordinator(Event::ImagesReported { .. }) => {
                self.behind_images = true;
            }
            ComputationEvent::SetSealed { .. } => self.behind_set = self.behind_images,
            ComputationEvent::Coordinator(Event::Resumed) => {
                (self.behind_images, self.behind_set) = (false, false);
            }
            _ => {}
        }
    }
}

/// Tells what happens until the computation ends or somebody wants to stop it.
fn watch(
    log: &Log,
    attempt: &Attempt,
    signals: &Signals,
    store: &SetStore,
    keep: usize,
) -> Result<Ending, Box<dyn Error>> {
    let events = attempt.computation().events();
    let mut seen = Seen::default();
    loop {
        if let Some(signal) = signals.next_within(Duration::ZERO) {
            return Ok(Ending::Signal(signal));
        }
        let finished = attempt.finished()?;
        let patience = match finished {
            Some(_) => Duration::ZERO,
            None => Duration::from_millis(100),
        };
        match (events.recv_timeout(patience), finished) {
            (Ok(event), _) => {
                seen.note(&event);
                tell(log, &event);
                if matches!(event, ComputationEvent::SetSealed { .. }) && keep > 0 {
                    prune(log, store, keep);
                }
            }
            // Everything that led to it has been heard.
            (Err(_), Some(exits)) => {
                let behind_set = seen.behind_set;
                return Ok(match exits.first() {
                    Some(Exit::Code(0)) if seen.killed || behind_set => {
                        Ending::Killed { behind_set }
                    }
                    Some(exit) => Ending::Finished(*exit),
                    None => Ending::Finished(Exit::Code(0)),
                });
            }
            (Err(RecvTimeoutError::Disconnected), None) => {
                // The coordinator was told to quit, so the program is about to end.
                if let Some(signal) = signals.next_within(Duration::from_millis(20)) {
                    return Ok(Ending::Signal(signal));
                }
            }
            (Err(RecvTimeoutError::Timeout), None) => {}
        }
    }
}

fn prune(log: &Log, store: &SetStore, keep: usize) {
    match store.prune(keep) {
        Ok(removed) if removed.is_empty() => {}
        Ok(removed) => log.line(format!("removed sets {removed:?}, {keep} kept")),
        Err(error) => log.line(format!("cannot remove old sets: {}", chain(&error))),
    }
}

fn tell(log: &Log, event: &ComputationEvent) {
    match event {
        ComputationEvent::Coordinator(Event::CheckpointStarted { round, workers, .. }) => {
            log.line(format!("checkpoint {round} of {workers} processes …"));
        }
        ComputationEvent::Coordinator(Event::CheckpointFailed { round, reason, .. }) => {
            log.line(format!("checkpoint {round} FAILED: {reason}"));
        }
        ComputationEvent::SetSealed { set, took, .. } => {
            let size = CheckpointSet::open(&set.directory).map_or(0, |set| set.total_bytes());
            log.line(format!(
                "set {} is sealed: {}, sealing took {}",
                set.sequence,
                bytes(size),
                seconds(*took)
            ));
        }
        ComputationEvent::ProcessKilled(worker) => {
            log.line(format!(
                "killed {} (pid {}): no message could free it",
                worker.program, worker.real_pid
            ));
        }
        ComputationEvent::ProcessSpared { worker, reason } => {
            log.line(format!(
                "{} (pid {}) is stuck and was left alone: {reason}",
                worker.program, worker.real_pid
            ));
        }
        ComputationEvent::Coordinator(Event::PeerMisbehaved { error, .. }) => {
            log.line(format!("cut off a peer that broke the protocol: {error}"));
        }
        ComputationEvent::Coordinator(Event::Refused { reason, .. }) => {
            log.line(format!("refused a process: {reason:?}"));
        }
        ComputationEvent::Lagged(count) => log.line(format!("{count} events were missed")),
        _ => {}
    }
}

/// How stopping a computation went.
enum Stopped {
    Code(u8),
    /// It had ended by itself before it could be stopped.
    Finished(Exit),
}

/// One last checkpoint, then the end. A further Ctrl-C ends it without.
fn stop(
    log: &Log,
    attempt: Attempt,
    signals: &Signals,
    signal: i32,
) -> Result<Stopped, Box<dyn Error>> {
    log.line(format!(
        "signal {signal}: one last checkpoint, then stop (Ctrl-C: stop at once)"
    ));
    let computation = attempt.computation().clone();
    // Whatever this says, the last checkpoint says it better.
    drop(computation.set_interval(Interval::Never));
    let code = loop {
        let asked = computation.clone();
        let last = std::thread::spawn(move || asked.checkpoint_and_kill(LAST_LIMIT));
        // Schedulers send SIGTERM more than once; only somebody at a keyboard means it.
        let at_once = || signals.next_within(Duration::from_millis(20)) == Some(SIGINT);
        let mut now = false;
        while !now && !last.is_finished() {
            now = at_once();
        }
        if now {
            log.line("stopped at once, without a last checkpoint");
            attempt.kill()?;
            return Ok(Stopped::Code(TRY_AGAIN));
        }
        let error = match last.join() {
            Ok(Ok(sealed)) => {
                let number = sealed.set.map_or(0, |set| set.sequence);
                log.line(format!(
                    "set {number} is sealed; the same command goes on from it \
                     (exit code {CHECKPOINTED})"
                ));
                break CHECKPOINTED;
            }
            Ok(Err(error)) => error,
            Err(_) => return Err("the thread of the last checkpoint panicked".into()),
        };
        // Nothing has been asked of the program: another one is under way, or a process is just
        // starting or ending.
        let untouched = matches!(error, ServerError::Busy { .. } | ServerError::NotRunning);
        let exits = attempt.finished()?;
        match exits.and_then(|exits| exits.first().copied()) {
            // What is told to exit behind a checkpoint exits with 0: that is not its own end.
            Some(exit) if untouched || exit != Exit::Code(0) => {
                return Ok(Stopped::Finished(exit));
            }
            _ => {}
        }
        if !untouched {
            log.line(format!("no last checkpoint: {}", chain(&error)));
            break TRY_AGAIN;
        }
        if at_once() {
            attempt.kill()?;
            return Ok(Stopped::Code(TRY_AGAIN));
        }
    };
    attempt.stop(Duration::from_secs(5))?;
    Ok(Stopped::Code(code))
}

/// Schedulers kill long before.
const LAST_LIMIT: Duration = Duration::from_secs(3600);

fn default_dir(program: &OsString) -> PathBuf {
    let name = Path::new(program).file_name().unwrap_or(program);
    let mut dir = OsString::from("checkpoint_every-");
    dir.push(name);
    dir.into()
}

// ------------------------------------------------------------- the built-in computation

/// How a worker process of the built-in computation is told that it is one.
const WORKER: &str = "--worker-of-the-built-in-computation";
/// Sets after which everything is killed.
const SETS_BEFORE_KILL: usize = 3;

fn worker(index: &OsString, dir: &Path) -> ExitCode {
    let index = index
        .to_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    match built_in::worker(index, dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("worker {index}: {}", chain(error.as_ref()));
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

fn run_built_in(log: &Log, options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let dir = options.dir.as_deref().unwrap_or_else(|| temporary.path());
    fs::create_dir_all(dir)?;
    let interval = options.interval.unwrap_or(Duration::from_secs(1));
    let signals = Signals::start()?;
    let server = Server::start()?;
    let attempts = Attempts::open(&server, dir)?.interval(Interval::Every(interval));

    let program = std::env::current_exe()?;
    let workers = (0..built_in::WORKERS).map(|index| {
        let mut command = Command::new(&program);
        command.arg(WORKER).arg(index.to_string()).arg(dir);
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
    let exits = match watch(log, &attempt, &signals, attempts.store(), options.keep)? {
        Ending::Finished(_) => attempt.exits()?,
        Ending::Signal(_) => return Ok(stopped(log)),
        Ending::Killed { .. } => return Err("the workers were ended from outside".into()),
    };
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
    let right = result == Some(built_in::expected())
        && exits.iter().all(|exit| *exit == Some(Exit::Code(0)));
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

/// An error and what caused it, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
