//! What a program decides once per computation of its server.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use dmtcp_proto::{CoordinatorConfig, Interval};

use super::{Access, Sealer};

/// Configuration of one computation of a [`Server`](super::Server).
#[non_exhaustive]
pub struct ComputationConfig {
    /// Where to listen. Default: 127.0.0.1, a free port. Whoever may [connect](Self::access) there
    /// can kill, checkpoint and join: the protocol knows no passwords.
    pub addr: SocketAddr,
    /// Who may connect there. Default: this process's user and root, on this host.
    pub access: Access,
    /// The coordinator's own configuration. Its `seal` and `steps` are not looked at: rounds are
    /// sealed when there is a [`sealer`](Self::sealer), steps told for [`timelines`](Self::timelines). Its `identity`, if null, becomes one that no other
    /// coordinator has.
    pub coordinator: CoordinatorConfig,
    /// Makes sets of the images. Default: none; then a checkpoint is complete once every worker
    /// has reported its image, and nobody has looked whether it is whole.
    pub sealer: Option<Box<dyn Sealer>>,
    /// The most bytes that may wait for a peer that does not read, before it is cut off.
    /// Default: 4 MiB. One message may go beyond, so that a large one can be sent at all.
    pub max_queued: usize,
    /// How long a peer may be silent whose host does not even acknowledge what it is sent: it has
    /// vanished, or is cut off. Then the connection is given up and the peer is lost, in a round as
    /// outside of one. A host that comes back earlier has lost nothing. At least four seconds.
    /// Default: two minutes.
    pub silence_limit: Duration,
    /// The most events that wait for a receiver that does not read. Default: 1024.
    pub max_events: usize,
    /// How many of the last rounds [`Computation::timelines`](super::Computation::timelines)
    /// tells; 0: none, and nothing is noted. Default: 4.
    pub timelines: usize,
    /// The most workers that a timeline tells of one by one. Default: 10,000, which takes some
    /// 3 MB for each round of a computation that has so many.
    pub timeline_workers: usize,
}

impl Default for ComputationConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            access: Access::default(),
            coordinator: CoordinatorConfig::default(),
            sealer: None,
            max_queued: 4 << 20,
            silence_limit: Duration::from_secs(120),
            max_events: 1024,
            timelines: 4,
            timeline_workers: 10_000,
        }
    }
}

impl ComputationConfig {
    /// The same on this address.
    #[must_use]
    pub fn addr(self, addr: SocketAddr) -> Self {
        Self { addr, ..self }
    }

    /// The same for these peers.
    #[must_use]
    pub fn access(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// The same with this configuration of its coordinator.
    #[must_use]
    pub fn coordinator(self, coordinator: CoordinatorConfig) -> Self {
        Self {
            coordinator,
            ..self
        }
    }

    /// The same with this interval of periodic checkpoints.
    #[must_use]
    pub fn interval(self, interval: Interval) -> Self {
        Self {
            coordinator: self.coordinator.interval(interval),
            ..self
        }
    }

    /// The same with this sealer.
    #[must_use]
    pub fn sealer(self, sealer: impl Sealer + 'static) -> Self {
        Self {
            sealer: Some(Box::new(sealer)),
            ..self
        }
    }

    /// The same with this limit on bytes that wait for one peer.
    #[must_use]
    pub fn max_queued(self, max_queued: usize) -> Self {
        Self { max_queued, ..self }
    }

    /// The same with this limit on the silence of a peer's host.
    #[must_use]
    pub fn silence_limit(self, silence_limit: Duration) -> Self {
        Self {
            silence_limit,
            ..self
        }
    }

    /// The same with this limit on events that wait for one receiver.
    #[must_use]
    pub fn max_events(self, max_events: usize) -> Self {
        Self { max_events, ..self }
    }

    /// The same with timelines of so many of the last rounds.
    #[must_use]
    pub fn timelines(self, rounds: usize) -> Self {
        Self {
            timelines: rounds,
            ..self
        }
    }

    /// The same with this limit on workers in a timeline.
    #[must_use]
    pub fn timeline_workers(self, workers: usize) -> Self {
        Self {
            timeline_workers: workers,
            ..self
        }
    }
}

impl fmt::Debug for ComputationConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComputationConfig")
            .field("addr", &self.addr)
            .field("access", &self.access)
            .field("coordinator", &self.coordinator)
            .field("sealer", &self.sealer.is_some())
            .field("max_queued", &self.max_queued)
            .field("silence_limit", &self.silence_limit)
            .field("max_events", &self.max_events)
            .field("timelines", &self.timelines)
            .field("timeline_workers", &self.timeline_workers)
            .finish()
    }
}
