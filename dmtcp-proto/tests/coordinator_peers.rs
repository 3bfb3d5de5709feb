//! Who is admitted, what tools are told, and what strangers cannot do.

mod support;

use dmtcp_proto::{
    AfterCheckpoint, Body, Command, CommandStatus, CoordinatorConfig, Dialect, Event, Interval,
    KeyValueOp, KeyValueRequest, KeyValueResponse, Name, Reject, Status, Text, UniquePid, Verb,
    WorkerState,
};
use std::time::Duration;
use support::{
    Worker, World, encoded, for_each_barrier_dialect, for_each_dialect, resume_all, tool_id,
    write_images,
};

const OLD: UniquePid = UniquePid {
    host_id: 7,
    time: 1,
    pid: 40_000,
    generation: 3,
};

fn world() -> World {
    World::new(CoordinatorConfig::default())
}

fn reject(world: &mut World, worker: &Worker) -> Reject {
    let reject = match worker.take(world).pop().expect("no answer").body {
        Body::Reject(reject) => reject,
        other => panic!("not rejected: {other:?}"),
    };
    assert!(world.is_closed(worker.conn));
    reject
}

#[test]
fn all_workers_of_a_computation_get_one_time_stamp() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let mut stamps = Vec::new();
        let mut virtual_pids = Vec::new();
        for _ in 0..3 {
            world.wait(Duration::from_secs(1));
            let mut worker = Worker::knock(&mut world, dialect, "here", WorkerState::Unknown);
            let accept = worker.take(&mut world).pop().unwrap();
            let Body::Accept(body) = accept.body else {
                panic!("{accept:?}")
            };
            assert_eq!(accept.group.pid, 40_000, "named after its first process");
            stamps.push(body.time_stamp);
            virtual_pids.push(body.virtual_pid);
            worker.state = WorkerState::Running;
        }
        assert!(
            stamps[0] != 0 && stamps.iter().all(|stamp| *stamp == stamps[0]),
            "{stamps:?}"
        );
        assert_eq!(virtual_pids, [40_000, 41_000, 42_000]);
    });
}

#[test]
fn a_restart_waits_for_all_its_processes() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let ids = [OLD, UniquePid { pid: 41_000, ..OLD }];
        let mut workers: Vec<Worker> = Vec::new();
        for id in ids {
            let mut worker = Worker::restore(&mut world, dialect, id, OLD, 2);
            let accept = worker.take(&mut world).pop().unwrap();
            let Body::Accept(body) = accept.body else {
                panic!("{accept:?}")
            };
            assert_eq!(body.virtual_pid, -1);
            worker.reach_restart(&mut world);
            workers.push(worker);
        }
        for worker in &workers {
            assert_eq!(worker.released(&mut world).unwrap().peers, 2);
        }
        resume_all(&mut world, &mut workers);
        assert!(world.has_event(|event| *event == Event::RestartComplete { peers: 2 }));

        // The generation goes on where the checkpoint stood.
        world.request(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone));
        write_images(&mut world, &mut workers);
        assert_eq!(world.seals[0].1, OLD.with_generation(4));
    });
}

#[test]
fn a_restart_is_complete_though_a_process_ends_before_the_last_one_runs() {
    for_each_barrier_dialect(|dialect| {
        let (mut world, [first, mut second]) = restarting(dialect);
        let complete = |event: &Event| *event == Event::RestartComplete { peers: 2 };
        resume_all(&mut world, &mut [first.clone()]);
        world.hang_up(first.conn);
        assert!(!world.has_event(complete), "the second has still to run");
        resume_all(&mut world, core::slice::from_mut(&mut second));
        assert!(world.has_event(complete));
        world.request(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone));
        write_images(&mut world, core::slice::from_mut(&mut second));
        assert_eq!(world.seals.len(), 1, "it can be checkpointed");
    });
}

#[test]
fn a_process_that_ends_before_it_runs_does_not_complete_a_restart() {
    for_each_barrier_dialect(|dialect| {
        let (mut world, [first, second]) = restarting(dialect);
        world.hang_up(first.conn);
        resume_all(&mut world, &mut [second]);
        assert!(!world.has_event(|event| matches!(event, Event::RestartComplete { .. })));
    });
}

/// Two processes behind the last barrier of their restart.
fn restarting(dialect: Dialect) -> (World, [Worker; 2]) {
    let mut world = world();
    let ids = [OLD, UniquePid { pid: 41_000, ..OLD }];
    let mut workers = ids.map(|id| Worker::restore(&mut world, dialect, id, OLD, 2));
    for worker in &mut workers {
        worker.take(&mut world);
        worker.reach_restart(&mut world);
    }
    for worker in &workers {
        assert!(worker.released(&mut world).is_some());
    }
    (world, workers)
}

