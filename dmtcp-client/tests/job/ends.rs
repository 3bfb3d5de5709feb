//! How a program's end, and what keeps it from running, ends its job; what is left then.

use crate::summation::{LONG, Stage, sum_to};
use crate::{job, kinds, record, run, server};
use dmtcp_client::job::{Job, Outcome, OutcomeKind, Owner, Reason, wait_for_outcome};
use dmtcp_client::process::Exit;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;
use std::time::Duration;

#[test]
fn a_programs_end_is_the_jobs() {
    for (file, number, expected) in [
        ("exit", 0, (OutcomeKind::Finished, Reason::Exit, 0)),
        ("exit", 7, (OutcomeKind::Finished, Reason::Exit, 7)),
        ("exit", 85, (OutcomeKind::Finished, Reason::Exit, 85)),
        // DMTCP's, too, but it says nothing of a failure.
        ("exit", 198, (OutcomeKind::Finished, Reason::Exit, 198)),
        (
            "signal",
            9,
            (OutcomeKind::KilledBySignal, Reason::Signal, 137),
        ),
    ] {
        let stage = Stage::with_goal(20);
        stage.tell(file, number);
        let outcome = run(job(&stage).id("a tag"));
        assert_eq!(kinds(&outcome), expected, "{outcome:?}");
        assert_eq!(Outcome::read(&stage.dir()).unwrap(), Some(outcome));
        assert_eq!(stage.said("sum "), [sum_to(20)]);
        // What it wrote to the other stream.
        assert!(stage.output().contains("\ndone\n"), "{}", stage.output());
        let record = record(&stage);
        assert_eq!((record.owner, record.coordinator), (None, None));
        assert_eq!((record.runs, record.attempts, record.restarts), (1, 1, 0));
        assert_eq!(record.program.argv, Stage::argv());
        assert_eq!(record.id.as_deref(), Some("a tag"));
        stage.assert_clean();
    }
}

#[test]
fn what_is_left_is_for_its_owner_only() {
    let stage = Stage::with_goal(300);
    run(job(&stage));
    let mode = |path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(stage.dir()), 0o700);
    let mut files = 0;
    for entry in fs::read_dir(stage.dir()).unwrap() {
        let entry = entry.unwrap();
        let expected = match entry.file_type().unwrap().is_dir() {
            true => 0o700,
            false => 0o600,
        };
        assert_eq!(mode(entry.path()), expected, "{:?}", entry.path());
        files += 1;
    }
    assert_eq!(files, 7, "job, outcome, three logs, sets, attempts");
    let log = fs::read_to_string(stage.dir().join("execution.log")).unwrap();
    for word in [
        "run 1 begins",
        "started afresh",
        "running: 1",
        "finished (exit), exit code 0",
    ] {
        assert!(log.contains(word), "no {word} in {log}");
    }
    let log = fs::read_to_string(stage.dir().join("coordinator.log")).unwrap();
    assert!(log.contains("joined") && log.contains("left"), "{log}");
}

#[test]
fn who_is_dropped_leaves_nothing() {
    let stage = Stage::new();
    let running = job(&stage).start(&server()).unwrap();
    stage.await_count(5);
    drop(running);
    stage.assert_clean();
    let outcome = Outcome::read(&stage.dir()).unwrap().unwrap();
    assert_eq!(kinds(&outcome), (OutcomeKind::TryAgain, Reason::Killed, 75));
}

#[test]
fn its_own_time_limit_ends_it() {
    let stage = Stage::new();
    let outcome = run(job(&stage).time_limit(Duration::from_secs(1)));
    assert_eq!(
        kinds(&outcome),
        (OutcomeKind::TimedOut, Reason::TimeLimit, 124)
    );
    stage.assert_clean();
}

#[test]
fn what_does_not_come_to_run_failed_before_it_was_ready() {
    for (program, reason, exit) in [
        ("/bin/false", Reason::EndedBeforeReady, Some(Exit::Code(1))),
        ("/nowhere/program", Reason::NotStarted, None),
    ] {
        let stage = Stage::new();
        let outcome = run(Job::new(stage.dir(), Command::new(program)));
        let expected = (OutcomeKind::FailedBeforeReady, reason, 170);
        assert_eq!((kinds(&outcome), outcome.exit), (expected, exit));
        stage.assert_clean();
    }
    let stage = Stage::new();
    let mut command = Command::new("sleep");
    command.arg("600");
    let job = Job::new(stage.dir(), command).ready_limit(Duration::from_millis(200));
    let outcome = run(job);
    let expected = (OutcomeKind::FailedBeforeReady, Reason::NotReady, 170);
    assert_eq!(kinds(&outcome), expected);
    stage.assert_clean();
}

/// Its outcome is written before its farewell.
#[test]
fn one_that_was_cut_short_behind_its_outcome_is_not_lost() {
    let stage = Stage::with_goal(20);
    let outcome = run(job(&stage));
    let mut cut_short = record(&stage);
    let mut owner = Owner::this_process().unwrap();
    owner.start_time += 1;
    cut_short.owner = Some(owner);
    cut_short.write(&stage.dir()).unwrap();
    assert_eq!(run(job(&stage)).reason, Reason::FinishedBefore);
    assert_eq!(record(&stage).owner, None);
    let told = wait_for_outcome(&stage.dir(), LONG).unwrap();
    assert_eq!(told, outcome);
}
