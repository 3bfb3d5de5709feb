//! Weaknesses of stock coordinators that show without a socket, each by its number in
//! `docs/PROTOCOL.md`. Those with one are in `dmtcp-client/tests/weaknesses`; some stand where their
//! neighbours do. `dmtcp-client/tests/docs.rs` checks that none is missing.

mod support;

use bytes::{Bytes, BytesMut};
use dmtcp_proto::{
    AfterCheckpoint, Body, Checkpointed, Command, CommandStatus, CoordinatorConfig, Decoder,
    Dialect, Event, Exchange, Interval, KeyValueOp, KeyValueRequest, KeyValueResponse, Kind,
    Limits, Message, Name, NameServiceOp, NameServiceRequest, Reject, Reply, RoundError, Step,
    Text, UniquePid, UserResult, Verb, WorkerState, encode,
};
use std::ops::Range;
use std::time::Duration;
use support::{
    Worker, World, encoded, for_each_barrier_dialect, for_each_dialect, for_each_lockstep_dialect,
    resume_all, through_all_barriers, through_barriers, tool_id, write_images,
};

fn world() -> World {
    World::new(CoordinatorConfig::default())
}

fn checkpoint(world: &mut World) -> u64 {
    world.request(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone))
}

/// A whole checkpoint of these workers, which then run again.
fn round(world: &mut World, workers: &mut [Worker]) {
    let id = checkpoint(world);
    write_images(world, workers);
    world.seal(Ok(()));
    resume_all(world, workers);
    let Some(Ok(Reply::Checkpointed(done))) = world.reply(id) else {
        panic!("{:?}", world.reply(id));
    };
    assert_eq!(done.peers as usize, workers.len());
}

fn has_store(dialect: Dialect) -> bool {
    dialect.kind_number(Kind::KeyValueRequest).is_some()
}

/// A request to what this dialect has: the key-value store, or the name service.
fn keep(dialect: Dialect, value: Option<Bytes>) -> Body {
    if has_store(dialect) {
        return Body::KeyValueRequest(KeyValueRequest {
            database: Name::new("/proc").unwrap(),
            op: match value {
                Some(_) => KeyValueOp::Set,
                None => KeyValueOp::Get,
            },
            key: Text::from("maps"),
            value: Text::new(value.unwrap_or_default()).unwrap(),
        });
    }
    Body::NameServiceRequest(NameServiceRequest {
        database: *b"Socket\0\0",
        key: Bytes::from_static(b"maps"),
        op: match value {
            Some(value) => NameServiceOp::Register { value, sync: true },
            None => NameServiceOp::Query,
        },
    })
}

/// What is kept; `None`: nothing.
fn kept(world: &mut World, worker: &Worker) -> Option<Bytes> {
    worker.say(world, keep(worker.dialect, None));
    match worker.take(world).pop().unwrap().body {
        Body::KeyValueResponse(KeyValueResponse::Value(value)) => {
            Some(Bytes::copy_from_slice(value.as_bytes()))
        }
        Body::KeyValueResponse(KeyValueResponse::NoDatabase | KeyValueResponse::NoKey) => None,
        Body::NameServiceAnswer(value) => Some(value).filter(|value| !value.is_empty()),
        other => panic!("{other:?}"),
    }
}

/// A process with a name service connection beside its own.
fn side_channel(world: &mut World, worker: &Worker) -> Worker {
    let conn = world.connect();
    let hello = Message::new(worker.id, Body::NameServiceWorker);
    world.bytes(conn, &encoded(worker.dialect, &hello));
    Worker {
        conn,
        ..worker.clone()
    }
}

#[test]
fn w07_there_is_room_for_the_962nd_worker() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let mut workers: Vec<Worker> = (0..1100)
            .map(|_| Worker::launch(&mut world, dialect))
            .collect();
        let mut pids: Vec<i32> = workers.iter().map(|worker| worker.id.pid).collect();
        pids.sort_unstable();
        pids.dedup();
        assert_eq!(pids.len(), workers.len(), "each has its own");
        round(&mut world, &mut workers);
    });
}