#[test]
fn who_is_turned_away_and_with_which_words() {
    for_each_dialect(|dialect| {
        let mut world = world();
        Worker::restore(&mut world, dialect, OLD, OLD, 2);
        let newcomer = Worker::knock(&mut world, dialect, "here", WorkerState::Unknown);
        assert_eq!(reject(&mut world, &newcomer), Reject::NotRunning);
        let stranger = UniquePid { time: 99, ..OLD };
        let stranger = Worker::restore(&mut world, dialect, stranger, stranger, 2);
        assert_eq!(reject(&mut world, &stranger), Reject::WrongComputation);
        // Which number says "peer mismatch" is open until the peer's dialect is certain.
        let other = Worker::restore(&mut world, dialect, OLD, OLD, 3);
        assert_eq!(reject(&mut world, &other), Reject::WrongComputation);
        Worker::restore(
            &mut world,
            dialect,
            UniquePid { pid: 41_000, ..OLD },
            OLD,
            2,
        );
        let third = Worker::restore(
            &mut world,
            dialect,
            UniquePid { pid: 42_000, ..OLD },
            OLD,
            2,
        );
        assert_eq!(reject(&mut world, &third), Reject::NotRestarting);
    });
    for_each_dialect(|dialect| {
        let mut world = world();
        Worker::launch(&mut world, dialect);
        let restored = Worker::restore(&mut world, dialect, OLD, OLD, 1);
        assert_eq!(reject(&mut world, &restored), Reject::NotRestarting);
    });
}

#[test]
fn a_computation_never_mixes_dialects() {
    let mut world = world();
    Worker::launch(&mut world, Dialect::V3);
    let mut stranger = Worker::knock(&mut world, Dialect::V5, "here", WorkerState::Unknown);
    stranger.start(&mut world);
    assert!(world.is_closed(stranger.conn));
    assert!(world.has_event(|event| matches!(event, Event::PeerMisbehaved { .. })));
    assert_eq!(world.core.status().peers, 1);
}

#[test]
fn one_coordinator_serves_tools_of_every_dialect() {
    let mut world = world();
    Worker::launch(&mut world, Dialect::V3);
    for_each_dialect(|dialect| {
        let mut world = self::world();
        Worker::launch(&mut world, Dialect::V3);
        let conn = world.tool(dialect, tool_id(1), Verb::Status, Interval::Unchanged);
        let answer = world.answer(conn, dialect).unwrap();
        assert_eq!(
            (answer.status, answer.peers, answer.running),
            (CommandStatus::Success, 1, true)
        );
        assert_eq!(answer.interval, Interval::Never);
    });
}

#[test]
fn commands_of_tools() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let mut workers = [Worker::launch(&mut world, dialect)];
        let ask = |world: &mut World, verb, interval| {
            let conn = world.tool(dialect, tool_id(1), verb, interval);
            world.answer(conn, dialect).expect("no answer")
        };
        let ten = Interval::Every(Duration::from_secs(10));
        assert_eq!(
            ask(&mut world, Verb::SetInterval, ten).status,
            CommandStatus::Success
        );
        assert_eq!(world.core.status().interval, ten);
        ask(&mut world, Verb::SetInterval, Interval::Never);
        assert_eq!(
            ask(&mut world, Verb::Unknown(0x7e), Interval::Unchanged).status,
            CommandStatus::Invalid
        );
        assert_eq!(
            ask(&mut world, Verb::Help, Interval::Unchanged).status,
            CommandStatus::Success
        );
        let list = ask(&mut world, Verb::List, Interval::Unchanged).text;
        let list = String::from_utf8(list.to_vec()).unwrap();
        assert!(list.contains("counter[40000:1000"), "{list}");

        let started = ask(&mut world, Verb::Checkpoint, Interval::Unchanged);
        assert_eq!((started.status, started.peers), (CommandStatus::Success, 1));
        assert_eq!(
            ask(&mut world, Verb::Checkpoint, Interval::Unchanged).status,
            CommandStatus::NotRunning
        );
        write_images(&mut world, &mut workers);
        resume_all(&mut world, &mut workers);
        world.seal(Ok(()));

        assert_eq!(
            ask(&mut world, Verb::Kill, Interval::Unchanged).status,
            CommandStatus::Success
        );
        assert_eq!(
            workers[0].take(&mut world).pop().unwrap().body,
            Body::KillPeer
        );
    });
}

