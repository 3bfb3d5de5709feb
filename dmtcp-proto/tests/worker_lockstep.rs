//! Conversations of a worker with a 2.x coordinator: phases in the place of barriers.

mod captures;
mod conversation;

use bytes::BytesMut;
use conversation::{
    COMPUTATION, COORDINATOR, Did, LAUNCHER, PROCESS, Talk, accept, assert_like_captured, captured,
    exit, has_barriers, id, in_every_dialect, ok, perform, phase_order,
};
use dmtcp_proto::{
    Body, CheckpointFile, Dialect, Entry, Finished, Message, Phase, PhaseOrder, Stage, Text,
    UniquePid, WorkerConfig, WorkerCore, WorkerExit, WorkerInput, WorkerOutput, WorkerState,
    encode,
};
use std::collections::BTreeSet;

fn in_every_dialect_in_lockstep(test: impl Fn(Dialect)) {
    in_every_dialect(|dialect| {
        if !has_barriers(dialect) {
            test(dialect);
        }
    });
}

/// The phases behind the order to write, each with the state that answers it.
fn behind_the_image(dialect: Dialect) -> &'static [(Phase, WorkerState)] {
    let phases = dialect.phases();
    let write = phases.iter().position(|&(p, _)| p == Phase::Checkpoint);
    &phases[write.unwrap() + 1..]
}

impl Talk {
    /// Takes part from behind the image to the end; `did` is what the image's end brought.
    fn go_on(&mut self, group: UniquePid) {
        let phases = behind_the_image(self.dialect);
        for &(phase, state) in phases {
            assert_eq!(self.core.awaited_phase(), Some(phase));
            assert!(!self.core.is_running());
            let did = self.hear(group, phase_order(phase, 0));
            let mut expected = vec![ok(state)];
            if phase == Phase::Resume {
                assert_eq!(state, WorkerState::Running);
                expected.push(Did::Other(WorkerOutput::Resume));
            }
            assert_eq!(did, expected, "{:?} {phase:?}", self.dialect);
        }
        assert!(self.core.is_running());
        assert_eq!(self.core.awaited_phase(), None);
    }
}

#[test]
fn a_checkpoint_goes_through_every_phase_and_back_to_running() {
    in_every_dialect_in_lockstep(|dialect| {
        let mut talk = Talk::writing(dialect, false);
        assert_eq!(talk.core.awaited_phase(), None);
        let did = talk.publish();
        let report = Body::CheckpointFile(CheckpointFile {
            path: "/ckpt/ckpt_counter.dmtcp".into(),
            // 2.5.0 aborts without it.
            shell: Some(Text::default()),
            host: "vm".into(),
            unique: false,
        });
        assert_eq!(
            did,
            [
                Did::Sent(WorkerState::Drained, report),
                ok(WorkerState::Checkpointed),
            ]
        );
        talk.go_on(COMPUTATION.with_generation(1));
        assert_eq!(talk.core.computation(), COMPUTATION.with_generation(1));
        // The next round is as good as the first.
        assert_eq!(
            talk.hear(
                COMPUTATION.with_generation(2),
                phase_order(Phase::Suspend, 0)
            ),
            [perform(Stage::Suspend)]
        );
        assert_eq!(talk.core.computation().generation, 2);
    });
}

#[test]
fn a_restart_says_that_its_state_is_back_and_runs_behind_the_last_phase() {
    in_every_dialect_in_lockstep(|dialect| {
        let mut talk = Talk::restoring(dialect);
        assert_eq!(talk.core.state(), WorkerState::Restarting);
        assert_eq!(
            talk.finish(Finished::Restored),
            [ok(WorkerState::Checkpointed)]
        );
        assert!(!talk.core.is_running());
        talk.go_on(COMPUTATION.with_generation(3));
        // The next checkpoint goes on counting from the image's generation.
        let group = COMPUTATION.with_generation(4);
        let did = talk.hear(group, phase_order(Phase::Suspend, 0));
        assert_eq!(did, [perform(Stage::Suspend)]);
        assert_eq!(talk.core.computation(), group);
    });
}

