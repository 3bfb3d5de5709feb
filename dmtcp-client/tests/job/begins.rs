//! From what a job goes on, when it begins afresh, and how often it tries.

use crate::summation::{Stage, sum_to};
use crate::{job, kinds, record, run, run_until, server, sets, stop};
use dmtcp_client::attempt::Program;
use dmtcp_client::job::{Begin, Job, JobControl, JobError, JobEvent, Outcome, OutcomeKind, Reason};
use dmtcp_client::set;
use std::fs;

#[test]
fn the_same_call_goes_on_until_it_is_done_and_then_does_nothing() {
    let stage = Stage::new();
    let outcome = run_until(job(&stage), &stage, 50, stop);
    let expected = (OutcomeKind::Checkpointed, Reason::Requested, 85);
    assert_eq!(kinds(&outcome), expected, "{outcome:?}");
    assert_eq!((outcome.set, outcome.sets_sealed), (Some(1), 1));
    let at = stage.count();
    stage.assert_clean();

    let outcome = run_until(job(&stage), &stage, at + 50, stop);
    assert_eq!((kinds(&outcome), outcome.set), (expected, Some(2)));
    assert_eq!((outcome.restarts, outcome.sets_sealed), (1, 1));
    stage.tell("goal", stage.count() + 50);
    let outcome = run(job(&stage));
    assert_eq!(kinds(&outcome), (OutcomeKind::Finished, Reason::Exit, 0));
    // Kept over all of it, in order, and nothing was done twice.
    assert_eq!(stage.said("fresh").len(), 1);
    let restored = stage.said("restored ");
    assert_eq!(restored[0], at.to_string());
    assert_eq!(restored.len(), 2);
    assert_eq!(stage.said("sum "), [sum_to(stage.count())]);
    let outcome = run(job(&stage));
    assert_eq!(
        kinds(&outcome),
        (OutcomeKind::Finished, Reason::FinishedBefore, 0)
    );
    assert_eq!(stage.said("sum ").len(), 1);
    let record = record(&stage);
    assert_eq!((record.runs, record.attempts, record.restarts), (3, 3, 2));
    assert_eq!((record.sets_sealed, record.checkpoints.len()), (2, 2));
}

#[test]
fn one_that_failed_by_itself_goes_on_from_its_set() {
    let stage = Stage::new();
    run_until(job(&stage), &stage, 20, stop);
    stage.tell("goal", stage.count() + 1);
    stage.tell("exit", 3);
    assert_eq!(run(job(&stage)).code, 3);
    stage.forget("exit");
    assert_eq!(run(job(&stage)).code, 0);
    assert_eq!(stage.said("restored ").len(), 2);
}

#[test]
fn sets_that_are_no_good_are_not_taken_for_none() {
    let stage = Stage::new();
    run_until(job(&stage), &stage, 5, stop);
    let set = set::list(&stage.dir()).unwrap().sets.remove(0);
    let image = set.images().remove(0);
    let bytes = fs::read(&image).unwrap();
    fs::write(&image, &bytes[1..]).unwrap();
    let outcome = run(job(&stage));
    let expected = (OutcomeKind::FailedToRestore, Reason::NoUsableSet, 171);
    assert_eq!(kinds(&outcome), expected, "{outcome:?}");
    // A fresh start is another decision.
    stage.tell("goal", 10);
    let outcome = run(job(&stage).begin(Begin::Fresh));
    assert_eq!(kinds(&outcome), (OutcomeKind::Finished, Reason::Exit, 0));
}

#[test]
fn restarts_that_lead_nowhere_end() {
    let stage = Stage::new();
    run_until(job(&stage), &stage, 5, stop);
    stage.tell("fail-when-restored", 1);
    let job = || job(&stage).restarts_without_progress(3);
    let outcome = run(job());
    let expected = (OutcomeKind::FailedToRestore, Reason::NoProgress, 171);
    assert_eq!(kinds(&outcome), expected, "{outcome:?}");
    assert!(outcome.text.contains("3 restarts"), "{}", outcome.text);
    stage.assert_clean();
    // Somebody has mended it.
    stage.forget("fail-when-restored");
    stage.tell("goal", stage.count() + 5);
    let outcome = run(job());
    assert_eq!(kinds(&outcome), (OutcomeKind::Finished, Reason::Exit, 0));
    assert_eq!(stage.said("sum "), [sum_to(stage.count())]);
}