/// The text of a large process's memory map goes into the store at each checkpoint. The development
/// head takes no message so long, and would exit of ours, too.
#[test]
fn w11_a_long_memory_map_is_kept_and_sent_to_nobody_who_would_die_of_it() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let mut workers = [(); 2].map(|()| Worker::launch(&mut world, dialect));
        let map = Bytes::from(vec![b'm'; 2 << 20]);
        let set = keep(dialect, Some(map.clone()));
        let set = Message::new(workers[0].id, set).in_state(WorkerState::Running);
        // The sender is not so careful: its own encoder refuses nothing.
        let lax = if has_store(dialect) {
            Dialect::V3
        } else {
            dialect
        };
        let mut bytes = BytesMut::new();
        encode(lax, &set.to_frame(dialect).unwrap(), &mut bytes).unwrap();
        world.bytes(workers[0].conn, &bytes);
        assert_eq!(workers[0].take(&mut world).len(), 1);
        let read = kept(&mut world, &workers[1]);
        let can_be_read = dialect.peer_payload_limit().is_none();
        assert_eq!(read.is_some_and(|read| read == map), can_be_read);
        let longest = world.sent.iter().map(Bytes::len).max().unwrap();
        if let Some(limit) = dialect.peer_payload_limit() {
            assert!(longest <= dialect.header_len() + limit, "{longest}");
        }
        round(&mut world, &mut workers);
    });
}

/// All others are suspended, or further: no program can do that, but a message can say it.
#[test]
fn w16_an_exec_while_all_are_suspended_repeats_what_it_has_missed() {
    for_each_barrier_dialect(|dialect| {
        for passed in 2..=4 {
            let mut world = world();
            let mut workers = [(); 2].map(|()| Worker::launch(&mut world, dialect));
            let id = checkpoint(&mut world);
            for worker in &workers {
                worker.order(&mut world);
            }
            through_barriers(&mut world, &mut workers, passed);
            let program = Text::from("sh");
            let real_pid = -1;
            // So a new program begins; one that is suspended would be the old one.
            workers[1].state = WorkerState::Running;
            workers[1].say(&mut world, Body::ProcessAfterExec { real_pid, program });
            workers[1].order(&mut world);
            for step in 0..passed {
                workers[1].reach(&mut world, step);
                assert!(workers[1].released(&mut world).is_some(), "it catches up");
            }
            for step in passed..4 {
                workers[0].reach(&mut world, step);
                assert_eq!(workers[0].released(&mut world), None, "too early");
                workers[1].reach(&mut world, step);
                for worker in &workers {
                    assert!(worker.released(&mut world).is_some());
                }
            }
            for worker in &mut workers {
                worker.report(&mut world);
            }
            world.seal(Ok(()));
            let done = Reply::Checkpointed(Checkpointed::new(2, Some(1)));
            assert_eq!(world.reply(id), Some(Ok(done)));
        }
    });
}

/// The tool's side: a list ends where its message does, and has no end of its own.
#[test]
fn w25_a_list_is_read_to_its_end_and_no_further() {
    for_each_dialect(|dialect| {
        for len in [0, 1, 100, 4000] {
            let program = "p".repeat(len);
            let row = format!("1, {program}[40000:4711]@here, 1-40000-5, WorkerState::RUNNING, ");
            let title =
                "Client List:\n#, PROG[virtPID:realPID]@HOST, DMTCP-UNIQUEPID, STATE, BARRIER";
            let mut result = UserResult::new(CommandStatus::Success);
            result.verb = Some(Verb::List);
            result.text = format!("{title}\n{row}\n").into();
            assert!(!result.text.contains(&0));
            let answer = Message::new(UniquePid::NULL, Body::UserResult(result));
            let mut exchange = Exchange::new(dialect, tool_id(1), Command::List);
            assert_eq!(exchange.step(), Step::Connect);
            assert!(matches!(exchange.step(), Step::Send(_)));
            exchange.received(&encoded(dialect, &answer));
            let Step::Done(Ok(Reply::Workers(workers))) = exchange.step() else {
                panic!("no list");
            };
            assert_eq!((workers.len(), &workers[0].program), (1, &program));
        }
    });
}

/// The prefix form of releases before 3.1.0; the command is with its neighbours
/// (`coordinator_peers.rs`).
#[test]
fn w28_a_killing_prefix_counts_for_the_refused_checkpoint_it_was_for() {
    for_each_lockstep_dialect(|dialect| {
        let mut world = world();
        let mut ask = |verb| {
            let conn = world.tool(dialect, tool_id(1), verb, Interval::Unchanged);
            world.answer(conn, dialect).unwrap().status
        };
        assert_eq!(ask(Verb::KillingPrefix), CommandStatus::Success);
        assert_eq!(ask(Verb::Checkpoint), CommandStatus::NotRunning);
        let mut workers = [Worker::launch(&mut world, dialect)];
        world.tool(dialect, tool_id(1), Verb::Checkpoint, Interval::Unchanged);
        write_images(&mut world, &mut workers);
        world.seal(Ok(()));
        resume_all(&mut world, &mut workers);
        assert!(workers[0].take(&mut world).is_empty(), "it is not killed");
        round(&mut world, &mut workers);
    });
}