#[test]
fn a_phase_out_of_order_is_refused_wherever_the_worker_is() {
    type Make = fn(Dialect) -> Talk;
    let places: [(&str, Make); 6] = [
        ("running", Talk::running),
        ("suspending", |dialect| {
            let mut talk = Talk::running(dialect);
            talk.order(false);
            talk
        }),
        ("suspended", |dialect| {
            let mut talk = Talk::running(dialect);
            talk.order(false);
            talk.finish(Finished::Suspended);
            talk
        }),
        ("writing", |dialect| Talk::writing(dialect, false)),
        ("checkpointed", |dialect| {
            let mut talk = Talk::writing(dialect, false);
            talk.publish();
            talk
        }),
        ("restoring", Talk::restoring),
    ];
    in_every_dialect_in_lockstep(|dialect| {
        for (place, make) in places {
            let talk = make(dialect);
            let due = match talk.core.is_running() {
                true => Some(Phase::Suspend),
                false => talk.core.awaited_phase(),
            };
            let mut refused = 0;
            for &(phase, _) in dialect.phases() {
                let mut talk = make(dialect);
                let did = talk.say(phase, 2);
                if Some(phase) == due {
                    assert!(!talk.core.is_over(), "{dialect:?} {place} {phase:?}");
                    continue;
                }
                refused += 1;
                assert_eq!(did.len(), 1, "{dialect:?} {place} {phase:?}: {did:?}");
                talk.assert_left(&did, &format!("{dialect:?} {place} {phase:?}"));
            }
            let allowed = usize::from(due.is_some());
            assert_eq!(refused, dialect.phases().len() - allowed);
        }
    });
}

#[test]
fn every_order_must_be_for_the_workers_computation() {
    in_every_dialect_in_lockstep(|dialect| {
        let other = id(0x98ff, 101, 40_000);
        for group in [other, UniquePid::NULL] {
            let mut talk = Talk::writing(dialect, false);
            talk.publish();
            let order = phase_order(behind_the_image(dialect)[0].0, 0);
            let did = talk.hear(group, order);
            talk.assert_left(&did, "another computation");
            assert_eq!(talk.core.computation(), COMPUTATION.with_generation(1));
        }
    });
}

#[test]
fn an_election_without_peers_is_refused() {
    in_every_dialect_in_lockstep(|dialect| {
        let mut talk = Talk::running(dialect);
        talk.order(false);
        talk.finish(Finished::Suspended);
        let did = talk.say(Phase::FdLeaderElection, 0);
        talk.assert_left(&did, "no peers");
    });
}

#[test]
fn a_kill_in_the_place_of_a_phase_ends_the_worker() {
    in_every_dialect_in_lockstep(|dialect| {
        for phases in 0..=behind_the_image(dialect).len() {
            // The first place is where a checkpoint ends that workers exit behind.
            let mut talk = Talk::writing(dialect, false);
            talk.publish();
            for &(phase, _) in &behind_the_image(dialect)[..phases] {
                talk.say(phase, 0);
            }
            assert_eq!(
                talk.hear(COMPUTATION, Body::KillPeer),
                [exit(WorkerExit::Killed)]
            );
            assert!(talk.core.is_over());
        }
    });
}

#[test]
fn logging_is_no_business_of_a_worker_at_any_time() {
    in_every_dialect_in_lockstep(|dialect| {
        let logging = Body::UpdateLogging { mask: 7 };
        let message = Message::new(COORDINATOR, logging.clone());
        if message.to_frame(dialect).is_err() {
            return; // not in this dialect
        }
        let mut talk = Talk::writing(dialect, false);
        assert_eq!(talk.hear(COMPUTATION, logging.clone()), []);
        talk.publish();
        assert_eq!(talk.hear(COMPUTATION, logging.clone()), []);
        talk.go_on(COMPUTATION.with_generation(1));
        assert_eq!(talk.hear(COMPUTATION, logging.clone()), []);
        assert!(talk.core.is_running());
        let mut talk = Talk::restoring(dialect);
        assert_eq!(talk.hear(COMPUTATION, logging), []);
        assert_eq!(
            talk.finish(Finished::Restored),
            [ok(WorkerState::Checkpointed)]
        );
    });
}

#[test]
fn a_directory_for_all_images_comes_before_the_round() {
    in_every_dialect_in_lockstep(|dialect| {
        let order = |dir: Option<&'static str>| {
            Body::Do(PhaseOrder {
                checkpoint_dir: dir.map(Text::from),
                ..PhaseOrder::new(Phase::Suspend)
            })
        };
        for (dir, expected) in [
            (
                Some("/images"),
                vec![
                    Did::Other(WorkerOutput::CheckpointDir("/images".into())),
                    perform(Stage::Suspend),
                ],
            ),
            (Some(""), vec![perform(Stage::Suspend)]),
            (None, vec![perform(Stage::Suspend)]),
        ] {
            let mut talk = Talk::running(dialect);
            let group = COMPUTATION.with_generation(1);
            assert_eq!(talk.hear(group, order(dir)), expected);
        }
    });
}