/// A query must not switch periodic checkpoints off, as it does in 3.0.0.
#[test]
fn only_the_interval_command_changes_the_interval() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let ten = Interval::Every(Duration::from_secs(10));
        world.request(Command::SetInterval(ten));
        world.tool(dialect, tool_id(1), Verb::Status, Interval::Never);
        assert_eq!(world.core.status().interval, ten);
    });
}

/// The stock coordinator forgets the first caller, or never answers (`docs/PROTOCOL.md`, weakness 27).
#[test]
fn w27_every_blocking_caller_gets_a_true_answer() {
    for_each_dialect(|dialect| {
        let has_prefix = dialect.verb_number(Verb::BlockingPrefix).is_some();
        let blocking = |world: &mut World, pid| match has_prefix {
            true => {
                let conn = world.tool(
                    dialect,
                    tool_id(pid),
                    Verb::BlockingPrefix,
                    Interval::Unchanged,
                );
                assert_eq!(
                    world.answer(conn, dialect).unwrap().status,
                    CommandStatus::Success
                );
                world.tool(dialect, tool_id(pid), Verb::Checkpoint, Interval::Unchanged)
            }
            false => world.tool(
                dialect,
                tool_id(pid),
                Verb::BlockingCheckpoint,
                Interval::Unchanged,
            ),
        };
        let mut world = world();
        let early = blocking(&mut world, 1);
        assert_eq!(
            world.answer(early, dialect).unwrap().status,
            CommandStatus::NotRunning
        );

        let mut workers = [Worker::launch(&mut world, dialect)];
        let first = blocking(&mut world, 2);
        assert_eq!(world.answer(first, dialect), None);
        let second = blocking(&mut world, 3);
        assert_eq!(
            world.answer(second, dialect).unwrap().status,
            CommandStatus::NotRunning
        );
        write_images(&mut world, &mut workers);
        assert_eq!(world.answer(first, dialect), None, "not before the seal");
        world.seal(Ok(()));
        let answer = world.answer(first, dialect).unwrap();
        assert_eq!((answer.status, answer.peers), (CommandStatus::Success, 1));

        resume_all(&mut world, &mut workers);
        let third = blocking(&mut world, 4);
        world.hang_up(workers[0].conn);
        assert_eq!(
            world.answer(third, dialect).unwrap().status,
            CommandStatus::CheckpointFailed
        );
    });
}

/// In 3.0.0 anybody's next checkpoint blocks.
#[test]
fn a_prefix_counts_for_its_sender_only() {
    let dialect = Dialect::V3;
    let mut world = world();
    Worker::launch(&mut world, dialect);
    world.tool(
        dialect,
        tool_id(1),
        Verb::BlockingPrefix,
        Interval::Unchanged,
    );
    let other = world.tool(dialect, tool_id(2), Verb::Checkpoint, Interval::Unchanged);
    assert_eq!(
        world.answer(other, dialect).unwrap().status,
        CommandStatus::Success
    );
}

/// A refused one kills the computation at its next checkpoint (`docs/PROTOCOL.md`, weakness 28).
#[test]
fn w28_a_refused_checkpoint_and_kill_leaves_nothing_behind() {
    for_each_barrier_dialect(|dialect| {
        let mut world = world();
        let early = world.tool(
            dialect,
            tool_id(1),
            Verb::CheckpointAndKill,
            Interval::Unchanged,
        );
        assert_eq!(
            world.answer(early, dialect).unwrap().status,
            CommandStatus::NotRunning
        );
        let worker = Worker::launch(&mut world, dialect);
        world.tool(dialect, tool_id(1), Verb::Checkpoint, Interval::Unchanged);
        assert!(!worker.order(&mut world).then_exit);
    });
}

/// Tools of 3.1 to 4.2 send an ordinary checkpoint command behind it and report its refusal.
#[test]
fn checkpoint_and_kill_of_old_tools_is_one_command() {
    let dialect = Dialect::V3;
    let mut world = world();
    let mut workers = [Worker::launch(&mut world, dialect)];
    let killing = world.tool(
        dialect,
        tool_id(1),
        Verb::CheckpointAndKill,
        Interval::Unchanged,
    );
    write_images(&mut world, &mut workers);
    assert_eq!(world.answer(killing, dialect), None, "not before the seal");
    world.seal(Ok(()));
    let answer = world.answer(killing, dialect).unwrap();
    assert_eq!((answer.status, answer.peers), (CommandStatus::Success, 1));
    let behind = world.tool(dialect, tool_id(1), Verb::Checkpoint, Interval::Unchanged);
    assert_eq!(
        world.answer(behind, dialect).unwrap().status,
        CommandStatus::Success
    );
}

