//! What a computation's coordinator has counted, and how it stands now.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use dmtcp_proto::{Traffic, UniquePid};

/// Counters since the computation was opened, and what is so at this moment.
///
/// [`Exposition`](super::Exposition) hands them to Prometheus.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Where the computation listens.
    pub addr: SocketAddr,
    /// The computation, with its generation; `None` before the first worker.
    pub computation: Option<UniquePid>,
    /// Workers that are connected, by the word of their state; states that nobody is in are left
    /// out.
    pub workers: BTreeMap<String, u64>,
    /// Connections, of workers, tools and strangers.
    pub connections: u64,
    /// Rounds that have begun.
    pub rounds_started: u64,
    /// Rounds with a complete set.
    pub rounds_complete: u64,
    /// Rounds without one.
    pub rounds_failed: FailedRounds,
    /// Restarts that have begun.
    pub restarts_started: u64,
    /// Restarts whose processes have all come to run.
    pub restarts_complete: u64,
    /// How long the last complete round took, from the order until it was sealed.
    pub last_round_took: Option<Duration>,
    /// When it was complete; a clock that is set back sets this back, too.
    pub last_complete: Option<SystemTime>,
    /// How long ago that was, on a clock that nobody sets.
    pub since_complete: Option<Duration>,
    /// Number of the last set.
    pub last_set: Option<u64>,
    /// Bytes of the last set, if its sealer [has told](super::super::SealedSet::bytes).
    pub last_set_bytes: Option<u64>,
    /// How long sealing it took.
    pub last_seal: Option<Duration>,
    /// How long sealing took for all rounds together.
    pub sealing: Duration,
    /// Who came, went, and was cut off.
    pub peers: PeerCounts,
    /// What was read.
    pub traffic: Traffic,
    /// Events that were told.
    pub events: u64,
}

/// Rounds that have failed, by the kind of their [reason](dmtcp_proto::RoundError).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailedRounds {
    /// A worker vanished.
    pub peer_lost: u64,
    /// A worker wrote no image.
    pub no_image: u64,
    /// The images could not be made a set.
    pub seal: u64,
    /// No worker got on.
    pub stalled: u64,
    /// Somebody killed the computation.
    pub killed: u64,
    /// Anything else.
    pub other: u64,
}

/// What became of peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerCounts {
    /// Connections that were accepted.
    pub accepted: u64,
    /// Workers that joined.
    pub joined: u64,
    /// Workers whose connection ended.
    pub left: u64,
    /// Peers that may not connect: of other users or networks.
    pub refused_access: u64,
    /// Peers that were turned away with a message.
    pub refused: u64,
    /// Peers that broke the protocol.
    pub misbehaved: u64,
    /// Peers that said nothing.
    pub silent: u64,
    /// Peers that did not read.
    pub not_reading: u64,
    /// Times at which no connection could be accepted for a while.
    pub accept_paused: u64,
    /// Processes that were killed because no message could free them.
    pub killed: u64,
    /// Processes that should have been, and were left alone.
    pub spared: u64,
}
