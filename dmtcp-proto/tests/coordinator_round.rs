//! Checkpoint rounds: complete ones, and every way to lose a worker in one.

mod support;

use dmtcp_proto::{
    AfterCheckpoint, Body, Checkpointed, Command, CommandError, CoordinatorConfig, Dialect, Event,
    Interval, Message, Name, Reply, RoundError, Status, Text, WorkerState,
};
use std::time::Duration;
use support::{
    Worker, World, for_each_barrier_dialect, for_each_dialect, resume_all, through_all_barriers,
    through_barriers, write_images,
};

fn launched(dialect: Dialect, count: usize) -> (World, Vec<Worker>) {
    let mut world = World::new(CoordinatorConfig::default());
    let workers = (0..count)
        .map(|_| Worker::launch(&mut world, dialect))
        .collect();
    (world, workers)
}

fn checkpoint(world: &mut World) -> u64 {
    world.request(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone))
}

fn done(peers: u32, round: u64) -> Option<Result<Reply, CommandError>> {
    Some(Ok(Reply::Checkpointed(Checkpointed::new(
        peers,
        Some(round),
    ))))
}

fn failed(world: &World) -> Option<&RoundError> {
    world.events.iter().find_map(|event| match event {
        Event::CheckpointFailed { reason, .. } => Some(reason),
        _ => None,
    })
}

#[test]
fn a_round_is_complete_only_when_it_is_sealed() {
    for_each_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 3);
        for round in 1..=2 {
            let id = checkpoint(&mut world);
            write_images(&mut world, &mut workers);
            assert_eq!(world.reply(id), None);
            let (number, computation, images) = world.seals.last().unwrap().clone();
            assert_eq!((number, images.len()), (round, 3));
            assert_eq!(u64::from(computation.generation), round);
            assert!(computation.same_as(&workers[0].group));

            // Workers run again meanwhile, and nothing new can begin.
            resume_all(&mut world, &mut workers);
            let early = checkpoint(&mut world);
            let busy = Some(Err(CommandError::Busy {
                round,
                generation: computation.generation,
            }));
            assert_eq!(world.reply(early), busy);

            world.seal(Ok(()));
            assert_eq!(world.reply(id), done(3, round));
        }
        assert_eq!(failed(&world), None);
    });
}

#[test]
fn the_next_round_waits_until_all_run_again() {
    for_each_barrier_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 2);
        checkpoint(&mut world);
        write_images(&mut world, &mut workers);
        world.seal(Ok(()));
        workers[0].resume(&mut world);
        let early = checkpoint(&mut world);
        assert!(matches!(
            world.reply(early),
            Some(Err(CommandError::Busy { .. }))
        ));
        workers[1].resume(&mut world);
        assert!(world.has_event(|event| *event == Event::Resumed));
        let next = checkpoint(&mut world);
        assert_eq!(world.reply(next), None);
    });
}

#[test]
fn a_seal_that_fails_fails_the_round_and_not_the_workers() {
    for_each_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 1);
        let id = checkpoint(&mut world);
        write_images(&mut world, &mut workers);
        resume_all(&mut world, &mut workers);
        world.seal(Err("disk full".into()));
        assert!(matches!(
            world.reply(id),
            Some(Err(CommandError::CheckpointFailed { .. }))
        ));
        assert_eq!(failed(&world), Some(&RoundError::Seal("disk full".into())));
        let next = checkpoint(&mut world);
        write_images(&mut world, &mut workers);
        world.seal(Ok(()));
        assert_eq!(world.reply(next), done(1, 2));
    });
}

#[test]
fn nothing_to_checkpoint() {
    let mut world = World::new(CoordinatorConfig::default());
    let id = checkpoint(&mut world);
    assert_eq!(world.reply(id), Some(Err(CommandError::NotRunning)));
    for_each_dialect(|dialect| {
        let mut world = World::new(CoordinatorConfig::default());
        Worker::knock(&mut world, dialect, "here", WorkerState::Unknown);
        let id = checkpoint(&mut world);
        assert_eq!(
            world.reply(id),
            Some(Err(CommandError::NotRunning)),
            "it only launches yet"
        );
    });
}

