//! What a driver is told of connections so that it serves them well.

mod support;

use bytes::BytesMut;
use dmtcp_proto::{
    AfterCheckpoint, Body, Command, CoordinatorConfig, Message, Text, UniquePid, UserCommand, Verb,
    WorkerState,
};
use support::{Worker, World, encoded, for_each_dialect, resume_all, write_images};

fn world() -> World {
    World::new(CoordinatorConfig::default())
}

#[test]
fn workers_and_their_side_channels_stay_and_tools_do_not() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let stranger = world.connect();
        assert!(!world.core.stays(stranger));

        let side = Message::new(UniquePid::NULL, Body::NameServiceWorker);
        world.bytes(stranger, &encoded(dialect, &side));
        assert!(world.core.stays(stranger));

        let worker = Worker::knock(&mut world, dialect, "here", WorkerState::Unknown);
        assert!(world.core.stays(worker.conn));

        let tool = world.connect();
        let status = Body::UserCommand(UserCommand::new(Verb::Status));
        let status = encoded(dialect, &Message::new(UniquePid::NULL, status));
        let half = BytesMut::from(&status[..status.len() / 2]);
        world.bytes(tool, &half);
        assert!(!world.core.stays(tool));
        world.bytes(tool, &status[half.len()..]);
        assert!(!world.core.stays(tool));

        world.hang_up(worker.conn);
        assert!(!world.core.stays(worker.conn));
    });
}

/// Only what waits for us can have nothing more to say.
#[test]
fn a_worker_at_a_barrier_holds_nothing_back() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let [mut one, mut two] = [(); 2].map(|()| Worker::launch(&mut world, dialect));
        assert!(world.core.may_hold_back(one.conn), "it runs");
        world.request(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone));
        one.order(&mut world);
        two.order(&mut world);
        assert!(world.core.may_hold_back(one.conn), "it has to answer");
        one.reach(&mut world, 0);
        assert!(!world.core.may_hold_back(one.conn), "it waits");
        assert!(world.core.may_hold_back(two.conn));
        two.reach(&mut world, 0);
        for worker in [&one, &two] {
            let conn = worker.conn;
            assert!(world.core.may_hold_back(conn), "it was let go on");
        }

        one.reach(&mut world, 1);
        assert!(!world.core.may_hold_back(one.conn));
        let more = Body::SetCheckpointDir(Text::from("/there"));
        let more = encoded(dialect, &Message::new(one.id, more));
        world.bytes(one.conn, &more[..more.len() - 1]);
        assert!(world.core.may_hold_back(one.conn), "its message is cut");
    });
}

/// It is told to go on by the next order.
#[test]
fn a_worker_that_has_resumed_holds_nothing_back_until_it_speaks() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let mut workers = [Worker::launch(&mut world, dialect)];
        world.request(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone));
        write_images(&mut world, &mut workers);
        world.seal(Ok(()));
        resume_all(&mut world, &mut workers);
        let [worker] = workers;
        assert!(!world.core.may_hold_back(worker.conn));
        let more = Body::SetCheckpointDir(Text::from("/there"));
        worker.say(&mut world, more);
        assert!(world.core.may_hold_back(worker.conn), "it may go on");
    });
}
