//! The phases of a round before 3.0.0.

/// What a 2.x coordinator orders next. All workers do it and answer; then comes the next one
/// ([`Dialect::phases`](crate::Dialect::phases)). From 3.0.0 on, barriers took their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Phase {
    /// Stop the program's threads.
    Suspend,
    /// Agree on which process saves each shared descriptor.
    FdLeaderElection,
    /// 2.6.0: say which peers' addresses are known.
    PreCheckpointRegister,
    /// 2.6.0: ask for the others'.
    PreCheckpointQuery,
    /// Empty the sockets.
    Drain,
    /// Write the image.
    Checkpoint,
    /// Say under which address this process is reached now.
    RegisterNameServiceData,
    /// Ask for the others'.
    SendQueries,
    /// Put back what was in the sockets.
    Refill,
    /// Let the program run.
    Resume,
}
