//! When a job makes checkpoints, and how it is stopped.

use crate::summation::{LONG, Stage, eventually};
use crate::{job, kinds, record, run, run_until, server, sets, stop, tool};
use dmtcp_client::job::pace::{IntervalPolicy, PlannedEnd};
use dmtcp_client::job::{Job, JobEvent, JobEvents, OutcomeKind, Reason, RequestError};
use dmtcp_client::set::RetentionPolicy;
use std::fs;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, SystemTime};

#[test]
fn a_checkpoint_on_request_is_a_set_and_the_job_goes_on() {
    let stage = Stage::new();
    let job = job(&stage);
    let control = job.control();
    let events = control.subscribe();
    // Before it runs, too: it is waited for.
    let asked = control.clone();
    let early = thread::spawn(move || asked.checkpoint(LONG));
    let running = job.start(&server()).unwrap();
    let sealed = early.join().unwrap().unwrap();
    assert_eq!(sealed.set.unwrap().sequence, 1);
    let sealed = running.checkpoint(LONG).unwrap();
    assert_eq!(sealed.set.unwrap().sequence, 2);
    assert_eq!(sets(&stage), [2, 1]);
    eventually("it is recorded", || record(&stage).sets_sealed == 2);
    assert_eq!(record(&stage).last_set.unwrap().sequence, 2);
    stop(&running);
    running.wait().unwrap();
    assert!(matches!(control.checkpoint(LONG), Err(RequestError::Ended)));
    // Who asks at once has a set before all are said to run.
    assert_told(
        events,
        &[
            "run 1",
            "started",
            "set 1 is sealed",
            "stopping",
            "set 3",
            "checkpointed",
        ],
    );
}

/// Events with these words come in this order.
fn assert_told(events: JobEvents, words: &[&str]) {
    let told: Vec<String> = events.map(|(_, event)| event.to_string()).collect();
    let mut rest = told.iter();
    for word in words {
        assert!(
            rest.any(|text| text.contains(word)),
            "no {word} in its place: {told:#?}"
        );
    }
}

#[test]
fn a_flag_is_enough_for_a_signal_handler() {
    let stage = Stage::new();
    let outcome = run_until(job(&stage), &stage, 5, |control| {
        control.flag().store(true, Ordering::Release);
    });
    assert_eq!(
        kinds(&outcome),
        (OutcomeKind::Checkpointed, Reason::SignalReceived, 85)
    );
}

#[test]
fn commands_over_the_wire_decide_the_outcome() {
    let stage = Stage::new();
    let outcome = run_until(job(&stage), &stage, 5, |control| {
        tool(control).checkpoint_and_kill(LONG).unwrap();
    });
    assert_eq!(
        kinds(&outcome),
        (OutcomeKind::Checkpointed, Reason::Command, 85)
    );
    assert_eq!((sets(&stage), outcome.set), (vec![1], Some(1)));
    for quit in [false, true] {
        let outcome = run_until(job(&stage), &stage, stage.count() + 5, |control| {
            let tool = tool(control);
            match quit {
                true => tool.quit().unwrap(),
                false => tool.kill_workers().unwrap(),
            };
        });
        let expected = (OutcomeKind::TryAgain, Reason::Command, 75);
        assert_eq!(kinds(&outcome), expected, "{outcome:?}");
        assert_eq!(outcome.set, Some(1), "it stays");
        stage.assert_clean();
    }
}

#[test]
fn periodic_checkpoints_are_taken_and_few_are_kept() {
    let stage = Stage::new();
    let job = job(&stage)
        .interval(IntervalPolicy::Every(Duration::from_millis(50)))
        .retention(RetentionPolicy::new().keep_last(2));
    let outcome = run_until(job, &stage, 5, |control| {
        let mut sealed = 0;
        for (_, event) in control.subscribe() {
            sealed += usize::from(matches!(event, JobEvent::Sealed { .. }));
            if sealed == 4 {
                break;
            }
        }
        control.kill();
    });
    assert!(outcome.sets_sealed >= 4, "{outcome:?}");
    assert!(sets(&stage).len() <= 3, "{:?}", sets(&stage));
}

