//! Kinds of message, whatever number their dialect gives them.

use crate::phase::Phase;

/// What a message is. Numbers live in the dialect tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Never sent; what an all-zero header says.
    Null,
    /// A process joins: the first of a computation, or a child about to be forked.
    NewWorker,
    /// A second connection of a worker, for key-value requests of its user threads.
    NameServiceWorker,
    /// A process that is being restored joins.
    RestartWorker,
    /// Coordinator: you are in.
    Accept,
    /// Coordinator: workers are connected that are not restarting.
    RejectNotRestarting,
    /// Coordinator: you belong to another computation.
    RejectWrongComputation,
    /// Coordinator: workers are connected that are not running.
    RejectNotRunning,
    /// Coordinator: your number of peers is not that of the first restarted process.
    RejectPeerMismatch,
    /// Worker: I am the child of a fork.
    ProcessAfterFork,
    /// Worker: my program has started (first start or exec).
    ProcessAfterExec,
    /// Worker: where do images go?
    GetCheckpointDir,
    /// Coordinator: the directory.
    CheckpointDir,
    /// Worker: images go there from now on.
    SetCheckpointDir,
    /// 2.5.1 to 2.6.0, a plugin: all workers' images go there from now on.
    SetGlobalCheckpointDir,
    /// Coordinator: they will.
    GlobalCheckpointDirSet,
    /// Coordinator: they will not.
    GlobalCheckpointDirFailed,
    /// Worker: the image I wrote.
    CheckpointFile,
    /// The same, with a name that no other checkpoint uses.
    UniqueCheckpointFile,
    /// A tool's command.
    UserCommand,
    /// The answer to one.
    UserResult,
    /// Coordinator: checkpoint now.
    DoCheckpoint,
    /// 2.x coordinator: do this now.
    Do(Phase),
    /// 2.x worker: done; my state says what.
    Ok,
    /// 2.5.1 to 2.6.0, coordinator: log this from now on.
    UpdateLogging,
    /// Worker: I am at this barrier.
    Barrier,
    /// Coordinator: everybody is; go on.
    BarrierReleased,
    /// Worker: my program runs again.
    WorkerResuming,
    /// Coordinator: exit at once.
    KillPeer,
    /// Worker: read or write the key-value store.
    KeyValueRequest,
    /// The answer to one.
    KeyValueResponse,
    /// 2.x worker: keep this value under this key.
    NameServiceRegister,
    /// The same, to be answered.
    NameServiceRegisterSync,
    /// Coordinator: kept.
    NameServiceRegistered,
    /// 2.x worker: what is kept under this key?
    NameServiceQuery,
    /// The answer.
    NameServiceAnswer,
    /// 2.5.1 to 2.6.0, worker: a number of its own for this key.
    NameServiceUniqueIdQuery,
    /// The answer.
    NameServiceUniqueId,
    /// A number that this dialect does not define.
    Unknown(u32),
}
