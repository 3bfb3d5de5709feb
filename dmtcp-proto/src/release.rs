//! Releases of DMTCP, and what they do differently within one dialect.
//!
//! A [`Release`] is what a program says about itself. It stands beside the [`Dialect`], which only
//! the wire tells, and never replaces it. What differs is data: one row of [`Quirks`] for each
//! range of releases.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use core::fmt;

use crate::dialect::Dialect;

/// A release of DMTCP, as its programs name it.
///
/// ```
/// use dmtcp_proto::{BlockingCheckpoint, Dialect, Release};
/// let release = Release::parse("dmtcp_launch (DMTCP) 3.1.2\n").unwrap();
/// assert_eq!(release.dialect, Some(Dialect::V3));
/// let quirks = release.quirks().unwrap();
/// assert_eq!(quirks.blocking, BlockingCheckpoint::No);
/// assert!(!quirks.interval_command);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Release {
    /// The version as printed, such as `4.2.0` or `5.0`.
    pub text: String,
    /// Its first number.
    pub major: u32,
    /// Its second number, 0 if not printed.
    pub minor: u32,
    /// Its third number, 0 if not printed.
    pub patch: u32,
    /// What it most likely speaks: [`Dialect::V2_4`] for 2.4.0 to 2.5.0, [`Dialect::V2_5`] for
    /// 2.5.1 and 2.5.2, [`Dialect::V2_6`] for 2.6.0, [`Dialect::V3`] for 3.x and 4.x,
    /// [`Dialect::V5`] from 5, `None` for what this crate does not speak (before 2.4.0).
    ///
    /// **A hint.** There are builds that call themselves 5.0 and speak the dialect of 4.x, or
    /// one between the two; only the wire tells. [`on_wire`](Self::on_wire) takes that over.
    pub dialect: Option<Dialect>,
}

impl Release {
    /// The release that `--version` names, in a line like `dmtcp_launch (DMTCP) 4.2.0`, whatever
    /// the program; the first such line counts. `None` if there is none.
    #[must_use]
    pub fn parse(output: &str) -> Option<Self> {
        let text = output.lines().find_map(|line| {
            let (_, version) = line.split_once("(DMTCP)")?;
            version.split_whitespace().next()
        })?;
        let mut numbers = text.split('.').map(leading_number);
        let major = numbers.next()??;
        let mut next = || numbers.next().flatten().unwrap_or(0);
        let version = (major, next(), next());
        let row = ROWS.iter().rev().find(|row| row.since <= version);
        Some(Self {
            text: text.to_owned(),
            major,
            minor: version.1,
            patch: version.2,
            dialect: row.map(|row| row.quirks.dialect),
        })
    }

    /// The same release, found to speak this dialect.
    #[must_use]
    pub fn on_wire(self, dialect: Dialect) -> Self {
        Self {
            dialect: Some(dialect),
            ..self
        }
    }

    /// What it does differently; `None` for what this crate does not speak.
    ///
    /// Where the dialect is not the one that belongs to the version, these are the quirks of the
    /// nearest release that speaks it: what calls itself 5.0 and speaks [`Dialect::V3`] is taken
    /// for 4.2.0.
    #[must_use]
    pub fn quirks(&self) -> Option<&'static Quirks> {
        let dialect = self.dialect?;
        let version = (self.major, self.minor, self.patch);
        let speaks = || ROWS.iter().filter(|row| row.quirks.dialect == dialect);
        let row = speaks().rev().find(|row| row.since <= version);
        row.or_else(|| speaks().next()).map(|row| &row.quirks)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DMTCP {}", self.text)
    }
}

/// How a coordinator is asked for a checkpoint whose answer comes at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockingCheckpoint {
    /// By a prefix on a connection of its own. If the checkpoint behind it is refused there is no
    /// answer at all.
    Prefix,
    /// Not at all: the answer always comes at once. Watch the workers instead.
    No,
    /// By a command of its own.
    Command,
}

