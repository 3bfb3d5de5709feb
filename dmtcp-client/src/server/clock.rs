//! The only file of the server that reads a clock.

use std::time::{Duration, Instant as StdInstant};

use dmtcp_proto::Instant;
use nix::time::{ClockId, clock_gettime};

/// Turns the system's time into that of the cores: time since the server's start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: StdInstant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            start: StdInstant::now(),
        }
    }

    pub(super) fn now(&self) -> Instant {
        Instant::from_start(self.start.elapsed())
    }
}

/// The end of a call's patience.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    /// `None`: so far away that it cannot be said.
    end: Option<StdInstant>,
    limit: Duration,
}

impl Deadline {
    pub(super) fn after(limit: Duration) -> Self {
        Self {
            end: StdInstant::now().checked_add(limit),
            limit,
        }
    }

    /// What the caller asked for.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    pub(super) fn left(&self) -> Duration {
        self.end.map_or(Duration::MAX, |end| {
            end.saturating_duration_since(StdInstant::now())
        })
    }
}

/// How long `work` took, and what it gave.
pub(super) fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = StdInstant::now();
    let value = work();
    (start.elapsed(), value)
}

/// `CLOCK_MONOTONIC` in nanoseconds: what DMTCP takes the time in an identity from.
pub(super) fn monotonic_nanos() -> u64 {
    // Cannot fail for this clock on Linux; 0 would only make the identity less telling.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
        let nanos = Duration::from(time).as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX)
    })
}
