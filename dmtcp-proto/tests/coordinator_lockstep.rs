//! Rounds, restarts and the name service of 2.x, whose workers go in lockstep.

mod support;

use bytes::Bytes;
use dmtcp_proto::{
    AfterCheckpoint, Body, Checkpointed, Command, CommandStatus, CoordinatorConfig, Dialect, Event,
    Interval, NameServiceOp, NameServiceRequest, Phase, Reject, Reply, RoundError, Text, Verb,
    WorkerState,
};
use std::time::Duration;
use support::{
    Worker, World, encoded, for_each_lockstep_dialect, resume_all, through_all_barriers,
    through_barriers, tool_id, write_images,
};

fn launched(dialect: Dialect, count: usize) -> (World, Vec<Worker>) {
    let mut world = World::new(CoordinatorConfig::default());
    let workers = (0..count)
        .map(|_| Worker::launch(&mut world, dialect))
        .collect();
    (world, workers)
}

fn checkpoint(world: &mut World, after: AfterCheckpoint) -> u64 {
    world.request(Command::Checkpoint(after))
}

fn failure(world: &World) -> Option<&RoundError> {
    world.events.iter().rev().find_map(|event| match event {
        Event::CheckpointFailed { reason, .. } => Some(reason),
        _ => None,
    })
}

fn done(peers: u32, round: u64) -> Option<Result<Reply, dmtcp_proto::CommandError>> {
    let checkpointed = Checkpointed::new(peers, Some(round));
    Some(Ok(Reply::Checkpointed(checkpointed)))
}

#[test]
fn a_worker_runs_when_it_has_said_so() {
    for_each_lockstep_dialect(|dialect| {
        let mut world = World::new(CoordinatorConfig::default());
        let mut worker = Worker::knock(&mut world, dialect, "here", WorkerState::Unknown);
        let accept = worker.take(&mut world).remove(0);
        worker.group = accept.group;
        worker.state = WorkerState::Running;
        let program = Text::from("counter");
        let real_pid = 5;
        worker.say(&mut world, Body::ProcessAfterExec { real_pid, program });
        assert!(!world.core.status().running, "its state is in OK only");
        worker.say(&mut world, Body::Ok);
        assert!(world.core.status().running);
    });
}

#[test]
fn a_worker_lost_in_any_phase_fails_the_round_and_frees_the_others() {
    for_each_lockstep_dialect(|dialect| {
        for lost_at in 0..Worker::steps(&launched(dialect, 1).1[0]).len() {
            let (mut world, mut workers) = launched(dialect, 3);
            let id = checkpoint(&mut world, AfterCheckpoint::ReplyWhenDone);
            for worker in &workers {
                worker.order(&mut world);
            }
            through_barriers(&mut world, &mut workers, lost_at);
            workers[2].reach(&mut world, lost_at);
            let lost = workers.remove(2);
            world.hang_up(lost.conn);
            assert!(matches!(failure(&world), Some(RoundError::PeerLost(_))));
            assert!(matches!(world.reply(id), Some(Err(_))));
            assert!(world.killed.is_empty(), "messages free workers of 2.x");

            for step in lost_at..workers[0].steps().len() {
                for worker in &mut workers {
                    worker.reach(&mut world, step);
                }
                for worker in &workers {
                    assert!(worker.released(&mut world).is_some());
                }
            }
            for worker in &mut workers {
                worker.report(&mut world);
            }
            resume_all(&mut world, &mut workers);

            let id = checkpoint(&mut world, AfterCheckpoint::ReplyWhenDone);
            write_images(&mut world, &mut workers);
            world.seal(Ok(()));
            assert_eq!(world.reply(id), done(2, 2));
        }
    });
}

/// The stock coordinator takes the loss of the last straggler for its answer.
#[test]
fn a_worker_lost_behind_its_report_frees_the_others_and_does_not_spoil_the_set() {
    for_each_lockstep_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 2);
        let id = checkpoint(&mut world, AfterCheckpoint::ReplyWhenDone);
        write_images(&mut world, &mut workers);
        world.hang_up(workers.remove(1).conn);
        world.seal(Ok(()));
        assert_eq!(world.reply(id), done(2, 1));
        world.wait(Duration::from_secs(3600));
        assert!(world.killed.is_empty());
        resume_all(&mut world, &mut workers);
        assert!(world.core.status().running);
    });
}

