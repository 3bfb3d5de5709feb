//! A job of the library, as the command line describes it.

use super::arguments::{JobArguments, ProgramArguments};
use crate::failure::{Failure, Problem};
use crate::output;
use crate::text::printable;
use dmtcp_client::attempt::Program;
use dmtcp_client::job::pace::{AutoInterval, IntervalPolicy, PlannedEnd};
use dmtcp_client::job::{Begin, ExitCodes, Job, OutcomeKind, Registry, directory_name};
use dmtcp_client::process::Stream;
use dmtcp_client::server::ReportFiles;
use dmtcp_client::set::RetentionPolicy;
use dmtcp_client::{Launch, Tools, with_causes};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

/// One that runs this program.
pub(super) fn of_program(
    arguments: &JobArguments,
    program: &ProgramArguments,
    begin: Begin,
) -> Result<Job, Failure> {
    let argv = &program.program;
    let dir = directory(arguments, argv);
    let Some((name, args)) = argv.split_first() else {
        return Err(Failure::new(
            "no-program",
            "no program was given".to_owned(),
        ));
    };
    if program.native {
        let mut command = Command::new(name);
        command.args(args);
        let job = Job::new(dir, command).begin(begin);
        return settle(job, arguments, None);
    }
    let tools = tools(arguments)?;
    let launch = Launch::new(&tools, name)
        .args(args)
        .gzip(!program.no_gzip)
        .checkpoint_open_files(program.checkpoint_open_files);
    let job = Job::new(dir, Program::from(launch)).begin(begin);
    settle(job, arguments, Some(tools))
}

/// One that goes on from its sets.
pub(super) fn of_sets(arguments: &JobArguments, program: &[OsString]) -> Result<Job, Failure> {
    let job = Job::restart(directory(arguments, program));
    // Where there is none, whether one is needed is in the set.
    let tools = match arguments.dmtcp_bin {
        Some(_) => Some(tools(arguments)?),
        None => Tools::find(None).ok(),
    };
    settle(job, arguments, tools)
}

fn directory(arguments: &JobArguments, argv: &[OsString]) -> PathBuf {
    match (&arguments.state_dir, argv.split_first()) {
        (Some(dir), _) => dir.clone(),
        (None, Some((program, args))) => {
            directory_name(program, arguments.id.as_deref(), args).into()
        }
        // One of them is required.
        (None, None) => PathBuf::from("."),
    }
}

fn tools(arguments: &JobArguments) -> Result<Tools, Failure> {
    Tools::find(arguments.dmtcp_bin.as_deref()).map_err(|error| {
        Failure::from(Problem::new("no-dmtcp", &error))
            .code(not_started(arguments))
            .hint("--dmtcp-bin says where DMTCP's programs are; only a program that is written with this \
                 library as a worker needs none, with --native")
    })
}

fn settle(job: Job, arguments: &JobArguments, tools: Option<Tools>) -> Result<Job, Failure> {
    let mut job = job
        .interval(interval(arguments))
        .grace(arguments.grace)
        .ready_limit(arguments.ready_timeout)
        .restarts_without_progress(arguments.restarts)
        .retention(RetentionPolicy::new().keep_last(arguments.keep.max(1)))
        .stop_after_checkpoint(arguments.stop_after_checkpoint)
        .exit_codes(exit_codes(arguments))
        .show_output(true);
    if let Some(tools) = tools {
        job = job.tools(tools);
    }
    if let Some(id) = &arguments.id {
        job = job.id(id);
    }
    if let Some(end) = end(arguments)? {
        job = job.ends_at(end);
    }
    if let Some(path) = &arguments.notice_file {
        job = job.notice_file(path);
    }
    if let Some(limit) = arguments.timeout {
        job = job.time_limit(limit);
    }
    let mut reports = ReportFiles::default();
    reports.trace.clone_from(&arguments.trace);
    reports.metrics.clone_from(&arguments.metrics);
    job = job.reports(reports);
    if arguments.stdin {
        job = job.stdin(Stream::Inherit);
    }
    // A user without a home does without.
    if let Ok(registry) = Registry::of_this_user() {
        job = job.registry(registry);
    }
    Ok(job)
}

fn interval(arguments: &JobArguments) -> IntervalPolicy {
    match (arguments.interval, arguments.mean_time) {
        (IntervalPolicy::Auto(_), Some(mean_time)) => {
            IntervalPolicy::Auto(AutoInterval::new().mean_time_to_interrupt(mean_time))
        }
        (interval, _) => interval,
    }
}

fn end(arguments: &JobArguments) -> Result<Option<PlannedEnd>, Failure> {
    let now = SystemTime::now();
    match arguments.walltime_end.as_deref() {
        Some("none") => Ok(None),
        Some(text) => PlannedEnd::parse(text, now)
            .map(Some)
            .map_err(|error| Failure::new("walltime-end", with_causes(&error)).code(USAGE)),
        None => {
            let end = PlannedEnd::of_slurm(|name| std::env::var_os(name), now, ASK_SLURM);
            // It can run without.
            Ok(end.unwrap_or_else(|error| {
                let text = printable(&with_causes(&error)).to_string();
                output::print_error(&format!(
                    "dmtcpctl: walltime-end: {text}\n  hint: --walltime-end says when it ends, or `none`\n"
                ));
                None
            }))
        }
    }
}

/// The exit code where nothing came to an outcome, though the command line is right.
pub(super) fn not_started(arguments: &JobArguments) -> u8 {
    exit_codes(arguments).of(OutcomeKind::FailedBeforeReady, None)
}

fn exit_codes(arguments: &JobArguments) -> ExitCodes {
    let mut codes = ExitCodes::default();
    for (outcome, code) in &arguments.exit_code {
        codes = match outcome.as_str() {
            "checkpointed" => codes.checkpointed(*code),
            "try-again" => codes.try_again(*code),
            "failed-before-ready" => codes.failed_before_ready(*code),
            "failed-to-restore" => codes.failed_to_restore(*code),
            _ => codes.timed_out(*code),
        };
    }
    codes
}

const USAGE: u8 = 2;
const ASK_SLURM: Duration = Duration::from_secs(10);