#[test]
fn a_process_that_ends_before_it_answers_is_not_part_of_the_checkpoint() {
    for_each_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 3);
        let id = checkpoint(&mut world);
        let short_lived = workers.pop().unwrap();
        world.hang_up(short_lived.conn);
        write_images(&mut world, &mut workers);
        world.seal(Ok(()));
        assert_eq!(world.reply(id), done(2, 1));
    });
}

/// A host that is cut off has not acknowledged the order, and its process goes on.
#[test]
fn a_process_that_vanishes_before_it_answers_fails_the_checkpoint() {
    for_each_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 3);
        let id = checkpoint(&mut world);
        let vanished = workers.pop().unwrap();
        world.vanish(vanished.conn);
        assert!(matches!(
            world.reply(id),
            Some(Err(CommandError::CheckpointFailed { .. }))
        ));
        assert!(matches!(failed(&world), Some(RoundError::PeerLost(_))));
    });
}

/// It is cut off, but nothing says that its process ends of that.
#[test]
fn a_process_that_breaks_the_protocol_before_it_answers_fails_the_checkpoint() {
    for_each_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 3);
        let id = checkpoint(&mut world);
        let broken = workers.pop().unwrap();
        broken.say(&mut world, Body::KillPeer);
        assert!(world.is_closed(broken.conn));
        assert!(matches!(failed(&world), Some(RoundError::PeerLost(_))));
        assert!(matches!(
            world.reply(id),
            Some(Err(CommandError::CheckpointFailed { .. }))
        ));
        write_images(&mut world, &mut workers);
        assert!(world.seals.is_empty());
    });
}

#[test]
fn a_round_whose_only_worker_ends_is_answered() {
    for_each_dialect(|dialect| {
        let (mut world, workers) = launched(dialect, 1);
        let id = checkpoint(&mut world);
        world.hang_up(workers[0].conn);
        assert!(matches!(
            world.reply(id),
            Some(Err(CommandError::CheckpointFailed { .. }))
        ));
        assert!(world.has_event(|event| matches!(event, Event::ComputationEnded { .. })));
    });
}

/// The stock coordinator says "all good" or hangs (`docs/PROTOCOL.md`, weaknesses 27 and 29).
#[test]
fn a_worker_lost_at_any_barrier_fails_the_round_and_frees_the_others() {
    for_each_barrier_dialect(|dialect| {
        for lost_at in 0..4 {
            let (mut world, mut workers) = launched(dialect, 2);
            let id = checkpoint(&mut world);
            for worker in &workers {
                worker.order(&mut world);
            }
            through_barriers(&mut world, &mut workers, lost_at);
            let mut lost = workers.pop().unwrap();
            let (barrier, state) = support::CHECKPOINT_BARRIERS[lost_at];
            lost.arrive(&mut world, state, barrier);
            world.hang_up(lost.conn);

            assert!(matches!(
                world.reply(id),
                Some(Err(CommandError::CheckpointFailed { .. }))
            ));
            let Some(RoundError::PeerLost(info)) = failed(&world) else {
                panic!("{:?}", world.events)
            };
            assert_eq!(info.id, lost.id);
            assert!(world.seals.is_empty());

            let survivor = &mut workers[0];
            if lost_at == 0 {
                // Still free: it goes through the round, and the next one succeeds.
                assert!(world.killed.is_empty());
                through_all_barriers(&mut world, &mut workers);
                workers[0].report(&mut world);
                assert!(world.seals.is_empty(), "half a set must never be sealed");
                workers[0].resume(&mut world);
                let next = checkpoint(&mut world);
                write_images(&mut world, &mut workers);
                world.seal(Ok(()));
                assert_eq!(world.reply(next), done(1, 2));
            } else {
                // Inside DMTCP's own barrier: nothing but SIGKILL ends it.
                assert_eq!(world.killed.len(), 1);
                assert_eq!(world.killed[0].id, survivor.id);
                assert!(world.is_closed(survivor.conn));
            }
        }
    });
}

