//! Conversations of a worker with a coordinator written by hand: what holds in every dialect, and
//! the rounds with barriers. Those in lockstep are in `worker_lockstep.rs`.

mod captures;
mod conversation;

use conversation::{
    COMPUTATION, COORDINATOR, Did, LAUNCHER, PROCESS, Talk, accept, assert_like_captured, barrier,
    exit, first_order, has_barriers, id, in_every_dialect, perform, released,
};
use dmtcp_proto::{
    Body, Dialect, DoCheckpoint, Entry, Finished, KeyValueResponse, Message, Name, Reject, Stage,
    Text, UniquePid, WorkerConfig, WorkerCore, WorkerExit, WorkerInput, WorkerOutput, WorkerState,
};

fn in_every_dialect_with_barriers(test: impl Fn(Dialect)) {
    in_every_dialect(|dialect| {
        if has_barriers(dialect) {
            test(dialect);
        }
    });
}

#[test]
fn a_checkpoint_goes_through_every_barrier_and_back_to_running() {
    in_every_dialect_with_barriers(|dialect| {
        let mut talk = Talk::writing(dialect, false);
        let did = talk.publish();
        assert!(
            matches!(
                &did[..],
                [
                    Did::Sent(WorkerState::Checkpointed, Body::CheckpointFile(file)),
                    Did::Sent(WorkerState::Running, Body::WorkerResuming),
                    Did::Other(WorkerOutput::Resume),
                ] if file.path == "/ckpt/ckpt_counter.dmtcp".into()
                    && file.host == "vm".into() && file.shell == Some(Text::default()) && !file.unique
            ),
            "{did:?}"
        );
        assert_eq!(talk.core.computation(), COMPUTATION.with_generation(1));
        // The next round is as good as the first.
        assert_eq!(
            talk.order(false),
            [barrier(WorkerState::PreSuspend, "DMT:SUSPEND")]
        );
    });
}

#[test]
fn workers_exit_behind_a_checkpoint_that_says_so() {
    in_every_dialect_with_barriers(|dialect| {
        let mut talk = Talk::writing(dialect, true);
        let did = talk.publish();
        assert!(
            matches!(
                &did[..],
                [
                    Did::Sent(WorkerState::Checkpointed, Body::CheckpointFile(_)),
                    Did::Other(WorkerOutput::Exit {
                        reason: WorkerExit::Checkpointed
                    }),
                ]
            ),
            "{did:?}"
        );
    });
}

#[test]
fn a_restart_claims_to_run_only_once_its_state_is_back() {
    in_every_dialect_with_barriers(|dialect| {
        let mut talk = Talk::restoring(dialect);
        assert!(!talk.core.is_running());
        assert_eq!(
            talk.finish(Finished::Restored),
            [
                Did::Sent(WorkerState::Running, Body::WorkerResuming),
                Did::Other(WorkerOutput::Resume),
            ]
        );
        // The next checkpoint goes on counting from the image's generation.
        let order = Body::DoCheckpoint(DoCheckpoint {
            peers: 2,
            then_exit: false,
        });
        assert_eq!(
            talk.hear(COMPUTATION.with_generation(4), order),
            [barrier(WorkerState::PreSuspend, "DMT:SUSPEND")]
        );
        assert_eq!(talk.core.computation().generation, 4);
    });
}

#[test]
fn plugins_barriers_are_configurable() {
    in_every_dialect_with_barriers(|dialect| {
        let name = |text| Name::new(text).unwrap();
        let config = WorkerConfig::new("vm".into(), "counter".into(), 1)
            .barriers(vec![name("A::1"), name("A::2")], vec![]);
        let entry = Entry::Restart {
            process: PROCESS,
            computation: COMPUTATION,
            peers: 1,
        };
        let core = WorkerCore::new(dialect, config, entry);
        let mut talk = Talk { dialect, core };
        talk.input(WorkerInput::Opened);
        talk.hear(UniquePid::NULL, accept(-1, 1));
        assert_eq!(talk.release("DMT:Restart", 1), [perform(Stage::Restore)]);
        talk.finish(Finished::Restored);
        talk.order(false);
        talk.release("DMT:SUSPEND", 1);
        talk.finish(Finished::Suspended);
        assert_eq!(
            talk.release("DMT:CHECKPOINT", 1),
            [barrier(WorkerState::Checkpointing, "A::1")]
        );
        assert_eq!(
            talk.release("A::1", 1),
            [barrier(WorkerState::Checkpointing, "A::2")]
        );
        assert!(matches!(
            talk.release("A::2", 1)[..],
            [Did::Other(WorkerOutput::Perform(Stage::WriteImage { .. }))]
        ));
    });
}

