//! `dmtcpctl checkpoint`: a checkpoint of a coordinator's computation, to its end.

use crate::ask::Where;
use crate::bar;
use crate::duration;
use crate::failure::Failure;
use crate::output;
use clap::Args;
use dmtcp_client::coordinator::Evidence;
use dmtcp_client::job::ProgressWatch;
use serde::Serialize;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Checkpoint the computation of a coordinator, of any release, and wait until it is over; whether
/// the images are whole, `inspect` says
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    at: Where,
    /// Let the processes exit behind the checkpoint
    #[arg(long)]
    stop: bool,
    /// How long all of it may take; a checkpoint that takes longer goes on
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration::parse)]
    limit: Duration,
    /// JSON instead of text: one object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Checkpoint {
    address: SocketAddr,
    peers: u32,
    stopped: bool,
    /// `coordinator-reply` or `observed`.
    evidence: &'static str,
    took_ms: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let start = Instant::now();
    let asked = arguments.at.coordinator()?;
    let coordinator = &asked.coordinator;
    let last = asked.job.as_ref().map(|job| {
        let set = job.last_set();
        (job.directory(), set.map(|set| set.bytes))
    });
    let watch = ProgressWatch::new(coordinator.clone(), last);
    let report = bar::beside(watch, || match arguments.stop {
        true => coordinator.checkpoint_and_kill(arguments.limit),
        false => coordinator.checkpoint(arguments.limit),
    })?;
    let done = Checkpoint {
        address: coordinator.addr(),
        peers: report.peers,
        stopped: arguments.stop,
        evidence: match report.evidence {
            Evidence::CoordinatorReply => "coordinator-reply",
            Evidence::Observed { .. } => "observed",
            _ => "other",
        },
        took_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    if arguments.json {
        output::print_json("checkpoint", &done)?;
    } else {
        output::print(&done.text())?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Checkpoint {
    fn text(&self) -> String {
        let processes = match self.peers {
            1 => "1 process".to_owned(),
            peers => format!("{peers} processes"),
        };
        let stopped = if self.stopped { " and stopped" } else { "" };
        let known = match self.evidence {
            "coordinator-reply" => "the coordinator says so",
            _ => "by watching them; this coordinator does not say",
        };
        let seconds = Duration::from_millis(self.took_ms).as_secs_f64();
        format!("{processes} checkpointed{stopped} in {seconds:.2} s ({known})\n")
    }
}