#[test]
fn a_phase_that_was_not_ordered_ends_its_own_connection_only() {
    for_each_lockstep_dialect(|dialect| {
        for state in dialect.phases().iter().map(|&(_, state)| state) {
            let (mut world, mut workers) = launched(dialect, 2);
            if state != WorkerState::Running {
                workers[1].arrive(&mut world, state, "");
                assert!(world.is_closed(workers[1].conn), "{state}: no round");
                assert!(world.core.status().running);
            }

            let (mut world, mut workers) = launched(dialect, 2);
            checkpoint(&mut world, AfterCheckpoint::ReplyAtOnce);
            for worker in &workers {
                worker.order(&mut world);
            }
            through_barriers(&mut world, &mut workers, 1);
            workers[1].arrive(&mut world, state, "");
            let in_order = state == dialect.phases()[1].1;
            assert_eq!(world.is_closed(workers[1].conn), !in_order, "{state}");
            assert!(!world.is_closed(workers[0].conn));
        }
    });
}

#[test]
fn w30_nobody_is_released_before_its_turn_though_one_repeats_itself() {
    for_each_lockstep_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 2);
        checkpoint(&mut world, AfterCheckpoint::ReplyAtOnce);
        for worker in &workers {
            worker.order(&mut world);
        }
        workers[0].reach(&mut world, 0);
        workers[0].reach(&mut world, 0);
        assert!(world.is_closed(workers[0].conn));
        assert_eq!(workers[1].released(&mut world), None);
    });
}

#[test]
fn a_child_forked_in_a_round_walks_through_it() {
    for_each_lockstep_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 1);
        let id = checkpoint(&mut world, AfterCheckpoint::ReplyWhenDone);
        workers[0].order(&mut world);
        let child = Worker::knock(&mut world, dialect, "here", WorkerState::Running);
        let bodies: Vec<Body> = child.take(&mut world).into_iter().map(|m| m.body).collect();
        assert!(matches!(&bodies[..], [Body::Accept(_)]), "{bodies:?}");
        child.say(&mut world, Body::ProcessAfterFork { real_pid: 5 });
        let bodies: Vec<Body> = child.take(&mut world).into_iter().map(|m| m.body).collect();
        assert!(
            matches!(&bodies[..], [Body::Do(order)] if order.phase == Phase::Suspend),
            "{bodies:?}"
        );
        workers.push(child);
        through_all_barriers(&mut world, &mut workers);
        for worker in &mut workers {
            worker.report(&mut world);
        }
        world.seal(Ok(()));
        assert_eq!(world.reply(id), done(2, 1));
        resume_all(&mut world, &mut workers);
        assert!(world.core.status().running);
    });
}

/// Seen with 2.6.0: a child whose order comes before it has told who it is never answers.
#[test]
fn a_round_waits_for_a_fork_to_end() {
    for_each_lockstep_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 1);
        // Known to be one of 2.5 or 2.6 by its parent.
        let mut child = Worker::knock(&mut world, dialect, "here", WorkerState::Running);
        child.take(&mut world);
        let id = checkpoint(&mut world, AfterCheckpoint::ReplyWhenDone);
        world.wait(Duration::from_secs(1));
        assert!(workers[0].take(&mut world).is_empty());
        child.state = WorkerState::Running;
        child.say(&mut world, Body::ProcessAfterFork { real_pid: 5 });
        workers.push(child);
        write_images(&mut world, &mut workers);
        world.seal(Ok(()));
        assert_eq!(world.reply(id), done(2, 1));

        resume_all(&mut world, &mut workers);
        let silent = Worker::knock(&mut world, dialect, "here", WorkerState::Running);
        silent.take(&mut world);
        checkpoint(&mut world, AfterCheckpoint::ReplyAtOnce);
        world.wait(Duration::from_secs(6));
        silent.order(&mut world);
        // It would exit if it were ordered twice.
        silent.say(&mut world, Body::ProcessAfterFork { real_pid: 6 });
        assert!(silent.take(&mut world).is_empty());
    });
}

/// The stock coordinator ends here, or turns the program away.
#[test]
fn a_program_launched_in_a_round_waits_for_its_end() {
    for_each_lockstep_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 1);
        checkpoint(&mut world, AfterCheckpoint::ReplyAtOnce);
        workers[0].order(&mut world);
        through_barriers(&mut world, &mut workers, 1);
        let mut late = Worker::knock(&mut world, dialect, "here", WorkerState::Unknown);
        assert!(late.take(&mut world).is_empty());
        for step in 1..workers[0].steps().len() {
            workers[0].reach(&mut world, step);
            assert!(workers[0].released(&mut world).is_some());
        }
        workers[0].report(&mut world);
        resume_all(&mut world, &mut workers);
        world.seal(Ok(()));
        late.start(&mut world);
        assert_eq!(world.core.status().peers, 2);
        assert!(world.core.status().running);
    });
}

