//! A point in time that ends a wait, for every call of this crate that waits.

use std::time::{Duration, Instant};

/// When a call gives up, and how long it was given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    start: Instant,
    limit: Duration,
}

impl Deadline {
    /// This long from now; any length will do.
    pub(crate) fn after(limit: Duration) -> Self {
        Self {
            start: Instant::now(),
            limit,
        }
    }

    /// This long from now, or this one if it is earlier.
    pub(crate) fn at_most(self, limit: Duration) -> Self {
        match self.remaining() {
            Some(left) if left > limit => Self::after(limit),
            _ => self,
        }
    }

    /// Time left, zero if it has passed. More than a year is told as a year: sockets refuse
    /// longer waits.
    pub(crate) fn left(self) -> Duration {
        self.limit.saturating_sub(self.start.elapsed()).min(YEAR)
    }

    /// Time left, never zero; `None`: it has passed.
    pub(crate) fn remaining(self) -> Option<Duration> {
        Some(self.left()).filter(|left| !left.is_zero())
    }

    pub(crate) fn has_passed(self) -> bool {
        self.left().is_zero()
    }

    /// Time since it was set.
    pub(crate) fn elapsed(self) -> Duration {
        self.start.elapsed()
    }

    /// What the caller allowed.
    pub(crate) fn limit(self) -> Duration {
        self.limit
    }

    /// Waits this long, or until it has passed.
    pub(crate) fn pause(self, time: Duration) {
        std::thread::sleep(time.min(self.left()));
    }
}

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_limit_is_one() {
        let never = Deadline::after(Duration::MAX);
        assert_eq!((never.left(), never.limit()), (YEAR, Duration::MAX));
        let soon = never.at_most(Duration::from_secs(1));
        assert!(soon.left() <= Duration::from_secs(1));
        assert!(!soon.at_most(Duration::MAX).has_passed());
        let now = Deadline::after(Duration::ZERO);
        assert!(now.has_passed() && now.remaining().is_none());
    }
}
