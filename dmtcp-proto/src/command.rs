//! What a tool or an embedding program can ask of a coordinator, and what it answers.

use alloc::string::String;
use alloc::vec::Vec;

use crate::ids::UniquePid;
use crate::interval::Interval;
use crate::state::WorkerState;
use crate::text::Text;

/// A user command as the wire knows it; one [`Command`] may need several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verb {
    /// Number of peers, running or not, interval.
    Status,
    /// The list of workers, as text.
    List,
    /// Start a checkpoint; the answer comes at once.
    Checkpoint,
    /// Up to 3.0.0: the next checkpoint command's answer shall wait for the end. Refused from 3.1.0
    /// on.
    BlockingPrefix,
    /// 2.x: the workers are killed behind the next checkpoint.
    KillingPrefix,
    /// Checkpoint; the answer comes at the end.
    BlockingCheckpoint,
    /// Checkpoint; the workers exit behind it.
    CheckpointAndKill,
    /// Change the interval.
    SetInterval,
    /// Kill all workers.
    Kill,
    /// Kill all workers and end the coordinator.
    Quit,
    /// Print help on the coordinator's terminal.
    Help,
    /// 2.5.1 to 2.6.0: where images go.
    GetCheckpointDir,
    /// 2.5.1 to 2.6.0: which components of the workers log.
    SetLogMask,
    /// 2.x: a blank, which does nothing.
    Nothing,
    /// A number that this dialect does not define.
    Unknown(u32),
}

/// Something to ask a coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Number of peers, running or not, interval.
    Status,
    /// Every worker with state, barrier and pids.
    List,
    /// A checkpoint of the whole computation.
    Checkpoint(AfterCheckpoint),
    /// Change the interval of periodic checkpoints.
    SetInterval(Interval),
    /// Kill all workers.
    Kill,
    /// Kill all workers and end the coordinator.
    Quit,
    /// Where images go. Over the wire 2.5.1 to 2.6.0 only, and while all workers run.
    CheckpointDir,
    /// Which components of the workers log, one bit for each. Over the wire 2.5.1 to 2.6.0 only,
    /// and no other workers obey.
    SetLogMask(u32),
}

/// What follows a checkpoint, and when the answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has no fourth")]
pub enum AfterCheckpoint {
    /// Answer when it has begun; the workers go on behind it.
    ReplyAtOnce,
    /// Answer when it is complete; the workers go on behind it.
    ReplyWhenDone,
    /// Answer when it is complete; the workers exit behind it.
    KillWorkers,
}

/// A coordinator's answer to a [`Command`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// Carried out; there is nothing more to say.
    Done,
    /// A checkpoint has begun with so many peers.
    Started {
        /// Workers that were connected.
        peers: u32,
    },
    /// A checkpoint is complete.
    Checkpointed(Checkpointed),
    /// Answer to [`Command::Status`].
    Status(Status),
    /// Answer to [`Command::List`].
    Workers(Vec<WorkerInfo>),
    /// Answer to [`Command::CheckpointDir`].
    CheckpointDir(Text),
}

/// A complete checkpoint, as far as the asked side can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checkpointed {
    /// Workers that took part; old coordinators say 0.
    pub peers: u32,
    /// Number of the round within its coordinator; known only for the embedded one.
    pub round: Option<u64>,
}

impl Checkpointed {
    /// What a foreign coordinator's answer tells.
    #[must_use]
    pub fn new(peers: u32, round: Option<u64>) -> Self {
        Self { peers, round }
    }
}

/// State of a computation in three numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Status {
    /// Connected workers.
    pub peers: u32,
    /// All of them are running (false when there is none).
    pub running: bool,
    /// Time between periodic checkpoints; `Unchanged`: this release does not say (3.1.1).
    pub interval: Interval,
}

impl Status {
    /// A status of these three facts.
    #[must_use]
    pub fn new(peers: u32, running: bool, interval: Interval) -> Self {
        Self {
            peers,
            running,
            interval,
        }
    }
}

/// One worker, as its coordinator knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct WorkerInfo {
    /// Position in the coordinator's list; never used twice by one coordinator.
    pub number: u64,
    /// Identity.
    pub id: UniquePid,
    /// Pid that the program itself sees.
    pub virtual_pid: i32,
    /// Pid on its host; -1 if unknown.
    pub real_pid: i32,
    /// Host name as the worker gave it.
    pub host: String,
    /// Program name as the worker gave it.
    pub program: String,
    /// What it is doing.
    pub state: WorkerState,
    /// The last barrier it reached in this checkpoint or restart.
    pub barrier: Option<String>,
}
