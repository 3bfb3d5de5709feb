//! `dmtcpctl pack` and `unpack`: a checkpoint set as one file, and back.

use crate::failure::Failure;
use crate::output;
use crate::sets::{listing, none_there, unreadable};
use crate::text::{printable_os, size};
use clap::Args;
use dmtcp_client::set::{CheckpointSet, SetStore};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Put a checkpoint set into one file, a tar, to move it to another directory or machine
#[derive(Debug, Args)]
pub(crate) struct PackArguments {
    /// The directory that holds `sets/`
    state_dir: PathBuf,
    /// The file to write; one of that name is replaced
    archive: PathBuf,
    /// Number of the set; the newest by default
    #[arg(long, value_name = "NUMBER")]
    set: Option<u64>,
    /// JSON instead of text: one object
    #[arg(long)]
    json: bool,
}

/// Make a checkpoint set of an archive that `pack` wrote, as the newest of a state directory;
/// restarting it runs what is in it
#[derive(Debug, Args)]
pub(crate) struct UnpackArguments {
    /// The file to read
    archive: PathBuf,
    /// The directory that holds `sets/`; made if it is not there
    state_dir: PathBuf,
    /// JSON instead of text: one object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Packed {
    sequence: u64,
    archive: String,
    archive_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Unpacked {
    sequence: u64,
    packed_as: Option<u64>,
    directory: String,
    bytes: u64,
}

pub(crate) fn pack(arguments: &PackArguments) -> Result<ExitCode, Failure> {
    let set = wanted(arguments)?;
    let packed = Packed {
        sequence: set.sequence(),
        archive_bytes: set.pack(&arguments.archive)?,
        archive: arguments.archive.to_string_lossy().into_owned(),
    };
    if arguments.json {
        output::print_json("pack", &packed)?;
    } else {
        output::print(&format!(
            "set {:06} is in {}, {}\n",
            packed.sequence,
            printable_os(&arguments.archive),
            size(packed.archive_bytes)
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The set of that number, or the newest; an older one is never taken for a newest that cannot be
/// read.
fn wanted(arguments: &PackArguments) -> Result<CheckpointSet, Failure> {
    let listing = listing(&arguments.state_dir)?;
    let unreadable = unreadable(&listing);
    let number = arguments.set.or_else(|| {
        let readable = listing.sets.iter().map(CheckpointSet::sequence);
        let damaged = unreadable.iter().filter_map(|set| set.sequence);
        readable.chain(damaged).max()
    });
    let is_wanted = |sequence: u64| number == Some(sequence);
    let damaged = unreadable
        .into_iter()
        .find(|set| set.sequence.is_some_and(is_wanted));
    if let Some(damaged) = damaged {
        let failure = Failure::from(damaged.error);
        // The listing begins with the newest.
        let before = |set: &&CheckpointSet| number.is_some_and(|number| set.sequence() < number);
        return Err(match listing.sets.iter().find(before) {
            Some(set) => failure.hint(format!(
                "`--set {}` packs the newest before it whose manifest can be read",
                set.sequence()
            )),
            None => failure,
        });
    }
    let others = !(listing.sets.is_empty() && listing.broken.is_empty());
    let mut sets = listing.sets.into_iter();
    sets.find(|set| is_wanted(set.sequence()))
        .ok_or_else(|| none_there(&arguments.state_dir, arguments.set, others))
}

pub(crate) fn unpack(arguments: &UnpackArguments) -> Result<ExitCode, Failure> {
    let store = SetStore::open(&arguments.state_dir)?;
    let set = match store.unpack(&arguments.archive) {
        Ok(set) => set,
        Err(error) => {
            store.abandon();
            return Err(error.into());
        }
    };
    let unpacked = Unpacked {
        sequence: set.sequence(),
        packed_as: set.manifest().packed_as,
        directory: set.dir().to_string_lossy().into_owned(),
        bytes: set.total_bytes(),
    };
    if arguments.json {
        output::print_json("unpack", &unpacked)?;
    } else {
        output::print(&format!(
            "set {:06}, {}, in {}\n",
            unpacked.sequence,
            size(unpacked.bytes),
            printable_os(set.dir())
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
