//! How long checkpoints take: the last ones, their median, and what nearly every one stays below.

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};

/// How long one complete checkpoint took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CheckpointTime {
    /// From the request until the processes ran again, in milliseconds: what it costs the program.
    pub paused_ms: u64,
    /// From the request until the set was sealed, in milliseconds: what it takes before a deadline.
    pub sealed_ms: u64,
}

impl CheckpointTime {
    /// One of these times; `sealed` is at least `paused`.
    #[must_use]
    pub fn new(paused: Duration, sealed: Duration) -> Self {
        Self {
            paused_ms: millis(paused),
            sealed_ms: millis(sealed.max(paused)),
        }
    }

    /// What it cost the program.
    #[must_use]
    pub fn paused(self) -> Duration {
        Duration::from_millis(self.paused_ms)
    }

    /// What it took altogether; never less than [`paused`](Self::paused).
    #[must_use]
    pub fn sealed(self) -> Duration {
        // A record may come from a file.
        Duration::from_millis(self.sealed_ms.max(self.paused_ms))
    }
}

/// A window of the last [`CheckpointCost::WINDOW`] complete checkpoints, oldest first.
///
/// As JSON it is the list of its times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<CheckpointTime>", into = "Vec<CheckpointTime>")]
pub struct CheckpointCost {
    times: VecDeque<CheckpointTime>,
}

impl CheckpointCost {
    /// How many are kept.
    pub const WINDOW: usize = 32;

    /// Nothing measured yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the newest; the oldest goes once the window is full.
    pub fn push(&mut self, time: CheckpointTime) {
        if self.times.len() >= Self::WINDOW {
            self.times.pop_front();
        }
        self.times.push_back(time);
    }

    /// What was measured, oldest first.
    pub fn times(&self) -> impl ExactSizeIterator<Item = CheckpointTime> + '_ {
        self.times.iter().copied()
    }

    /// How many were measured and are still in the window.
    #[must_use]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether nothing was measured yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// How long the processes usually stand still: the median, of which one slow checkpoint does
    /// not make much.
    #[must_use]
    pub fn median_paused(&self) -> Option<Duration> {
        let pauses = self.sorted(CheckpointTime::paused);
        nearest_rank(&pauses, 50)
    }

    /// The total time that 95 of 100 checkpoints do not exceed, by nearest rank.
    ///
    /// Below 20 measurements the longest is no such bound: of `n`, it is exceeded by the next with
    /// a chance of 1 in `n + 1`. It then counts `1 + 1/n` times: one measurement doubles, of ten
    /// the longest grows by a tenth.
    #[must_use]
    pub fn p95_sealed(&self) -> Option<Duration> {
        let totals = self.sorted(CheckpointTime::sealed);
        let p95 = nearest_rank(&totals, 95)?;
        Some(match u32::try_from(totals.len()) {
            Ok(few) if few < ENOUGH => p95.saturating_add(p95 / few),
            _ => p95,
        })
    }

    fn sorted(&self, part: fn(CheckpointTime) -> Duration) -> Vec<Duration> {
        let mut parts: Vec<Duration> = self.times().map(part).collect();
        parts.sort_unstable();
        parts
    }
}

impl FromIterator<CheckpointTime> for CheckpointCost {
    /// The last ones of more than the window holds.
    fn from_iter<T: IntoIterator<Item = CheckpointTime>>(times: T) -> Self {
        let mut cost = Self::new();
        for time in times {
            cost.push(time);
        }
        cost
    }
}

impl From<Vec<CheckpointTime>> for CheckpointCost {
    fn from(times: Vec<CheckpointTime>) -> Self {
        times.into_iter().collect()
    }
}

impl From<CheckpointCost> for Vec<CheckpointTime> {
    fn from(cost: CheckpointCost) -> Self {
        cost.times.into()
    }
}

/// From this many on, the 95th of a hundred is not simply the longest.
const ENOUGH: u32 = 20;

fn nearest_rank(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn of(totals: impl IntoIterator<Item = u64>) -> CheckpointCost {
        let time = |total| CheckpointTime::new(s(total) / 2, s(total));
        totals.into_iter().map(time).collect()
    }

    #[test]
    fn few_measurements_are_stretched() {
        assert_eq!(of([]).p95_sealed(), None);
        assert_eq!(of([10]).p95_sealed(), Some(s(20)));
        assert_eq!(of([10, 4]).p95_sealed(), Some(s(15)));
        assert_eq!(of([7; 20]).p95_sealed(), Some(s(7)));
    }

    #[test]
    fn one_of_twenty_may_be_longer() {
        let cost = of((1..=19).chain([1000]));
        assert_eq!(cost.p95_sealed(), Some(s(19)));
        assert_eq!(cost.median_paused(), Some(s(5)));
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let cost = of([1000].into_iter().chain([1; CheckpointCost::WINDOW]));
        assert_eq!((cost.len(), cost.p95_sealed()), (32, Some(s(1))));
    }

    #[test]
    fn a_record_is_a_list() {
        let text = r#"[{"paused_ms":500,"sealed_ms":1500},{"paused_ms":9,"sealed_ms":1}]"#;
        let cost: CheckpointCost = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&cost).unwrap(), text);
        let totals: Vec<u128> = cost.times().map(|time| time.sealed().as_millis()).collect();
        assert_eq!(totals, [1500, 9]);
    }

    proptest! {
        #[test]
        fn bounds_hold(totals in prop::collection::vec(0u64..1 << 40, 1..80)) {
            let cost = of(totals.iter().copied());
            let last = totals.len().saturating_sub(CheckpointCost::WINDOW);
            let kept = &totals[last..];
            prop_assert_eq!(cost.len(), kept.len());
            let p95 = cost.p95_sealed().unwrap();
            let above = kept.iter().filter(|&&total| s(total) > p95).count();
            prop_assert!(above * 20 <= kept.len(), "{above} of {} are longer", kept.len());
            prop_assert!(p95 <= s(*kept.iter().max().unwrap()) * 2);
            let median = cost.median_paused().unwrap() * 2;
            prop_assert!(kept.iter().filter(|&&total| s(total) > median).count() * 2 <= kept.len());
            prop_assert!(kept.iter().filter(|&&total| s(total) < median).count() * 2 <= kept.len());
        }

        #[test]
        fn a_file_cannot_break_it(text in r#"\[(\{"paused_ms":[0-9]{1,19},"sealed_ms":[0-9]{1,19}\},?){0,40}\]"#) {
            if let Ok(cost) = serde_json::from_str::<CheckpointCost>(&text) {
                prop_assert!(cost.len() <= CheckpointCost::WINDOW);
                prop_assert_eq!(cost.p95_sealed().is_none(), cost.is_empty());
            }
        }
    }
}