#[test]
fn no_step_is_taken_before_its_release_or_its_end() {
    in_every_dialect_with_barriers(|dialect| {
        // Releases of every other barrier, wherever the worker waits.
        let all = [
            "DMT:SUSPEND",
            "DMT:CHECKPOINT",
            "Socket::Ckpt_Register_Peer_Info",
            "DMT:WriteCkpt",
            "DMT:Restart",
            "Socket::Restart_Ns_Register_Data",
            "",
        ];
        type Make = fn(Dialect) -> Talk;
        let waits: [(&str, Make); 4] = [
            ("DMT:SUSPEND", |dialect| {
                let mut talk = Talk::running(dialect);
                talk.order(false);
                talk
            }),
            ("DMT:CHECKPOINT", |dialect| {
                let mut talk = Talk::running(dialect);
                talk.order(false);
                talk.release("DMT:SUSPEND", 1);
                talk.finish(Finished::Suspended);
                talk
            }),
            ("DMT:WriteCkpt", |dialect| {
                let mut talk = Talk::writing(dialect, false);
                talk.finish(Finished::ImageWritten);
                talk
            }),
            // While it writes, it waits nowhere: even the last barrier's release is too early.
            ("none", |dialect| Talk::writing(dialect, false)),
        ];
        for (waiting_at, make) in waits {
            for name in all.iter().filter(|&&name| name != waiting_at) {
                let mut talk = make(dialect);
                let did = talk.release(name, 2);
                assert_eq!(did.len(), 1, "{dialect:?} {waiting_at} {name}: {did:?}");
                talk.assert_left(&did, &format!("{dialect:?} {waiting_at} {name}"));
            }
        }
    });
}