#[test]
fn survivors_on_other_hosts_are_not_killed() {
    for_each_barrier_dialect(|dialect| {
        let mut world = World::new(CoordinatorConfig::default());
        let mut workers = vec![
            Worker::launch_on(&mut world, dialect, "one"),
            Worker::launch_on(&mut world, dialect, "two"),
        ];
        checkpoint(&mut world);
        for worker in &workers {
            worker.order(&mut world);
        }
        through_barriers(&mut world, &mut workers, 2);
        world.hang_up(workers.pop().unwrap().conn);
        assert!(world.killed.is_empty());
        let survivor = &mut workers[0];
        for (barrier, state) in &support::CHECKPOINT_BARRIERS[2..] {
            survivor.arrive(&mut world, *state, barrier);
            assert!(survivor.released(&mut world).is_some());
        }
        survivor.report(&mut world);
        survivor.resume(&mut world);
        let next = checkpoint(&mut world);
        assert_eq!(world.reply(next), None, "the next round begins");
    });
}

/// The stock coordinator then refuses every later checkpoint (`docs/PROTOCOL.md`, weakness 29).
#[test]
fn w29_a_worker_lost_behind_its_report_does_not_spoil_the_set() {
    for_each_barrier_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 2);
        let id = checkpoint(&mut world);
        write_images(&mut world, &mut workers);
        world.hang_up(workers.pop().unwrap().conn);
        world.seal(Ok(()));
        assert_eq!(world.reply(id), done(2, 1));
        // The other may wait for the dead one inside DMTCP; it is not left there for ever.
        world.wait(Duration::from_secs(6));
        assert_eq!(world.killed.len(), 1);
    });
}

#[test]
fn a_stall_is_named_and_ended() {
    for_each_dialect(|dialect| {
        let limit = Duration::from_secs(30);
        let mut world = World::new(CoordinatorConfig::default().stall_timeout(Some(limit)));
        let mut workers = [
            Worker::launch(&mut world, dialect),
            Worker::launch(&mut world, dialect),
        ];
        let id = checkpoint(&mut world);
        workers[0].order(&mut world);
        world.wait(Duration::from_secs(20));
        workers[0].reach(&mut world, 0);
        world.wait(Duration::from_secs(29));
        assert_eq!(world.reply(id), None);
        world.wait(Duration::from_secs(2));
        let Some(RoundError::Stalled(late)) = failed(&world) else {
            panic!("{:?}", world.events)
        };
        assert_eq!(late.len(), 1);
        assert_eq!(late[0].id, workers[1].id);
        assert_eq!(world.killed.len(), 2);
    });
}

#[test]
fn a_child_forked_in_a_round_walks_through_it() {
    walks_through(WorkerState::Running);
}

/// Stock coordinators refuse it, which ends the whole program: its parent's checkpoint thread had
/// been faster than the thread that forks.
#[test]
fn a_child_announced_in_its_parents_state_walks_through_it() {
    walks_through(WorkerState::PreSuspend);
}

