//! Random policies over random sets: what must hold for all of them.

use super::retention::{Facts, Fate, KeepReason, RemoveReason, RetentionPolicy, judge};
use proptest::option;
use proptest::prelude::*;
use std::time::Duration;

const NOW: u64 = 10_000_000;

fn sets() -> impl Strategy<Value = (Vec<Facts>, Option<usize>)> {
    let set = (1u64..4, 0..1000u64, 0..NOW + 1000, any::<bool>(), 0..5);
    let sets = proptest::collection::vec(set, 0..20).prop_map(|sets| {
        let mut sequence = 0;
        let mut sets: Vec<Facts> = sets
            .into_iter()
            .map(|(step, bytes, created_unix_ms, is_whole, held)| {
                sequence += step;
                Facts {
                    sequence,
                    bytes,
                    created_unix_ms,
                    is_whole,
                    is_held: held == 0,
                }
            })
            .collect();
        sets.reverse();
        sets
    });
    // A good set is whole; a whole one may be bad.
    (sets, any::<prop::sample::Index>()).prop_map(|(sets, index)| {
        let whole = sets.iter().enumerate().filter(|(_, set)| set.is_whole);
        let whole: Vec<usize> = whole.map(|(index, _)| index).collect();
        let good = (!whole.is_empty()).then(|| *index.get(&whole));
        (sets, good)
    })
}

fn policy() -> impl Strategy<Value = RetentionPolicy> {
    let rules = (
        option::of(0..6usize),
        option::of(0..5u64),
        option::of(0..NOW),
        option::of(0..5000u64),
    );
    rules.prop_map(|(last, every, younger, bytes)| {
        let mut policy = RetentionPolicy::new();
        if let Some(count) = last {
            policy = policy.keep_last(count);
        }
        if let Some(step) = every {
            policy = policy.keep_every(step);
        }
        if let Some(ms) = younger {
            policy = policy.keep_younger_than(Duration::from_millis(ms));
        }
        match bytes {
            Some(limit) => policy.max_bytes(limit),
            None => policy,
        }
    })
}

fn is_kept(fate: &Fate) -> bool {
    matches!(fate, Fate::Keep(_))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_newest_good_what_is_newer_and_what_is_held_stays((sets, good) in sets(), policy in policy()) {
        let fates = judge(&policy, NOW, &sets, good);
        prop_assert_eq!(fates.len(), sets.len());
        match good {
            None => prop_assert!(fates.iter().all(|fate| *fate == Fate::Keep(KeepReason::NoneGood))),
            Some(good) => {
                prop_assert!(fates[..good].iter().all(is_kept));
                prop_assert_eq!(fates[good], Fate::Keep(KeepReason::NewestGood));
                for (set, fate) in sets.iter().zip(&fates) {
                    prop_assert!(!set.is_held || is_kept(fate), "{set:?} {fate:?}");
                }
            }
        }
    }

    #[test]
    fn every_rule_keeps_what_it_says_and_nothing_else_stays((sets, good) in sets(), rules in policy()) {
        // Without the limit, which is tested by itself.
        let policy = RetentionPolicy { max_bytes: None, ..rules };
        let fates = judge(&policy, NOW, &sets, good);
        let good = good.unwrap_or(sets.len());
        let mut whole = 0;
        for (index, (set, fate)) in sets.iter().zip(&fates).enumerate() {
            if index < good {
                continue;
            }
            let last = policy.last.is_some_and(|count| whole < count);
            let every = policy.every.is_some_and(|step| step > 0 && set.sequence % step == 0);
            let age = Duration::from_millis(NOW.saturating_sub(set.created_unix_ms));
            let young = policy.younger.is_some_and(|limit| age < limit);
            let none = policy == RetentionPolicy::new();
            whole += usize::from(set.is_whole);
            let expected = index == good || set.is_held || set.is_whole && (last || every || young || none);
            prop_assert_eq!(is_kept(fate), expected, "{:?} {:?}", set, fate);
            if !set.is_whole && !set.is_held {
                prop_assert_eq!(*fate, Fate::Remove(RemoveReason::NotWhole));
            }
        }
    }

    #[test]
    fn the_limit_is_kept_and_takes_the_oldest_first((sets, good) in sets(), policy in policy(), limit in 0..5000u64) {
        let free = judge(&RetentionPolicy { max_bytes: None, ..policy.clone() }, NOW, &sets, good);
        let fates = judge(&policy.max_bytes(limit), NOW, &sets, good);
        let by_rule = |fate: &Fate| matches!(fate, Fate::Keep(why) if matches!(why,
            KeepReason::Last | KeepReason::Every | KeepReason::Young | KeepReason::NoRules));
        let bytes: u64 = sets.iter().zip(&fates).filter(|(_, fate)| is_kept(fate)).map(|(set, _)| set.bytes).sum();
        if fates.iter().any(by_rule) {
            prop_assert!(bytes <= limit, "{bytes} > {limit}");
        }
        let over = |fate: &Fate| *fate == Fate::Remove(RemoveReason::MaxBytes);
        let first = fates.iter().position(over);
        for (index, (free, fate)) in free.iter().zip(&fates).enumerate() {
            match first {
                // Behind the first that had no room, no rule keeps anything.
                Some(first) if index >= first && by_rule(free) => prop_assert!(over(fate)),
                _ => prop_assert_eq!(free, fate),
            }
        }
        // The first had no room indeed.
        if let Some(first) = first {
            prop_assert!(bytes + sets[first].bytes > limit);
        }
    }
}

#[test]
fn a_clock_that_went_back_makes_sets_young_and_not_old() {
    let set = |sequence, created_unix_ms| Facts {
        sequence,
        bytes: 1,
        created_unix_ms,
        is_whole: true,
        is_held: false,
    };
    let sets = [set(3, NOW + 5), set(2, NOW + 4), set(1, 0)];
    let policy = RetentionPolicy::new().keep_younger_than(Duration::from_millis(1));
    assert_eq!(
        judge(&policy, NOW, &sets, Some(0)),
        [
            Fate::Keep(KeepReason::NewestGood),
            Fate::Keep(KeepReason::Young),
            Fate::Remove(RemoveReason::NoRule)
        ]
    );
}
