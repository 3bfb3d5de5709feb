//! How often to try again: waits that grow, and an end to restarts that lead nowhere.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Waits between tries: the first, then twice as long each time, up to the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// A `longest` below `first` counts as `first`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest: longest.max(first),
        }
    }

    /// How long to wait after this many failures in a row; nothing after none.
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else {
            return Duration::ZERO;
        };
        let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let delay = self.first.checked_mul(factor).unwrap_or(self.longest);
        delay.min(self.longest)
    }

    /// The same less up to half, by `seed`: many jobs that failed together do not all come back
    /// together. The same seed gives the same wait; a process id will do.
    #[must_use]
    pub fn spread_delay(&self, failures: u32, seed: u64) -> Duration {
        let delay = self.delay(failures);
        let mixed = mix(seed.wrapping_add(u64::from(failures) << 32));
        // 16 bits are fine enough, and keep the product small.
        let share = u32::try_from(mixed >> 48).unwrap_or_default();
        delay - (delay / 2 / 0x1_0000).saturating_mul(share)
    }
}

impl Default for Backoff {
    /// One second, up to five minutes.
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(300))
    }
}

/// Spreads seeds that are close to each other (splitmix64).
fn mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Counts restarts from the same set, and says when there were enough.
///
/// A restart that ends before a newer set was sealed has won nothing. A number of them in a row
/// means that the next one will not either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProgressLimit {
    allowed: u32,
    made: u32,
}

impl ProgressLimit {
    /// So many restarts without progress are allowed; 0: none.
    #[must_use]
    pub fn new(allowed: u32) -> Self {
        Self { allowed, made: 0 }
    }

    /// Goes on with what was counted before.
    #[must_use]
    pub fn made(self, made: u32) -> Self {
        Self { made, ..self }
    }

    /// Whether one more restart may be tried.
    #[must_use]
    pub fn allows_restart(&self) -> bool {
        self.made < self.allowed
    }

    /// One was tried.
    pub fn note_restart(&mut self) {
        self.made = self.made.saturating_add(1);
    }

    /// A newer set is there: counting begins again.
    pub fn note_progress(&mut self) {
        self.made = 0;
    }

    /// Restarts since the last progress.
    #[must_use]
    pub fn restarts_since_progress(&self) -> u32 {
        self.made
    }

    /// How many are allowed.
    #[must_use]
    pub fn allowed(&self) -> u32 {
        self.allowed
    }
}

impl Default for ProgressLimit {
    /// Five.
    fn default() -> Self {
        Self::new(5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));
        let waits: Vec<u64> = (0..8).map(|n| backoff.delay(n).as_secs()).collect();
        assert_eq!(waits, [0, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.delay(u32::MAX), Duration::from_secs(60));
    }

    #[test]
    fn enough_is_enough() {
        let mut limit = ProgressLimit::new(2);
        let mut restart = |progress| {
            if !limit.allows_restart() {
                return false;
            }
            limit.note_restart();
            if progress {
                limit.note_progress();
            }
            true
        };
        let tried: Vec<bool> = [false, true, false, false, false].map(&mut restart).into();
        assert_eq!(tried, [true, true, true, true, false]);
        assert!(!ProgressLimit::new(0).allows_restart());
        assert!(!ProgressLimit::new(3).made(7).allows_restart());
    }

    proptest! {
        #[test]
        fn waits_stay_within_bounds(
            first in any::<Duration>(), longest in any::<Duration>(), failures: u32, seed: u64,
        ) {
            let backoff = Backoff::new(first, longest);
            let delay = backoff.delay(failures);
            prop_assert!(delay <= longest.max(first));
            prop_assert!(failures == 0 || delay >= first);
            prop_assert!(backoff.delay(failures.saturating_add(1)) >= delay);
            let spread = backoff.spread_delay(failures, seed);
            prop_assert!(spread <= delay && spread >= delay / 2);
        }
    }

    #[test]
    fn neighbours_are_spread() {
        let backoff = Backoff::new(Duration::from_secs(100), Duration::from_secs(100));
        let mut waits: Vec<u64> = (1000..1050)
            .map(|pid| backoff.spread_delay(1, pid).as_secs())
            .collect();
        waits.sort_unstable();
        assert!(waits.first().is_some_and(|&least| least < 60));
        assert!(waits.last().is_some_and(|&most| most > 90));
    }
}