fn walks_through(announced: WorkerState) {
    for_each_barrier_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 1);
        let id = checkpoint(&mut world);
        workers[0].order(&mut world);
        through_barriers(&mut world, &mut workers, 1);

        let mut child = Worker::knock(&mut world, dialect, "here", announced);
        let listed = world.core.workers().last().unwrap();
        assert_eq!(listed.state, WorkerState::Running);
        let inbox = child.take(&mut world);
        let [accept, order] = &inbox[..] else {
            panic!("{inbox:?}")
        };
        let Body::Accept(accepted) = &accept.body else {
            panic!("{accept:?}")
        };
        assert_ne!(accepted.time_stamp, 0, "the shared area is named by it");
        assert!(matches!(order.body, Body::DoCheckpoint(_)));
        child.id.pid = accepted.virtual_pid;
        child.say(&mut world, Body::ProcessAfterFork { real_pid: 4242 });
        child.reach(&mut world, 0);
        assert!(child.released(&mut world).is_some(), "it catches up alone");

        workers.push(child);
        for (barrier, state) in &support::CHECKPOINT_BARRIERS[1..] {
            workers[0].arrive(&mut world, *state, barrier);
            assert_eq!(
                workers[0].released(&mut world),
                None,
                "the child is waited for"
            );
            workers[1].arrive(&mut world, *state, barrier);
            for worker in &workers {
                assert_eq!(worker.released(&mut world).unwrap().peers, 2);
            }
        }
        for worker in &mut workers {
            worker.report(&mut world);
        }
        world.seal(Ok(()));
        assert_eq!(world.reply(id), done(2, 1));
    });
}

/// The stock coordinator refuses it, cuts it off or dies (`docs/PROTOCOL.md`, weakness 16).
#[test]
fn w16_a_program_launched_in_a_round_waits_for_its_end() {
    for_each_barrier_dialect(|dialect| {
        for barriers in 1..=support::CHECKPOINT_BARRIERS.len() {
            let (mut world, mut workers) = launched(dialect, 1);
            checkpoint(&mut world);
            workers[0].order(&mut world);
            through_barriers(&mut world, &mut workers, barriers);
            let mut newcomer = Worker::knock(&mut world, dialect, "here", WorkerState::Unknown);
            assert!(newcomer.take(&mut world).is_empty());
            for (barrier, state) in &support::CHECKPOINT_BARRIERS[barriers..] {
                workers[0].arrive(&mut world, *state, barrier);
                assert_eq!(workers[0].released(&mut world).unwrap().peers, 1);
            }
            workers[0].report(&mut world);
            assert!(newcomer.take(&mut world).is_empty());
            resume_all(&mut world, &mut workers);
            newcomer.start(&mut world);
            world.seal(Ok(()));
            assert_eq!(world.core.status(), Status::new(2, true, Interval::Never));
        }
    });
}

/// The stock coordinator forgets it (`docs/PROTOCOL.md`, weakness 32).
#[test]
fn w32_an_exec_in_a_round_repeats_the_whole_order() {
    for_each_barrier_dialect(|dialect| {
        let (mut world, workers) = launched(dialect, 1);
        world.request(Command::Checkpoint(AfterCheckpoint::KillWorkers));
        assert!(workers[0].order(&mut world).then_exit);
        workers[0].say(
            &mut world,
            Body::ProcessAfterExec {
                real_pid: 9,
                program: Text::from("sh"),
            },
        );
        let again = workers[0].order(&mut world);
        assert!(again.then_exit);
        assert_eq!(again.peers, 1);
    });
}

#[test]
fn checkpoint_and_kill() {
    for_each_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 2);
        let id = world.request(Command::Checkpoint(AfterCheckpoint::KillWorkers));
        write_images(&mut world, &mut workers);
        // One exits by itself before the seal; the other one must be told behind it.
        world.hang_up(workers[0].conn);
        assert!(
            workers[1].take(&mut world).is_empty(),
            "no kill before the seal"
        );
        world.seal(Ok(()));
        assert_eq!(world.reply(id), done(2, 1));
        assert_eq!(
            workers[1].take(&mut world).pop().unwrap().body,
            Body::KillPeer
        );
        world.hang_up(workers[1].conn);
        assert!(world.killed.is_empty());
        assert!(world.has_event(|event| matches!(event, Event::ComputationEnded { .. })));
    });
}

