//! Retention on disk: what is removed, what is held, and what is only said.

mod sample_images;
mod state;

use dmtcp_client::set::{
    self, CheckpointSet, KeepReason, RemoveReason, Retained, RetentionPolicy, SetError, SetStore,
};
use state::{State, flip};
use std::fs;
use std::path::Path;

fn sequences(store: &SetStore) -> Vec<u64> {
    let sets = store.list().unwrap().sets;
    sets.iter().map(CheckpointSet::sequence).collect()
}

fn kept(retained: &Retained) -> Vec<(u64, KeepReason)> {
    retained
        .kept
        .iter()
        .map(|set| (set.sequence, set.why))
        .collect()
}

fn removed(retained: &Retained) -> Vec<(u64, RemoveReason)> {
    retained
        .removed
        .iter()
        .map(|set| (set.sequence, set.why))
        .collect()
}

fn with_sets(state: &State, count: u32) -> SetStore {
    let store = state.store();
    for generation in 1..=count {
        store.seal(&state.round(generation)).unwrap();
    }
    store
}

#[test]
fn a_dry_run_says_what_the_run_then_does() {
    let state = State::new();
    let store = with_sets(&state, 9);
    let policy = RetentionPolicy::new().keep_last(2).keep_every(4);
    let sets = store.list().unwrap().sets;
    let goes = sets
        .iter()
        .filter(|set| set.sequence() < 8 && set.sequence() != 4);
    let goes_bytes: u64 = goes.map(CheckpointSet::total_bytes).sum();
    let said = store.would_retain(&policy).unwrap();
    assert_eq!(set::would_retain(&state.root, &policy).unwrap(), said);
    assert_eq!(sequences(&store).len(), 9, "nothing was done");
    let expected = [
        (9, KeepReason::NewestGood),
        (8, KeepReason::Last),
        (4, KeepReason::Every),
    ];
    assert_eq!(kept(&said), expected);
    assert_eq!(
        removed(&said),
        [7, 6, 5, 3, 2, 1].map(|sequence| (sequence, RemoveReason::NoRule))
    );
    assert_eq!(said.removed_bytes(), goes_bytes);
    assert_eq!(store.retain(&policy).unwrap(), said);
    assert_eq!(sequences(&store), [9, 8, 4]);
    // What is left stays.
    assert!(store.retain(&policy).unwrap().removed.is_empty());
    // No half of a set is left either.
    assert_eq!(
        fs::read_dir(store.dir()).unwrap().count(),
        5,
        "and the lock, and `latest`"
    );
}

#[test]
fn bytes_are_limited_and_the_newest_good_set_stays_all_the_same() {
    let state = State::new();
    let store = with_sets(&state, 4);
    let sets = store.list().unwrap().sets;
    let newest: u64 = sets.iter().take(2).map(CheckpointSet::total_bytes).sum();
    let retained = store
        .retain(&RetentionPolicy::new().max_bytes(newest))
        .unwrap();
    assert_eq!(
        kept(&retained),
        [(4, KeepReason::NewestGood), (3, KeepReason::NoRules)]
    );
    let retained = store.retain(&RetentionPolicy::new().max_bytes(0)).unwrap();
    assert_eq!(removed(&retained), [(3, RemoveReason::MaxBytes)]);
    assert_eq!(sequences(&store), [4]);
}

#[test]
fn a_set_that_is_held_stays_until_it_is_let_go() {
    let state = State::new();
    let store = with_sets(&state, 4);
    let policy = RetentionPolicy::new().keep_last(1);
    // By somebody who does not own the store, twice.
    let held = set::list(&state.root).unwrap().sets[2].clone();
    let holds = [held.hold().unwrap(), held.hold().unwrap()];
    let retained = store.retain(&policy).unwrap();
    assert_eq!(
        kept(&retained),
        [(4, KeepReason::NewestGood), (2, KeepReason::Held)]
    );
    held.verify().unwrap();
    let [first, second] = holds;
    drop(first);
    assert!(store.retain(&policy).unwrap().removed.is_empty());
    drop(second);
    assert_eq!(
        removed(&store.retain(&policy).unwrap()),
        [(2, RemoveReason::NoRule)]
    );
    // Nobody can hold what is gone.
    assert!(matches!(held.hold(), Err(SetError::NoManifest { path }) if path == held.dir()));
}

#[test]
fn what_is_broken_is_told_apart() {
    let state = State::new();
    let store = with_sets(&state, 6);
    let policy = RetentionPolicy::new().keep_last(2);
    let sets = store.list().unwrap().sets;
    drop(store);
    // Newest first: 6 has a flipped bit, 4 misses an image, 2 has no manifest to go by.
    flip(&sets[0].images()[0], 50);
    fs::remove_file(&sets[2].images()[1]).unwrap();
    flip(&sets[4].dir().join("manifest.json"), 200);
    // A new store has to find out which one is good.
    let store = state.store();
    let retained = store.retain(&policy).unwrap();
    assert_eq!(
        kept(&retained),
        [
            (6, KeepReason::NewerThanGood),
            (5, KeepReason::NewestGood),
            (3, KeepReason::Last),
            (2, KeepReason::Unreadable),
        ]
    );
    assert_eq!(
        removed(&retained),
        [(4, RemoveReason::NotWhole), (1, RemoveReason::NoRule)]
    );
    // No set is good: all stay.
    for image in [sets[1].images(), sets[3].images()].iter().flatten() {
        fs::write(image, "").unwrap();
    }
    let retained = store.retain(&RetentionPolicy::new().keep_last(0)).unwrap();
    assert!(retained.removed.is_empty());
    assert_eq!(kept(&retained)[1], (5, KeepReason::NoneGood));
}

#[test]
fn latest_leads_to_a_set_that_can_be_read() {
    let state = State::new();
    let store = with_sets(&state, 4);
    let newest = store.list().unwrap().sets.swap_remove(0);
    flip(&newest.dir().join("manifest.json"), 200);
    let retained = store.retain(&RetentionPolicy::new().keep_last(1)).unwrap();
    let expected = [(4, KeepReason::Unreadable), (3, KeepReason::NewestGood)];
    assert_eq!(kept(&retained), expected);
    let latest = fs::read_link(store.dir().join("latest")).unwrap();
    assert_eq!(latest, Path::new("000003"));
}
