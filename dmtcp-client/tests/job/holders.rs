//! Who runs a job: one at a time, and many jobs in one process.

use crate::summation::{Stage, sum_to};
use crate::{job, kinds, record, run, run_until, server, stop};
use dmtcp_client::job::{ExitCodes, Outcome, OutcomeKind, Owner, Reason};
use std::fs;
use std::time::Duration;

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
