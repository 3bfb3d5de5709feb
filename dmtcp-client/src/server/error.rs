//! What can go wrong between a program and the coordinator it embeds.

use std::{io, net::SocketAddr, time::Duration};

use dmtcp_proto::{CommandError, RoundError};
use thiserror::Error;

use crate::watch::Stall;

/// Why the embedded coordinator did not do what it was asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The environment: no thread, or no file descriptor for its event queue.
    #[error("cannot start the coordinator's thread")]
    Start {
        /// What the system said.
        source: io::Error,
    },
    /// The caller or the environment: the address is taken, or is not one of this host.
    #[error("cannot listen on {addr}; port 0 takes a free one")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The caller: other hosts reach the address and none of them may connect.
    #[error(
        "{addr} is reached from other hosts, and none may connect: name their networks with `Access::network`"
    )]
    NobodyMayCome {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// Nothing is undone, unless it was opening a computation: what was asked for goes on. A
    /// checkpoint's outcome is told by [`events`](super::Computation::events); until then another
    /// one is refused as [`Busy`](Self::Busy).
    #[error("{what} took longer than {limit:?}; it was not stopped and goes on{}", late(.stall))]
    TimedOut {
        /// What was waited for.
        what: &'static str,
        /// How long.
        limit: Duration,
        /// Who holds a checkpoint or a restart up, where somebody does.
        stall: Option<Box<Stall>>,
    },
    /// Another checkpoint is under way, be it one that a call gave up on.
    #[error("a checkpoint is under way (round {round}, generation {generation})")]
    Busy {
        /// Number of the round under way.
        round: u64,
        /// Its generation.
        generation: u32,
    },
    /// No worker is connected, or not all of them are running yet.
    #[error("the computation is not running: no workers, or not all of them running")]
    NotRunning,
    /// The round ended without a complete set; earlier sets are untouched.
    #[error("checkpoint round {round} (generation {generation}) failed")]
    CheckpointFailed {
        /// Number of the round.
        round: u64,
        /// Its generation.
        generation: u32,
        /// Why: a lost worker, images that could not be sealed, a stall, a kill.
        #[source]
        reason: Box<RoundError>,
    },
    /// Refused for another reason.
    #[error("the coordinator refused")]
    Refused(#[source] CommandError),
    /// The computation was closed, by [`close`](super::Computation::close) or over the wire.
    #[error("the computation is closed")]
    Closed,
    /// The [`Server`](super::Server) was dropped, and with it all its computations.
    #[error("the server of this computation has ended")]
    ServerGone,
    /// A defect of this library.
    #[error("the answer does not fit the question ({what}); this is a bug of dmtcp-client")]
    Mismatch {
        /// What was asked for.
        what: &'static str,
    },
}

fn late(stall: &Option<Box<Stall>>) -> String {
    stall
        .as_ref()
        .map_or_else(String::new, |stall| format!(": {stall}"))
}