/// Behind the last barrier and before its image is named.
#[test]
fn w29_a_worker_lost_before_it_has_named_its_image_spoils_one_round_only() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let mut workers = ["one", "two"].map(|host| Worker::launch_on(&mut world, dialect, host));
        let id = checkpoint(&mut world);
        for worker in &workers {
            worker.order(&mut world);
        }
        through_all_barriers(&mut world, &mut workers);
        workers[0].report(&mut world);
        world.hang_up(workers[1].conn);
        assert!(matches!(world.reply(id), Some(Err(_))), "it is answered");
        let lost = world.events.iter().find_map(|event| match event {
            Event::CheckpointFailed {
                reason: RoundError::PeerLost(worker),
                ..
            } => Some(worker.id),
            _ => None,
        });
        assert_eq!(lost, Some(workers[1].id));
        assert_eq!(world.seals, [], "no set lacks an image");
        let survivor = &mut workers[..1];
        resume_all(&mut world, survivor);
        round(&mut world, survivor);
    });
}

#[test]
fn w30_a_barrier_that_is_told_twice_is_counted_once() {
    for_each_barrier_dialect(|dialect| {
        let mut world = world();
        let mut workers = [(); 2].map(|()| Worker::launch(&mut world, dialect));
        // In a round, and where none is, which is a plugin's own affair.
        for in_a_round in [false, true] {
            if in_a_round {
                checkpoint(&mut world);
                for worker in &workers {
                    worker.order(&mut world);
                }
            }
            // The development head swallows the second one of two that are called the same.
            for _ in 0..2 {
                for _ in 0..2 {
                    workers[0].reach(&mut world, 0);
                }
                assert!(workers[0].take(&mut world).is_empty());
                assert!(workers[1].take(&mut world).is_empty());
                workers[1].reach(&mut world, 0);
                for worker in &workers {
                    let told = worker.take(&mut world);
                    assert_eq!(told.len(), 1, "{told:?}");
                    let Body::BarrierReleased(released) = told[0].body else {
                        panic!("{told:?}");
                    };
                    assert_eq!(released.peers, 2);
                }
            }
            for worker in &mut workers {
                worker.state = WorkerState::Running;
                worker.say(&mut world, Body::WorkerResuming);
            }
        }
    });
}

/// A child is forked in a round: by the time stamp it finds its shared area.
#[test]
fn w32_who_joins_in_a_round_is_told_time_and_address_as_all_are() {
    for_each_dialect(|dialect| {
        let mut config = CoordinatorConfig::default();
        config.advertised_ip = [192, 0, 2, 7];
        let mut world = World::new(config);
        let accepted = |world: &mut World, worker: &Worker| match worker.take(world).swap_remove(0)
        {
            Message {
                body: Body::Accept(accept),
                ..
            } => (accept.time_stamp, accept.ip),
            other => panic!("{other:?}"),
        };
        let parent = Worker::launch(&mut world, dialect);
        // Outside of a round.
        let early = Worker::knock(&mut world, dialect, "here", WorkerState::Running);
        let told = accepted(&mut world, &early);
        assert!(told.0 != 0 && told.1 == [192, 0, 2, 7], "{told:?}");
        world.hang_up(early.conn);
        checkpoint(&mut world);
        parent.order(&mut world);
        world.wait(Duration::from_secs(1));
        let child = Worker::knock(&mut world, dialect, "here", WorkerState::Running);
        assert_eq!(accepted(&mut world, &child), told);
    });
}

#[test]
fn w33_the_end_of_a_side_channel_is_not_that_of_a_worker() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let mut workers = [Worker::launch(&mut world, dialect)];
        let side = side_channel(&mut world, &workers[0]);
        side.say(&mut world, keep(dialect, Some(Bytes::from_static(b"1"))));
        assert_eq!(side.take(&mut world).len(), 1);
        world.events.clear();
        let id = checkpoint(&mut world);
        workers[0].order(&mut world);
        world.hang_up(side.conn);
        let left = |event: &Event| {
            matches!(
                event,
                Event::WorkerLeft(_)
                    | Event::ComputationEnded { .. }
                    | Event::CheckpointFailed { .. }
            )
        };
        assert!(!world.has_event(left), "{:?}", world.events);
        through_all_barriers(&mut world, &mut workers);
        workers[0].report(&mut world);
        world.seal(Ok(()));
        let done = Reply::Checkpointed(Checkpointed::new(1, Some(1)));
        assert_eq!(world.reply(id), Some(Ok(done)));
    });
}

#[test]
fn w34_an_interval_that_a_tool_sets_has_an_effect() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let mut workers = [Worker::launch(&mut world, dialect)];
        let ten = Duration::from_secs(10);
        world.tool(dialect, tool_id(1), Verb::SetInterval, Interval::Every(ten));
        for _ in 0..2 {
            world.wait(ten - Duration::from_secs(1));
            assert!(workers[0].take(&mut world).is_empty(), "too soon");
            world.wait(Duration::from_secs(1));
            write_images(&mut world, &mut workers);
            resume_all(&mut world, &mut workers);
            world.seal(Ok(()));
        }
        world.tool(dialect, tool_id(1), Verb::SetInterval, Interval::Never);
        world.wait(10 * ten);
        assert!(workers[0].take(&mut world).is_empty(), "it is off again");
    });
}

