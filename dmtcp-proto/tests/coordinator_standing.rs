//! Who is waited for, as a coordinator tells it, and what follows when nobody waits any longer.

mod support;

use dmtcp_proto::{
    AfterCheckpoint, Awaited, Checkpointed, Command, CommandError, CoordinatorConfig, Dialect,
    Event, Input, Name, Reply, RoundError, Standing, Survivors, UniquePid,
};
use std::time::Duration;
use support::{
    Worker, World, for_each_barrier_dialect, for_each_dialect, resume_all, through_barriers,
    write_images,
};

const LIMIT: Duration = Duration::from_secs(10);

fn launched(dialect: Dialect, hosts: &[&'static str]) -> (World, Vec<Worker>) {
    let mut world = World::new(CoordinatorConfig::default());
    let workers = hosts
        .iter()
        .map(|host| Worker::launch_on(&mut world, dialect, host))
        .collect();
    (world, workers)
}

fn checkpoint(world: &mut World) -> u64 {
    world.request(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone))
}

fn ordered(world: &mut World, workers: &[Worker]) -> u64 {
    let id = checkpoint(world);
    for worker in workers {
        worker.order(world);
    }
    id
}

fn standing(world: &World) -> Standing {
    world.core.standing(world.now).expect("nobody is late")
}

fn late(standing: &Standing) -> Vec<(UniquePid, Duration)> {
    let late = standing.late.iter();
    late.map(|late| (late.worker.id, late.since)).collect()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Gives up on those that are late now.
fn give_up(world: &mut World, survivors: Survivors) {
    let standing = standing(world);
    let workers: Vec<u64> = standing
        .late
        .iter()
        .map(|late| late.worker.number)
        .collect();
    world.input(Input::GiveUp {
        round: standing.round.unwrap(),
        workers: &workers,
        after: LIMIT,
        survivors,
    });
}

fn stalled(world: &World) -> Option<Vec<UniquePid>> {
    world.events.iter().find_map(|event| match event {
        Event::CheckpointFailed {
            reason: RoundError::Stalled(late),
            ..
        } => Some(late.iter().map(|worker| worker.id).collect()),
        _ => None,
    })
}

#[test]
fn who_holds_the_others_up_is_named_at_every_step() {
    for_each_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, &["here"; 3]);
        assert_eq!(world.core.standing(world.now), None);
        let id = ordered(&mut world, &workers);
        world.wait(Duration::from_secs(5));
        let first = standing(&world);
        assert_eq!((first.round, first.peers), (Some(1), 3));
        assert_eq!(first.awaited, Awaited::FirstStep);
        assert_eq!((first.late.len(), first.quiet), (3, Duration::from_secs(5)));

        for (step, (barrier, _)) in workers[0].steps().into_iter().enumerate() {
            workers[0].reach(&mut world, step);
            world.wait(Duration::from_secs(1));
            workers[1].reach(&mut world, step);
            world.wait(Duration::from_secs(12));
            let seen = standing(&world);
            assert_eq!(seen.awaited, Awaited::Barrier(name(&barrier)));
            assert_eq!(seen.quiet, Duration::from_secs(12));
            let [(third, since)] = late(&seen)[..] else {
                panic!("{seen:?}")
            };
            assert_eq!(third, workers[2].id);
            // Since it was told, or let go on with the others.
            let before = if step == 0 { 18 } else { 13 };
            assert_eq!(since, Duration::from_secs(before));
            workers[2].reach(&mut world, step);
            let next = standing(&world);
            assert_eq!(next.awaited, Awaited::Behind(name(&barrier)));
            assert_eq!((next.late.len(), next.quiet), (3, Duration::ZERO));
            for worker in &workers {
                worker.take(&mut world);
            }
        }
        for worker in &mut workers {
            worker.report(&mut world);
        }
        world.wait(Duration::from_secs(2));
        world.seal(Ok(()));
        let behind = standing(&world);
        assert_eq!(behind.awaited, Awaited::Resumed);
        assert_eq!((behind.late.len(), behind.round), (3, Some(1)));
        resume_all(&mut world, &mut workers);
        assert_eq!(world.core.standing(world.now), None);
        assert!(matches!(world.reply(id), Some(Ok(_))));
    });
}

