//! Native workers as processes of their own under the embedded coordinator: no DMTCP needed.

mod counter;

use counter::Counter;
use dmtcp_client::WorkerInfo;
use dmtcp_client::image;
use dmtcp_client::native::{Error, Options, SafePoint, Worker, restart_command};
use dmtcp_client::server::{Computation, ComputationConfig, Server};
use dmtcp_proto::Dialect;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything here takes unless it hangs.
const LONG: Duration = Duration::from_secs(60);
const WORKERS: usize = 3;

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn counter_program() {
    counter::main_if_launched();
}

fn options(computation: &Computation, dialect: Dialect, dir: &Path) -> Options {
    Options::new(computation.addr(), dialect)
        .checkpoint_dir(dir)
        .barrier_limit(LONG)
}

fn images(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_computation_goes_on_after_a_sigkill_of_all_its_workers() {
    let server = Server::start().unwrap();
    for &dialect in Dialect::ALL {
        let dir = tempfile::tempdir().unwrap();
        let computation = server.open(ComputationConfig::default()).unwrap();
        let options_here = options(&computation, dialect, dir.path());
        let mut workers = [(); WORKERS].map(|()| Counter::launch(&options_here));
        computation
            .wait_until_running(Some(WORKERS as u32), LONG)
            .unwrap();
        computation.checkpoint(LONG).unwrap();
        let mut saved = workers
            .each_ref()
            .map(|worker| worker.line("checkpoint 1 at ", LONG).expect("a checkpoint"));
        workers.iter_mut().for_each(Counter::kill);

        let images = images(dir.path());
        assert_eq!(images.len(), WORKERS, "{images:?}");
        let computation = server.open(ComputationConfig::default()).unwrap();
        let next = dir.path().join("next");
        let options_there = options(&computation, dialect, &next);
        let again: Vec<_> = images
            .iter()
            .map(|image| Counter::spawn(restart_command(image, &options_there).unwrap()))
            .collect();
        computation
            .wait_until_running(Some(WORKERS as u32), LONG)
            .unwrap();
        let mut restored: Vec<_> = again
            .iter()
            .map(|worker| worker.line("restored ", LONG).expect("restored"))
            .collect();
        saved.sort();
        restored.sort();
        assert_eq!(restored, saved);
        for worker in &again {
            worker.at(LONG).expect("it counts on");
        }

        computation.checkpoint_and_kill(LONG).unwrap();
        // In lockstep a kill takes the place of the next phase.
        let end = match dialect.phases().is_empty() {
            true => "Left(Checkpointed)",
            false => "Left(Killed)",
        };
        for mut worker in again {
            assert_eq!(worker.line("end ", LONG).as_deref(), Some(end));
            assert_eq!(worker.child.wait().unwrap().code(), Some(0));
        }
        for image in fs::read_dir(&next).unwrap() {
            let header = image::read_header(&image.unwrap().path()).unwrap();
            assert_eq!((header.peers, header.computation.generation), (3, 2));
        }
    }
}

#[test]
fn workers_that_are_told_to_end_end_and_so_do_those_that_lose_their_coordinator() {
    for &dialect in Dialect::ALL {
        let server = Server::start().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let computation = server.open(ComputationConfig::default()).unwrap();
        let options = options(&computation, dialect, dir.path());
        let mut worker = Counter::launch(&options);
        computation.wait_until_running(Some(1), LONG).unwrap();
        computation.kill_workers(LONG).unwrap();
        assert_eq!(worker.line("end ", LONG).as_deref(), Some("Left(Killed)"));
        assert_eq!(worker.child.wait().unwrap().code(), Some(0));

        let mut worker = Counter::launch(&options);
        computation.wait_until_running(Some(1), LONG).unwrap();
        drop(server);
        let end = worker.line("end ", LONG);
        assert_eq!(end.as_deref(), Some("Left(CoordinatorLost)"));
        assert_eq!(worker.child.wait().unwrap().code(), Some(99));
    }
}

#[test]
fn a_worker_is_made_to_leave_in_the_middle_of_a_safe_point() {
    let (server, dir) = (Server::start().unwrap(), tempfile::tempdir().unwrap());
    let computation = server.open(ComputationConfig::default()).unwrap();
    let join = |name: &str| {
        Worker::join(options(&computation, Dialect::V5, &dir.path().join(name))).unwrap()
    };
    // The other one never comes.
    let (mut one, _other) = (join("one"), join("other"));
    let leaver = one.leaver().unwrap();
    computation.request_checkpoint().unwrap();
    thread::scope(|scope| {
        let call = scope.spawn(|| {
            loop {
                match one.safe_point_bytes(b"state") {
                    Ok(SafePoint::Nothing) => thread::yield_now(),
                    ended => return ended,
                }
            }
        });
        let suspended = |worker: &WorkerInfo| worker.barrier.is_some();
        let until = Instant::now() + LONG;
        while !computation.workers().unwrap().iter().any(suspended) && Instant::now() < until {
            thread::yield_now();
        }
        leaver.leave();
        let ended = call.join().unwrap();
        assert!(matches!(ended, Err(Error::Left(_))), "{ended:?}");
    });
    leaver.leave();
    assert!(images(&dir.path().join("one")).is_empty());
    let again = one.safe_point_bytes(b"state");
    assert!(matches!(again, Err(Error::AlreadyLeft)), "{again:?}");
}
