//! Removing old sets of a store by a policy.
//!
//! Not here: the rules (`retention`).

use super::checkpoint_set::CheckpointSet;
use super::error::SetError;
use super::hold::Unheld;
use super::latest;
use super::names::Entry;
use super::retention::{Facts, Fate, KeepReason, RemoveReason, RetentionPolicy, judge};
use super::store::{self, Listing, SetStore, lock, remove_dir};
use crate::durable;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What became of each set, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retained {
    /// Those that stay, newest first.
    pub kept: Vec<KeptSet>,
    /// Those that are removed, newest first.
    pub removed: Vec<RemovedSet>,
}

impl Retained {
    /// Bytes of the sets that are removed. As much is freed, unless an image has another link.
    #[must_use]
    pub fn removed_bytes(&self) -> u64 {
        self.removed.iter().map(|set| set.bytes).sum()
    }
}

/// A set that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptSet {
    /// Its number.
    pub sequence: u64,
    /// Bytes of its images and the files saved with them; 0 if its manifest cannot be read.
    pub bytes: u64,
    /// Why it stays.
    pub why: KeepReason,
}

/// A set that is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemovedSet {
    /// Its number.
    pub sequence: u64,
    /// Bytes of its images and the files saved with them, as its manifest says.
    pub bytes: u64,
    /// Why it goes.
    pub why: RemoveReason,
}

impl SetStore {
    /// Removes sets by a policy and says what became of each.
    ///
    /// The newest good set is the newest that was sealed by this store or verifies; this may read
    /// it. A set is renamed aside before it is deleted: a crash leaves no half of one.
    ///
    /// # Errors
    ///
    /// [`SetError::Io`]. What was put aside by then is removed by the next
    /// [`sweep`](Self::sweep).
    pub fn retain(&self, policy: &RetentionPolicy) -> Result<Retained, SetError> {
        let mut known_good = lock(&self.known_good);
        let mut retained = judge_all(self.list()?, policy, &mut known_good);
        let mut readable = retained.kept.iter();
        let newest = readable.find(|set| set.why != KeepReason::Unreadable);
        if let Some(newest) = newest.filter(|_| !retained.removed.is_empty()) {
            latest::point_at(self.dir(), newest.sequence)?;
        }
        let mut removed = Vec::new();
        for set in std::mem::take(&mut retained.removed) {
            let from = Entry::Set(set.sequence).path(self.dir());
            let Some(_unheld) = Unheld::claim(&from)? else {
                // Since it was judged.
                retained.kept.push(KeptSet {
                    sequence: set.sequence,
                    bytes: set.bytes,
                    why: KeepReason::Held,
                });
                continue;
            };
            let to = Entry::Removing(set.sequence).path(self.dir());
            fs::rename(&from, to).map_err(durable::failed("put aside", &from))?;
            known_good.remove(&set.sequence);
            removed.push(set);
        }
        retained
            .kept
            .sort_by_key(|set| std::cmp::Reverse(set.sequence));
        if !removed.is_empty() {
            durable::sync_dir(self.dir())?;
        }
        for set in &removed {
            remove_dir(&Entry::Removing(set.sequence).path(self.dir()))?;
        }
        retained.removed = removed;
        Ok(retained)
    }

    /// What [`retain`](Self::retain) would do now, without doing it; [`would_retain`] says it to
    /// everybody.
    ///
    /// # Errors
    ///
    /// [`SetError::Io`].
    pub fn would_retain(&self, policy: &RetentionPolicy) -> Result<Retained, SetError> {
        let mut known_good = lock(&self.known_good);
        Ok(judge_all(self.list()?, policy, &mut known_good))
    }

    /// Removes all but the `keep` newest good sets, and returns the numbers of those removed: as
    /// [`retain`](Self::retain) with [`RetentionPolicy::keep_last`].
    ///
    /// # Errors
    ///
    /// [`SetError::Io`].
    pub fn prune(&self, keep: usize) -> Result<Vec<u64>, SetError> {
        let retained = self.retain(&RetentionPolicy::new().keep_last(keep))?;
        Ok(retained.removed.iter().map(|set| set.sequence).collect())
    }
}

/// What [`SetStore::retain`] would do now with the sets in `dir`, the directory that a store was
/// opened for, without owning it: a running job may.
///
/// Sets that come or go meanwhile may be missing; a store that prunes at the same instant may keep a
/// set until the next time, as if it were held.
///
/// # Errors
///
/// [`SetError::Io`] if the directory cannot be read.
pub fn would_retain(dir: &Path, policy: &RetentionPolicy) -> Result<Retained, SetError> {
    Ok(judge_all(store::list(dir)?, policy, &mut BTreeSet::new()))
}

fn judge_all(
    listing: Listing,
    policy: &RetentionPolicy,
    known_good: &mut BTreeSet<u64>,
) -> Retained {
    let Listing { sets, broken, .. } = listing;
    let facts: Vec<Facts> = sets.iter().map(facts_of).collect();
    let newest_good = sets.iter().zip(&facts).position(|(set, facts)| {
        let is_known = known_good.contains(&facts.sequence) && facts.is_whole;
        is_known || set.verify().is_ok()
    });
    if let Some(good) = newest_good.and_then(|index| facts.get(index)) {
        known_good.insert(good.sequence);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ms = now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    let mut retained = Retained::default();
    for (set, fate) in facts.iter().zip(judge(policy, now_ms, &facts, newest_good)) {
        let (sequence, bytes) = (set.sequence, set.bytes);
        match fate {
            Fate::Keep(why) => retained.kept.push(KeptSet {
                sequence,
                bytes,
                why,
            }),
            Fate::Remove(why) => retained.removed.push(RemovedSet {
                sequence,
                bytes,
                why,
            }),
        }
    }
    let names = broken
        .iter()
        .filter_map(|(dir, _)| dir.file_name()?.to_str());
    retained
        .kept
        .extend(names.filter_map(Entry::of).map(|entry| KeptSet {
            sequence: entry.sequence(),
            bytes: 0,
            why: KeepReason::Unreadable,
        }));
    retained
        .kept
        .sort_by_key(|set| std::cmp::Reverse(set.sequence));
    retained
}

fn facts_of(set: &CheckpointSet) -> Facts {
    Facts {
        sequence: set.sequence(),
        bytes: set.total_bytes(),
        created_unix_ms: set.manifest().created_unix_ms,
        is_whole: set.verify_sizes().is_ok(),
        // One whose lock cannot be asked for stays.
        is_held: !matches!(Unheld::claim(set.dir()), Ok(Some(_))),
    }
}