#[test]
fn a_restart_waits_for_those_that_have_not_joined() {
    for_each_barrier_dialect(|dialect| {
        let mut world = World::new(CoordinatorConfig::default());
        let id = UniquePid {
            host_id: 7,
            time: 1,
            pid: 40_000,
            generation: 0,
        };
        let mut worker = Worker::restore(&mut world, dialect, id, id.with_generation(3), 2);
        world.wait(Duration::from_secs(3));
        let seen = standing(&world);
        assert_eq!((seen.round, seen.peers, seen.late.len()), (None, 2, 1));
        worker.reach_restart(&mut world);
        world.wait(Duration::from_secs(3));
        let seen = standing(&world);
        assert_eq!(seen.awaited, Awaited::Barrier(name("DMT:Restart")));
        assert_eq!((seen.peers, seen.missing, seen.late.len()), (2, 1, 0));
        assert_eq!(seen.quiet, Duration::from_secs(3));
    });
}

#[test]
fn who_is_given_up_ends_and_the_others_run_on() {
    for_each_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, &["here"; 3]);
        let id = ordered(&mut world, &workers);
        for worker in &mut workers[..2] {
            worker.reach(&mut world, 0);
        }
        world.wait(LIMIT);
        give_up(&mut world, Survivors::RunOn);
        let lost = workers.pop().unwrap();
        assert_eq!(stalled(&world), Some(vec![lost.id]));
        assert!(world.is_closed(lost.conn));
        assert_eq!(world.killed.len(), 1);
        let answer = world.reply(id);
        let Some(Err(CommandError::CheckpointFailed { reason })) = answer else {
            panic!("{answer:?}")
        };
        assert!(reason.contains("waiting for counter"), "{reason}");

        // Through the rest of the round, for which there is no set.
        for worker in &workers {
            worker.take(&mut world);
        }
        for step in 1..workers[0].steps().len() {
            for worker in &mut workers {
                worker.reach(&mut world, step);
            }
        }
        for worker in &mut workers {
            worker.report(&mut world);
        }
        resume_all(&mut world, &mut workers);
        for worker in &workers {
            worker.take(&mut world);
        }
        assert!(world.has_event(|event| *event == Event::Resumed));
        assert!(world.seals.is_empty());
        let next = checkpoint(&mut world);
        write_images(&mut world, &mut workers);
        world.seal(Ok(()));
        let done = Reply::Checkpointed(Checkpointed::new(2, Some(2)));
        assert_eq!(world.reply(next), Some(Ok(done)));
        assert_eq!(world.killed.len(), 1);
    });
}

/// `docs/PROTOCOL.md`: from a barrier of their own no message frees those beside it.
#[test]
fn those_that_wait_for_it_inside_dmtcp_end_with_it() {
    for_each_barrier_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, &["one", "one", "two"]);
        ordered(&mut world, &workers);
        through_barriers(&mut world, &mut workers, 2);
        for worker in &mut workers[1..] {
            worker.reach(&mut world, 2);
        }
        world.wait(LIMIT);
        give_up(&mut world, Survivors::RunOn);
        assert_eq!(stalled(&world), Some(vec![workers[0].id]));
        let killed: Vec<UniquePid> = world.killed.iter().map(|worker| worker.id).collect();
        assert_eq!(killed, [workers[0].id, workers[1].id]);
        assert_eq!(world.core.status().peers, 1);
    });
}

#[test]
fn nobody_is_cut_off_who_has_got_on_since() {
    for_each_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, &["here"; 2]);
        let id = ordered(&mut world, &workers);
        workers[0].reach(&mut world, 0);
        world.wait(LIMIT);
        let number = standing(&world).late[0].worker.number;
        let give_up = |world: &mut World, round| {
            world.input(Input::GiveUp {
                round,
                workers: &[number],
                after: LIMIT,
                survivors: Survivors::Killed,
            });
        };
        // Of another round.
        give_up(&mut world, 2);
        // All are let go on; for the next step it has not been late for long.
        workers[1].reach(&mut world, 0);
        give_up(&mut world, 1);
        assert!(world.killed.is_empty());
        assert_eq!(stalled(&world), None);
        assert_eq!(world.reply(id), None);
        assert_eq!(world.core.status().peers, 2);
    });
}

#[test]
fn all_end_when_the_computation_is_to_begin_again() {
    for_each_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, &["one", "two", "two"]);
        ordered(&mut world, &workers);
        workers[0].reach(&mut world, 0);
        world.wait(LIMIT);
        give_up(&mut world, Survivors::Killed);
        assert_eq!(stalled(&world), Some(vec![workers[1].id, workers[2].id]));
        assert_eq!(world.killed.len(), 3);
        assert_eq!(world.core.status().peers, 0);
        assert!(world.has_event(|event| matches!(event, Event::ComputationEnded { .. })));
        assert_eq!(world.core.standing(world.now), None);
    });
}
