//! `dmtcpctl verify`: whether every byte of the sets is as it was sealed.

use crate::failure::{FAILED, Failure, Problem};
use crate::output;
use crate::sets::{listing, unreadable};
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
    /// None if the manifest cannot be read.
    sequence: Option<u64>,
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
        // Which set it is, its directory says as well.
        let name = arguments.set.map(|number| format!("/{number:06}"));
        if name.is_some_and(|name| !set.directory.ends_with(&name)) {
            continue;
        }
        let verdict = Verdict {
            directory: set.directory,
            sequence: None,
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
        let which = arguments
            .set
            .map_or_else(|| "no set".to_owned(), |number| format!("no set {number}"));
        let text = format!("there is {which} in {}", arguments.state_dir.display());
        return Err(Failure::new("no-sets", text).hint("`dmtcpctl sets` lists what is there"));
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
