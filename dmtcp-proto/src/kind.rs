//! Kinds of message, whatever number their dialect gives them.

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
    /// A number that this dialect does not define.
    Unknown(u32),
}
