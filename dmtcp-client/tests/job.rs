//! Jobs with native workers: how they begin, go on and end. No DMTCP needed.

mod summation;

use dmtcp_client::Dialect;
use dmtcp_client::attempt::Program;
use dmtcp_client::coordinator::Coordinator;
use dmtcp_client::job::pace::{Backoff, IntervalPolicy, PlannedEnd};
use dmtcp_client::job::{
    Begin, ExitCodes, Job, JobControl, JobError, JobEvent, JobEvents, JobRecord, Outcome,
    OutcomeKind, Owner, Reason, RequestError, wait_for_outcome,
};
use dmtcp_client::process::Exit;
use dmtcp_client::server::Server;
use dmtcp_client::set::{self, RetentionPolicy};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, SystemTime};
use summation::{LONG, Stage, eventually, sum_to};

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn summation_program() {
    summation::main_if_launched();
}

fn server() -> Arc<Server> {
    Arc::new(Server::start().unwrap())
}

/// One that checkpoints only when it is asked to.
fn job(stage: &Stage) -> Job {
    Job::new(stage.dir(), stage.command())
        .interval(IntervalPolicy::Never)
        .grace(LONG)
        .backoff(Backoff::new(
            Duration::from_millis(10),
            Duration::from_millis(10),
        ))
}

fn run(job: Job) -> Outcome {
    job.start(&server()).unwrap().wait().unwrap()
}

fn kinds(outcome: &Outcome) -> (OutcomeKind, Reason, u8) {
    (outcome.kind, outcome.reason, outcome.code)
}

/// Runs it until it has come this far, does something to it, and waits for the end.
fn run_until(job: Job, stage: &Stage, count: u64, then: impl FnOnce(&JobControl)) -> Outcome {
    let running = job.start(&server()).unwrap();
    stage.await_count(count);
    then(&running.control());
    let outcome = running.wait_timeout(LONG).expect("it did not end");
    assert_eq!(Some(&outcome), running.outcome().as_ref());
    drop(running);
    outcome
}

fn record(stage: &Stage) -> JobRecord {
    JobRecord::read(&stage.dir()).unwrap().unwrap()
}

fn sets(stage: &Stage) -> Vec<u64> {
    let sets = set::list(&stage.dir()).unwrap().sets;
    sets.iter().map(|set| set.sequence()).collect()
}

/// A coordinator's client, as `dmtcp_command` is one.
fn tool(control: &JobControl) -> Coordinator {
    // Restarted ones work already while it is confirmed that they do.
    eventually("it can be reached", || control.computation().is_some());
    let addr = control.computation().unwrap().addr();
    Coordinator::new(addr, Dialect::V5)
}

fn stop(control: &JobControl) {
    control.checkpoint_and_stop(None);
}

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
fn two_at_once_are_refused_and_the_holder_is_named() {
    let stage = Stage::new();
    let first = job(&stage).start(&server()).unwrap();
    stage.await_count(5);
    // Also another thread of the same process, on the same server or not.
    let outcome = run(job(&stage).exit_codes(ExitCodes::default().try_again(76)));
    assert_eq!(kinds(&outcome), (OutcomeKind::TryAgain, Reason::Held, 76));
    let owner = record(&stage).owner.unwrap();
    assert_eq!(owner.is_alive().unwrap(), Some(true));
    let host = owner.host.to_string_lossy().into_owned();
    for word in [
        &format!("process {} on {host}", std::process::id()),
        "since 20",
    ] {
        assert!(outcome.text.contains(word), "no {word} in {}", outcome.text);
    }
    // What is the holder's is not touched.
    assert_eq!(Outcome::read(&stage.dir()).unwrap(), None);
    assert!(first.outcome().is_none());
    first.kill();
    let outcome = first.wait().unwrap();
    assert_eq!(kinds(&outcome), (OutcomeKind::TryAgain, Reason::Killed, 75));
    stage.assert_clean();
}

/// On a file system whose locks other hosts do not see, or behind a crash of one.
#[test]
fn a_run_of_another_host_is_watched_for_a_sign_of_life() {
    let stage = Stage::new();
    run_until(job(&stage), &stage, 5, stop);
    let mut record = record(&stage);
    let mut owner = Owner::this_process().unwrap();
    owner.boot_id = "of another host".to_owned();
    owner.host = "node7".into();
    owner.pid = 4711;
    record.owner = Some(owner);
    record.write(&stage.dir()).unwrap();
    let (second, dir) = (job(&stage), stage.dir());
    let running = second.start(&server()).unwrap();
    let outcome = loop {
        // As the run there does.
        record.write(&dir).unwrap();
        if let Some(outcome) = running.wait_timeout(Duration::from_millis(50)) {
            break outcome;
        }
    };
    assert_eq!(kinds(&outcome), (OutcomeKind::TryAgain, Reason::Held, 75));
    assert!(
        outcome.text.contains("process 4711 on node7"),
        "{outcome:?}"
    );

    let waiting = job(&stage).start(&server()).unwrap();
    stop(&waiting);
    assert_eq!(waiting.wait().unwrap().reason, Reason::Interrupted);
    // One that has said nothing for long is gone.
    let mut json: serde_json::Value =
        serde_json::from_slice(&fs::read(dir.join("job.json")).unwrap()).unwrap();
    json["updated_unix_ms"] = 1_700_000_000_000_u64.into();
    fs::write(dir.join("job.json"), json.to_string()).unwrap();
    stage.tell("goal", stage.count() + 5);
    let outcome = run(job(&stage));
    assert_eq!(kinds(&outcome), (OutcomeKind::Finished, Reason::Exit, 0));
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

#[test]
fn many_jobs_run_on_one_server() {
    let server = server();
    let stages: Vec<Stage> = (0..8).map(|_| Stage::new()).collect();
    let start = |stage: &Stage| job(stage).start(&server).unwrap();
    let running: Vec<_> = stages.iter().map(start).collect();
    for stage in &stages {
        stage.await_count(5);
    }
    running.iter().for_each(|running| stop(running));
    for running in running {
        assert_eq!(running.wait().unwrap().code, 85);
    }
    for stage in &stages {
        stage.tell("goal", stage.count() + 5);
    }
    let running: Vec<_> = stages.iter().map(start).collect();
    for (running, stage) in running.into_iter().zip(&stages) {
        assert_eq!(running.wait().unwrap().code, 0);
        assert_eq!(stage.said("sum "), [sum_to(stage.count())]);
        stage.assert_clean();
    }
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
