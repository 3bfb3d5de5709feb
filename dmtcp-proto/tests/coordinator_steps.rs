//! Every worker's way through a round, step by step, for those who ask for it; and what the
//! coordinator counts.

mod support;

use dmtcp_proto::{
    AfterCheckpoint, Body, Command, CoordinatorConfig, Dialect, Interval, KeyValueOp,
    KeyValueRequest, Name, Text, Verb, WorkerState, WorkerStep,
};
use support::{Worker, World, for_each_dialect, resume_all, tool_id, write_images};

fn launched(dialect: Dialect, steps: bool) -> (World, Vec<Worker>) {
    let mut world = World::new(CoordinatorConfig::default().steps(steps));
    let workers = (0..3)
        .map(|_| Worker::launch(&mut world, dialect))
        .collect();
    (world, workers)
}

fn round(world: &mut World, workers: &mut [Worker]) {
    world.request(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone));
    write_images(world, workers);
    world.seal(Ok(()));
    resume_all(world, workers);
}

#[test]
fn w40_each_worker_tells_each_step_once_and_in_order() {
    for_each_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, true);
        for _ in 0..2 {
            assert_eq!(std::mem::take(&mut world.steps), []);
            round(&mut world, &mut workers);
            let all = std::mem::take(&mut world.steps);
            let of = |number: u64| {
                let own = all.iter().filter(|&&(worker, _)| worker == number);
                own.map(|&(_, step)| step).collect::<Vec<_>>()
            };
            let first = of(1);
            assert_eq!(all.len(), 3 * first.len());
            assert_eq!((of(2), of(3)), (first.clone(), first.clone()));
            let barrier = |name: &str, index| WorkerStep::Barrier {
                name: Name::new(name).unwrap(),
                index,
            };
            let names = workers[0].steps();
            let mut expected: Vec<_> = (0..).zip(&names).map(|(i, (n, _))| barrier(n, i)).collect();
            expected.push(WorkerStep::ImageReported);
            let behind = dialect.phases().get(names.len()..).unwrap_or_default();
            let behind = (names.len() as u32..).zip(behind);
            expected.extend(
                behind
                    .filter(|(_, (_, state))| *state != WorkerState::Running)
                    .map(|(index, (_, state))| barrier(&state.to_string(), index)),
            );
            expected.push(WorkerStep::Running);
            assert_eq!(first, expected);
        }
    });
}

#[test]
fn a_barrier_is_told_when_it_is_reached_and_not_when_it_is_released() {
    for_each_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, true);
        world.request(Command::Checkpoint(AfterCheckpoint::ReplyAtOnce));
        workers[1].reach(&mut world, 0);
        assert!(matches!(
            world.steps[..],
            [(2, WorkerStep::Barrier { index: 0, .. })]
        ));
    });
}

#[test]
fn nobody_is_told_who_has_not_asked() {
    for_each_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, false);
        round(&mut world, &mut workers);
        assert_eq!(world.steps, []);
    });
}

#[test]
fn messages_commands_and_requests_to_the_store_are_counted() {
    for_each_dialect(|dialect| {
        let (mut world, workers) = launched(dialect, false);
        let before = world.core.traffic();
        assert_eq!((before.commands, before.store_requests), (0, 0));
        world.tool(dialect, tool_id(5), Verb::Status, Interval::Unchanged);
        let mut expected = before;
        expected.commands += 1;
        expected.messages += 1;
        assert_eq!(world.core.traffic(), expected);
        if workers[0].is_lockstep() {
            return;
        }
        workers[0].say(
            &mut world,
            Body::KeyValueRequest(KeyValueRequest {
                op: KeyValueOp::Set,
                database: Name::new("db").unwrap(),
                key: Text::from("k"),
                value: Text::from("v"),
            }),
        );
        expected.messages += 1;
        expected.store_requests += 1;
        assert_eq!(world.core.traffic(), expected);
    });
}
