//! Time as the cores see it: a number the driver supplies. The crate has no clock.

use core::ops::{Add, Sub};
use core::time::Duration;

/// Time since an arbitrary start that the driver chose once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    /// The driver's start.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The instant this long after the driver's start.
    #[must_use]
    pub fn from_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// Time since the driver's start.
    #[must_use]
    pub fn since_start(self) -> Duration {
        self.0
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs))
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// Zero when `rhs` is later.
    fn sub(self, rhs: Self) -> Duration {
        self.0.saturating_sub(rhs.0)
    }
}