/// A worker of 2.x that is ordered twice exits.
#[test]
fn an_exec_in_a_round_does_not_repeat_the_order() {
    for_each_lockstep_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 1);
        let id = checkpoint(&mut world, AfterCheckpoint::ReplyWhenDone);
        workers[0].order(&mut world);
        let program = Text::from("other");
        let real_pid = -1;
        workers[0].say(&mut world, Body::ProcessAfterExec { real_pid, program });
        workers[0].say(&mut world, Body::Ok);
        assert!(workers[0].take(&mut world).is_empty());
        through_all_barriers(&mut world, &mut workers);
        workers[0].report(&mut world);
        world.seal(Ok(()));
        assert_eq!(world.reply(id), done(1, 1));
    });
}

#[test]
fn workers_are_killed_behind_the_seal_and_not_before() {
    for_each_lockstep_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 2);
        let id = checkpoint(&mut world, AfterCheckpoint::KillWorkers);
        write_images(&mut world, &mut workers);
        for worker in &mut workers {
            worker.arrive(&mut world, WorkerState::Checkpointed, "");
        }
        for worker in &workers {
            assert!(worker.take(&mut world).is_empty(), "held");
        }
        assert_eq!(world.reply(id), None);
        world.seal(Ok(()));
        assert_eq!(world.reply(id), done(2, 1));
        for worker in &workers {
            let bodies: Vec<Body> = worker
                .take(&mut world)
                .into_iter()
                .map(|m| m.body)
                .collect();
            assert_eq!(bodies, [Body::KillPeer]);
            world.hang_up(worker.conn);
        }
        assert!(world.has_event(|event| matches!(event, Event::ComputationEnded { .. })));
    });
}

#[test]
fn workers_go_on_when_the_set_they_should_end_behind_cannot_be_made() {
    for_each_lockstep_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 2);
        checkpoint(&mut world, AfterCheckpoint::KillWorkers);
        write_images(&mut world, &mut workers);
        for worker in &mut workers {
            worker.arrive(&mut world, WorkerState::Checkpointed, "");
        }
        world.seal(Err("disk full".into()));
        assert!(matches!(failure(&world), Some(RoundError::Seal(_))));
        for worker in &workers {
            assert!(worker.released(&mut world).is_some());
        }
        resume_all(&mut world, &mut workers);
        assert!(world.core.status().running);
    });
}

#[test]
fn a_worker_without_an_image_holds_nobody() {
    for_each_lockstep_dialect(|dialect| {
        for after in [AfterCheckpoint::ReplyWhenDone, AfterCheckpoint::KillWorkers] {
            let (mut world, mut workers) = launched(dialect, 2);
            let id = checkpoint(&mut world, after);
            for worker in &workers {
                worker.order(&mut world);
            }
            through_all_barriers(&mut world, &mut workers);
            workers[0].report(&mut world);
            for worker in &mut workers {
                worker.arrive(&mut world, WorkerState::Checkpointed, "");
            }
            assert!(matches!(failure(&world), Some(RoundError::NoImage(_))));
            assert!(matches!(world.reply(id), Some(Err(_))));
            for worker in &workers {
                assert!(worker.released(&mut world).is_some(), "{after:?}");
            }
            resume_all(&mut world, &mut workers);
            assert!(world.core.status().running);
        }
    });
}

#[test]
fn a_restart_waits_for_all_its_processes() {
    for_each_lockstep_dialect(|dialect| {
        let (world, old) = launched(dialect, 2);
        let group = world.core.computation().with_generation(3);
        let mut world = World::new(CoordinatorConfig::default());
        let mut workers: Vec<Worker> = old
            .iter()
            .map(|old| Worker::restore(&mut world, dialect, old.id, group, 2))
            .collect();
        for worker in &mut workers {
            worker.take(&mut world);
        }
        workers[0].reach_restart(&mut world);
        assert_eq!(workers[0].released(&mut world), None);
        workers[1].reach_restart(&mut world);
        for worker in &workers {
            let body = worker.take(&mut world).remove(0).body;
            assert!(
                matches!(body, Body::Do(order) if order.phase == Phase::RegisterNameServiceData)
            );
        }
        resume_all(&mut world, &mut workers);
        assert!(world.has_event(|event| matches!(event, Event::RestartComplete { peers: 2 })));
        assert!(world.core.status().running);

        let id = checkpoint(&mut world, AfterCheckpoint::ReplyWhenDone);
        write_images(&mut world, &mut workers);
        world.seal(Ok(()));
        assert_eq!(world.reply(id), done(2, 1));
        assert_eq!(world.core.computation().generation, 4);
    });
}

