//! Workers that have not said by what their dialect is told: 3.0 to 4.2 and the development head
//! begin in the same way.

mod support;

use dmtcp_proto::{
    AfterCheckpoint, Body, Command, CommandError, CoordinatorConfig, Dialect, Reject, Reply,
    UniquePid, WorkerState,
};
use std::time::Duration;
use support::{Worker, World, tool_id};

const OLD: UniquePid = UniquePid {
    host_id: 7,
    time: 1,
    pid: 40_000,
    generation: 3,
};

fn world(assumed: Option<Dialect>) -> World {
    let mut config = CoordinatorConfig::default();
    config.assumed = assumed;
    World::new(config)
}

/// As a program behaves that says nothing behind its first message.
fn silent(world: &mut World, dialect: Dialect) -> Worker {
    let worker = Worker::knock(world, dialect, "here", WorkerState::Running);
    let accept = worker.take(world).pop().expect("an answer");
    assert!(matches!(accept.body, Body::Accept(_)), "{accept:?}");
    world.wait(Duration::from_secs(1));
    worker
}

const ALIKE: [Dialect; 2] = [Dialect::V3, Dialect::V5];

#[test]
fn what_is_assumed_is_spoken_where_something_must_be_said() {
    for dialect in ALIKE {
        let mut world = world(Some(dialect));
        let worker = silent(&mut world, dialect);
        let begin = Command::Checkpoint(AfterCheckpoint::ReplyAtOnce);
        let begun = world.request(begin);
        assert_eq!(world.reply(begun), Some(Ok(Reply::Started { peers: 1 })));
        assert!(matches!(
            worker.take(&mut world)[0].body,
            Body::DoCheckpoint(_)
        ));
        let killed = world.request(Command::Kill);
        assert!(world.reply(killed).is_none_or(|reply| reply.is_ok()));
        assert!(matches!(worker.take(&mut world)[0].body, Body::KillPeer));
    }
}

#[test]
fn without_an_assumption_nothing_is_guessed() {
    for dialect in ALIKE {
        let mut world = world(None);
        let worker = silent(&mut world, dialect);
        let begin = Command::Checkpoint(AfterCheckpoint::ReplyAtOnce);
        let refused = world.request(begin);
        assert_eq!(world.reply(refused), Some(Err(CommandError::NotRunning)));
        assert!(worker.take(&mut world).is_empty());
    }
}

#[test]
fn who_says_otherwise_is_believed() {
    for (dialect, assumed) in [(Dialect::V3, Dialect::V5), (Dialect::V5, Dialect::V3)] {
        let mut world = world(Some(assumed));
        let worker = Worker::launch(&mut world, dialect);
        world.wait(Duration::from_secs(1));
        let begin = Command::Checkpoint(AfterCheckpoint::ReplyAtOnce);
        let begun = world.request(begin);
        assert_eq!(world.reply(begun), Some(Ok(Reply::Started { peers: 1 })));
        assert!(matches!(
            worker.take(&mut world)[0].body,
            Body::DoCheckpoint(_)
        ));
    }
}

fn reject(world: &mut World, worker: &Worker) -> Reject {
    match worker.take(world).pop().expect("an answer").body {
        Body::Reject(reject) => reject,
        other => panic!("not rejected: {other:?}"),
    }
}

#[test]
fn a_restart_of_another_size_is_refused_in_the_assumed_words() {
    let mut world = world(Some(Dialect::V5));
    let first = Worker::restore(&mut world, Dialect::V5, OLD, OLD, 2);
    assert!(matches!(first.take(&mut world)[0].body, Body::Accept(_)));
    let second = tool_id(41_000);
    let second = Worker::restore(&mut world, Dialect::V5, second, OLD, 3);
    assert_eq!(reject(&mut world, &second), Reject::PeerMismatch);
}

#[test]
fn nothing_starts_in_a_restart_whose_processes_are_not_all_there() {
    for dialect in ALIKE {
        let mut world = world(Some(dialect));
        let first = Worker::restore(&mut world, dialect, OLD, OLD, 2);
        assert!(matches!(first.take(&mut world)[0].body, Body::Accept(_)));
        // No restored process runs yet, so that none can have forked this one.
        for state in [WorkerState::Unknown, WorkerState::Running] {
            let newcomer = Worker::knock(&mut world, dialect, "here", state);
            assert_eq!(reject(&mut world, &newcomer), Reject::NotRunning);
        }
    }
}

#[test]
fn a_restart_into_what_runs_is_refused_by_name_whatever_it_says() {
    for dialect in ALIKE {
        let mut world = world(Some(dialect));
        let _running = silent(&mut world, dialect);
        for group in [OLD, UniquePid::NULL] {
            let restored = Worker::restore(&mut world, dialect, tool_id(43_000), group, 1);
            assert_eq!(reject(&mut world, &restored), Reject::NotRestarting);
        }
    }
}