#[test]
fn it_is_restarted_within_a_run_when_dmtcp_fails() {
    let stage = Stage::new();
    run_until(job(&stage), &stage, 5, stop);
    stage.tell("fail-when-restored", 1);
    let job = job(&stage);
    let events = job.control().subscribe();
    let running = job.start(&server()).unwrap();
    let mut told = events.map(|(_, event)| event);
    let again = told.any(|event| matches!(event, JobEvent::Again { .. }));
    assert!(again, "{:?}", running.outcome());
    stage.forget("fail-when-restored");
    stage.tell("goal", stage.count() + 5);
    let outcome = running.wait().unwrap();
    assert_eq!(kinds(&outcome), (OutcomeKind::Finished, Reason::Exit, 0));
}

#[test]
fn an_explicit_start_or_restart_is_meant() {
    let stage = Stage::new();
    let missing = Job::restart(stage.dir()).start(&server()).unwrap().wait();
    assert!(
        matches!(missing, Err(JobError::NoJob { .. })),
        "{missing:?}"
    );
    assert!(!stage.dir().exists());
    let outcome = run(job(&stage).begin(Begin::Restart));
    let expected = (OutcomeKind::FailedToRestore, Reason::NoSet, 171);
    assert_eq!(kinds(&outcome), expected);
    run_until(job(&stage).begin(Begin::Start), &stage, 5, stop);

    let there = job(&stage).begin(Begin::Start).start(&server()).unwrap();
    match there.wait() {
        Err(JobError::SetsThere { count, newest, .. }) => assert_eq!((count, newest), (1, 1)),
        other => panic!("{other:?}"),
    }
    let mut other = stage.command();
    other.arg("more");
    let other = Job::new(stage.dir(), Program::from(other)).start(&server());
    match other.unwrap().wait() {
        Err(JobError::OtherProgram { found, .. }) => assert_eq!(found, Stage::argv()),
        other => panic!("{other:?}"),
    }
    // The outcome before is still told.
    let outcome = Outcome::read(&stage.dir()).unwrap().unwrap();
    assert_eq!(outcome.kind, OutcomeKind::Checkpointed);

    // Without a program: it is in the set.
    stage.tell("goal", stage.count() + 5);
    let outcome = run(Job::restart(stage.dir()));
    assert_eq!(kinds(&outcome), (OutcomeKind::Finished, Reason::Exit, 0));
    assert_eq!(stage.said("restored ").len(), 1);
}

#[test]
fn a_fresh_start_is_not_taken_back_by_older_sets() {
    let stage = Stage::new();
    run_until(job(&stage), &stage, 5, stop);
    let fresh = job(&stage).begin(Begin::Fresh);
    stage.forget("count");
    let outcome = run_until(fresh, &stage, 5, JobControl::kill);
    assert_eq!(outcome.set, None);
    // Until there is a newer one they stay, for who wants them.
    assert_eq!(sets(&stage), [1]);
    stage.forget("count");
    run_until(job(&stage), &stage, 5, stop);
    assert_eq!(stage.said("fresh").len(), 3);
    assert_eq!(sets(&stage)[0], 2);
    stage.tell("goal", stage.count() + 5);
    assert_eq!(run(job(&stage)).code, 0);
    assert_eq!(stage.said("restored ").len(), 1);
    assert_eq!(stage.said("sum "), [sum_to(stage.count())]);
}

#[test]
fn a_moved_or_copied_job_goes_on() {
    let stage = Stage::new();
    run_until(job(&stage), &stage, 5, stop);
    let moved = stage.base.path().join("moved");
    fs::rename(stage.dir(), &moved).unwrap();
    stage.tell("goal", stage.count() + 5);
    let outcome = run(Job::new(&moved, stage.command()));
    assert_eq!(kinds(&outcome), (OutcomeKind::Finished, Reason::Exit, 0));
    let output = fs::read_to_string(moved.join("application.log")).unwrap();
    assert!(output.contains(&sum_to(stage.count())), "{output}");
}

/// Without any set, too: there is nothing else that would end it.
#[test]
fn fresh_starts_that_lead_nowhere_end() {
    let stage = Stage::with_goal(20);
    stage.tell("fail", 1);
    let outcome = run(job(&stage).restarts_without_progress(3));
    let expected = (OutcomeKind::FailedToRestore, Reason::NoProgress, 171);
    assert_eq!(kinds(&outcome), expected, "{outcome:?}");
    assert_eq!(stage.said("fresh").len(), 4);
    // Somebody has mended it.
    stage.forget("fail");
    let outcome = run(job(&stage).restarts_without_progress(3));
    assert_eq!(kinds(&outcome), (OutcomeKind::Finished, Reason::Exit, 0));
}
