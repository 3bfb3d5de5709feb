//! `dmtcpctl prune`: removing old sets by rules, or saying which would be.

use crate::bytes;
use crate::duration;
use crate::failure::Failure;
use crate::output;
use crate::sets::listing;
use crate::text::{counted, size};
use clap::{ArgGroup, Args};
use dmtcp_client::set::{
    KeepReason, RemoveReason, Retained, RetentionPolicy, SetStore, would_retain,
};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Remove old checkpoint sets by rules that add up; never the newest good one, nor what is in use,
/// newer than that, or unreadable
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("rules").required(true).multiple(true)
    .args(["keep", "keep_every", "keep_younger", "max_bytes"])))]
pub(crate) struct Arguments {
    /// The directory that holds `sets/`; nobody else may own it, unless it is a dry run
    state_dir: PathBuf,
    /// Keep the newest N whole sets
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// Keep sets whose number is a multiple of N
    #[arg(long, value_name = "N")]
    keep_every: Option<u64>,
    /// Keep sets sealed less than this ago, such as 12h or 7d; a unit is needed
    #[arg(long, value_name = "TIME", value_parser = duration::parse_age)]
    keep_younger: Option<Duration>,
    /// Then remove the oldest until no more than this stays: bytes, or such as 500MiB, 10G, 2TiB
    #[arg(long, value_name = "BYTES", value_parser = bytes::parse)]
    max_bytes: Option<u64>,
    /// Remove nothing: say what would be
    #[arg(long)]
    dry_run: bool,
    /// JSON instead of text: one object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Pruned {
    dry_run: bool,
    kept: Vec<Fate>,
    removed: Vec<Fate>,
    removed_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Fate {
    sequence: u64,
    bytes: u64,
    why: &'static str,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    // A store would make the directory.
    listing(&arguments.state_dir)?;
    let policy = policy(arguments);
    let retained = if arguments.dry_run {
        would_retain(&arguments.state_dir, &policy)?
    } else {
        SetStore::open(&arguments.state_dir)?.retain(&policy)?
    };
    let pruned = Pruned::new(arguments.dry_run, &retained);
    if arguments.json {
        output::print_json("prune", &pruned)?;
    } else {
        output::print(&pruned.text())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn policy(arguments: &Arguments) -> RetentionPolicy {
    let mut policy = RetentionPolicy::new();
    if let Some(count) = arguments.keep {
        policy = policy.keep_last(count);
    }
    if let Some(step) = arguments.keep_every {
        policy = policy.keep_every(step);
    }
    if let Some(age) = arguments.keep_younger {
        policy = policy.keep_younger_than(age);
    }
    if let Some(limit) = arguments.max_bytes {
        policy = policy.max_bytes(limit);
    }
    policy
}

impl Pruned {
    fn new(dry_run: bool, retained: &Retained) -> Self {
        let kept = retained.kept.iter().map(|set| Fate {
            sequence: set.sequence,
            bytes: set.bytes,
            why: kept_because(set.why),
        });
        let removed = retained.removed.iter().map(|set| Fate {
            sequence: set.sequence,
            bytes: set.bytes,
            why: removed_because(set.why),
        });
        Self {
            dry_run,
            kept: kept.collect(),
            removed: removed.collect(),
            removed_bytes: retained.removed_bytes(),
        }
    }

    fn text(&self) -> String {
        let line = |what: &str, set: &Fate| {
            let (sequence, bytes) = (set.sequence, size(set.bytes));
            format!("{sequence:06}  {what}  {bytes}, {}\n", set.why)
        };
        let gone = if self.dry_run { "would go" } else { "removed " };
        let kept = self.kept.iter().map(|set| line("kept    ", set));
        let removed = self.removed.iter().map(|set| line(gone, set));
        let lines: String = kept.chain(removed).collect();
        let count = counted(self.removed.len() as u64, "set");
        let verb = if self.dry_run {
            "would be removed"
        } else {
            "removed"
        };
        lines + &format!("{count} {verb}, {}\n", size(self.removed_bytes))
    }
}

fn kept_because(why: KeepReason) -> &'static str {
    match why {
        KeepReason::NewestGood => "newest-good",
        KeepReason::NewerThanGood => "newer-than-good",
        KeepReason::Held => "in-use",
        KeepReason::Unreadable => "unreadable",
        KeepReason::NoneGood => "none-good",
        KeepReason::Last => "keep",
        KeepReason::Every => "keep-every",
        KeepReason::Young => "keep-younger",
        KeepReason::NoRules => "no-rule-removes",
        _ => "other",
    }
}

fn removed_because(why: RemoveReason) -> &'static str {
    match why {
        RemoveReason::NoRule => "no-rule-keeps",
        RemoveReason::NotWhole => "not-whole",
        RemoveReason::MaxBytes => "max-bytes",
        _ => "other",
    }
}