#[test]
fn half_a_release_releases_nothing() {
    in_every_dialect_with_barriers(|dialect| {
        let mut talk = Talk::running(dialect);
        talk.order(false);
        let bytes = talk.bytes(COMPUTATION, released("DMT:SUSPEND", 1));
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
fn one_repeated_order_is_tolerated_between_two_releases() {
    in_every_dialect_with_barriers(|dialect| {
        let mut talk = Talk::running(dialect);
        talk.order(true);
        assert_eq!(talk.order(false), []);
        assert_eq!(talk.release("DMT:SUSPEND", 2), [perform(Stage::Suspend)]);
        talk.finish(Finished::Suspended);
        assert_eq!(talk.order(false), []);
        let did = talk.order(false);
        talk.assert_left(&did, "a third order");
    });
}

#[test]
fn a_newcomer_in_a_checkpoint_joins_the_round() {
    in_every_dialect_with_barriers(|dialect| {
        let mut talk = Talk::new(
            dialect,
            Entry::New {
                launcher: LAUNCHER,
                process_time: 5,
            },
        );
        talk.input(WorkerInput::Opened);
        // ACCEPT and DO_CHECKPOINT in one segment, then the order again after our update.
        let group = COMPUTATION.with_generation(1);
        let order = Body::DoCheckpoint(DoCheckpoint {
            peers: 0,
            then_exit: false,
        });
        let mut bytes = talk.bytes(group, accept(41_000, 0));
        bytes.extend_from_slice(&talk.bytes(group, order.clone()));
        let did = talk.input(WorkerInput::Received(&bytes));
        assert_eq!(
            did.last(),
            Some(&barrier(WorkerState::PreSuspend, "DMT:SUSPEND"))
        );
        assert_eq!(talk.hear(group, order), []);
        assert_eq!(talk.release("DMT:SUSPEND", 2), [perform(Stage::Suspend)]);
    });
}

#[test]
fn an_order_for_another_computation_is_refused() {
    in_every_dialect(|dialect| {
        let mut talk = Talk::running(dialect);
        let order = first_order(dialect, false);
        let did = talk.hear(id(0x98ff, 101, 40_000), order);
        talk.assert_left(&did, "another computation");
        assert_eq!(talk.core.computation(), COMPUTATION);
    });
}

#[test]
fn every_rejection_is_final() {
    in_every_dialect(|dialect| {
        let rejects = [
            Reject::NotRestarting,
            Reject::NotRunning,
            Reject::WrongComputation,
            Reject::PeerMismatch,
        ];
        for reject in rejects {
            let message = Message::new(COORDINATOR, Body::Reject(reject));
            if message.to_frame(dialect).is_err() {
                continue; // not in this dialect
            }
            let entry = Entry::New {
                launcher: LAUNCHER,
                process_time: 5,
            };
            let mut talk = Talk::new(dialect, entry);
            talk.input(WorkerInput::Opened);
            let did = talk.hear(UniquePid::NULL, Body::Reject(reject));
            assert_eq!(did, [Did::Other(WorkerOutput::Rejected(reject))]);
            assert!(talk.core.is_over());
            assert_eq!(talk.input(WorkerInput::Closed), []);
        }
    });
}

#[test]
fn kill_and_loss_end_the_worker_wherever_it_is() {
    in_every_dialect(|dialect| {
        let places: [fn(Dialect) -> Talk; 4] = [
            Talk::running,
            Talk::restoring,
            |dialect| Talk::writing(dialect, false),
            |dialect| {
                let mut talk = Talk::running(dialect);
                talk.order(false);
                talk
            },
        ];
        for make in places {
            let mut talk = make(dialect);
            assert_eq!(
                talk.hear(COMPUTATION, Body::KillPeer),
                [exit(WorkerExit::Killed)]
            );
            assert!(talk.core.is_over());
            let mut talk = make(dialect);
            assert_eq!(
                talk.input(WorkerInput::Closed),
                [exit(WorkerExit::CoordinatorLost)]
            );
        }
    });
}

#[test]
fn a_stage_that_fails_makes_the_worker_leave() {
    in_every_dialect(|dialect| {
        let mut talk = Talk::writing(dialect, false);
        assert_eq!(talk.finish(Finished::Failed), [exit(WorkerExit::Failed)]);
        assert_eq!(talk.order(false), []);
        let mut talk = Talk::restoring(dialect);
        assert_eq!(talk.finish(Finished::Failed), [exit(WorkerExit::Failed)]);
    });
}

#[test]
fn messages_that_no_worker_waits_for_are_refused() {
    in_every_dialect(|dialect| {
        let wrong = [
            accept(40_000, 1),
            Body::Reject(Reject::NotRunning),
            Body::KeyValueResponse(KeyValueResponse::NoKey),
            Body::WorkerResuming,
            Body::Barrier(Name::new("DMT:SUSPEND").unwrap()),
        ];
        for body in wrong {
            if Message::new(COORDINATOR, body.clone())
                .to_frame(dialect)
                .is_err()
            {
                continue; // not in this dialect
            }
            let mut talk = Talk::running(dialect);
            let did = talk.hear(COMPUTATION, body.clone());
            talk.assert_left(&did, &format!("{body:?}"));
        }
        let mut talk = Talk::running(dialect);
        let did = talk.input(WorkerInput::Received(b"GET / HTTP/1.0\r\n"));
        talk.assert_left(&did, "garbage");
    });
}

#[test]
fn an_acceptance_without_what_it_must_give_is_refused() {
    in_every_dialect(|dialect| {
        for (group, virtual_pid) in [(UniquePid::NULL, 40_000), (COMPUTATION, -1)] {
            let entry = Entry::New {
                launcher: LAUNCHER,
                process_time: 5,
            };
            let mut talk = Talk::new(dialect, entry);
            talk.input(WorkerInput::Opened);
            let did = talk.hear(group, accept(virtual_pid, 1));
            talk.assert_left(&did, "incomplete acceptance");
        }
    });
}

#[test]
fn a_release_of_the_checkpoint_without_peers_is_refused() {
    in_every_dialect_with_barriers(|dialect| {
        let mut talk = Talk::running(dialect);
        talk.order(false);
        talk.release("DMT:SUSPEND", 1);
        talk.finish(Finished::Suspended);
        let did = talk.release("DMT:CHECKPOINT", 0);
        talk.assert_left(&did, "no peers");
    });
}

#[test]
fn a_driver_that_answers_what_nobody_asked_is_told_so() {
    in_every_dialect(|dialect| {
        let mut talk = Talk::running(dialect);
        let did = talk.finish(Finished::ImageWritten);
        assert!(
            matches!(
                did[..],
                [Did::Other(WorkerOutput::Exit {
                    reason: WorkerExit::Misdriven { .. }
                })]
            ),
            "{did:?}"
        );
    });
}

#[test]
fn a_path_that_does_not_fit_ends_in_an_error_and_not_in_a_message() {
    let mut talk = Talk::writing(Dialect::V5, false);
    talk.finish(Finished::ImageWritten);
    talk.release("DMT:WriteCkpt", 2);
    let path = Text::new(vec![b'x'; 2 << 20]).unwrap();
    let did = talk.finish(Finished::ImagePublished {
        path,
        unique: false,
    });
    assert!(
        matches!(
            did[..],
            [Did::Other(WorkerOutput::Exit {
                reason: WorkerExit::Unsendable(_)
            })]
        ),
        "{did:?}"
    );
}

#[test]
fn every_message_has_the_fields_that_a_stock_worker_sets() {
    in_every_dialect_with_barriers(|dialect| {
        let sent = |names: &[&str], outputs| assert_like_captured(dialect, names, outputs);
        let hear = |talk: &mut Talk, group, body| -> Vec<WorkerOutput> {
            let bytes = talk.bytes(group, body);
            talk.core.handle(WorkerInput::Received(&bytes)).collect()
        };
        let open = |talk: &mut Talk| -> Vec<_> { talk.core.handle(WorkerInput::Opened).collect() };
        let done = |talk: &mut Talk, finished| -> Vec<_> {
            let input = WorkerInput::Finished(finished);
            talk.core.handle(input).collect()
        };

        let mut talk = Talk::new(
            dialect,
            Entry::New {
                launcher: LAUNCHER,
                process_time: 5,
            },
        );
        sent(&["NEW_WORKER-launch"], open(&mut talk));
        sent(
            &["UPDATE_PROCESS_INFO_AFTER_INIT_OR_EXEC"],
            hear(&mut talk, COMPUTATION, accept(40_000, 7)),
        );
        let order = Body::DoCheckpoint(DoCheckpoint {
            peers: 1,
            then_exit: false,
        });
        sent(
            &["BARRIER-DMT-SUSPEND"],
            hear(&mut talk, COMPUTATION.with_generation(1), order),
        );
        hear(&mut talk, COMPUTATION, released("DMT:SUSPEND", 1));
        sent(
            &["BARRIER-DMT-CHECKPOINT"],
            done(&mut talk, Finished::Suspended),
        );
        sent(
            &["BARRIER-Socket-Ckpt_Register_Peer_Info"],
            hear(&mut talk, COMPUTATION, released("DMT:CHECKPOINT", 1)),
        );
        let plugin = released("Socket::Ckpt_Register_Peer_Info", 1);
        hear(&mut talk, COMPUTATION, plugin);
        sent(
            &["BARRIER-DMT-WriteCkpt"],
            done(&mut talk, Finished::ImageWritten),
        );
        hear(&mut talk, COMPUTATION, released("DMT:WriteCkpt", 1));
        let published = Finished::ImagePublished {
            path: "./ckpt_counter.dmtcp".into(),
            unique: false,
        };
        sent(
            &["CKPT_FILENAME", "WORKER_RESUMING"],
            done(&mut talk, published),
        );

        let config = WorkerConfig::new("vm".into(), "counter".into(), 18_599);
        let entry = Entry::Restart {
            process: PROCESS,
            computation: COMPUTATION.with_generation(3),
            peers: 1,
        };
        let core = WorkerCore::new(dialect, config, entry);
        let mut talk = Talk { dialect, core };
        sent(&["RESTART_WORKER"], open(&mut talk));
        sent(
            &["BARRIER-DMT-Restart"],
            hear(&mut talk, UniquePid::NULL, accept(-1, 7)),
        );
        sent(
            &["BARRIER-Socket-Restart_Ns_Register_Data"],
            hear(&mut talk, COMPUTATION, released("DMT:Restart", 1)),
        );
    });
}