#[test]
fn a_kill_waits_for_the_seal() {
    for_each_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 1);
        let round = checkpoint(&mut world);
        write_images(&mut world, &mut workers);
        resume_all(&mut world, &mut workers);
        let kill = world.request(Command::Kill);
        assert!(workers[0].take(&mut world).is_empty());
        world.seal(Ok(()));
        assert_eq!(world.reply(round), done(1, 1));
        assert_eq!(
            workers[0].take(&mut world).pop().unwrap().body,
            Body::KillPeer
        );
        assert_eq!(world.reply(kill), None, "it has not gone yet");
        world.hang_up(workers[0].conn);
        assert_eq!(world.reply(kill), Some(Ok(Reply::Done)));
    });
}

/// One worker that does not die blocks the stock coordinator (`docs/PROTOCOL.md`, weakness 39).
#[test]
fn w39_a_worker_that_does_not_obey_a_kill_is_cut_off() {
    for_each_dialect(|dialect| {
        let (mut world, workers) = launched(dialect, 1);
        let kill = world.request(Command::Kill);
        world.wait(Duration::from_secs(6));
        assert_eq!(world.killed.len(), 1);
        assert!(world.is_closed(workers[0].conn));
        assert_eq!(world.reply(kill), Some(Ok(Reply::Done)));
    });
}

#[test]
fn periodic_checkpoints() {
    for_each_dialect(|dialect| {
        let period = Duration::from_secs(10);
        let config = CoordinatorConfig::default().interval(Interval::Every(period));
        let mut world = World::new(config);
        let mut workers = [Worker::launch(&mut world, dialect)];
        world.wait(Duration::from_secs(9));
        assert!(workers[0].take(&mut world).is_empty());
        world.wait(Duration::from_secs(1));
        write_images(&mut world, &mut workers);
        resume_all(&mut world, &mut workers);
        world.wait(Duration::from_secs(100));
        assert!(
            workers[0].take(&mut world).is_empty(),
            "not before the seal"
        );
        world.seal(Ok(()));
        world.wait(Duration::from_secs(10));
        workers[0].order(&mut world);
    });
}

/// ≤ 4.2.0 asserts, the development head cuts off whoever differs (`docs/PROTOCOL.md`, weakness 17).
#[test]
fn w17_a_worker_at_another_barrier_is_cut_off_alone() {
    for_each_barrier_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 2);
        checkpoint(&mut world);
        workers[0].reach(&mut world, 0);
        workers[1].arrive(&mut world, WorkerState::PreSuspend, "other");
        assert!(world.is_closed(workers[1].conn));
        assert!(!world.is_closed(workers[0].conn));
        let name = Name::new("DMT:SUSPEND").unwrap();
        assert!(world.has_event(|event| *event == Event::BarrierReleased { name, peers: 1 }));
    });
}

/// The last one leaves because the first one's departure cut it off.
#[test]
fn the_end_of_a_computation_is_told_once() {
    for_each_barrier_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 3);
        checkpoint(&mut world);
        for worker in &workers {
            worker.order(&mut world);
        }
        through_barriers(&mut world, &mut workers, 2);
        world.hang_up(workers[0].conn);
        let ends: Vec<&Event> = world
            .events
            .iter()
            .filter(|event| matches!(event, Event::ComputationEnded { .. }))
            .collect();
        let computation = workers[1].group.with_generation(1);
        assert_eq!(ends, [&Event::ComputationEnded { computation }]);
    });
}

/// A survivor may not have seen the order yet: a second one would reach it in the first's middle.
#[test]
fn a_failed_round_ends_when_all_who_were_told_are_through_it() {
    for_each_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 2);
        checkpoint(&mut world);
        let mut lost = workers.pop().unwrap();
        lost.reach(&mut world, 0);
        world.hang_up(lost.conn);
        let early = checkpoint(&mut world);
        let answer = world.reply(early);
        assert!(
            matches!(answer, Some(Err(CommandError::Busy { .. }))),
            "{answer:?}"
        );
        write_images(&mut world, &mut workers);
        resume_all(&mut world, &mut workers);
        let next = checkpoint(&mut world);
        write_images(&mut world, &mut workers);
        world.seal(Ok(()));
        assert_eq!(world.reply(next), done(1, 2));
    });
}

