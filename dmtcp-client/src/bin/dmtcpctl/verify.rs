//! `dmtcpctl verify`: whether every byte of the sets is as it was sealed.

use crate::failure::{FAILED, Failure, Problem};
use crate::output;
use crate::sets::{listing, none_there, unreadable};
use crate::text::{moment, printable, size};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Read all files of all checkpoint sets of a state directory and compare them with their
/// checksums
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The directory that holds `sets/`
    state_dir: PathBuf,
    /// Only the set of this number
    #[arg(long, value_name = "NUMBER")]
    set: Option<u64>,
    /// JSON instead of text: one object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Verified {
    sets: Vec<Verdict>,
}

/// What became of one set.
#[derive(Debug, Serialize)]
struct Verdict {
    directory: String,
    sequence: Option<u64>,
    /// None if the manifest cannot be read, as the next.
    sealed_unix_ms: Option<u64>,
    bytes: Option<u64>,
    whole: bool,
    error: Option<Problem>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let listing = listing(&arguments.state_dir)?;
    let mut verdicts = Vec::new();
    let wanted = |sequence: u64| arguments.set.is_none_or(|wanted| wanted == sequence);
    for set in listing.sets.iter().filter(|set| wanted(set.sequence())) {
        let error = set.verify().err().as_ref().map(Problem::from);
        let verdict = Verdict {
            directory: set.dir().to_string_lossy().into_owned(),
            sequence: Some(set.sequence()),
            sealed_unix_ms: Some(set.manifest().created_unix_ms),
            bytes: Some(set.total_bytes()),
            whole: error.is_none(),
            error,
        };
        if !arguments.json {
            output::print(&verdict.text())?;
        }
        verdicts.push(verdict);
    }
    for set in unreadable(&listing) {
        if !set.sequence.is_none_or(wanted) {
            continue;
        }
        let verdict = Verdict {
            directory: set.directory,
            sequence: set.sequence,
            sealed_unix_ms: None,
            bytes: None,
            whole: false,
            error: Some(set.error),
        };
        if !arguments.json {
            output::print(&verdict.text())?;
        }
        verdicts.push(verdict);
    }
    if verdicts.is_empty() {
        let others = !(listing.sets.is_empty() && listing.broken.is_empty());
        return Err(none_there(&arguments.state_dir, arguments.set, others));
    }
    let all_whole = verdicts.iter().all(|verdict| verdict.whole);
    if arguments.json {
        output::print_json("verify", &Verified { sets: verdicts })?;
    }
    Ok(ExitCode::from(if all_whole { 0 } else { FAILED }))
}

impl Verdict {
    fn text(&self) -> String {
        let name = match self.sequence {
            Some(sequence) => format!("{sequence:06}"),
            None => printable(&self.directory),
        };
        match (&self.error, self.bytes, self.sealed_unix_ms) {
            (Some(problem), ..) => {
                let text = printable(&problem.text);
                format!("{name}  BAD    {}: {text}\n", problem.slug)
            }
            (None, Some(bytes), Some(sealed)) => {
                format!(
                    "{name}  whole  {}, sealed {}\n",
                    size(bytes),
                    moment(sealed)
                )
            }
            (None, ..) => format!("{name}  whole\n"),
        }
    }
}
