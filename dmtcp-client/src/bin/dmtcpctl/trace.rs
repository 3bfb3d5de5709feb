//! `dmtcpctl trace`: where the time of each round went, from the file that a coordinator wrote.

use crate::failure::{Failure, Problem};
use crate::output;
use crate::text::{counted, printable, table};
use clap::Args;
use dmtcp_client::server::{TraceFileError, TracedBarrier, TracedRound, TracedWorker, read_trace};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Say where the time of each checkpoint went, and who came last, from the file of `coordinator
/// --trace` or `run --trace`; the viewer Perfetto draws the same file
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The trace
    file: PathBuf,
    /// Only the round of this number
    #[arg(long, value_name = "NUMBER")]
    round: Option<u64>,
    /// JSON instead of text: one object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Trace {
    rounds: Vec<Round>,
}

#[derive(Debug, Serialize)]
struct Round {
    round: u64,
    generation: u64,
    workers: u64,
    outcome: String,
    took_us: u64,
    sealing_us: Option<u64>,
    barriers: Vec<Barrier>,
}

#[derive(Debug, Serialize)]
struct Barrier {
    name: String,
    took_us: u64,
    waited_us: u64,
    last: Option<TracedWorker>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut rounds = read_trace(&arguments.file).map_err(|error| {
        match error {
            // What a parser says of it helps nobody.
            TraceFileError::NotATrace { .. } => Failure::new("not-a-trace", error.to_string()),
            _ => Problem::new("io", &error).into(),
        }
    })?;
    rounds.retain(|round| arguments.round.is_none_or(|wanted| wanted == round.round));
    if arguments.json {
        let rounds = rounds.into_iter().map(Round::from).collect();
        output::print_json("trace", &Trace { rounds })?;
    } else if rounds.is_empty() {
        output::print("no rounds\n")?;
    } else {
        let texts: Vec<String> = rounds.iter().map(in_words).collect();
        output::print(&texts.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl From<TracedRound> for Round {
    fn from(round: TracedRound) -> Self {
        Self {
            round: round.round,
            generation: round.generation,
            workers: round.workers,
            outcome: round.outcome,
            took_us: micros(round.took),
            sealing_us: round.sealing.map(micros),
            barriers: round.barriers.into_iter().map(Barrier::from).collect(),
        }
    }
}

impl From<TracedBarrier> for Barrier {
    fn from(barrier: TracedBarrier) -> Self {
        Self {
            name: barrier.name,
            took_us: micros(barrier.took),
            waited_us: micros(barrier.waited),
            last: barrier.last,
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn in_words(round: &TracedRound) -> String {
    let sealing = round
        .sealing
        .map(|sealing| format!(", sealed in {sealing:.1?}"));
    let mut text = format!(
        "round {}, generation {}, {}: {} after {:.1?}{}\n",
        round.round,
        round.generation,
        counted(round.workers, "worker"),
        printable(&round.outcome),
        round.took,
        sealing.unwrap_or_default()
    );
    if round.barriers.is_empty() {
        return text;
    }
    let heading = ["  barrier", "took", "waited", "for the last one"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(round.barriers.iter().map(|barrier| {
        vec![
            format!("  {}", printable(&barrier.name)),
            format!("{:.1?}", barrier.took),
            format!("{:.1?}", barrier.waited),
            barrier.last.as_ref().map_or_else(|| "-".to_owned(), worker),
        ]
    }));
    text += &table(&rows);
    text
}

fn worker(worker: &TracedWorker) -> String {
    format!(
        "{} (pid {} on {})",
        printable(&worker.program),
        worker.real_pid,
        printable(&worker.host)
    )
}
