//! How often a job is interrupted: learned from its own record.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a job ran, and how often it was interrupted while it did.
///
/// An interruption is what nobody planned: a crash, a kill, a host that went away. The end of a
/// time limit, of which the job knew, is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Interruptions {
    count: u32,
    ran_ms: u64,
}

impl Interruptions {
    /// Nothing known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was recorded before.
    #[must_use]
    pub fn recorded(count: u32, ran: Duration) -> Self {
        let mut seen = Self { count, ran_ms: 0 };
        seen.note_run(ran);
        seen
    }

    /// It ran this long, without an interruption.
    pub fn note_run(&mut self, ran: Duration) {
        let ran = u64::try_from(ran.as_millis()).unwrap_or(u64::MAX);
        self.ran_ms = self.ran_ms.saturating_add(ran);
    }

    /// It was interrupted, at the end of what was noted last.
    pub fn note_interruption(&mut self) {
        self.count = self.count.saturating_add(1);
    }

    /// How often it was interrupted.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// How long it ran.
    #[must_use]
    pub fn ran(&self) -> Duration {
        Duration::from_millis(self.ran_ms)
    }

    /// The mean time from one interruption to the next, at least a second. `prior`: what is
    /// believed before anything is known; it counts as one interruption after that long.
    ///
    /// So a job that ran long without one is trusted with more than the prior, and one bad day
    /// does not count more than it should.
    #[must_use]
    pub fn mean_time(&self, prior: Duration) -> Duration {
        let all = prior.saturating_add(self.ran());
        (all / self.count.saturating_add(1)).max(Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn hours(hours: u64) -> Duration {
        Duration::from_secs(hours * 3600)
    }

    #[test]
    fn the_record_outweighs_the_prior() {
        let mut seen = Interruptions::new();
        assert_eq!(seen.mean_time(hours(24)), hours(24));
        seen.note_run(hours(24));
        assert_eq!(seen.mean_time(hours(24)), hours(48));
        for _ in 0..99 {
            seen.note_run(hours(1));
            seen.note_interruption();
        }
        let mean = seen.mean_time(hours(24));
        assert!(hours(1) < mean && mean < hours(2), "{mean:?}");
    }

    proptest! {
        #[test]
        fn any_record_gives_a_mean(count: u32, ran_ms: u64, prior: Duration) {
            let seen = Interruptions { count, ran_ms };
            let mean = seen.mean_time(prior);
            prop_assert!(mean >= Duration::from_secs(1));
            let mut more = seen;
            more.note_interruption();
            prop_assert!(more.mean_time(prior) <= mean);
            more.note_run(prior);
            prop_assert!(more.mean_time(prior) >= seen.mean_time(Duration::ZERO).min(prior) / 2);
        }
    }
}
