//! SIGKILL for those whom no message can free: for the right process, and for no other.

use std::{
    os::fd::OwnedFd,
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, Stdio},
    thread,
};

use dmtcp_client::server::{Computation, ComputationConfig, ComputationEvent, NotKilled};
use dmtcp_proto::Dialect;

use crate::{
    LONG, events_until, for_each_barrier_dialect, open,
    peer::{Peer, Who, Worker, go_through},
};

fn sleeper(stdin: Stdio) -> Child {
    let mut command = Command::new("sleep");
    command.arg("600").stdin(stdin).spawn().unwrap()
}

/// A worker that claims to be `sleep`, and that process. `holds`: it has the worker's socket.
fn worker_of_process(
    computation: &Computation,
    dialect: Dialect,
    host: &str,
    holds: bool,
) -> (Worker, Child) {
    let peer = Peer::connect(computation.addr(), dialect);
    let stdin = match holds {
        true => Stdio::from(OwnedFd::from(peer.stream.try_clone().unwrap())),
        false => Stdio::null(),
    };
    let child = sleeper(stdin);
    let who = Who {
        host: host.to_owned(),
        real_pid: i32::try_from(child.id()).unwrap(),
    };
    (Worker::join_as(peer, &who), child)
}

/// Lets one of two workers die behind the barrier from which nobody is freed, and says what
/// became of the process behind the other.
fn outcome(dialect: Dialect, host: &str, holds: bool) -> (ComputationEvent, Child) {
    let (_server, computation) = open(ComputationConfig::default());
    let events = computation.events();
    let (survivor, child) = worker_of_process(&computation, dialect, host, holds);
    let (lost, mut lost_child) = worker_of_process(&computation, dialect, host, true);
    computation.wait_until_running(Some(2), LONG).unwrap();
    let asking = computation.clone();
    let asked = thread::spawn(move || asking.checkpoint(LONG));
    let mut workers = vec![survivor, lost];
    go_through(&mut workers, 2);
    drop(workers.pop());
    lost_child.kill().unwrap();
    lost_child.wait().unwrap();
    assert!(asked.join().unwrap().is_err());
    let mut seen = events_until(&events, |event| {
        matches!(
            event,
            ComputationEvent::ProcessKilled(_) | ComputationEvent::ProcessSpared { .. }
        )
    });
    (seen.pop().unwrap(), child)
}

fn this_host() -> String {
    let name = nix::unistd::gethostname().unwrap();
    name.to_string_lossy().into_owned()
}

#[test]
fn the_survivor_is_killed() {
    for_each_barrier_dialect(|dialect| {
        let (event, mut child) = outcome(dialect, &this_host(), true);
        let pid = i32::try_from(child.id()).unwrap();
        assert!(
            matches!(&event, ComputationEvent::ProcessKilled(worker) if worker.real_pid == pid),
            "{event:?}"
        );
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    });
}

#[test]
fn a_process_that_does_not_hold_the_connection_is_spared() {
    for_each_barrier_dialect(|dialect| {
        let (event, mut child) = outcome(dialect, &this_host(), false);
        let pid = i32::try_from(child.id()).unwrap();
        assert!(
            matches!(
                &event,
                ComputationEvent::ProcessSpared { reason: NotKilled::NotTheWorker { pid: p }, .. }
                    if *p == pid
            ),
            "{event:?}"
        );
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[test]
fn a_process_on_another_host_is_spared() {
    for_each_barrier_dialect(|dialect| {
        let (event, mut child) = outcome(dialect, "not-this-host", true);
        assert!(
            matches!(
                &event,
                ComputationEvent::ProcessSpared {
                    reason: NotKilled::OtherHost { .. },
                    ..
                }
            ),
            "{event:?}"
        );
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        child.wait().unwrap();
    });
}
