//! The time of the cores, and how long something took.

use std::time::{Duration, Instant as StdInstant};

use dmtcp_proto::Instant;

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

/// How long `work` took, and what it gave.
pub(super) fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = StdInstant::now();
    let value = work();
    (start.elapsed(), value)
}