/// Its parent is held inside fork() until the child is admitted, and the others wait for both.
#[test]
fn a_child_forked_in_a_failed_round_walks_through_it() {
    for_each_barrier_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 3);
        checkpoint(&mut world);
        for worker in &workers {
            worker.order(&mut world);
        }
        let mut lost = workers.pop().unwrap();
        lost.reach(&mut world, 0);
        world.hang_up(lost.conn);
        workers[0].reach(&mut world, 0);

        let child = Worker::knock(&mut world, dialect, "here", WorkerState::Running);
        let inbox = child.take(&mut world);
        assert!(
            matches!(
                inbox
                    .iter()
                    .map(|message| &message.body)
                    .collect::<Vec<_>>()[..],
                [Body::Accept(_), Body::DoCheckpoint(_)]
            ),
            "{inbox:?}"
        );
        child.say(&mut world, Body::ProcessAfterFork { real_pid: 4242 });
        workers.push(child);
        for worker in &mut workers[1..] {
            worker.reach(&mut world, 0);
        }
        for worker in &workers {
            assert!(worker.released(&mut world).is_some());
        }
    });
}

/// The new program's checkpoint thread knows nothing of the barrier its predecessor stood at.
#[test]
fn w16_an_exec_behind_the_first_barrier_starts_the_round_anew() {
    for_each_barrier_dialect(|dialect| {
        for released in [false, true] {
            let (mut world, mut workers) = launched(dialect, 2);
            let id = checkpoint(&mut world);
            for worker in &workers {
                worker.order(&mut world);
            }
            workers[0].reach(&mut world, 0);
            if released {
                workers[1].reach(&mut world, 0);
                for worker in &workers {
                    assert!(worker.released(&mut world).is_some());
                }
            }
            workers[0].state = WorkerState::Running;
            let program = Text::from("sh");
            let exec = Body::ProcessAfterExec {
                real_pid: 9,
                program,
            };
            workers[0].say(&mut world, exec);
            workers[0].order(&mut world);
            if !released {
                workers[1].reach(&mut world, 0);
                let early = workers[1].released(&mut world);
                assert_eq!(early, None, "the new program has not arrived");
            }
            workers[0].reach(&mut world, 0);
            if !released {
                assert!(workers[1].released(&mut world).is_some());
            }
            assert!(workers[0].released(&mut world).is_some());
            for (barrier, state) in &support::CHECKPOINT_BARRIERS[1..] {
                for worker in &mut workers {
                    worker.arrive(&mut world, *state, barrier);
                }
                for worker in &workers {
                    assert_eq!(worker.released(&mut world).unwrap().peers, 2);
                }
            }
            for worker in &mut workers {
                worker.report(&mut world);
            }
            world.seal(Ok(()));
            assert_eq!(world.reply(id), done(2, 1));
        }
    });
}

#[test]
fn a_worker_that_resumes_without_an_image_fails_the_round_at_once() {
    for_each_barrier_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 2);
        let id = checkpoint(&mut world);
        for worker in &workers {
            worker.order(&mut world);
        }
        through_all_barriers(&mut world, &mut workers);
        workers[0].resume(&mut world);
        let reason = failed(&world).expect("it waits for ever");
        assert!(matches!(reason, RoundError::NoImage(info) if info.id == workers[0].id));
        assert!(matches!(
            world.reply(id),
            Some(Err(CommandError::CheckpointFailed { .. }))
        ));
        workers[1].report(&mut world);
        workers[1].resume(&mut world);
        let next = checkpoint(&mut world);
        write_images(&mut world, &mut workers);
        world.seal(Ok(()));
        assert_eq!(world.reply(next), done(2, 2));
    });
}