#[test]
fn quit_kills_and_stops() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let worker = Worker::launch(&mut world, dialect);
        let conn = world.tool(dialect, tool_id(1), Verb::Quit, Interval::Unchanged);
        assert_eq!(world.answer(conn, dialect), None, "its end is the answer");
        assert!(world.is_closed(conn));
        assert_eq!(worker.take(&mut world).pop().unwrap().body, Body::KillPeer);
        assert!(!world.stopped);
        world.hang_up(worker.conn);
        assert!(world.stopped);
    });
}

#[test]
fn whoever_joins_while_all_are_killed_is_killed_too() {
    for_each_dialect(|dialect| {
        let mut world = world();
        Worker::launch(&mut world, dialect);
        world.request(Command::Kill);
        let late = Worker::knock(&mut world, dialect, "here", WorkerState::Running);
        assert_eq!(late.take(&mut world).pop().unwrap().body, Body::KillPeer);
        assert!(world.is_closed(late.conn));
    });
}

#[test]
fn w04_a_silent_peer_is_cut_off_and_a_slow_one_is_not_waited_for() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let silent = world.connect();
        let half = world.connect();
        let message = dmtcp_proto::Message::new(tool_id(1), Body::NameServiceWorker);
        world.bytes(half, &encoded(dialect, &message)[..100]);
        world.wait(Duration::from_secs(9));
        assert!(!world.is_closed(silent) && !world.is_closed(half));
        let conn = world.tool(dialect, tool_id(1), Verb::Status, Interval::Unchanged);
        assert!(world.answer(conn, dialect).is_some());
        world.wait(Duration::from_secs(1));
        assert!(world.is_closed(silent) && world.is_closed(half));
        assert_eq!(world.core.next_timeout(), None);
    });
}

#[test]
fn garbage_ends_its_own_connection_only() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let worker = Worker::launch(&mut world, dialect);
        let garbage: [&[u8]; 3] = [b"GET / HTTP/1.1\r\n\r\n", &[0; 300], b"DMTCP_CKPT_V0\nx"];
        for bytes in garbage {
            let conn = world.connect();
            world.bytes(conn, bytes);
            assert!(world.is_closed(conn), "{bytes:?}");
        }
        for kind in [0u32, 4, 99, u32::MAX] {
            let conn = world.connect();
            let mut frame = dmtcp_proto::Frame::default();
            frame.header.kind = kind;
            let mut bytes = bytes::BytesMut::new();
            dmtcp_proto::encode(dialect, &frame, &mut bytes).unwrap();
            world.bytes(conn, &bytes);
            assert!(world.is_closed(conn), "first message {kind}");
        }
        assert!(!world.is_closed(worker.conn));
        assert_eq!(world.core.status(), Status::new(1, true, Interval::Never));
    });
}

#[test]
fn key_value_requests_on_both_kinds_of_connection() {
    for_each_barrier_dialect(|dialect| {
        let mut world = world();
        let worker = Worker::launch(&mut world, dialect);
        let request = |op, value: &'static str| {
            let database = Name::new("/plugin/socket/ckpt").unwrap();
            Body::KeyValueRequest(KeyValueRequest {
                database,
                op,
                key: Text::from("k"),
                value: Text::from(value),
            })
        };
        worker.say(&mut world, request(KeyValueOp::Set, "v"));
        let old = worker.take(&mut world).pop().unwrap().body;
        assert_eq!(
            old,
            Body::KeyValueResponse(KeyValueResponse::Value(Text::from("0")))
        );

        let conn = world.connect();
        let hello = dmtcp_proto::Message::new(worker.id, Body::NameServiceWorker);
        world.bytes(conn, &encoded(dialect, &hello));
        let side = Worker {
            conn,
            ..worker.clone()
        };
        side.say(&mut world, request(KeyValueOp::Get, ""));
        let value = side.take(&mut world).pop().unwrap().body;
        assert_eq!(
            value,
            Body::KeyValueResponse(KeyValueResponse::Value(Text::from("v")))
        );

        // The end of a side channel is not the end of a worker.
        world.hang_up(conn);
        assert_eq!(world.core.status().peers, 1);
        // They outlive their computation, for whoever writes them down.
        let computation = world.core.computation();
        world.hang_up(worker.conn);
        assert!(world.core.computation().is_null());
        let left = world.core.key_values();
        assert_eq!(left.computation(), computation);
        let left: Vec<_> = left.iter().collect();
        let database = Name::new("/plugin/socket/ckpt").unwrap();
        assert_eq!(left, [(database, &Text::from("k"), &Text::from("v"))]);
        // The next computation starts with an empty store.
        let next = Worker::launch(&mut world, dialect);
        let begun = world.core.key_values();
        assert_eq!(begun.computation(), world.core.computation());
        assert_eq!(begun.iter().count(), 0);
        next.say(&mut world, request(KeyValueOp::Get, ""));
        let answer = next.take(&mut world).pop().unwrap().body;
        assert_eq!(answer, Body::KeyValueResponse(KeyValueResponse::NoDatabase));
    });
}

