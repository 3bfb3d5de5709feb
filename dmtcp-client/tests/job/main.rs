//! Jobs with native workers: how they begin, go on and end. No DMTCP needed.

mod begins;
mod checkpoints;
mod ends;
mod holders;
#[path = "../summation/mod.rs"]
mod summation;

use dmtcp_client::Dialect;
use dmtcp_client::coordinator::Coordinator;
use dmtcp_client::job::pace::{Backoff, IntervalPolicy};
use dmtcp_client::job::{Job, JobControl, JobRecord, Outcome, OutcomeKind, Reason};
use dmtcp_client::server::Server;
use dmtcp_client::set;
use std::sync::Arc;
use std::time::Duration;
use summation::{LONG, Stage, eventually};

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