#[test]
fn w37_nothing_that_is_kept_is_seen_in_the_next_computation() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let first = Worker::launch(&mut world, dialect);
        first.say(&mut world, keep(dialect, Some(Bytes::from_static(b"old"))));
        assert_eq!(first.take(&mut world).len(), 1);
        assert_eq!(kept(&mut world, &first), Some(Bytes::from_static(b"old")));
        world.hang_up(first.conn);
        let next = Worker::launch(&mut world, dialect);
        assert_eq!(kept(&mut world, &next), None);
    });
}

/// Theirs are a thousand apart, so a leak would show in the number of the next one.
#[test]
fn w38_who_is_refused_uses_no_virtual_pid_up() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let first = Worker::launch(&mut world, dialect);
        let other = UniquePid {
            time: 99,
            ..first.group
        };
        for round in 0..10 {
            // Wants to be restored into what runs; names a computation; lies about its state.
            let restored = Worker::restore(&mut world, dialect, first.id, other, 2);
            let Some(Body::Reject(reject)) = restored.take(&mut world).pop().map(|m| m.body) else {
                panic!("not refused");
            };
            assert_eq!(reject, Reject::NotRestarting);
            let named = Worker {
                conn: world.connect(),
                ..first.clone()
            };
            let mut hello = Message::new(tool_id(round), Body::NewWorker(Default::default()));
            if let Body::NewWorker(hello) = &mut hello.body {
                hello.virtual_pid = -1;
            }
            let bytes = encoded(dialect, &hello.in_group(other));
            world.bytes(named.conn, &bytes);
            let suspended = Worker::knock(&mut world, dialect, "here", WorkerState::Suspended);
            for refused in [restored.conn, named.conn, suspended.conn] {
                assert!(world.is_closed(refused), "it is left without an answer");
            }
        }
        assert_eq!(world.core.status().peers, 1);
        let next = Worker::launch(&mut world, dialect);
        assert_eq!(next.id.pid, first.id.pid + 1000);
    });
}

/// Bytes of a header that no message of a coordinator has a use for: behind the magic, its name, and
/// from 3.0.0 on half of a code and a number.
fn unused(dialect: Dialect) -> Vec<Range<usize>> {
    if has_store(dialect) {
        vec![15..16, 16..80, 84..88, 200..204]
    } else {
        vec![15..16, 88..96]
    }
}

/// Stock peers send what their stack held before.
#[test]
fn w43_no_byte_that_is_sent_is_left_over() {
    for_each_dialect(|dialect| {
        let mut world = world();
        let ask = |world: &mut World, verb| {
            world.tool(dialect, tool_id(1), verb, Interval::Unchanged);
        };
        ask(&mut world, Verb::Status);
        let mut workers = [(); 2].map(|()| Worker::launch(&mut world, dialect));
        workers[0].say(&mut world, keep(dialect, Some(Bytes::from_static(b"1"))));
        kept(&mut world, &workers[1]);
        // What is not waited for stays in the inboxes, and this reads orders out of them.
        for worker in &workers {
            worker.take(&mut world);
        }
        round(&mut world, &mut workers);
        ask(&mut world, Verb::List);
        ask(&mut world, Verb::Unknown(0x7e));
        Worker::restore(&mut world, dialect, workers[0].id, workers[0].group, 2);
        ask(&mut world, Verb::Kill);

        let mut kinds = Vec::new();
        for sent in &world.sent {
            let mut decoder = Decoder::new(dialect, Limits::default());
            decoder.feed(sent);
            let frame = decoder.next_frame().unwrap().unwrap();
            // A message holds what its kind defines, and all else of its frame is at its default.
            let message = Message::parse(dialect, &frame).unwrap();
            let mut bytes = BytesMut::new();
            encode(dialect, &message.to_frame(dialect).unwrap(), &mut bytes).unwrap();
            assert_eq!(bytes, sent, "{message:?}");
            for unused in unused(dialect) {
                let left = &sent[unused.clone()];
                assert!(
                    left.iter().all(|&byte| byte == 0),
                    "{unused:?}: {message:?}"
                );
            }
            kinds.push(message.body.kind());
        }
        for kind in [
            Kind::Accept,
            Kind::UserResult,
            Kind::RejectNotRestarting,
            Kind::KillPeer,
        ] {
            assert!(kinds.contains(&kind), "{kind:?} is not among {kinds:?}");
        }
    });
}
