//! Two things at once: a restart into a round, a kill in one, a barrier whose last worker leaves.

mod support;

use dmtcp_proto::{
    AfterCheckpoint, Body, Command, CommandError, CommandStatus, CoordinatorConfig, Dialect, Event,
    Interval, Reject, RoundError, UniquePid, Verb,
};
use support::{
    Worker, World, for_each_barrier_dialect, for_each_dialect, resume_all, tool_id, write_images,
};

fn launched(dialect: Dialect, count: usize) -> (World, Vec<Worker>) {
    let mut world = World::new(CoordinatorConfig::default());
    let launch = |_| Worker::launch(&mut world, dialect);
    let workers = (0..count).map(launch).collect();
    (world, workers)
}

#[test]
fn a_barrier_outside_of_a_round_is_met_when_the_last_one_missing_leaves() {
    for_each_barrier_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 3);
        for worker in &mut workers[..2] {
            worker.reach(&mut world, 0);
            assert_eq!(worker.released(&mut world), None);
        }
        world.hang_up(workers[2].conn);
        for worker in &workers[..2] {
            assert_eq!(worker.released(&mut world).unwrap().peers, 2);
        }
    });
}

#[test]
fn nothing_is_restored_into_a_round() {
    for_each_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 2);
        world.request(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone));
        let own = workers[0].group;
        for group in [own, UniquePid { time: 99, ..own }] {
            let id = UniquePid {
                pid: 70_000,
                ..group
            };
            let restored = Worker::restore(&mut world, dialect, id, group, 2);
            let told = restored.take(&mut world).pop().map(|message| message.body);
            assert_eq!(told, Some(Body::Reject(Reject::NotRestarting)));
            assert!(world.is_closed(restored.conn));
        }
        write_images(&mut world, &mut workers);
        resume_all(&mut world, &mut workers);
        world.seal(Ok(()));
        assert!(world.has_event(|event| matches!(event, Event::CheckpointComplete { .. })));
    });
}

#[test]
fn a_kill_reaches_workers_in_every_step_of_a_round() {
    for_each_dialect(|dialect| {
        for step in 0..=launched(dialect, 1).1[0].steps().len() {
            let (mut world, mut workers) = launched(dialect, 2);
            let id = world.request(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone));
            for worker in &workers {
                worker.order(&mut world);
            }
            support::through_barriers(&mut world, &mut workers, step);
            let conn = world.tool(dialect, tool_id(1), Verb::Kill, Interval::Unchanged);
            let answer = world.answer(conn, dialect).unwrap();
            assert_eq!(answer.status, CommandStatus::Success);
            for worker in &workers {
                let told = worker.take(&mut world).pop().map(|message| message.body);
                assert_eq!(told, Some(Body::KillPeer), "behind {step} barriers");
                world.hang_up(worker.conn);
            }
            let reply = world.reply(id);
            assert!(
                matches!(reply, Some(Err(CommandError::CheckpointFailed { .. }))),
                "{reply:?}"
            );
            let killed = |event: &Event| {
                matches!(
                    event,
                    Event::CheckpointFailed {
                        reason: RoundError::Killed,
                        ..
                    }
                )
            };
            assert!(world.has_event(killed));
            let status = world.core.status();
            assert_eq!((status.peers, status.running), (0, false));
        }
    });
}
