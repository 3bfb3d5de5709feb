//! `dmtcpctl wait`: until a job has ended, and how.

use crate::duration;
use crate::failure::Failure;
use crate::output;
use crate::state_dir::StateDir;
use crate::text::printable;
use clap::Args;
use dmtcp_client::job::{Outcome, wait_for_outcome};
use serde::Serialize;
use std::process::ExitCode;
use std::time::Duration;

/// Wait until a job has ended, on whatever host it runs, and exit with the code of its outcome; a job
/// that does not run has ended
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    at: StateDir,
    /// How long to wait; the job goes on. Default: without end
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    timeout: Option<Duration>,
    /// JSON instead of text: one object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Waited<'a> {
    directory: String,
    outcome: &'a Outcome,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let directory = arguments.at.path();
    let outcome = wait_for_outcome(directory, arguments.timeout.unwrap_or(Duration::MAX))?;
    if arguments.json {
        let waited = Waited {
            directory: directory.to_string_lossy().into_owned(),
            outcome: &outcome,
        };
        output::print_json("wait", &waited)?;
    } else {
        output::print(&in_words(&outcome))?;
    }
    Ok(ExitCode::from(outcome.code))
}

pub(crate) fn in_words(outcome: &Outcome) -> String {
    format!("{}: {}\n", outcome.kind.slug(), printable(&outcome.text))
}
