//! What a trial found.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::{Finding, Verdict, finding::worst};

/// What came of a trial.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TrialReport {
    /// What was done, in order. The last one is the clearing away, whatever failed before.
    pub steps: Vec<Step>,
    /// What the program uses that DMTCP is known to have trouble with.
    pub conflicts: Vec<Conflict>,
    /// Processes in the checkpoint; `None`: there was none.
    pub processes: Option<usize>,
    /// Bytes of the checkpoint set.
    pub set_bytes: Option<u64>,
    /// Bytes of memory that its images hold, before compression.
    pub memory_bytes: Option<u64>,
    /// The end of what the program and DMTCP wrote, by lines; kept where a step failed.
    pub output: Vec<String>,
}

/// A step of a trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Step {
    /// `program`, `start`, `join`, `run`, `checkpoint`, `kill`, `restart`, `go-on`, `clear`; what was
    /// seen, and what to do.
    #[serde(flatten)]
    pub finding: Finding,
    /// Why it did not go well, as a name that does not change between releases.
    pub cause: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Something that DMTCP is known to have trouble with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Conflict {
    /// What was seen, and what to do.
    #[serde(flatten)]
    pub finding: Finding,
    /// Where the trouble is known from.
    pub source: String,
}

impl TrialReport {
    /// The worst of all steps and conflicts.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let steps = self.steps.iter().map(|step| &step.finding);
        worst(steps.chain(self.conflicts.iter().map(|conflict| &conflict.finding)))
    }

    /// The first step that went wrong.
    #[must_use]
    pub fn failure(&self) -> Option<&Step> {
        let mut steps = self.steps.iter();
        steps.find(|step| step.finding.verdict == Verdict::Failure)
    }

    pub(super) fn push(&mut self, told: Told, took: Duration) {
        self.steps.push(Step {
            finding: told.finding,
            cause: told.cause.map(str::to_owned),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        });
    }
}

/// What is to be said of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) finding: Finding,
    pub(super) cause: Option<&'static str>,
}

impl Told {
    pub(super) fn new(finding: Finding, cause: &'static str) -> Self {
        Self {
            finding,
            cause: Some(cause),
        }
    }
}

impl From<Finding> for Told {
    fn from(finding: Finding) -> Self {
        Self {
            finding,
            cause: None,
        }
    }
}