#[test]
fn strangers_of_another_dialect_are_refused_in_their_own() {
    for_each_lockstep_dialect(|dialect| {
        let (mut world, _workers) = launched(dialect, 1);
        let others = Dialect::ALL
            .iter()
            .filter(|other| other.header_len() != dialect.header_len());
        for &other in others {
            let stranger = Worker::knock(&mut world, other, "here", WorkerState::Unknown);
            let bodies: Vec<Body> = stranger
                .take(&mut world)
                .into_iter()
                .map(|m| m.body)
                .collect();
            assert_eq!(bodies, [Body::Reject(Reject::WrongComputation)]);
            assert!(world.is_closed(stranger.conn));
        }
        assert_eq!(world.core.status().peers, 1);
    });
}

fn name_request(op: NameServiceOp) -> Body {
    Body::NameServiceRequest(NameServiceRequest {
        database: *b"Socket\0\0",
        key: Bytes::from_static(b"\0key"),
        op,
    })
}

#[test]
fn the_name_service_answers_on_all_kinds_of_connection() {
    for_each_lockstep_dialect(|dialect| {
        let (mut world, workers) = launched(dialect, 1);
        let value = Bytes::from_static(b"a\0b");
        let sync = false;
        workers[0].say(
            &mut world,
            name_request(NameServiceOp::Register {
                value: value.clone(),
                sync,
            }),
        );
        assert!(workers[0].take(&mut world).is_empty());

        let ask = |world: &mut World, first: Option<Body>| {
            let conn = world.connect();
            for body in first
                .into_iter()
                .chain([name_request(NameServiceOp::Query)])
            {
                let message = dmtcp_proto::Message::new(tool_id(1), body);
                world.bytes(conn, &encoded(dialect, &message));
            }
            let answer = world.inbox(conn, dialect).pop().unwrap().body;
            (answer, world.is_closed(conn))
        };
        let found = Body::NameServiceAnswer(value.clone());
        assert_eq!(ask(&mut world, None), (found.clone(), true));
        let channel = Some(Body::NameServiceWorker);
        assert_eq!(ask(&mut world, channel), (found, false));
    });
}

/// 2.4 and 2.5 register all addresses anew behind each checkpoint; 2.6 needs those from before.
#[test]
fn names_are_forgotten_where_they_are_registered_anew() {
    for_each_lockstep_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 1);
        let value = Bytes::from_static(b"1");
        let register = NameServiceOp::Register { value, sync: true };
        workers[0].say(&mut world, name_request(register));
        checkpoint(&mut world, AfterCheckpoint::ReplyAtOnce);
        write_images(&mut world, &mut workers);
        resume_all(&mut world, &mut workers);
        workers[0].say(&mut world, name_request(NameServiceOp::Query));
        let Some(Body::NameServiceAnswer(value)) =
            workers[0].take(&mut world).pop().map(|m| m.body)
        else {
            panic!("no answer");
        };
        assert_eq!(value.is_empty(), dialect != Dialect::V2_6);
    });
}

#[test]
fn prefixes_count_together_and_once() {
    for_each_lockstep_dialect(|dialect| {
        let (mut world, mut workers) = launched(dialect, 1);
        for prefix in [Verb::BlockingPrefix, Verb::KillingPrefix] {
            let conn = world.tool(dialect, tool_id(1), prefix, Interval::Unchanged);
            let answer = world.answer(conn, dialect).unwrap();
            assert_eq!(answer.status, CommandStatus::Success);
        }
        let other = world.tool(dialect, tool_id(2), Verb::Checkpoint, Interval::Unchanged);
        assert!(
            world.answer(other, dialect).is_some(),
            "not the one who sent them"
        );
        write_images(&mut world, &mut workers);
        resume_all(&mut world, &mut workers);
        world.seal(Ok(()));

        let conn = world.tool(dialect, tool_id(1), Verb::Checkpoint, Interval::Unchanged);
        assert_eq!(world.answer(conn, dialect), None);
        write_images(&mut world, &mut workers);
        world.seal(Ok(()));
        let answer = world.answer(conn, dialect).unwrap();
        assert_eq!((answer.status, answer.peers), (CommandStatus::Success, 1));
        let bodies = workers[0].take(&mut world).pop().map(|m| m.body);
        assert_eq!(bodies, Some(Body::KillPeer));
    });
}

