//! Why a worker is no longer part of its computation.

use crate::error::{DecodeError, EncodeError};

/// Why a worker leaves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerExit {
    /// The coordinator told it to exit at once; before 3.0.0 also behind a checkpoint that workers
    /// exit behind. Stock workers exit with code 0.
    #[error("the coordinator told this worker to exit")]
    Killed,
    /// Its image is reported, and the checkpoint was one that workers exit behind; 3.0.0 and later.
    /// Stock workers exit with code 0.
    #[error("the checkpoint is written, and workers exit behind it")]
    Checkpointed,
    /// The connection ended. There is no way back in. Stock workers exit with code 99.
    #[error("the coordinator closed the connection")]
    CoordinatorLost,
    /// The driver could not do a stage ([`Finished::Failed`](super::Finished::Failed)).
    #[error("a step of the checkpoint or restart failed")]
    Failed,
    /// The coordinator broke the protocol.
    #[error("the coordinator broke the protocol")]
    Protocol(#[source] DecodeError),
    /// What we had to say does not fit this dialect: the caller's path, program or host name.
    #[error("a message of ours cannot be sent")]
    Unsendable(#[source] EncodeError),
    /// The driver answered a stage that was not asked for, or opened twice: the caller's fault.
    #[error("the driver handed in {input} where {due} was due")]
    Misdriven {
        /// What it handed in.
        input: &'static str,
        /// What was due.
        due: &'static str,
    },
}