#[test]
fn it_stops_behind_the_first_set_if_it_shall() {
    let stage = Stage::new();
    let periodic = || {
        job(&stage)
            .interval(IntervalPolicy::Every(Duration::from_millis(50)))
            .stop_after_checkpoint(true)
    };
    let expected = (OutcomeKind::Checkpointed, Reason::StopAfterCheckpoint, 85);
    for set in 1..=2 {
        let outcome = run(periodic());
        assert_eq!((kinds(&outcome), outcome.set), (expected, Some(set)));
    }
    // Also if somebody else asked for it.
    let asked = job(&stage).stop_after_checkpoint(true);
    let outcome = run_until(asked, &stage, 5, |control| {
        tool(control).checkpoint(LONG).unwrap();
    });
    assert_eq!((kinds(&outcome), outcome.set), (expected, Some(3)));
    stage.assert_clean();
}

#[test]
fn a_deadline_and_a_notice_stop_it_in_time() {
    let stage = Stage::new();
    let end = PlannedEnd::parse("+20s", SystemTime::now()).unwrap();
    let outcome = run(job(&stage).grace(Duration::from_secs(60)).ends_at(end));
    assert_eq!(
        kinds(&outcome),
        (OutcomeKind::Checkpointed, Reason::Deadline, 85)
    );
    assert!(end.at() > SystemTime::now());
    let notice = stage.base.path().join("notice");
    let outcome = run_until(
        job(&stage).notice_file(&notice),
        &stage,
        stage.count() + 5,
        |_| fs::write(&notice, "").unwrap(),
    );
    assert_eq!(
        kinds(&outcome),
        (OutcomeKind::Checkpointed, Reason::Notice, 85)
    );
}

#[test]
fn one_that_cannot_be_checkpointed_in_time_loses_no_set() {
    let stage = Stage::new();
    run_until(job(&stage), &stage, 5, stop);
    let outcome = run_until(job(&stage), &stage, stage.count() + 5, |control| {
        stage.tell("busy", 1);
        eventually("it is busy", || stage.number("is-busy").is_some());
        control.checkpoint_and_stop(Some(Duration::from_secs(2)));
    });
    assert_eq!(
        kinds(&outcome),
        (OutcomeKind::TryAgain, Reason::NotCheckpointed, 75)
    );
    assert_eq!((outcome.set, sets(&stage)), (Some(1), vec![1]));
    stage.assert_clean();
}

#[test]
fn a_second_request_kills_at_once() {
    let stage = Stage::new();
    let outcome = run_until(job(&stage), &stage, 5, |control| {
        stage.tell("busy", 1);
        eventually("it is busy", || stage.number("is-busy").is_some());
        stop(control);
        control.kill();
    });
    assert_eq!(kinds(&outcome), (OutcomeKind::TryAgain, Reason::Killed, 75));
    stage.assert_clean();
}

#[test]
fn asked_to_stop_before_it_runs_it_does_not_wait() {
    let stage = Stage::new();
    let mut command = Command::new("sleep");
    command.arg("600");
    let running = Job::new(stage.dir(), command).start(&server()).unwrap();
    eventually("it is started", || running.computation().is_some());
    stop(&running);
    let outcome = running.wait().unwrap();
    let expected = (OutcomeKind::TryAgain, Reason::Interrupted, 75);
    assert_eq!(kinds(&outcome), expected);
    stage.assert_clean();
}

/// Also in the moment between its first step and the next look at it.
#[test]
fn a_stop_as_soon_as_it_works_makes_a_checkpoint() {
    for _ in 0..10 {
        let stage = Stage::new();
        let job = job(&stage);
        let control = job.control();
        let running = job.start(&server()).unwrap();
        while stage.count() == 0 {
            thread::yield_now();
        }
        stop(&control);
        let outcome = running.wait().unwrap();
        let expected = (OutcomeKind::Checkpointed, Reason::Requested, 85);
        assert_eq!(kinds(&outcome), expected, "{outcome:?}");
    }
}