#[test]
fn workers_stuck_on_two_hosts_are_both_freed() {
    for_each_barrier_dialect(|dialect| {
        let mut world = World::new(CoordinatorConfig::default());
        let mut workers: Vec<Worker> = ["one", "one", "two", "two"]
            .map(|host| Worker::launch_on(&mut world, dialect, host))
            .into();
        checkpoint(&mut world);
        write_images(&mut world, &mut workers);
        world.hang_up(workers[0].conn);
        world.hang_up(workers[2].conn);
        world.wait(Duration::from_secs(6));
        assert_eq!(world.killed.len(), 2);
    });
}

#[test]
fn a_stall_limit_ends_a_failed_round_too() {
    for_each_dialect(|dialect| {
        let limit = Duration::from_secs(30);
        let mut world = World::new(CoordinatorConfig::default().stall_timeout(Some(limit)));
        let mut workers = [
            Worker::launch_on(&mut world, dialect, "one"),
            Worker::launch_on(&mut world, dialect, "two"),
        ];
        checkpoint(&mut world);
        for worker in &workers {
            worker.order(&mut world);
        }
        through_barriers(&mut world, &mut workers, 2);
        world.hang_up(workers[0].conn);
        world.wait(Duration::from_secs(31));
        assert_eq!(world.killed.len(), 1);
        assert_eq!(world.core.status().peers, 0);
        assert_eq!(world.core.next_timeout(), None);
    });
}

/// The deadline of those beside a lost worker must not outlive what they were late for.
#[test]
fn who_is_through_a_round_is_not_killed_in_the_next() {
    for_each_barrier_dialect(|dialect| {
        let mut world = World::new(CoordinatorConfig::default());
        let mut workers: Vec<Worker> = ["one", "one", "two"]
            .map(|host| Worker::launch_on(&mut world, dialect, host))
            .into();
        checkpoint(&mut world);
        for worker in &workers {
            worker.order(&mut world);
        }
        through_all_barriers(&mut world, &mut workers);
        // One is lost behind its report, one on another host before it: the round fails.
        workers[0].report(&mut world);
        world.hang_up(workers[0].conn);
        world.hang_up(workers[2].conn);
        let survivor = &mut workers[1..2];
        survivor[0].report(&mut world);
        survivor[0].resume(&mut world);

        let next = checkpoint(&mut world);
        survivor[0].reach(&mut world, 0);
        world.wait(Duration::from_secs(6));
        assert!(world.killed.is_empty());
        assert_eq!(world.reply(next), None);
    });
}

/// Told to checkpoint at once, stock workers abort or hang: they say that they run while their
/// threads are still waking up.
#[test]
fn a_round_asked_for_too_soon_begins_when_the_workers_have_settled() {
    for_each_dialect(|dialect| {
        let mut world = World::with(CoordinatorConfig::default());
        let mut workers = [Worker::launch(&mut world, dialect)];
        checkpoint(&mut world);
        write_images(&mut world, &mut workers);
        world.seal(Ok(()));
        resume_all(&mut world, &mut workers);

        let id = checkpoint(&mut world);
        assert!(workers[0].take(&mut world).is_empty(), "not yet");
        let other = checkpoint(&mut world);
        let generation = 2;
        let busy = CommandError::Busy {
            round: 2,
            generation,
        };
        assert_eq!(world.reply(other), Some(Err(busy)));
        // A program that joins meanwhile takes part, once it runs.
        let mut newcomer = Worker::knock(&mut world, dialect, "here", WorkerState::Unknown);
        world.wait(Duration::from_millis(200));
        assert!(
            workers[0].take(&mut world).is_empty(),
            "one is still launching"
        );
        newcomer.start(&mut world);
        let mut workers = [workers[0].clone(), newcomer];
        write_images(&mut world, &mut workers);
        world.seal(Ok(()));
        assert_eq!(world.reply(id), done(2, 2));
    });
}