#[test]
fn a_newcomer_in_a_checkpoint_joins_the_round() {
    in_every_dialect_in_lockstep(|dialect| {
        let entry = Entry::New {
            launcher: LAUNCHER,
            process_time: 5,
        };
        let mut talk = Talk::new(dialect, entry);
        talk.input(WorkerInput::Opened);
        let group = COMPUTATION.with_generation(1);
        let mut bytes = talk.bytes(group, accept(41_000, 0));
        bytes.extend_from_slice(&talk.bytes(group, phase_order(Phase::Suspend, 0)));
        let did = talk.input(WorkerInput::Received(&bytes));
        assert_eq!(
            did[2..],
            [
                ok(WorkerState::Running),
                Did::Other(WorkerOutput::Resume),
                perform(Stage::Suspend),
            ]
        );
        assert_eq!(
            talk.finish(Finished::Suspended),
            [ok(WorkerState::Suspended)]
        );
    });
}

#[test]
fn half_an_order_orders_nothing() {
    in_every_dialect_in_lockstep(|dialect| {
        let mut talk = Talk::running(dialect);
        let group = COMPUTATION.with_generation(1);
        let bytes = talk.bytes(group, phase_order(Phase::Suspend, 0));
        let (last, rest) = bytes.split_last().unwrap();
        for byte in rest {
            assert_eq!(talk.input(WorkerInput::Received(&[*byte])), []);
        }
        assert_eq!(
            talk.input(WorkerInput::Received(&[*last])),
            [perform(Stage::Suspend)]
        );
    });
}

#[test]
fn answers_that_are_not_those_of_the_stage_are_the_drivers_fault() {
    in_every_dialect_in_lockstep(|dialect| {
        let mut talk = Talk::writing(dialect, false);
        let did = talk.finish(Finished::Suspended);
        let expected = WorkerExit::Misdriven {
            input: "a suspended program",
            due: "a written image",
        };
        assert_eq!(did, [exit(expected)]);

        // A failure too, while nothing is to be done.
        let mut talk = Talk::writing(dialect, false);
        talk.publish();
        let did = talk.finish(Finished::Failed);
        let expected = WorkerExit::Misdriven {
            input: "a failure",
            due: "no stage's end",
        };
        assert_eq!(did, [exit(expected)]);
    });
}

/// The coordinator's side of a whole life, captured; the worker's answers are beside the captures
/// of stock workers.
#[test]
fn captured_coordinators_are_understood_and_answered_as_stock_workers_do() {
    in_every_dialect_in_lockstep(|dialect| {
        // Some come from another computation: the worker must be told its own.
        let replay = |talk: &mut Talk, name: &str| -> Vec<WorkerOutput> {
            let mut frame = captured(dialect, "s2c", name);
            if !frame.header.group.is_null() {
                let generation = frame.header.group.generation;
                frame.header.group = COMPUTATION.with_generation(generation);
            }
            let mut bytes = BytesMut::new();
            encode(dialect, &frame, &mut bytes).unwrap();
            talk.core.handle(WorkerInput::Received(&bytes)).collect()
        };
        let done = |talk: &mut Talk, finished| -> Vec<WorkerOutput> {
            talk.core.handle(WorkerInput::Finished(finished)).collect()
        };
        let like = |names: &[&str], outputs| assert_like_captured(dialect, names, outputs);
        let answer = |state: WorkerState| format!("OK-{state}");

        let entry = Entry::New {
            launcher: LAUNCHER,
            process_time: 5,
        };
        let mut talk = Talk::new(dialect, entry);
        let mut hello: Vec<_> = talk.core.handle(WorkerInput::Opened).collect();
        // 2.4.9's was captured from a process that forks.
        if captured(dialect, "c2s", "NEW_WORKER").header.state == 0 {
            like(&["NEW_WORKER"], hello);
        } else {
            assert!(matches!(hello.pop(), Some(WorkerOutput::Transmit(_))));
        }
        like(
            &["UPDATE_PROCESS_INFO_AFTER_INIT_OR_EXEC", "OK-RUNNING"],
            replay(&mut talk, "ACCEPT-new"),
        );
        assert!(talk.core.is_running());

        let mut names = Vec::new();
        for &(phase, state) in dialect.phases() {
            let name = captured_name(phase);
            names.push(name);
            let mut outputs = replay(&mut talk, name);
            let mut expected = vec![answer(state)];
            if phase == Phase::Suspend {
                assert_eq!(outputs, [WorkerOutput::Perform(Stage::Suspend)]);
                outputs = done(&mut talk, Finished::Suspended);
            }
            if phase == Phase::Checkpoint {
                let peers = captured(dialect, "s2c", "DO_FD_LEADER_ELECTION")
                    .header
                    .peers;
                assert!(
                    matches!(
                        outputs[..],
                        [WorkerOutput::Perform(Stage::WriteImage { computation, peers: p, .. })]
                            if p == peers && computation == COMPUTATION.with_generation(1)
                    ),
                    "{dialect:?} {outputs:?}"
                );
                outputs = done(&mut talk, Finished::ImageWritten);
                assert_eq!(outputs, [WorkerOutput::Perform(Stage::PublishImage)]);
                let published = Finished::ImagePublished {
                    path: "./ckpt_counter.dmtcp".into(),
                    unique: false,
                };
                outputs = done(&mut talk, published);
                expected.insert(0, "CKPT_FILENAME".to_owned());
            }
            let expected: Vec<_> = expected.iter().map(String::as_str).collect();
            like(&expected, outputs);
        }
        assert!(talk.core.is_running());
        // Every kind of captured order was replayed.
        let all = captures::of(dialect);
        let orders = all.iter().filter(|one| one.name.contains("-s2c-DO_"));
        let kinds: BTreeSet<String> = orders.map(captures::Capture::kind).collect();
        assert_eq!(names.len(), kinds.len());

        let killed = replay(&mut talk, "KILL_PEER");
        let reason = WorkerExit::Killed;
        assert_eq!(killed, [WorkerOutput::Exit { reason }]);
        restart_like_captured(dialect, &replay);
    });
}