#[test]
fn images_go_where_a_plugin_says() {
    for_each_lockstep_dialect(|dialect| {
        let (mut world, workers) = launched(dialect, 1);
        let set = Body::SetGlobalCheckpointDir(Text::from("/images"));
        if dialect.kind_number(set.kind()).is_none() {
            return;
        }
        let ask = |world: &mut World| {
            let conn = world.connect();
            let message = dmtcp_proto::Message::new(tool_id(1), set.clone());
            world.bytes(conn, &encoded(dialect, &message));
            world.inbox(conn, dialect).pop().unwrap().body
        };
        assert_eq!(ask(&mut world), Body::GlobalCheckpointDirSet(true));
        checkpoint(&mut world, AfterCheckpoint::ReplyAtOnce);
        let order = workers[0].take(&mut world).pop().unwrap().body;
        assert!(
            matches!(order, Body::Do(order) if order.checkpoint_dir == Some(Text::from("/images")))
        );
        assert_eq!(
            ask(&mut world),
            Body::GlobalCheckpointDirSet(false),
            "in a round"
        );
    });
}

#[test]
fn strangers_of_another_dialect_do_not_say_where_images_go() {
    for &dialect in Dialect::ALL {
        let (mut world, workers) = launched(dialect, 1);
        let stranger = match dialect {
            Dialect::V2_5 | Dialect::V2_6 => continue,
            _ => Dialect::V2_6,
        };
        let conn = world.connect();
        let dir = Body::SetGlobalCheckpointDir(Text::from("/images"));
        let message = dmtcp_proto::Message::new(tool_id(1), dir);
        world.bytes(conn, &encoded(stranger, &message));
        let answer = world.inbox(conn, stranger).pop().map(|m| m.body);
        assert_eq!(answer, Some(Body::GlobalCheckpointDirSet(false)));
        checkpoint(&mut world, AfterCheckpoint::ReplyAtOnce);
        match workers[0].take(&mut world).pop().map(|m| m.body) {
            Some(Body::Do(order)) => assert_eq!(order.checkpoint_dir, None),
            order => assert!(matches!(order, Some(Body::DoCheckpoint(_)))),
        }
    }
}

/// It is told to exit in its own dialect, or by the end of its connection.
#[test]
fn strangers_of_another_dialect_are_sent_away_from_a_kill_without_a_word_of_ours() {
    for &dialect in Dialect::ALL {
        for &other in Dialect::ALL {
            if other.header_len() == dialect.header_len() {
                continue;
            }
            let (mut world, _workers) = launched(dialect, 1);
            world.request(Command::Kill);
            let stranger = Worker::knock(&mut world, other, "here", WorkerState::Unknown);
            let bodies: Vec<Body> = stranger
                .take(&mut world)
                .into_iter()
                .map(|m| m.body)
                .collect();
            // Only 2.4 is known by its first message.
            let expected: &[Body] = match other {
                Dialect::V2_4 => &[Body::KillPeer],
                _ => &[],
            };
            assert_eq!(bodies, expected, "{other:?} beside {dialect:?}");
            assert!(world.is_closed(stranger.conn));
        }
    }
}

#[test]
fn tools_can_ask_where_images_go_and_say_what_is_logged() {
    for_each_lockstep_dialect(|dialect| {
        if dialect.verb_number(Verb::GetCheckpointDir).is_none() {
            return;
        }
        let (mut world, workers) = launched(dialect, 1);
        let dir = Body::SetCheckpointDir(Text::from("/d"));
        workers[0].say(&mut world, dir);
        let ask = |world: &mut World, verb| {
            let conn = world.tool(dialect, tool_id(1), verb, Interval::Unchanged);
            world.answer(conn, dialect).unwrap()
        };
        let answer = ask(&mut world, Verb::GetCheckpointDir);
        assert_eq!(&answer.text[..], b"/d\0");
        ask(&mut world, Verb::SetLogMask);
        let body = workers[0].take(&mut world).pop().unwrap().body;
        assert_eq!(body, Body::UpdateLogging { mask: 0 });
    });
}
