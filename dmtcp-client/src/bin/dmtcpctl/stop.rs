//! `dmtcpctl stop`: a job's last checkpoint, and its end.

use crate::duration;
use crate::failure::{Failure, Problem};
use crate::output;
use crate::state_dir::StateDir;
use crate::wait::in_words;
use clap::Args;
use dmtcp_client::job::{Outcome, OutcomeKind, Stopped, checkpoint_and_stop, kill};
use dmtcp_client::with_causes;
use serde::Serialize;
use std::process::ExitCode;
use std::time::Duration;

/// Checkpoint a job and end it; the same `run` goes on later. Where no checkpoint succeeds in time the job
/// is killed and its older sets stay
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    at: StateDir,
    /// How long the checkpoint may take
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = duration::parse)]
    grace: Duration,
    /// Kill it at once, without a checkpoint
    #[arg(long, conflicts_with = "grace")]
    now: bool,
    /// JSON instead of text: one object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    directory: String,
    was_running: bool,
    /// A set was made of it right before its end.
    checkpointed: bool,
    outcome: Option<&'a Outcome>,
    error: Option<Problem>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let directory = arguments.at.path();
    let stopped = match arguments.now {
        true => kill(directory)?,
        false => checkpoint_and_stop(directory, arguments.grace)?,
    };
    let Stopped {
        was_running,
        ref not_checkpointed,
        ref outcome,
        ..
    } = stopped;
    let ended_as = outcome.as_ref().map(|outcome| outcome.kind);
    let checkpointed = was_running && ended_as == Some(OutcomeKind::Checkpointed);
    let error = not_checkpointed.as_ref().map(|error| Problem {
        slug: "not-checkpointed",
        text: format!("killed without a checkpoint: {}", with_causes(error)),
    });
    if arguments.json {
        let report = Report {
            directory: directory.to_string_lossy().into_owned(),
            was_running,
            checkpointed,
            outcome: outcome.as_ref(),
            error: error.clone(),
        };
        output::print_json("stop", &report)?;
    } else {
        let before = if was_running { "" } else { "did not run; " };
        let text = match outcome {
            Some(outcome) => in_words(outcome),
            None => "no outcome is known\n".to_owned(),
        };
        output::print(&format!("{before}{text}"))?;
    }
    match error {
        Some(error) => {
            Err(Failure::from(error).hint("its older sets stay; --grace gives it longer"))
        }
        None => Ok(ExitCode::SUCCESS),
    }
}
