//! Killed before every system call that changes a file: the sets are whole all the same.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

mod sample_images;
mod state;
mod tracer;

use dmtcp_client::set::{CheckpointSet, SetStore};
use sample_images::{computation, process};
use state::{LONG, State, request};
use std::io::{BufRead, stdin};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};
use tracer::{READY, Traced, kill_before};

const WHAT: &str = "CRASH_TEST_DOES";
const ROOT: &str = "CRASH_TEST_ROOT";
const RAW: &str = "CRASH_TEST_RAW";

/// What is traced: one thing, done to a store.
#[test]
#[ignore = "run by the other tests as a process of its own"]
fn traced_program() {
    let Some(what) = env::var_os(WHAT) else {
        return;
    };
    let root = PathBuf::from(env::var_os(ROOT).unwrap());
    let raw = PathBuf::from(env::var_os(RAW).unwrap());
    let reports = [40000, 40001].map(|pid| state::report(&raw, pid));
    let round = request(2, reports.to_vec(), LONG);
    println!("{READY}");
    stdin().lock().read_line(&mut String::new()).unwrap();
    let store = SetStore::open(&root).unwrap();
    match what.to_str().unwrap() {
        "seal" => drop(store.seal(&round).unwrap()),
        "unpack" => drop(store.unpack(&raw.join("set.tar")).unwrap()),
        "pack" => drop(
            store.list().unwrap().sets[0]
                .pack(&raw.join("set.tar"))
                .unwrap(),
        ),
        "prune" => drop(store.prune(1).unwrap()),
        other => panic!("{other}"),
    }
}

/// A fresh state for each kill.
fn trace(what: &str, nth: usize, prepared: &State) -> Option<Traced> {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "traced_program", "--ignored", "--nocapture"])
        .env(WHAT, what)
        .env(ROOT, &prepared.root)
        .env(RAW, &prepared.raw);
    kill_before(&mut command, nth)
}

/// Kills before the first call, the second, … until one run is through; `check` is told of what
/// each has left.
fn kill_everywhere(
    what: &str,
    prepare: impl Fn() -> State,
    check: impl Fn(usize, &Traced, &State),
) {
    for nth in 1.. {
        let state = prepare();
        let Some(traced) = trace(what, nth, &state) else {
            println!("SKIPPED: processes cannot be traced here");
            return;
        };
        check(nth, &traced, &state);
        if traced.calls.len() < nth {
            assert!(traced.finished, "{traced:?}");
            assert!(nth > 10, "there is more to it: {traced:?}");
            println!(
                "{what}: killed before each of {} calls, all survived",
                nth - 1
            );
            println!("  {}", traced.calls.join(" "));
            return;
        }
        assert!(!traced.finished, "{traced:?}");
    }
}

fn sequences(store: &SetStore) -> Vec<u64> {
    let listing = store.list().unwrap();
    assert!(listing.broken.is_empty(), "{listing:?}");
    for set in &listing.sets {
        set.verify().unwrap();
    }
    listing.sets.iter().map(CheckpointSet::sequence).collect()
}

fn latest(root: &Path) -> u64 {
    let target = fs::canonicalize(root.join("sets/latest")).unwrap();
    let set = CheckpointSet::open(&target).unwrap();
    set.verify().unwrap();
    set.sequence()
}

#[test]
fn whatever_is_done_to_a_store_survives_a_kill_before_every_call() {
    // One after the other: the tracer takes all children of this program for its own.
    let sealed = std::cell::Cell::new(0);
    let one_set_and_a_round = || {
        let state = State::new();
        state.store().seal(&state.round(1)).unwrap();
        let saved = state.saved_files(40001);
        fs::create_dir(&saved).unwrap();
        fs::write(saved.join("log_1"), "of the process").unwrap();
        state.round(2);
        state
    };
    kill_everywhere("seal", one_set_and_a_round, |nth, traced, state| {
        let at = format!("killed before call {nth}, {:?}", traced.calls.last());
        let led_to = latest(&state.root);
        let store = state.store();
        let sets = sequences(&store);
        // The old one, or both; and never the old one again once the new one has been there.
        assert!(sets == [1] || sets == [2, 1], "{at}: {sets:?}");
        assert!(sets.len() >= sealed.get(), "{at}");
        sealed.set(sets.len());
        let new = &store.list().unwrap().sets[0];
        assert_eq!(new.manifest().computation, computation(sets[0] as u32));
        assert_eq!(new.manifest().images[1].process, process(40001));
        assert_eq!(new.manifest().images[1].saved_files.len(), sets.len() - 1);
        assert!(sets.contains(&led_to), "{at}: {led_to}");
        if traced.finished {
            assert_eq!((sets.len(), led_to), (2, 2));
        }
        // What was left can be cleared away, and the next set is a set.
        store.sweep().unwrap();
        assert_eq!(latest(&state.root), sets[0], "{at}");
        let others = ["lock", "latest"].len();
        let entries = fs::read_dir(store.dir()).unwrap().count();
        assert_eq!(entries, sets.len() + others, "{at}");
        let next = store.seal(&state.round(3)).unwrap();
        assert_eq!(latest(&state.root), next.sequence(), "{at}");
    });

    let one_set_and_an_archive = || {
        let state = one_set_and_a_round();
        let other = State::new();
        let set = other.store().seal(&other.round(7)).unwrap();
        set.pack(&state.raw.join("set.tar")).unwrap();
        state
    };
    sealed.set(0);
    kill_everywhere("unpack", one_set_and_an_archive, |nth, traced, state| {
        let at = format!("killed before call {nth}, {:?}", traced.calls.last());
        let led_to = latest(&state.root);
        let store = state.store();
        let sets = sequences(&store);
        assert!(sets == [1] || sets == [2, 1], "{at}: {sets:?}");
        assert!(sets.len() >= sealed.get() && sets.contains(&led_to), "{at}");
        sealed.set(sets.len());
        assert!(sets.len() == 2 || !traced.finished, "{at}");
        store.sweep().unwrap();
        assert_eq!(latest(&state.root), sets[0], "{at}");
    });
    kill_everywhere("pack", one_set_and_an_archive, |nth, traced, state| {
        let at = format!("killed before call {nth}, {:?}", traced.calls.last());
        // The archive that was there, or the new one.
        let unpacked = state.store().unpack(&state.raw.join("set.tar")).unwrap();
        let generation = unpacked.manifest().computation.generation;
        assert!([7, 1].contains(&generation), "{at}");
        assert!(generation == 1 || !traced.finished, "{at}");
    });

    let four_sets = || {
        let state = State::new();
        let store = state.store();
        for generation in 1..=4 {
            store.seal(&state.round(generation)).unwrap();
        }
        drop(store);
        // As after a crash of sealing: it leads to one of those that are removed.
        let latest = state.root.join("sets/latest");
        fs::remove_file(&latest).unwrap();
        std::os::unix::fs::symlink("000003", latest).unwrap();
        state
    };
    kill_everywhere("prune", four_sets, |nth, traced, state| {
        let at = format!("killed before call {nth}, {:?}", traced.calls.last());
        let led_to = latest(&state.root);
        let store = state.store();
        let sets = sequences(&store);
        assert_eq!(sets[0], 4, "{at}");
        assert!(sets.contains(&led_to), "{at}: {led_to}");
        if traced.finished {
            assert_eq!(sets, [4]);
        }
        store.sweep().unwrap();
        assert_eq!(sequences(&store), sets, "{at}");
        store.prune(1).unwrap();
        assert_eq!(sequences(&store), [4], "{at}");
    });
}
