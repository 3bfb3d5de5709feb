//! What a worker says it is doing.

use core::fmt;

/// State of a worker, whatever number its dialect gives it.
///
/// Not `Ord`: which state counts as earlier depends on the dialect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum WorkerState {
    /// Before the first message of the running program; also what tools and coordinators send.
    #[default]
    Unknown,
    /// The program runs.
    Running,
    /// Told to checkpoint; its threads still run.
    PreSuspend,
    /// Its threads are stopped.
    Suspended,
    /// Preparing or writing its image.
    Checkpointing,
    /// Its image is written.
    Checkpointed,
    /// Being restored from an image.
    Restarting,
    /// 2.x: it knows which process saves each shared descriptor.
    FdLeaderElection,
    /// 2.6.0: it has said which peers' addresses it knows.
    PreCheckpointRegister,
    /// 2.6.0: it has asked for the others'.
    PreCheckpointQuery,
    /// 2.x: its sockets are empty.
    Drained,
    /// 2.x: it has said under which address it is reached now.
    NameServiceDataRegistered,
    /// 2.x: it has asked for the others' addresses.
    DoneQuerying,
    /// 2.x: its sockets hold again what was in them.
    Refilled,
    /// A number this dialect does not define; kept as it is.
    Other(u32),
}

impl fmt::Display for WorkerState {
    /// The word DMTCP uses in its worker list, without the `WorkerState::` prefix.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "UNKNOWN",
            Self::Running => "RUNNING",
            Self::PreSuspend => "PRESUSPEND",
            Self::Suspended => "SUSPENDED",
            Self::Checkpointing => "CHECKPOINTING",
            Self::Checkpointed => "CHECKPOINTED",
            Self::Restarting => "RESTARTING",
            Self::FdLeaderElection => "FD_LEADER_ELECTION",
            Self::PreCheckpointRegister => "PRE_CKPT_NAME_SERVICE_DATA_REGISTER",
            Self::PreCheckpointQuery => "PRE_CKPT_NAME_SERVICE_DATA_QUERY",
            Self::Drained => "DRAINED",
            Self::NameServiceDataRegistered => "NAME_SERVICE_DATA_REGISTERED",
            Self::DoneQuerying => "DONE_QUERYING",
            Self::Refilled => "REFILLED",
            Self::Other(number) => return write!(f, "{number}"),
        })
    }
}

impl WorkerState {
    /// The state a word in a worker list names; the inverse of `Display`.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        const NAMED: [WorkerState; 14] = [
            WorkerState::Unknown,
            WorkerState::Running,
            WorkerState::PreSuspend,
            WorkerState::Suspended,
            WorkerState::Checkpointing,
            WorkerState::Checkpointed,
            WorkerState::Restarting,
            WorkerState::FdLeaderElection,
            WorkerState::PreCheckpointRegister,
            WorkerState::PreCheckpointQuery,
            WorkerState::Drained,
            WorkerState::NameServiceDataRegistered,
            WorkerState::DoneQuerying,
            WorkerState::Refilled,
        ];
        use alloc::string::ToString;
        NAMED
            .into_iter()
            .find(|state| state.to_string() == word)
            .or_else(|| word.parse().ok().map(Self::Other))
    }
}
