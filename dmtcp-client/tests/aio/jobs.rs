//! Many jobs on one thread, and one that is dropped.

use super::summation::{Stage, sum_to};
use super::{LONG, on_one_thread};
use dmtcp_client::aio;
use dmtcp_client::job::pace::IntervalPolicy;
use dmtcp_client::job::{Job, JobEvent, OutcomeKind, RequestError};
use std::time::Duration;

fn job(stage: &Stage) -> Job {
    Job::new(stage.dir(), stage.command())
        .interval(IntervalPolicy::Never)
        .grace(LONG)
}

#[test]
fn twenty_jobs_on_one_thread_checkpoint_and_come_to_their_ends() {
    on_one_thread(async {
        let server = aio::Server::start().unwrap();
        let stages: Vec<Stage> = (0..20).map(|_| Stage::new()).collect();
        let tasks: Vec<_> = stages
            .iter()
            .map(|stage| {
                let job = job(stage);
                let server = server.clone();
                tokio::spawn(async move {
                    let mut running = aio::RunningJob::start(job, server.handle()).unwrap();
                    // Is not there before it runs, and that is waited for.
                    let sealed = running.checkpoint(LONG).await.unwrap();
                    assert!(sealed.set.is_some());
                    let status = running.computation().unwrap().status().await.unwrap();
                    assert_eq!(status.peers, 1);
                    // To wait for less than all of it does no harm.
                    let short = Duration::from_millis(20);
                    assert!(tokio::time::timeout(short, running.wait()).await.is_err());
                    assert!(tokio::time::timeout(short, running.ended()).await.is_err());
                    running.checkpoint_and_stop(None);
                    let outcome = running.wait().await.unwrap();
                    assert_eq!(running.outcome(), Some(outcome.clone()));
                    outcome
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap().kind, OutcomeKind::Checkpointed);
        }
        // And from there.
        let stage = &stages[0];
        let goal = stage.count() + 10;
        stage.tell("goal", goal);
        let job = job(stage);
        let events = job.control().subscribe();
        let mut running = aio::RunningJob::start(job, server.handle()).unwrap();
        assert_eq!(running.wait().await.unwrap().kind, OutcomeKind::Finished);
        // And again, which is no failure of its.
        assert_eq!(running.wait().await.unwrap().kind, OutcomeKind::Finished);
        assert_eq!(stage.said("sum "), [sum_to(goal)]);
        let mut restarted = 0;
        while let Some((_, event)) = events.recv().await {
            restarted += usize::from(matches!(event, JobEvent::Restarted { .. }));
        }
        assert_eq!(restarted, 1);
    });
}

#[test]
fn one_that_is_dropped_is_killed_and_holds_nobody_up() {
    on_one_thread(async {
        let server = aio::Server::start().unwrap();
        let stage = Stage::new();
        let running = aio::RunningJob::start(job(&stage), server.handle()).unwrap();
        running.checkpoint(LONG).await.unwrap();
        let control = running.control();
        drop(running);
        let outcome = tokio::time::timeout(LONG, control.ended()).await.unwrap();
        assert_eq!(outcome.unwrap().kind, OutcomeKind::TryAgain);
        stage.assert_clean();
    });
}

#[test]
fn the_end_of_one_that_panics_is_told_to_all_who_wait() {
    on_one_thread(async {
        let server = aio::Server::start().unwrap();
        let stage = Stage::new();
        let job = job(&stage).configure(|_| panic!("as the caller's code may"));
        let control = job.control();
        let events = control.subscribe();
        let mut running = aio::RunningJob::start(job, server.handle()).unwrap();
        let ended = tokio::time::timeout(LONG, running.ended()).await;
        assert_eq!(ended.expect("it is told"), None);
        let told = async { while events.recv().await.is_some() {} };
        tokio::time::timeout(LONG, told).await.expect("they end");
        assert!(matches!(control.checkpoint(LONG), Err(RequestError::Ended)));
        assert!(running.wait().await.is_err());
    });
}