/// How a coordinator is asked to kill the workers behind a checkpoint. All remember it when the
/// checkpoint is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KillingCheckpoint {
    /// By a prefix on a connection of its own.
    Prefix,
    /// By a command of its own.
    Command,
}

/// What an unexpected first message does to a coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strangers {
    /// Ends it, and its computation: a connection that is closed without a word, too.
    EndIt,
    /// Nothing, if its kind is one that the dialect has.
    MayBeOfKnownKind,
    /// Nothing.
    AreRefused,
}

/// The variable in which the restart script names the images of a computation on one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestartScriptForm {
    /// `given_ckpt_files`: their names.
    GivenCkptFiles,
    /// `worker_ckpts`: hosts and names, as for several hosts.
    WorkerCkpts,
}

/// How images are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageFormat {
    /// Signature v2.0.
    V2,
    /// Signature v4.0.
    V4,
}

/// What the releases of one range do. The same table stands in `docs/PROTOCOL.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quirks {
    /// What they speak.
    pub dialect: Dialect,
    /// Whether the report of an image says by which remote shell its host is reached.
    pub shell_in_reports: bool,
    /// Whether the answer to [`Command::List`](crate::Command::List) has the list.
    pub lists_workers: bool,
    /// Checkpoints that are answered at their end.
    pub blocking: BlockingCheckpoint,
    /// Checkpoints behind which the workers are killed.
    pub killing: KillingCheckpoint,
    /// Whether [`Command::SetInterval`](crate::Command::SetInterval) does anything. It is answered
    /// as a success in any case.
    pub interval_command: bool,
    /// Whether every command sets the interval that it carries.
    pub commands_apply_interval: bool,
    /// Whether the interval in the status is the one in effect.
    pub status_tells_interval: bool,
    /// Whether the coordinator reads `DMTCP_CHECKPOINT_INTERVAL`.
    pub reads_interval_variable: bool,
    /// Whether the coordinator obeys `--tmpdir`.
    pub obeys_tmpdir: bool,
    /// Whether workers are killed behind a checkpoint by [`KillPeer`](crate::Kind::KillPeer);
    /// otherwise they exit because the order to checkpoint said so.
    pub kills_by_message: bool,
    /// What an unexpected first message does.
    pub strangers: Strangers,
    /// The largest virtual pid.
    pub largest_virtual_pid: u32,
    /// The form of the restart script.
    pub restart_script: RestartScriptForm,
    /// Whether `dmtcp_restart` refuses root (with exit code 0) unless told `--run-as-root`, and calls
    /// `--no-strict-checking` `--no-strict-uid-checking`.
    pub restart_refuses_root: bool,
    /// The form of images.
    pub image_format: ImageFormat,
}

struct Row {
    /// The first version.
    since: (u32, u32, u32),
    quirks: Quirks,
}

const V2_4: Quirks = Quirks {
    dialect: Dialect::V2_4,
    shell_in_reports: false,
    lists_workers: false,
    blocking: BlockingCheckpoint::Prefix,
    killing: KillingCheckpoint::Prefix,
    interval_command: true,
    commands_apply_interval: true,
    status_tells_interval: true,
    reads_interval_variable: true,
    obeys_tmpdir: true,
    kills_by_message: true,
    strangers: Strangers::EndIt,
    largest_virtual_pid: 400_000_000,
    restart_script: RestartScriptForm::GivenCkptFiles,
    restart_refuses_root: true,
    image_format: ImageFormat::V2,
};

const V2_5_0: Quirks = Quirks {
    shell_in_reports: true,
    lists_workers: true,
    restart_refuses_root: false,
    ..V2_4
};

const V2_5_1: Quirks = Quirks {
    dialect: Dialect::V2_5,
    restart_script: RestartScriptForm::WorkerCkpts,
    ..V2_5_0
};

const V2_6: Quirks = Quirks {
    dialect: Dialect::V2_6,
    ..V2_5_1
};

