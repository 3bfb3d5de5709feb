//! The worlds that are searched.

use dmtcp_proto::{AfterCheckpoint, Command, Dialect};

use crate::search::{Ask, Plan, retell, search};

const CHECKPOINT: Ask = Ask::Tool(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone));
const OWN_CHECKPOINT: Ask = Ask::Program(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone));
const KILLING: Ask = Ask::Tool(Command::Checkpoint(AfterCheckpoint::KillWorkers));
const OWN_KILL: Ask = Ask::Program(Command::Kill);

/// A dialect of each family: barriers, barriers with prefixes of old tools, and phases.
const FAMILIES: [Dialect; 3] = [Dialect::V5, Dialect::V3, Dialect::V2_6];

fn search_all(name: &str, dialects: &[Dialect], plan: impl Fn(Dialect) -> Plan) {
    for &dialect in dialects {
        let plan = plan(dialect);
        let begun = std::time::Instant::now();
        let found = search(&plan);
        println!(
            "{name}, {dialect:?}: {} states, {} steps, depth {}, {} quiet, {:?}",
            found.states,
            found.steps,
            found.depth,
            found.quiet,
            begun.elapsed()
        );
        if let Some((violation, path)) = found.violation {
            for line in retell(&plan, &path) {
                println!("{line}");
            }
            panic!(
                "{name}, {dialect:?}, {} steps: {:?}: {}",
                path.len(),
                violation.rule,
                violation.what
            );
        }
        assert!(found.quiet > 0, "it never comes to an end");
    }
}

#[test]
fn two_workers_one_checkpoint_one_crash() {
    search_all("two workers, a crash", Dialect::ALL, |dialect| Plan {
        crashes: 1,
        ..Plan::new(dialect, &["one", "one"], &[CHECKPOINT])
    });
}

#[test]
fn workers_on_two_hosts_and_a_crash() {
    search_all("two hosts, a crash", &FAMILIES, |dialect| Plan {
        crashes: 1,
        ..Plan::new(dialect, &["one", "two"], &[CHECKPOINT])
    });
}

#[test]
fn two_tools_and_a_crash() {
    search_all("two tools, a crash", &FAMILIES, |dialect| Plan {
        crashes: 1,
        ..Plan::new(dialect, &["one", "one"], &[OWN_CHECKPOINT, CHECKPOINT])
    });
}

#[test]
fn a_killing_checkpoint_and_a_crash() {
    search_all("a killing checkpoint, a crash", &FAMILIES, |dialect| Plan {
        crashes: 1,
        ..Plan::new(dialect, &["one", "one"], &[KILLING])
    });
}

#[test]
fn a_kill_in_a_round() {
    search_all("a kill, a crash", &FAMILIES, |dialect| Plan {
        crashes: 1,
        ..Plan::new(dialect, &["one", "one"], &[OWN_CHECKPOINT, OWN_KILL])
    });
}

#[test]
fn a_fork_and_a_crash() {
    search_all("a fork, a crash", &FAMILIES, |dialect| Plan {
        crashes: 1,
        forks: 1,
        ..Plan::new(dialect, &["one"], &[CHECKPOINT])
    });
}

#[test]
fn an_exec_and_a_crash() {
    search_all("an exec, a crash", &FAMILIES, |dialect| Plan {
        crashes: 1,
        execs: 1,
        ..Plan::new(dialect, &["one", "one"], &[CHECKPOINT])
    });
}

#[test]
fn a_late_program_and_a_failing_seal() {
    search_all("a launch, a failed seal", &FAMILIES, |dialect| Plan {
        launches: 1,
        failed_seals: 1,
        ..Plan::new(dialect, &["one", "one"], &[CHECKPOINT])
    });
}

#[test]
fn two_crashes() {
    search_all("two crashes", &FAMILIES, |dialect| Plan {
        crashes: 2,
        ..Plan::new(dialect, &["one", "one"], &[CHECKPOINT])
    });
}

#[test]
fn three_workers_and_a_crash() {
    search_all("three workers, a crash", &FAMILIES, |dialect| Plan {
        crashes: 1,
        ..Plan::new(dialect, &["one", "one", "one"], &[OWN_CHECKPOINT])
    });
}

#[test]
fn who_is_late_is_given_up_on() {
    search_all("a give-up", Dialect::ALL, |dialect| Plan {
        give_ups: 1,
        ..Plan::new(dialect, &["one", "one"], &[CHECKPOINT])
    });
    search_all("a give-up on two hosts", &FAMILIES, |dialect| Plan {
        give_ups: 1,
        ..Plan::new(dialect, &["one", "two"], &[CHECKPOINT])
    });
}

#[test]
fn a_give_up_and_a_crash() {
    search_all("a give-up, a crash", &FAMILIES, |dialect| Plan {
        give_ups: 1,
        crashes: 1,
        ..Plan::new(dialect, &["one", "one"], &[OWN_CHECKPOINT])
    });
}

/// Minutes: `DMTCP_SIM_WORLDS=large`.
#[test]
fn larger_worlds() {
    if std::env::var_os("DMTCP_SIM_WORLDS").is_none_or(|size| size != "large") {
        println!("SKIPPED: DMTCP_SIM_WORLDS is not \"large\"");
        return;
    }
    search_all("three workers, two crashes", &FAMILIES, |dialect| Plan {
        crashes: 2,
        ..Plan::new(dialect, &["one", "one", "two"], &[CHECKPOINT])
    });
    search_all("time goes on early", &FAMILIES, |dialect| Plan {
        crashes: 1,
        early_wakes: 2,
        ..Plan::new(dialect, &["one", "one"], &[CHECKPOINT])
    });
    search_all("two tools, two crashes", &FAMILIES, |dialect| Plan {
        crashes: 2,
        ..Plan::new(dialect, &["one", "two"], &[CHECKPOINT, CHECKPOINT])
    });
    search_all("three workers, two give-ups", &FAMILIES, |dialect| Plan {
        give_ups: 2,
        ..Plan::new(dialect, &["one", "one", "two"], &[OWN_CHECKPOINT])
    });
    search_all("everything once", &FAMILIES, |dialect| Plan {
        crashes: 1,
        forks: 1,
        execs: 1,
        launches: 1,
        failed_seals: 1,
        ..Plan::new(dialect, &["one", "one"], &[OWN_CHECKPOINT])
    });
}