/// Each of them ends its predecessor's admission; on a small stack that must not nest.
#[test]
fn many_parked_workers_that_break_the_protocol_are_dropped_one_by_one() {
    const MANY: usize = 3000;
    let test = || {
        let mut world = world();
        let mut workers = [Worker::launch(&mut world, Dialect::V5)];
        world.request(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone));
        write_images(&mut world, &mut workers);
        for _ in 0..MANY {
            let parked = Worker::knock(&mut world, Dialect::V5, "here", WorkerState::Unknown);
            world.bytes(parked.conn, b"garbage");
        }
        resume_all(&mut world, &mut workers);
        world.seal(Ok(()));
        assert_eq!(world.core.status().peers, 1);
        assert_eq!(world.core.next_timeout(), None);
    };
    let thread = std::thread::Builder::new().stack_size(512 << 10);
    thread.spawn(test).unwrap().join().unwrap();
}

#[test]
fn a_process_is_not_restored_twice() {
    for_each_dialect(|dialect| {
        let mut world = world();
        Worker::restore(&mut world, dialect, OLD, OLD, 2);
        let twin = Worker::restore(&mut world, dialect, OLD, OLD, 2);
        assert_eq!(reject(&mut world, &twin), Reject::NotRestarting);
        assert_eq!(world.core.status().peers, 1);
    });
}

#[test]
fn w05_a_stranger_cannot_announce_a_large_payload() {
    for_each_barrier_dialect(|dialect| {
        let mut world = world();
        let big = Text::from("h".repeat(65_536));
        let hello = Body::NewWorker(dmtcp_proto::Hello {
            host: big.clone(),
            ..Default::default()
        });
        let conn = world.connect();
        let bytes = encoded(dialect, &dmtcp_proto::Message::new(tool_id(1), hello));
        world.bytes(conn, &bytes[..208]);
        assert!(world.is_closed(conn), "cut off at the header");

        // An admitted worker may: its memory map goes into the store.
        let worker = Worker::launch(&mut world, dialect);
        let set = KeyValueRequest {
            database: Name::new("/worker").unwrap(),
            op: KeyValueOp::Set,
            key: Text::from("ProcSelfMaps"),
            value: big,
        };
        worker.say(&mut world, Body::KeyValueRequest(set));
        let answer = worker.take(&mut world).pop().unwrap().body;
        let first = KeyValueResponse::Value(Text::from("0"));
        assert_eq!(answer, Body::KeyValueResponse(first));
    });
}

#[test]
fn names_of_peers_add_no_lines_to_the_list() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let forged = "x\n7, y[1:1]@here, 1-1-1, WorkerState::RUNNING, ";
        Worker::launch_on(&mut world, dialect, forged);
        let conn = world.tool(dialect, tool_id(1), Verb::List, Interval::Unchanged);
        let list = world.answer(conn, dialect).unwrap().text;
        let list = String::from_utf8(list.to_vec()).unwrap();
        // Two of the header, and behind the worker an empty one, which tools of 2.x do not know.
        let lines = if dialect.phases().is_empty() { 4 } else { 3 };
        assert_eq!(list.lines().count(), lines, "{list}");
    });
}

#[test]
fn the_image_directory_of_one_computation_is_not_the_next_one_s() {
    for_each_barrier_dialect(|dialect| {
        let mut world = world();
        let ask = |world: &mut World, worker: &Worker| {
            worker.say(world, Body::GetCheckpointDir);
            worker.take(world).pop().unwrap().body
        };
        let first = Worker::launch(&mut world, dialect);
        first.say(&mut world, Body::SetCheckpointDir(Text::from("/images")));
        let dir = Body::CheckpointDir(Text::from("/images"));
        assert_eq!(ask(&mut world, &first), dir);
        world.hang_up(first.conn);
        let second = Worker::launch(&mut world, dialect);
        let none = Body::CheckpointDir(Text::default());
        assert_eq!(ask(&mut world, &second), none);

        let long = Text::from("d".repeat(4097));
        second.say(&mut world, Body::SetCheckpointDir(long));
        assert!(world.is_closed(second.conn));
    });
}
