//! Which virtual pids are taken, and which one a new worker gets.
//!
//! A worker's virtual pid is the base of a range: its threads get the numbers above it. Not here:
//! which virtual pids its children get; each is a worker of its own, with a base of its own.

use alloc::collections::BTreeSet;

/// The bases of all connected workers. No two ranges that it gives away overlap.
#[derive(Clone, Debug, Default)]
pub(super) struct VirtualPids {
    taken: BTreeSet<i32>,
    /// Where the search goes on: the longer a number is not given away again, the less its last
    /// bearer can be mistaken for the new one, by a parent that has not waited for it, say.
    next: i32,
    /// Bases of this computation that [`free`](Self::free) would not give away: restored workers
    /// bring their own.
    outside: i32,
}

/// As the stock coordinators begin.
pub(super) const FIRST: i32 = 40_000;

/// Threads get up to 998 numbers above the base, and up to 999 above it a worker forgets numbers
/// that are no thread of its own: smaller steps are wrong.
pub(super) const STEP: i32 = 1000;

/// The workers of one host share a table of so many virtual pids, from which nothing is ever
/// deleted; the next process aborts. So no computation sees more different ones than this.
pub(super) const MOST: i32 = 32_768;

impl VirtualPids {
    pub(super) fn insert(&mut self, base: i32) {
        if self.taken.is_empty() {
            // Another computation: its workers share a new table.
            self.outside = 0;
        }
        let is_ours = (FIRST..FIRST + STEP * MOST).contains(&base) && base % STEP == 0;
        if self.taken.insert(base) && !is_ours {
            self.outside = self.outside.saturating_add(1);
        }
    }

    pub(super) fn remove(&mut self, base: i32) {
        self.taken.remove(&base);
    }

    /// Whether this very base is taken.
    pub(super) fn contains(&self, base: i32) -> bool {
        self.taken.contains(&base)
    }

    /// A base whose range overlaps no other; `None` when there is none. To be inserted.
    ///
    /// In turn from 40000 in steps of 1000, and from the start again behind the last.
    pub(super) fn free(&mut self) -> Option<i32> {
        let end = FIRST + STEP * MOST.saturating_sub(self.outside).max(0);
        let from = self.next.clamp(FIRST, end);
        let base = self
            .first_gap(from, end)
            .or_else(|| self.first_gap(FIRST, from))?;
        self.next = if base + STEP < end {
            base + STEP
        } else {
            FIRST
        };
        Some(base)
    }

    fn first_gap(&self, from: i32, end: i32) -> Option<i32> {
        let mut base = from;
        for &taken in self.taken.range(from - STEP + 1..end + STEP) {
            if taken >= base + STEP {
                break;
            }
            if taken + STEP > base {
                // The next multiple behind it.
                base = (taken + 2 * STEP - 1) / STEP * STEP;
            }
        }
        (base < end).then_some(base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::{collection::vec, prelude::*};

    impl VirtualPids {
        /// Whether the range of `base` overlaps one that is taken.
        fn is_taken(&self, base: i32) -> bool {
            let near = base.saturating_sub(STEP - 1)..=base.saturating_add(STEP - 1);
            self.taken.range(near).next().is_some()
        }
    }

    fn filled(count: i32) -> VirtualPids {
        let mut pids = VirtualPids::default();
        for number in 0..count {
            let base = pids.free().unwrap();
            assert_eq!(base, FIRST + STEP * number);
            pids.insert(base);
        }
        pids
    }

    #[test]
    fn those_of_workers_that_have_gone_are_given_away_last() {
        let mut pids = filled(3);
        pids.remove(40_000);
        assert_eq!(pids.free(), Some(43_000));
        pids.insert(43_000);
        pids.next = FIRST + STEP * (MOST - 1);
        assert_eq!(pids.free(), Some(32_807_000));
        pids.insert(32_807_000);
        assert_eq!(pids.free(), Some(40_000));
        pids.insert(40_000);
        assert_eq!(pids.free(), Some(44_000));
    }

    #[test]
    fn restored_workers_use_the_shared_table_up_as_well() {
        let mut pids = VirtualPids::default();
        pids.insert(399_000_000);
        // Not in steps: in the way of two.
        pids.insert(40_500);
        let mut given = Vec::new();
        while let Some(base) = pids.free() {
            pids.insert(base);
            given.push(base);
        }
        assert_eq!(given.first(), Some(&42_000));
        // Those two places, and one for each that it would not give away.
        assert_eq!(given.len(), 32_768 - 4);
        for base in given {
            pids.remove(base);
        }
        pids.remove(40_500);
        pids.remove(399_000_000);
        pids.insert(40_000);
        assert_eq!(pids.outside, 0, "another computation has a new table");
    }

    #[test]
    fn odd_numbers_from_peers_are_not_in_the_way() {
        let mut pids = VirtualPids::default();
        for base in [i32::MIN, -1, 0, 1, i32::MAX] {
            pids.insert(base);
            assert!(pids.is_taken(base));
        }
        assert_eq!(pids.free(), Some(40_000));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Join,
        Leave(usize),
        Restore(i32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Join),
            2 => any::<usize>().prop_map(Step::Leave),
            1 => (30_000..60_000).prop_map(Step::Restore),
            1 => (32_790_000..32_810_000).prop_map(Step::Restore),
            1 => any::<i32>().prop_map(Step::Restore),
        ]
    }

    proptest! {
        /// However workers come, go and are restored: ranges never overlap, and one is found
        /// wherever there is room.
        #[test]
        fn ranges_never_overlap(
            start in prop_oneof![Just(0), 32_780_000..32_808_000],
            steps in vec(step(), 1..200),
        ) {
            let mut pids = VirtualPids { next: start / STEP * STEP, ..VirtualPids::default() };
            let mut live: Vec<i32> = Vec::new();
            let apart = |live: &[i32], base: i32| {
                live.iter().all(|&other| i64::from(other).abs_diff(base.into()) >= 1000)
            };
            for step in steps {
                let joins = match step {
                    Step::Join => {
                        let base = pids.free().expect("there is room");
                        prop_assert!((40_000..=32_807_000).contains(&base) && base % 1000 == 0);
                        prop_assert!(apart(&live, base), "{base} of {live:?}");
                        Some(base)
                    }
                    Step::Restore(base) => {
                        prop_assert_eq!(pids.is_taken(base), !apart(&live, base));
                        (!pids.is_taken(base)).then_some(base)
                    }
                    Step::Leave(which) => {
                        if !live.is_empty() {
                            pids.remove(live.swap_remove(which % live.len()));
                        }
                        None
                    }
                };
                if let Some(base) = joins {
                    pids.insert(base);
                    live.push(base);
                }
            }
        }
    }
}
