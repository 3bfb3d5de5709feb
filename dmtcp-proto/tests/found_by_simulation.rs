//! What the simulation (`sim/`), and reading the coordinator for it, found, each as small as it
//! can be.

mod support;

use dmtcp_proto::{
    AfterCheckpoint, Command, CommandError, CoordinatorConfig, Dialect, Event, Input, Interval,
    Reply, RoundError, Survivors, Verb, WorkerState,
};
use std::time::Duration;
use support::{
    Worker, World, for_each_barrier_dialect, for_each_dialect, through_barriers, tool_id,
};

fn told(dialect: Dialect, hosts: &[&'static str]) -> (World, Vec<Worker>) {
    let mut world = World::new(CoordinatorConfig::default());
    let workers: Vec<Worker> = hosts
        .iter()
        .map(|host| Worker::launch_on(&mut world, dialect, host))
        .collect();
    world.request(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone));
    for worker in &workers {
        worker.order(&mut world);
    }
    (world, workers)
}

/// The first loss fails the round and leaves the others free. Those beside a second one, lost where
/// no message frees them, were released as if nothing had happened and stood still for ever: with
/// them the round, and every checkpoint behind it.
#[test]
fn a_second_loss_in_a_failed_round_leaves_nobody_behind_a_dead_one() {
    for_each_barrier_dialect(|dialect| {
        let (mut world, mut workers) = told(dialect, &["here"; 3]);
        workers[2].reach(&mut world, 0);
        world.hang_up(workers.pop().unwrap().conn);
        let failed = |event: &Event| {
            let lost = |reason: &RoundError| matches!(reason, RoundError::PeerLost(_));
            matches!(event, Event::CheckpointFailed { reason, .. } if lost(reason))
        };
        assert!(world.has_event(failed));
        assert!(world.killed.is_empty());

        through_barriers(&mut world, &mut workers, 2);
        world.hang_up(workers.pop().unwrap().conn);
        assert_eq!(world.killed.len(), 1, "the one beside it is stuck");
        assert!(world.is_closed(workers[0].conn));

        // The next round works.
        let mut fresh = Worker::launch(&mut world, dialect);
        let next = world.request(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone));
        support::write_images(&mut world, std::slice::from_mut(&mut fresh));
        world.seal(Ok(()));
        let reply: Option<Result<Reply, CommandError>> = world.reply(next);
        assert!(
            matches!(reply, Some(Ok(Reply::Checkpointed(_)))),
            "{reply:?}"
        );
    });
}

/// They were killed one after the other, and the end of one released the next from its barrier
/// before its own turn: for that moment it was told to go on, and a release was announced.
#[test]
fn who_is_about_to_be_killed_is_released_from_no_barrier() {
    for_each_barrier_dialect(|dialect| {
        let (mut world, mut workers) = told(dialect, &["here"; 3]);
        through_barriers(&mut world, &mut workers, 1);
        // The first is still on its way, the others are there.
        for worker in &mut workers[1..] {
            worker.reach(&mut world, 1);
        }
        let released = |event: &&Event| matches!(event, Event::BarrierReleased { .. });
        let before = world.events.iter().filter(released).count();
        world.hang_up(workers[1].conn);
        assert_eq!(world.killed.len(), 2);
        assert_eq!(world.events.iter().filter(released).count(), before);
        assert_eq!(workers[2].released(&mut world), None);
    });
}

/// Each left its number behind until the round ended, which may take as long as a disk.
#[test]
fn who_waits_for_the_end_of_a_round_and_gives_up_is_forgotten() {
    for_each_dialect(|dialect| {
        let mut world = World::new(CoordinatorConfig::default());
        let mut workers = vec![Worker::launch(&mut world, dialect)];
        world.request(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone));
        workers[0].order(&mut world);
        through_barriers(&mut world, &mut workers, 2);
        let visit = |world: &mut World| {
            let late = Worker::knock(world, dialect, "here", WorkerState::Unknown);
            world.hang_up(late.conn);
            // What it had to say in time is forgotten a moment later.
            world.wait(Duration::from_secs(10));
            format!("{:?}", world.core).len()
        };
        let before = visit(&mut world);
        let after = (0..100).map(|_| visit(&mut world)).max();
        assert!(after < Some(before + 100), "{before} -> {after:?}");
    });
}

/// Each tool that asked for a kill while a set was being sealed was kept until the seal.
#[test]
fn kills_that_wait_for_a_seal_are_kept_once() {
    for_each_dialect(|dialect| {
        let mut world = World::new(CoordinatorConfig::default());
        let mut workers = vec![Worker::launch(&mut world, dialect)];
        world.request(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone));
        support::write_images(&mut world, &mut workers);
        let kill = |world: &mut World| {
            let tool = world.tool(dialect, tool_id(9), Verb::Kill, Interval::Unchanged);
            assert!(world.answer(tool, dialect).is_some());
            world.wait(Duration::from_secs(10));
            format!("{:?}", world.core).len()
        };
        let before = kill(&mut world);
        let after = (0..100).map(|_| kill(&mut world)).max();
        assert!(after < Some(before + 100), "{before} -> {after:?}");
        world.seal(Ok(()));
        workers[0].take(&mut world);
        assert!(world.has_event(|event| matches!(event, Event::Killing { .. })));
    });
}

/// A worker that is given up on dies, and with it what it sent and nobody read: also the word that it
/// got to where those of its host wait for each other. They stood still for ever behind it.
#[test]
fn whose_word_of_where_it_is_was_not_read_may_have_held_its_host() {
    for_each_barrier_dialect(|dialect| {
        let (mut world, mut workers) = told(dialect, &["here", "here", "there"]);
        through_barriers(&mut world, &mut workers, 1);
        workers[2].reach(&mut world, 1);
        world.wait(Duration::from_secs(10));
        let numbers: Vec<u64> = world.core.workers().map(|worker| worker.number).collect();
        // Its next word is on its way, and lost.
        world.input(Input::GiveUp {
            round: 1,
            workers: &numbers[..1],
            after: Duration::from_secs(10),
            survivors: Survivors::RunOn,
        });
        assert_eq!(world.killed.len(), 1, "nothing says yet that it got there");

        // The one beside it, which waits for it, says nothing more.
        world.wait(CoordinatorConfig::default().kill_timeout);
        let killed: Vec<_> = world.killed.iter().map(|worker| worker.id).collect();
        assert_eq!(killed, [workers[0].id, workers[1].id]);
        let mut left = workers.split_off(2);
        assert!(left[0].released(&mut world).is_some());
        for step in 2..left[0].steps().len() {
            left[0].reach(&mut world, step);
        }
        left[0].report(&mut world);
        support::resume_all(&mut world, &mut left);

        let next = world.request(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone));
        support::write_images(&mut world, &mut left);
        world.seal(Ok(()));
        let reply = world.reply(next);
        assert!(
            matches!(reply, Some(Ok(Reply::Checkpointed(_)))),
            "{reply:?}"
        );
    });
}
