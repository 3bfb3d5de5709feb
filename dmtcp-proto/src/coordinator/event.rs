//! What a coordinator tells the program that embeds it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::command::WorkerInfo;
use crate::error::DecodeError;
use crate::ids::{ConnId, UniquePid};
use crate::message::Reject;
use crate::name::Name;
use crate::text::Text;

/// News, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A process was accepted.
    WorkerJoined(WorkerInfo),
    /// A process told its final identity: after its start, a fork or an exec.
    WorkerUpdated(WorkerInfo),
    /// A process ended or lost its connection.
    WorkerLeft(WorkerInfo),
    /// The last process left; the computation is over.
    ComputationEnded {
        /// Its identity.
        computation: UniquePid,
    },
    /// A peer was turned away.
    Refused {
        /// Its connection.
        conn: ConnId,
        /// What it was told.
        reason: Reject,
    },
    /// A process is refused because all virtual pids are taken that workers can have;
    /// [`Refused`](Self::Refused) follows. Where a worker forks, it is that worker that is told.
    TooManyWorkers {
        /// Its connection.
        conn: ConnId,
        /// So many can be connected at most.
        limit: u32,
    },
    /// A peer broke the protocol and was cut off.
    PeerMisbehaved {
        /// Its connection.
        conn: ConnId,
        /// What was wrong.
        error: DecodeError,
    },
    /// A connection was cut off because nothing came in time.
    PeerSilent {
        /// Its connection.
        conn: ConnId,
    },
    /// A round has begun.
    CheckpointStarted {
        /// Number of the round; rises by one with each.
        round: u64,
        /// Generation of the computation.
        generation: u32,
        /// Connected workers.
        workers: u32,
    },
    /// All workers reached a barrier and were released.
    BarrierReleased {
        /// The barrier.
        name: Name,
        /// Workers that were there.
        peers: u32,
    },
    /// Every worker of the round has reported its image; they resume while the set is sealed.
    ImagesReported {
        /// Number of the round.
        round: u64,
    },
    /// The round's set is complete and sealed.
    CheckpointComplete {
        /// Number of the round.
        round: u64,
        /// Generation of the computation.
        generation: u32,
        /// One report for each worker of the round.
        images: Arc<[ImageReport]>,
    },
    /// The round ended without a complete set.
    CheckpointFailed {
        /// Number of the round.
        round: u64,
        /// Generation of the computation.
        generation: u32,
        /// Why.
        reason: RoundError,
    },
    /// All workers run again after a checkpoint, be it complete or failed.
    Resumed,
    /// A restart has begun: the first restored process has joined.
    RestartStarted {
        /// The restored computation.
        computation: UniquePid,
        /// Processes it will have.
        expected: u32,
    },
    /// All processes of a restart have come to run. Some may have ended since, as short-lived
    /// processes do.
    RestartComplete {
        /// How many they were.
        peers: u32,
    },
    /// All workers are told to exit: by whoever embeds this coordinator, over the wire, or behind
    /// a checkpoint. Stock workers then exit with code 0, as if they were done.
    Killing {
        /// How many they are.
        workers: u32,
    },
    /// Somebody asked over the wire to end this coordinator.
    QuitRequested,
}

/// Why a round has no complete set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RoundError {
    /// A worker vanished in the middle.
    #[error("lost {} (real pid {} on {}) while it was {}", .0.program, .0.real_pid, .0.host, .0.state)]
    PeerLost(Box<WorkerInfo>),
    /// A worker took part and runs again without having reported an image.
    #[error("{} (real pid {} on {}) wrote no image", .0.program, .0.real_pid, .0.host)]
    NoImage(Box<WorkerInfo>),
    /// The images could not be made a set.
    #[error("the images could not be sealed: {0}")]
    Seal(String),
    /// No worker reached its next step in time.
    #[error("no progress for too long; waiting for {}", waiting_text(.0))]
    Stalled(Vec<WorkerInfo>),
    /// Somebody killed the computation.
    #[error("the computation was killed")]
    Killed,
}

fn waiting_text(workers: &[WorkerInfo]) -> String {
    use core::fmt::Write as _;
    let mut text = String::new();
    for (index, worker) in workers.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{comma}{} (real pid {} on {})",
            worker.program, worker.real_pid, worker.host
        );
    }
    text
}

/// An image, as its worker reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageReport {
    /// Path on the worker's host; may be relative, and may end in `.temp` with forked
    /// checkpointing.
    pub path: Text,
    /// Whether no other checkpoint uses this name.
    pub unique: bool,
    /// The worker, in the state in which it reported.
    pub worker: WorkerInfo,
}
