//! Which sets are kept: the rules, without a file.
//!
//! Not here: what is found on disk and how sets are removed (`retain`).

use std::time::Duration;

/// Rules by which old sets are removed.
///
/// The `keep_…` rules add up: a set stays if one of them keeps it, and every set stays if there is
/// none. [`max_bytes`](Self::max_bytes) then limits what stays. Whatever the rules, these
/// are never removed: the newest set that is good, everything newer than it, sets that are held
/// ([`CheckpointSet::hold`](super::CheckpointSet::hold)), and what cannot be read.
///
/// ```
/// use dmtcp_client::set::RetentionPolicy;
/// use std::time::Duration;
///
/// // The last three, one of ten of those before, and nothing more once 100 GB are full.
/// let policy = RetentionPolicy::new().keep_last(3).keep_every(10).max_bytes(100_000_000_000);
/// // Those of the last day.
/// let policy = RetentionPolicy::new().keep_younger_than(Duration::from_secs(86_400));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "it does nothing until it is given to a store"]
pub struct RetentionPolicy {
    pub(super) last: Option<usize>,
    pub(super) every: Option<u64>,
    pub(super) younger: Option<Duration>,
    pub(super) max_bytes: Option<u64>,
}

impl RetentionPolicy {
    /// Keeps everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the newest `count` whole sets, from the newest good one on.
    pub fn keep_last(self, count: usize) -> Self {
        Self {
            last: Some(count),
            ..self
        }
    }

    /// Keeps sets whose number is a multiple of `step`; none for 0.
    pub fn keep_every(self, step: u64) -> Self {
        Self {
            every: Some(step),
            ..self
        }
    }

    /// Keeps sets that were sealed less than `age` ago.
    pub fn keep_younger_than(self, age: Duration) -> Self {
        Self {
            younger: Some(age),
            ..self
        }
    }

    /// Removes the oldest sets until those that stay have no more bytes than this, or are all
    /// among those that are never removed.
    pub fn max_bytes(self, limit: u64) -> Self {
        Self {
            max_bytes: Some(limit),
            ..self
        }
    }

    fn rule_for(&self, set: &Facts, newer_whole: usize, now_unix_ms: u64) -> Option<KeepReason> {
        if self.last.is_none() && self.every.is_none() && self.younger.is_none() {
            return Some(KeepReason::NoRules);
        }
        let age_ms = now_unix_ms.saturating_sub(set.created_unix_ms);
        let is_young = |age: Duration| u128::from(age_ms) < age.as_millis();
        if self.last.is_some_and(|count| newer_whole < count) {
            Some(KeepReason::Last)
        } else if self
            .every
            .is_some_and(|step| is_multiple(set.sequence, step))
        {
            Some(KeepReason::Every)
        } else if self.younger.is_some_and(is_young) {
            Some(KeepReason::Young)
        } else {
            None
        }
    }
}

/// What is known of a set when it is judged.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) sequence: u64,
    pub(super) bytes: u64,
    pub(super) created_unix_ms: u64,
    /// Its files are there in full size.
    pub(super) is_whole: bool,
    pub(super) is_held: bool,
}

/// Why a set stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeepReason {
    /// It is the newest good one.
    NewestGood,
    /// It is newer than the newest good one, and so perhaps of use to whoever looks for the
    /// reason.
    NewerThanGood,
    /// No set is good.
    NoneGood,
    /// Its manifest cannot be read.
    Unreadable,
    /// Somebody holds it: it is being restored, packed, or the only one that a running
    /// computation is known to go on from.
    Held,
    /// [`RetentionPolicy::keep_last`].
    Last,
    /// [`RetentionPolicy::keep_every`].
    Every,
    /// [`RetentionPolicy::keep_younger_than`].
    Young,
    /// There are no rules that keep sets, so all of them stay.
    NoRules,
}

/// Why a set goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RemoveReason {
    /// No rule keeps it.
    NoRule,
    /// A rule keeps it, and [`RetentionPolicy::max_bytes`] does not leave room.
    MaxBytes,
    /// A file of it is missing or has another size, and there is a newer good set.
    NotWhole,
}

/// What becomes of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Keep(KeepReason),
    Remove(RemoveReason),
}

/// Judges all sets, newest first; `newest_good` is an index into them.
pub(super) fn judge(
    policy: &RetentionPolicy,
    now_unix_ms: u64,
    sets: &[Facts],
    newest_good: Option<usize>,
) -> Vec<Fate> {
    let Some(good) = newest_good else {
        return vec![Fate::Keep(KeepReason::NoneGood); sets.len()];
    };
    let mut newer_whole = 0;
    let mut fates = Vec::with_capacity(sets.len());
    for (index, set) in sets.iter().enumerate() {
        fates.push(if index < good {
            Fate::Keep(KeepReason::NewerThanGood)
        } else if index == good {
            Fate::Keep(KeepReason::NewestGood)
        } else if set.is_held {
            Fate::Keep(KeepReason::Held)
        } else if !set.is_whole {
            Fate::Remove(RemoveReason::NotWhole)
        } else {
            match policy.rule_for(set, newer_whole, now_unix_ms) {
                Some(rule) => Fate::Keep(rule),
                None => Fate::Remove(RemoveReason::NoRule),
            }
        });
        if index >= good && set.is_whole {
            newer_whole += 1;
        }
    }
    if let Some(limit) = policy.max_bytes {
        limit_bytes(limit, sets, &mut fates);
    }
    fates
}

/// Those that stay in any case come first; then the newest, up to the first that has no room.
fn limit_bytes(limit: u64, sets: &[Facts], fates: &mut [Fate]) {
    let pinned = sets.iter().zip(fates.iter());
    let pinned = pinned.filter(|(_, fate)| matches!(fate, Fate::Keep(why) if !why.is_rule()));
    let mut used = pinned.fold(0u64, |sum, (set, _)| sum.saturating_add(set.bytes));
    let mut is_full = false;
    for (set, fate) in sets.iter().zip(fates) {
        if !matches!(fate, Fate::Keep(why) if why.is_rule()) {
            continue;
        }
        used = used.saturating_add(set.bytes);
        is_full |= used > limit;
        if is_full {
            *fate = Fate::Remove(RemoveReason::MaxBytes);
        }
    }
}

impl KeepReason {
    /// Kept by the policy's own choice.
    fn is_rule(self) -> bool {
        matches!(self, Self::Last | Self::Every | Self::Young | Self::NoRules)
    }
}

fn is_multiple(number: u64, step: u64) -> bool {
    number.checked_rem(step) == Some(0)
}
