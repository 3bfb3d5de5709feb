//! Runs a computation, checkpoints it every so often, and goes on from its newest set.
//!
//! `cargo run --example checkpoint_every` shows it all in one run, without DMTCP: three worker
//! processes, a checkpoint every second, SIGKILL for all of them in the middle of their work, a
//! restart, and a result that proves itself. With a program it does the same for any command
//! line under DMTCP: kill it as you like and give the same command again.

use dmtcp_client::with_causes;
use dmtcp_client::{
    Launch, Tools,
    attempt::{Attempt, AttemptError, Attempts, Program},
    process::{Exit, FAIL_CODE, Stream, passed_on_descriptors},
    server::{Interval, Server, ServerError},
    set::SetStore,
};
use dmtcp_examples::{
    TRY_AGAIN,
    arguments::{self, Options, Request, USAGE},
    demonstration,
    job_files::JobFiles,
    log::{Log, seconds},
    reports::Reports,
    signals::{SIGINT, Signals},
    watching::{Ending, tell_recovered, watch},
};
use std::{
    error::Error,
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// A complete set was taken and the program was stopped on purpose: run me again.
const CHECKPOINTED: u8 = 85;
const CANNOT_START: u8 = 170;
const CANNOT_RESTART: u8 = 171;
const USAGE_ERROR: u8 = 2;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let [mode, work @ ..] = &args[..] {
        if mode == demonstration::WORKER {
            return demonstration::worker(work);
        }
    }
    let log = Log::start();
    let done = match arguments::parse(args) {
        Ok(Request::Help) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Ok(Request::BuiltIn(options)) => demonstration::run(&log, &options),
        Ok(Request::Program(options, program, args)) => run_program(&log, &options, program, args),
        Err(wrong) => {
            eprintln!("checkpoint_every: {wrong}\n\n{USAGE}");
            return ExitCode::from(USAGE_ERROR);
        }
    };
    done.unwrap_or_else(|error| {
        log.line(format!("error: {}", with_causes(error.as_ref())));
        ExitCode::from(CANNOT_START)
    })
}

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
    let dir = options
        .dir
        .clone()
        .unwrap_or_else(|| default_dir(&program, &args));
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
        Err(AttemptError::NoSet) => {
            let launch = Launch::new(&tools, &program)
                .args(args)
                .gzip(options.gzip)
                .stdin(Stream::Null);
            let attempt = attempts.start([Program::from(launch)])?;
            log.line(format!("started {}", program.to_string_lossy()));
            attempt
        }
        Err(AttemptError::Interrupted) => {
            log.line("stopped while it was restarted; all sets are as they were");
            return Ok(ExitCode::from(TRY_AGAIN));
        }
        Err(error) => {
            log.line(format!("error: {}", with_causes(&error)));
            log.line(format!(
                "nothing was started: to begin again from nothing, choose another --dir or remove {}",
                dir.display()
            ));
            return Ok(ExitCode::from(CANNOT_RESTART));
        }
    };
    log.line(format!(
        "a checkpoint every {} in {}, port {}; Ctrl-C: one last one, then stop",
        seconds(interval),
        dir.display(),
        attempt.computation().port()
    ));

    let mut reports = Reports::of(options);
    let ending = watch(
        log,
        &attempt,
        &signals,
        attempts.store(),
        options.keep,
        &mut reports,
    )?;
    match ending {
        Ending::Finished(exit) => ended(log, exit, &files, attempts.store()),
        Ending::Killed { behind_set } => {
            log.line("the program was ended from outside, through its coordinator");
            Ok(ExitCode::from(if behind_set {
                CHECKPOINTED
            } else {
                TRY_AGAIN
            }))
        }
        Ending::Signal(signal) => match stop(log, attempt, &signals, signal, &mut reports)? {
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
    reports: &mut Reports,
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
                reports.write(log, &computation);
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
            log.line(format!("no last checkpoint: {}", with_causes(&error)));
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

/// Named after the whole command line, so that two programs of one interpreter do not collide.
fn default_dir(program: &OsString, args: &[OsString]) -> PathBuf {
    let name = Path::new(program).file_name().unwrap_or(program);
    let mut dir = format!("checkpoint_every-{}", name.to_string_lossy());
    for arg in args {
        dir.push('_');
        dir.push_str(&arg.to_string_lossy());
    }
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '_'
        }
    };
    dir.chars().map(plain).take(120).collect::<String>().into()
}
