//! `dmtcpctl run`, `start` and `restart`: a job to its outcome.

mod arguments;
mod job;
mod signals;
mod stopping;
mod telling;

use crate::failure::Failure;
pub(crate) use arguments::{RestartArguments, RunArguments, StartArguments};
use dmtcp_client::job::{Begin, Job, JobError, RunningJob};
use dmtcp_client::server::Server;
pub(crate) use signals::hear_of_children;
use std::process::ExitCode;
use std::sync::Arc;

pub(crate) fn run(arguments: &RunArguments) -> Result<ExitCode, Failure> {
    let job = job::of_program(&arguments.job, &arguments.program, Begin::GoOn)?;
    to_its_end(job, &arguments.job)
}

pub(crate) fn start(arguments: &StartArguments) -> Result<ExitCode, Failure> {
    let begin = match arguments.fresh {
        true => Begin::Fresh,
        false => Begin::Start,
    };
    let job = job::of_program(&arguments.job, &arguments.program, begin)?;
    to_its_end(job, &arguments.job)
}

pub(crate) fn restart(arguments: &RestartArguments) -> Result<ExitCode, Failure> {
    let job = job::of_sets(&arguments.job, &arguments.program)?;
    to_its_end(job, &arguments.job)
}

fn to_its_end(job: Job, arguments: &arguments::JobArguments) -> Result<ExitCode, Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::new("environment", dmtcp_client::with_causes(error))
            .code(job::not_started(arguments))
    };
    // Before anything is started that they should stop.
    let signals =
        signals::Signals::catch(&arguments.stop_signals()).map_err(|error| failed(&error))?;
    let server = Arc::new(Server::start().map_err(|error| failed(&error))?);
    let control = job.control();
    let talk = arguments.talk();
    let told = telling::tell(control.subscribe(), talk, job.dir());
    let grace = arguments.grace;
    let heard = move |signal| telling::last_checkpoint(signal, grace, talk);
    let stopping = signals.stop_job(control, heard);
    stopping.map_err(|error| failed(&error))?;
    let outcome = job.start(&server).and_then(RunningJob::wait);
    let outcome = outcome.map_err(|error| match &error {
        JobError::State(_) | JobError::Thread { .. } => {
            Failure::from(error).code(job::not_started(arguments))
        }
        _ => error.into(),
    })?;
    // What it has told is on the terminal before its end.
    telling::end(told, &outcome, arguments.talk());
    Ok(ExitCode::from(outcome.code))
}