fn restart_like_captured(dialect: Dialect, replay: &dyn Fn(&mut Talk, &str) -> Vec<WorkerOutput>) {
    let theirs = captured(dialect, "c2s", "RESTART_WORKER");
    let mut texts = theirs.payload.split(|&byte| byte == 0).map(|text| {
        let text = Text::new(text.to_vec());
        text.unwrap()
    });
    let (host, program) = (texts.next().unwrap(), texts.next().unwrap());
    let config = WorkerConfig::new(host, program, 18_599);
    let entry = Entry::Restart {
        process: PROCESS,
        computation: COMPUTATION.with_generation(theirs.header.group.generation),
        peers: theirs.header.peers,
    };
    let core = WorkerCore::new(dialect, config, entry);
    let mut talk = Talk { dialect, core };
    let hello = talk.core.handle(WorkerInput::Opened).collect();
    assert_like_captured(dialect, &["RESTART_WORKER"], hello);
    let accepted = replay(&mut talk, "ACCEPT-restart");
    assert!(
        matches!(
            accepted[..],
            [
                WorkerOutput::Accepted { .. },
                WorkerOutput::Perform(Stage::Restore)
            ]
        ),
        "{accepted:?}"
    );
    let input = WorkerInput::Finished(Finished::Restored);
    let restored = talk.core.handle(input).collect();
    assert_like_captured(dialect, &["OK-CHECKPOINTED"], restored);
    for &(phase, state) in behind_the_image(dialect) {
        let outputs = replay(&mut talk, captured_name(phase));
        assert_like_captured(dialect, &[&format!("OK-{state}")], outputs);
    }
    assert!(talk.core.is_running());
}

/// DMTCP's word for the order to begin a phase.
fn captured_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Suspend => "DO_SUSPEND",
        Phase::FdLeaderElection => "DO_FD_LEADER_ELECTION",
        Phase::PreCheckpointRegister => "DO_PRE_CKPT_NAME_SERVICE_DATA_REGISTER",
        Phase::PreCheckpointQuery => "DO_PRE_CKPT_NAME_SERVICE_DATA_QUERY",
        Phase::Drain => "DO_DRAIN",
        Phase::Checkpoint => "DO_CHECKPOINT",
        Phase::RegisterNameServiceData => "DO_REGISTER_NAME_SERVICE_DATA",
        Phase::SendQueries => "DO_SEND_QUERIES",
        Phase::Refill => "DO_REFILL",
        Phase::Resume => "DO_RESUME",
        other => panic!("no name for {other:?}"),
    }
}
