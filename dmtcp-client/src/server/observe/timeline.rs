//! One round as it went: who was where when.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use dmtcp_proto::{Instant, Name, RoundError};

/// A round from the order to checkpoint until all workers run again.
///
/// Every [`Duration`] in it is the time since [`started`](Self::started), on a clock that nobody
/// sets. One of a round that is under way goes on; ask again for what came after.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RoundTimeline {
    /// Number of the round.
    pub round: u64,
    /// Its generation.
    pub generation: u32,
    /// When the workers were told.
    pub started: SystemTime,
    /// How many were told; 0: the round failed before anybody was.
    pub workers: u32,
    /// The workers, by their numbers, with those that joined on the way.
    pub tracks: Vec<WorkerTrack>,
    /// So many more workers took part and are left out:
    /// [`ComputationConfig::timeline_workers`](super::super::ComputationConfig::timeline_workers).
    /// [`barriers`](Self::barriers) knows of them, too.
    pub workers_cut: u32,
    /// The barriers in their order.
    pub barriers: Vec<BarrierPassage>,
    /// When the last image was reported.
    pub images_reported: Option<Duration>,
    /// When they were made a set; `None`: not yet, or there is no sealer.
    pub sealing: Option<SealingSpan>,
    /// How it ended.
    pub outcome: RoundOutcome,
    /// When all workers ran again.
    pub resumed: Option<Duration>,
    /// On the server's clock.
    pub(super) began: Instant,
}

/// How a round ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoundOutcome {
    /// Not yet.
    UnderWay,
    /// With a complete set.
    Complete {
        /// When that was told.
        at: Duration,
    },
    /// Without one.
    Failed {
        /// When that was told.
        at: Duration,
        /// Why.
        reason: RoundError,
    },
}

/// One worker's way through a round.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerTrack {
    /// Its number, as [`WorkerInfo::number`](dmtcp_proto::WorkerInfo::number).
    pub number: u64,
    /// Its program. That and the next two are as the worker last said; empty: it never did.
    pub program: Arc<str>,
    /// Its host.
    pub host: Arc<str>,
    /// Its pid there; -1: unknown.
    pub real_pid: i32,
    /// When it joined; `None`: before the round.
    pub joined: Option<Duration>,
    /// When its connection ended; `None`: not before all workers ran again.
    pub left: Option<Duration>,
    /// What it did, in order.
    pub steps: Vec<TrackStep>,
    /// So many more steps are left out, since no worker does so many.
    pub steps_cut: u32,
}

/// A worker got to a point of the round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrackStep {
    /// When.
    pub at: Duration,
    /// What it got to.
    pub step: Step,
}

/// What a worker got to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// The barrier with this index in [`RoundTimeline::barriers`].
    Barrier(u32),
    /// It reported its image.
    ImageReported,
    /// Its program runs again.
    Running,
}

/// How the workers went through a barrier.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BarrierPassage {
    /// Its name; in 2.x the state in which the workers are there.
    pub name: Name,
    /// When the first worker was there.
    pub first: Duration,
    /// When the last of those was there that the others waited for.
    pub last: Duration,
    /// Number of that last one.
    pub last_worker: u64,
    /// When all were let go on; `None`: not yet, or never.
    pub released: Option<Duration>,
    /// How many were.
    pub peers: u32,
}

/// When a round's images were made a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealingSpan {
    /// When the sealer was told.
    pub began: Duration,
    /// When it was done; `None`: it is not.
    pub ended: Option<Duration>,
}

impl RoundTimeline {
    /// A worker's track, by its number.
    #[must_use]
    pub fn track(&self, number: u64) -> Option<&WorkerTrack> {
        let at = self.locate(number).ok()?;
        self.tracks.get(at)
    }

    /// The last moment that it knows of.
    #[must_use]
    pub fn length(&self) -> Duration {
        let ended = match self.outcome {
            RoundOutcome::Complete { at } | RoundOutcome::Failed { at, .. } => Some(at),
            RoundOutcome::UnderWay => None,
        };
        let barriers = self.barriers.iter();
        let barriers = barriers.map(|barrier| barrier.released.unwrap_or(barrier.last));
        let tracks = self.tracks.iter();
        let tracks = tracks.flat_map(|track| {
            let steps = track.steps.last().map(|step| step.at);
            [steps, track.left, track.joined].into_iter().flatten()
        });
        let sealing = self
            .sealing
            .map(|sealing| sealing.ended.unwrap_or(sealing.began));
        let one = [ended, self.resumed, self.images_reported, sealing];
        let all = one.into_iter().flatten().chain(barriers).chain(tracks);
        all.max().unwrap_or_default()
    }

    /// Where a worker's track is, or belongs.
    pub(super) fn locate(&self, number: u64) -> Result<usize, usize> {
        self.tracks
            .binary_search_by_key(&number, |track| track.number)
    }
}
