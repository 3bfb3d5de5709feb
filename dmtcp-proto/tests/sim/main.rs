//! Deterministic simulation of the cores: random lives that a seed brings back, and every order of
//! what can happen in small worlds.
//!
//! Nothing here opens a socket or reads a clock. The rules (`checker.rs`) are held against books of
//! what was said on the wires, never against what the core thinks.
//!
//! ```sh
//! DMTCP_SIM_RUNS=100000 cargo test -p dmtcp-proto --test sim             # more lives
//! DMTCP_SIM_SEED=17 cargo test -p dmtcp-proto --test sim -- --nocapture  # one of them again
//! ```

mod checker;
mod network;
mod process;
mod random;
mod record;
mod sabotage;
mod schedule;
mod search;
mod small_worlds;
mod world;

use dmtcp_proto::Dialect;
use std::collections::BTreeMap;

use schedule::Life;

/// Lives of each dialect.
const RUNS: u64 = 500;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is no number: {text:?}")))
}

fn lives_of(dialect: Dialect) {
    let seeds = match number("DMTCP_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("DMTCP_SIM_RUNS").unwrap_or(RUNS),
    };
    let (mut happened, mut counts) = (0, BTreeMap::new());
    let count = seeds.end - seeds.start;
    let begun = std::time::Instant::now();
    for seed in seeds {
        let mut life = Life::new(dialect, seed);
        if life.run().is_err() {
            tell(dialect, seed);
        }
        happened += life.happened;
        for (kind, often) in life.world.record.counts {
            *counts.entry(kind).or_insert(0) += often;
        }
    }
    let time = begun.elapsed();
    println!("{dialect:?}: {count} lives, {happened} things happened, {time:?}: {counts:?}");
    if count >= RUNS {
        for kind in KINDS {
            assert!(
                counts.contains_key(kind),
                "no {kind}: it shows nothing of them"
            );
        }
    }
}

/// What has to have happened in so many lives.
const KINDS: [&str; 11] = [
    "sets",
    "rounds failed by a loss",
    "rounds failed by the sealer",
    "rounds stalled",
    "give-ups, run on",
    "give-ups, all killed",
    "give-ups for nothing",
    "rounds killed",
    "restarts",
    "peers refused",
    "processes killed",
];

/// Lives a failed life again, with a timeline.
fn tell(dialect: Dialect, seed: u64) {
    let mut life = Life::new(dialect, seed);
    life.world.record.timeline = Some(Vec::new());
    let Err(violation) = life.run() else {
        panic!("seed {seed} of {dialect:?} is not the same again");
    };
    for line in life.world.record.timeline.iter().flatten() {
        println!("{line}");
    }
    panic!(
        "{dialect:?}, {:?}: {}\nagain: DMTCP_SIM_SEED={seed} cargo test -p dmtcp-proto --test sim",
        violation.rule, violation.what
    );
}

#[test]
fn lives_of_2_4() {
    lives_of(Dialect::V2_4);
}

#[test]
fn lives_of_2_5() {
    lives_of(Dialect::V2_5);
}

#[test]
fn lives_of_2_6() {
    lives_of(Dialect::V2_6);
}

#[test]
fn lives_of_v3() {
    lives_of(Dialect::V3);
}

#[test]
fn lives_of_v5() {
    lives_of(Dialect::V5);
}