#[test]
fn a_round_asked_for_too_soon_ends_with_its_computation() {
    for_each_dialect(|dialect| {
        let mut world = World::with(CoordinatorConfig::default());
        let mut workers = [Worker::launch(&mut world, dialect)];
        checkpoint(&mut world);
        write_images(&mut world, &mut workers);
        world.seal(Ok(()));
        resume_all(&mut world, &mut workers);
        let id = checkpoint(&mut world);
        world.hang_up(workers[0].conn);
        let reply = world.reply(id);
        assert!(
            matches!(reply, Some(Err(CommandError::CheckpointFailed { .. }))),
            "{reply:?}"
        );

        // The next computation on this coordinator is not held up by it.
        let mut workers = [Worker::launch(&mut world, dialect)];
        let id = checkpoint(&mut world);
        write_images(&mut world, &mut workers);
        world.seal(Ok(()));
        assert_eq!(world.reply(id), done(1, 3));
    });
}

#[test]
fn a_fork_does_not_wait_for_the_seal() {
    for_each_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 1);
        let id = checkpoint(&mut world);
        write_images(&mut world, &mut workers);
        resume_all(&mut world, &mut workers);
        let child = Worker::knock(&mut world, dialect, "here", WorkerState::Running);
        let inbox = child.take(&mut world);
        assert!(
            matches!(
                inbox[..],
                [Message {
                    body: Body::Accept(_),
                    ..
                }]
            ),
            "{inbox:?}"
        );
        child.say(&mut world, Body::ProcessAfterFork { real_pid: 4242 });
        world.seal(Ok(()));
        assert_eq!(
            world.reply(id),
            done(1, 1),
            "the child is of the next round"
        );
        workers.push(child);
        let id = checkpoint(&mut world);
        write_images(&mut world, &mut workers);
        world.seal(Ok(()));
        assert_eq!(world.reply(id), done(2, 2));
    });
}

/// A set that lacks a program which was just being started would pass for a complete one.
#[test]
fn no_round_begins_before_all_launched_programs_have_joined() {
    for_each_dialect(|dialect| {
        let config = CoordinatorConfig::default()
            .launches(2)
            .interval(Interval::Every(Duration::from_secs(1)));
        let mut world = World::new(config);
        let first = Worker::launch(&mut world, dialect);
        let child = first.knock_for_child(&mut world);
        child.take(&mut world);
        child.say(&mut world, Body::ProcessAfterFork { real_pid: 4242 });
        assert!(!world.core.status().running);
        let early = checkpoint(&mut world);
        assert_eq!(world.reply(early), Some(Err(CommandError::NotRunning)));
        world.wait(Duration::from_secs(10));
        assert!(
            first.take(&mut world).is_empty(),
            "not by the interval either"
        );
        Worker::launch(&mut world, dialect);
        assert!(world.core.status().running);
        assert!(first.order(&mut world).peers == 3);
    });
}

/// 2.4 launches programs in the state of those that are forked.
#[test]
fn a_program_that_2_4_launches_is_not_taken_for_a_child() {
    let config = CoordinatorConfig::default().launches(2);
    let mut world = World::new(config);
    for is_last in [false, true] {
        let mut program = Worker::knock(&mut world, Dialect::V2_4, "here", WorkerState::Running);
        program.start(&mut world);
        assert_eq!(world.core.status().running, is_last);
    }
}

/// Found by the fuzzer: it was ordered alone, in the generation before, and its end was not noticed.
#[test]
fn a_child_forked_before_the_order_is_ordered_with_the_others() {
    for_each_dialect(|dialect| {
        let mut world = World::with(CoordinatorConfig::default());
        let mut workers = vec![Worker::launch(&mut world, dialect)];
        checkpoint(&mut world);
        write_images(&mut world, &mut workers);
        world.seal(Ok(()));
        resume_all(&mut world, &mut workers);
        let id = checkpoint(&mut world);
        let child = Worker::knock(&mut world, dialect, "here", WorkerState::Running);
        let told = child.take(&mut world);
        assert_eq!(told.len(), 1, "accepted and no more: {told:?}");
        world.hang_up(child.conn);
        world.wait(Duration::from_secs(1));
        write_images(&mut world, &mut workers);
        world.seal(Ok(()));
        assert_eq!(world.reply(id), done(1, 2));
    });
}
