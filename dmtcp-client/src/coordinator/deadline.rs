//! A point in time that ends a wait. The only clock of this module.

use std::time::{Duration, Instant};

/// When a call gives up, and how long it was given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    start: Instant,
    limit: Duration,
}

impl Deadline {
    /// This long from now. More than a year becomes a year: sockets refuse longer waits.
    pub(super) fn after(limit: Duration) -> Self {
        Self {
            start: Instant::now(),
            limit: limit.min(Duration::from_secs(365 * 24 * 3600)),
        }
    }

    /// This long from now, or this one if it is earlier.
    pub(super) fn at_most(self, limit: Duration) -> Self {
        match self.remaining() {
            Some(left) if left > limit => Self::after(limit),
            _ => self,
        }
    }

    /// Time left, never zero; `None`: it has passed.
    pub(super) fn remaining(self) -> Option<Duration> {
        let left = self.limit.checked_sub(self.start.elapsed())?;
        (!left.is_zero()).then_some(left)
    }

    pub(super) fn has_passed(self) -> bool {
        self.remaining().is_none()
    }

    /// Time since it was set.
    pub(super) fn elapsed(self) -> Duration {
        self.start.elapsed()
    }

    /// What the caller allowed.
    pub(super) fn limit(self) -> Duration {
        self.limit
    }

    /// Waits this long, or until it has passed.
    pub(super) fn pause(self, time: Duration) {
        if let Some(left) = self.remaining() {
            std::thread::sleep(time.min(left));
        }
    }
}
