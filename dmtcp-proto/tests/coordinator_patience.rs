//! Tools that want a checkpoint a moment too soon: a process is only just being started, or the
//! images of the last round are only just being looked at.

mod support;

use dmtcp_proto::{
    AfterCheckpoint, Body, Command, CommandStatus, CoordinatorConfig, Dialect, Interval, Text,
    Verb, WorkerState,
};
use std::time::Duration;
use support::{
    Worker, World, for_each_barrier_dialect, for_each_dialect, resume_all, tool_id, write_images,
};

fn world() -> World {
    World::new(CoordinatorConfig::default())
}

fn ask(world: &mut World, dialect: Dialect) -> dmtcp_proto::ConnId {
    let from = tool_id(9);
    world.tool(dialect, from, Verb::Checkpoint, Interval::Unchanged)
}

#[test]
fn a_checkpoint_begins_when_the_images_of_the_last_one_are_there() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let mut workers = vec![Worker::launch(&mut world, dialect)];
        world.request(Command::Checkpoint(AfterCheckpoint::ReplyAtOnce));
        write_images(&mut world, &mut workers);
        resume_all(&mut world, &mut workers);
        let [first, second] = [(); 2].map(|()| ask(&mut world, dialect));
        assert_eq!(world.answer(first, dialect), None);
        world.seal(Ok(()));
        let answer = world.answer(first, dialect).unwrap();
        assert_eq!((answer.status, answer.peers), (CommandStatus::Success, 1));
        workers[0].order(&mut world);
        // There is no moment after which that one could begin.
        let answer = world.answer(second, dialect).unwrap();
        assert_eq!(answer.status, CommandStatus::NotRunning);
    });
}

#[test]
fn a_checkpoint_begins_when_the_last_process_has_come_to_run() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let one = Worker::launch(&mut world, dialect);
        let mut two = Worker::knock(&mut world, dialect, "here", WorkerState::Unknown);
        let tool = ask(&mut world, dialect);
        assert_eq!(world.answer(tool, dialect), None);
        two.start(&mut world);
        let answer = world.answer(tool, dialect).unwrap();
        assert_eq!((answer.status, answer.peers), (CommandStatus::Success, 2));
        one.order(&mut world);
        two.order(&mut world);
    });
}

#[test]
fn a_tool_does_not_wait_for_long() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let _runs = Worker::launch(&mut world, dialect);
        let _starts = Worker::knock(&mut world, dialect, "here", WorkerState::Unknown);
        let tool = ask(&mut world, dialect);
        world.wait(Duration::from_millis(199));
        assert_eq!(world.answer(tool, dialect), None);
        world.wait(Duration::from_millis(1));
        let answer = world.answer(tool, dialect).unwrap();
        assert_eq!(answer.status, CommandStatus::NotRunning);
    });
}

#[test]
fn a_tool_does_not_wait_for_nobody_nor_for_a_round() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let status = |world: &mut World| {
            let tool = ask(world, dialect);
            world.answer(tool, dialect).map(|answer| answer.status)
        };
        assert_eq!(status(&mut world), Some(CommandStatus::NotRunning));
        let worker = Worker::launch(&mut world, dialect);
        world.request(Command::Checkpoint(AfterCheckpoint::ReplyAtOnce));
        assert_eq!(status(&mut world), Some(CommandStatus::NotRunning));
        world.hang_up(worker.conn);
        assert_eq!(status(&mut world), Some(CommandStatus::NotRunning));
    });
}

/// A stock coordinator ends itself (`docs/PROTOCOL.md`, 12).
#[test]
fn what_a_suspended_worker_says_of_itself_changes_nothing_of_its_part() {
    for_each_barrier_dialect(|dialect| {
        let mut world = world();
        let mut workers = [(); 2].map(|()| Worker::launch(&mut world, dialect));
        let id = world.request(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone));
        let steps = workers[0].steps();
        for worker in &workers {
            worker.order(&mut world);
        }
        for step in 0..2 {
            for worker in &mut workers {
                worker.reach(&mut world, step);
            }
            for worker in &workers {
                worker.released(&mut world).unwrap();
            }
        }
        workers[0].state = WorkerState::Suspended;
        let (real_pid, program) = (9, Text::from("counter"));
        workers[0].say(&mut world, Body::ProcessAfterExec { real_pid, program });
        assert!(workers[0].take(&mut world).is_empty(), "told again");
        for step in 2..steps.len() {
            for worker in &mut workers {
                worker.reach(&mut world, step);
            }
            for worker in &workers {
                worker.released(&mut world).unwrap();
            }
        }
        for worker in &mut workers {
            worker.report(&mut world);
        }
        world.seal(Ok(()));
        assert!(matches!(world.reply(id), Some(Ok(_))));
    });
}
