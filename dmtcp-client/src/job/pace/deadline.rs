//! When a job has to be over, and from when on it has to stop for that.

use std::{fmt, time::Duration};

use super::{CheckpointCost, Instant};

/// Who says when the job has to be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EndSource {
    /// Whoever started the job, by a point in time.
    Asked,
    /// Slurm, by `SLURM_JOB_END_TIME`.
    SlurmEndTime,
    /// Slurm, asked by `squeue` or `scontrol`.
    SlurmTimeLeft,
    /// A notice that the host will go away.
    Notice,
    /// A signal, or whoever asks for the job to stop.
    Request,
}

impl fmt::Display for EndSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "as asked for",
            Self::SlurmEndTime => "SLURM_JOB_END_TIME",
            Self::SlurmTimeLeft => "as Slurm says",
            Self::Notice => "by a notice",
            Self::Request => "on request",
        })
    }
}

/// A point in time at which everything is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) at: Instant,
    pub(super) source: EndSource,
    /// When it came to be known; for one that wants the job to stop at once.
    pub(super) at_once: Option<Instant>,
}

impl End {
    /// When the last checkpoint has to begin, if the processes run since `running`: the grace
    /// before the end, or earlier where checkpoints take longer. Half of the time is left for
    /// work in any case: else a job with a short limit would do nothing but stop.
    pub(super) fn stop_at(
        &self,
        grace: Duration,
        cost: &CheckpointCost,
        running: Instant,
    ) -> Instant {
        if let Some(at_once) = self.at_once {
            return at_once;
        }
        let lead = grace.max(needed(cost).unwrap_or_default());
        self.at.earlier(lead.min((self.at - running) / 2))
    }

    /// When there is nothing left but to kill. A little is kept for that: a tenth of the time for
    /// the last checkpoint, at most [`RESERVE`].
    pub(super) fn too_late_at(&self, stop_at: Instant) -> Instant {
        self.at.earlier(RESERVE.min((self.at - stop_at) / 10))
    }
}

/// How long before the end a checkpoint must begin, from what was measured.
pub(super) fn needed(cost: &CheckpointCost) -> Option<Duration> {
    let p95 = cost.p95_sealed()?;
    Some(p95.saturating_add(p95 / 2).saturating_add(MARGIN))
}

pub(super) trait Earlier {
    /// This long before it, or the start of the clock.
    fn earlier(self, by: Duration) -> Self;
}

impl Earlier for Instant {
    fn earlier(self, by: Duration) -> Self {
        Self::from_start(self.since_start().saturating_sub(by))
    }
}

/// For what is not in the checkpoint's time: processes that end, files that are written.
const MARGIN: Duration = Duration::from_secs(5);
const RESERVE: Duration = Duration::from_secs(2);