const V3_0: Quirks = Quirks {
    dialect: Dialect::V3,
    restart_script: RestartScriptForm::GivenCkptFiles,
    ..V2_6
};

const V3_1_0: Quirks = Quirks {
    blocking: BlockingCheckpoint::No,
    killing: KillingCheckpoint::Command,
    commands_apply_interval: false,
    ..V3_0
};

const V3_1_1: Quirks = Quirks {
    interval_command: false,
    status_tells_interval: false,
    reads_interval_variable: false,
    obeys_tmpdir: false,
    ..V3_1_0
};

const V3_1_2: Quirks = Quirks {
    status_tells_interval: true,
    ..V3_1_1
};

const V4_0: Quirks = Quirks {
    kills_by_message: false,
    strangers: Strangers::MayBeOfKnownKind,
    largest_virtual_pid: 1_000_000,
    image_format: ImageFormat::V4,
    ..V3_1_2
};

const V5: Quirks = Quirks {
    dialect: Dialect::V5,
    blocking: BlockingCheckpoint::Command,
    interval_command: true,
    strangers: Strangers::AreRefused,
    ..V4_0
};

/// Oldest first; each up to the next.
static ROWS: &[Row] = &[
    row((2, 4, 0), V2_4),
    row((2, 5, 0), V2_5_0),
    row((2, 5, 1), V2_5_1),
    row((2, 6, 0), V2_6),
    row((3, 0, 0), V3_0),
    row((3, 1, 0), V3_1_0),
    row((3, 1, 1), V3_1_1),
    row((3, 1, 2), V3_1_2),
    row((4, 0, 0), V4_0),
    row((5, 0, 0), V5),
];

const fn row(since: (u32, u32, u32), quirks: Quirks) -> Row {
    Row { since, quirks }
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString as _;

    #[test]
    fn versions_map_to_dialects() {
        for (printed, numbers, dialect) in [
            ("3.0.0", (3, 0, 0), Some(Dialect::V3)),
            ("3.1.0-rc1", (3, 1, 0), Some(Dialect::V3)),
            ("4.2.0", (4, 2, 0), Some(Dialect::V3)),
            ("5.0", (5, 0, 0), Some(Dialect::V5)),
            ("2.6.0", (2, 6, 0), Some(Dialect::V2_6)),
            ("2.5.2", (2, 5, 2), Some(Dialect::V2_5)),
            ("2.5.1", (2, 5, 1), Some(Dialect::V2_5)),
            ("2.5.0", (2, 5, 0), Some(Dialect::V2_4)),
            ("2.4.9", (2, 4, 9), Some(Dialect::V2_4)),
            ("2.3.1", (2, 3, 1), None),
            ("1.2.8", (1, 2, 8), None),
        ] {
            let output = format!("dmtcp_launch (DMTCP) {printed}\nLicense: some (DMTCP) text\n");
            let release = Release::parse(&output).unwrap();
            assert_eq!((release.major, release.minor, release.patch), numbers);
            assert_eq!(release.dialect, dialect);
            assert_eq!(release.quirks().map(|quirks| quirks.dialect), dialect);
            assert_eq!(release.to_string(), format!("DMTCP {printed}"));
        }
        for output in [
            "",
            "dmtcp_launch 4.2.0",
            "x (DMTCP)",
            "x (DMTCP) v5",
            "(DMTCP) 99999999999",
        ] {
            assert_eq!(Release::parse(output), None, "{output:?}");
        }
    }

    #[test]
    fn the_wire_knows_better_than_the_version() {
        let release = Release::parse("dmtcp_launch (DMTCP) 5.0").unwrap();
        assert_eq!(release.quirks(), Some(&V5));
        let release = release.on_wire(Dialect::V3);
        assert_eq!(release.dialect, Some(Dialect::V3));
        assert_eq!(release.quirks(), Some(&V4_0));
        let old = Release::parse("dmtcp_launch (DMTCP) 2.4.9").unwrap();
        assert_eq!(old.on_wire(Dialect::V2_6).quirks(), Some(&V2_6));
    }
}
