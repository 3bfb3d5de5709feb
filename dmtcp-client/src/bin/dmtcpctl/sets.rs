//! `dmtcpctl sets`: the checkpoint sets of a state directory, as their manifests describe them.

use crate::failure::{FAILED, Failure, Problem};
use crate::output;
use crate::text::{counted, moment, printable_os, quoted, size, table};
use clap::Args;
use dmtcp_client::set::{self, CheckpointSet, Listing, Manifest};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// List the checkpoint sets of a state directory, newest first, by their manifests; `verify` also
/// reads the images
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The directory that holds `sets/`
    state_dir: PathBuf,
    /// JSON instead of text: one object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Sets<'a> {
    sets: Vec<Set<'a>>,
    unreadable: Vec<Unreadable>,
}

#[derive(Debug, Serialize)]
struct Set<'a> {
    directory: String,
    manifest: &'a Manifest,
}

/// A set whose manifest cannot be read.
#[derive(Debug, Serialize)]
pub(crate) struct Unreadable {
    pub(crate) directory: String,
    /// As its directory says.
    pub(crate) sequence: Option<u64>,
    pub(crate) error: Problem,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let listing = listing(&arguments.state_dir)?;
    let unreadable = unreadable(&listing);
    let code = ExitCode::from(if unreadable.is_empty() { 0 } else { FAILED });
    if arguments.json {
        let sets = listing.sets.iter();
        let sets = sets.map(|set| Set {
            directory: set.dir().to_string_lossy().into_owned(),
            manifest: set.manifest(),
        });
        let sets = sets.collect();
        output::print_json("sets", &Sets { sets, unreadable })?;
        return Ok(code);
    }
    let heading = ["set", "sealed", "gen", "images", "size", "programs"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(listing.sets.iter().map(in_words));
    if listing.sets.is_empty() {
        output::print("no sets\n")?;
    } else {
        output::print(&table(&rows))?;
    }
    for set in &unreadable {
        output::complain(&set.error, None);
    }
    Ok(code)
}

/// The sets of a state directory, which must be one.
pub(crate) fn listing(state_dir: &Path) -> Result<Listing, Failure> {
    if !state_dir.join("sets").is_dir() {
        let text = format!("{} has no directory `sets`", printable_os(state_dir));
        let failure = Failure::new("no-state-directory", text);
        return Err(match above_sets(state_dir) {
            Some(above) => failure.hint(format!("try {}", quoted(above.as_os_str()))),
            None => failure.hint(
                "name the directory that a job keeps its state in, not the one of its images",
            ),
        });
    }
    Ok(set::list(state_dir)?)
}

/// The state directory, if what was named is its `sets` or within that.
fn above_sets(named: &Path) -> Option<PathBuf> {
    let named = named.canonicalize().ok()?;
    let mut above = named.ancestors();
    let sets = above.find(|dir| dir.file_name().is_some_and(|name| name == "sets"))?;
    sets.parent().map(Path::to_owned)
}

pub(crate) fn unreadable(listing: &Listing) -> Vec<Unreadable> {
    let broken = listing.broken.iter();
    let broken = broken.map(|(directory, error)| Unreadable {
        directory: directory.to_string_lossy().into_owned(),
        sequence: directory
            .file_name()
            .and_then(|name| name.to_str()?.parse().ok()),
        error: Problem::from(error),
    });
    broken.collect()
}

/// No set, or none of this number; `others` says whether there are any.
pub(crate) fn none_there(state_dir: &Path, number: Option<u64>, others: bool) -> Failure {
    let which = number.map_or_else(|| "no set".to_owned(), |number| format!("no set {number}"));
    let text = format!("there is {which} in {}", printable_os(state_dir));
    let failure = Failure::new("no-sets", text);
    match others {
        true => failure.hint("`dmtcpctl sets` lists what is there"),
        false => failure.hint("no checkpoint of this job has been sealed there yet"),
    }
}

fn in_words(set: &CheckpointSet) -> Vec<String> {
    let manifest = set.manifest();
    let mut programs: Vec<_> = manifest.images.iter().map(|image| &image.program).collect();
    programs.sort_unstable();
    let programs = programs.chunk_by(|a, b| a == b).map(|same| {
        let name = same.first().map(printable_os).unwrap_or_default();
        match same.len() {
            1 => name,
            count => format!("{count} × {name}"),
        }
    });
    let programs: Vec<_> = programs.collect();
    vec![
        format!("{:06}", set.sequence()),
        moment(manifest.created_unix_ms),
        manifest.computation.generation.to_string(),
        counted(manifest.images.len() as u64, "image"),
        size(set.total_bytes()),
        programs.join(", "),
    ]
}
