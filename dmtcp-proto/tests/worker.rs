//! Conversations of a worker with a coordinator written by hand, in every dialect.

use bytes::BytesMut;
use dmtcp_proto::{
    Accept, Body, Decoder, Dialect, DoCheckpoint, Entry, Finished, Frame, Header, KeyValueResponse,
    Limits, Message, Name, Reject, Released, Stage, Text, UniquePid, WorkerConfig, WorkerCore,
    WorkerExit, WorkerInput, WorkerOutput, WorkerState, encode,
};
use serde_json::Value;

const COORDINATOR: UniquePid = id(0x98ff, 900, 18_500);
const COMPUTATION: UniquePid = id(0x98ff, 100, 40_000);
const LAUNCHER: UniquePid = id(0x98ff, 100, 18_571);
const PROCESS: UniquePid = id(0x98ff, 200, 40_000);

const fn id(host_id: u64, time: u64, pid: i32) -> UniquePid {
    UniquePid {
        host_id,
        time,
        pid,
        generation: 0,
    }
}

/// A worker, and the coordinator's pen.
struct Talk {
    dialect: Dialect,
    core: WorkerCore,
}

/// What came out of one input: messages are decoded, the rest is as it was.
#[derive(Debug, PartialEq, Eq)]
enum Did {
    Sent(WorkerState, Body),
    Other(WorkerOutput),
}

impl Talk {
    fn new(dialect: Dialect, entry: Entry) -> Self {
        let config = WorkerConfig::new("vm".into(), "./counter".into(), 18_571);
        let core = WorkerCore::new(dialect, config, entry);
        Self { dialect, core }
    }

    fn input(&mut self, input: WorkerInput<'_>) -> Vec<Did> {
        let dialect = self.dialect;
        let outputs: Vec<_> = self.core.handle(input).collect();
        outputs
            .into_iter()
            .map(|output| match output {
                WorkerOutput::Transmit(bytes) => {
                    let message = Message::parse(dialect, &only_frame(dialect, &bytes)).unwrap();
                    Did::Sent(message.state, message.body)
                }
                other => Did::Other(other),
            })
            .collect()
    }

    fn bytes(&self, group: UniquePid, body: Body) -> BytesMut {
        let message = Message::new(COORDINATOR, body).in_group(group);
        let mut bytes = BytesMut::new();
        let frame = message.to_frame(self.dialect).unwrap();
        encode(self.dialect, &frame, &mut bytes).unwrap();
        bytes
    }

    fn hear(&mut self, group: UniquePid, body: Body) -> Vec<Did> {
        let bytes = self.bytes(group, body);
        self.input(WorkerInput::Received(&bytes))
    }

    fn release(&mut self, name: &str, peers: u32) -> Vec<Did> {
        self.hear(COMPUTATION.with_generation(1), released(name, peers))
    }

    fn order(&mut self, then_exit: bool) -> Vec<Did> {
        let peers = 2;
        let order = Body::DoCheckpoint(DoCheckpoint { peers, then_exit });
        self.hear(COMPUTATION.with_generation(1), order)
    }

    fn finish(&mut self, finished: Finished) -> Vec<Did> {
        self.input(WorkerInput::Finished(finished))
    }

    /// A worker of a program that runs.
    fn running(dialect: Dialect) -> Self {
        let mut talk = Self::new(
            dialect,
            Entry::New {
                launcher: LAUNCHER,
                process_time: PROCESS.time,
            },
        );
        let hello = talk.input(WorkerInput::Opened);
        assert!(
            matches!(
                &hello[..],
                [Did::Sent(WorkerState::Unknown, Body::NewWorker(_))]
            ),
            "{hello:?}"
        );
        let did = talk.hear(COMPUTATION, accept(40_000, 77));
        let accepted = WorkerOutput::Accepted {
            virtual_pid: 40_000,
            computation: COMPUTATION,
            time_stamp: 77,
        };
        let info = Body::ProcessAfterExec {
            real_pid: -1,
            program: "counter".into(),
        };
        assert_eq!(
            did,
            [
                Did::Other(accepted),
                Did::Sent(WorkerState::Running, info),
                Did::Other(WorkerOutput::Resume),
            ]
        );
        assert_eq!(talk.core.identity(), PROCESS);
        assert!(talk.core.is_running());
        talk
    }

    /// A worker that restarts, told to restore its state.
    fn restoring(dialect: Dialect) -> Self {
        let mut talk = Self::new(
            dialect,
            Entry::Restart {
                process: PROCESS,
                computation: COMPUTATION.with_generation(3),
                peers: 2,
            },
        );
        let hello = talk.input(WorkerInput::Opened);
        assert!(
            matches!(
                &hello[..],
                [Did::Sent(WorkerState::Restarting, Body::RestartWorker(hello))]
                    if hello.peers == 2 && hello.virtual_pid == -1
            ),
            "{hello:?}"
        );
        // Stock coordinators leave a garbage generation in a null computation here.
        let did = talk.hear(UniquePid::NULL.with_generation(32_765), accept(-1, 78));
        let accepted = WorkerOutput::Accepted {
            virtual_pid: 40_000,
            computation: COMPUTATION.with_generation(3),
            time_stamp: 78,
        };
        assert_eq!(
            did,
            [
                Did::Other(accepted),
                barrier(WorkerState::Restarting, "DMT:Restart"),
            ]
        );
        assert_eq!(
            talk.release("DMT:Restart", 2),
            [barrier(
                WorkerState::Restarting,
                "Socket::Restart_Ns_Register_Data"
            )]
        );
        assert_eq!(
            talk.release("Socket::Restart_Ns_Register_Data", 2),
            [perform(Stage::Restore)]
        );
        talk
    }

    /// A worker in a round, told to write its image.
    fn writing(dialect: Dialect, then_exit: bool) -> Self {
        let mut talk = Self::running(dialect);
        assert_eq!(
            talk.order(then_exit),
            [barrier(WorkerState::PreSuspend, "DMT:SUSPEND")]
        );
        assert_eq!(talk.release("DMT:SUSPEND", 2), [perform(Stage::Suspend)]);
        assert_eq!(
            talk.finish(Finished::Suspended),
            [barrier(WorkerState::Suspended, "DMT:CHECKPOINT")]
        );
        assert_eq!(
            talk.release("DMT:CHECKPOINT", 2),
            [barrier(
                WorkerState::Checkpointing,
                "Socket::Ckpt_Register_Peer_Info"
            )]
        );
        // Only the peers of DMT:CHECKPOINT count.
        assert_eq!(
            talk.release("Socket::Ckpt_Register_Peer_Info", 9),
            [perform(Stage::WriteImage {
                computation: COMPUTATION.with_generation(1),
                process: PROCESS,
                peers: 2,
            })]
        );
        talk
    }

    /// Everything up to the report.
    fn publish(&mut self) -> Vec<Did> {
        assert_eq!(
            self.finish(Finished::ImageWritten),
            [barrier(WorkerState::Checkpointed, "DMT:WriteCkpt")]
        );
        assert_eq!(
            self.release("DMT:WriteCkpt", 2),
            [perform(Stage::PublishImage)]
        );
        self.finish(Finished::ImagePublished {
            path: "/ckpt/ckpt_counter.dmtcp".into(),
            unique: false,
        })
    }

    /// Asserts that the worker left for breaking or seeing broken the protocol, and stays away.
    fn assert_left(&mut self, did: &[Did], what: &str) {
        assert!(
            matches!(
                did.last(),
                Some(Did::Other(WorkerOutput::Exit {
                    reason: WorkerExit::Protocol(_)
                }))
            ),
            "{what}: {did:?}"
        );
        assert!(self.core.is_over());
        assert_eq!(self.order(false), [], "{what}");
        assert_eq!(self.input(WorkerInput::Closed), [], "{what}");
    }
}

fn only_frame(dialect: Dialect, bytes: &[u8]) -> Frame {
    let mut decoder = Decoder::new(dialect, Limits::default());
    decoder.feed(bytes);
    let frame = decoder.next_frame().unwrap().unwrap();
    assert_eq!(decoder.pending(), 0);
    frame
}

fn accept(virtual_pid: i32, time_stamp: u64) -> Body {
    Body::Accept(Accept {
        virtual_pid,
        time_stamp,
        ip: [127, 0, 0, 1],
    })
}

fn released(name: &str, peers: u32) -> Body {
    Body::BarrierReleased(Released {
        name: Name::new(name).unwrap(),
        peers,
        then_exit: false,
    })
}

fn barrier(state: WorkerState, name: &str) -> Did {
    Did::Sent(state, Body::Barrier(Name::new(name).unwrap()))
}

fn perform(stage: Stage) -> Did {
    Did::Other(WorkerOutput::Perform(stage))
}

fn exit(reason: WorkerExit) -> Did {
    Did::Other(WorkerOutput::Exit { reason })
}

fn in_every_dialect(test: impl Fn(Dialect)) {
    for &dialect in Dialect::ALL {
        test(dialect);
    }
}

#[test]
fn a_checkpoint_goes_through_every_barrier_and_back_to_running() {
    in_every_dialect(|dialect| {
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
                    && file.host == "vm".into() && file.shell.as_ref().is_none_or(Text::is_empty) && !file.unique
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
    in_every_dialect(|dialect| {
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
    in_every_dialect(|dialect| {
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
    in_every_dialect(|dialect| {
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
    in_every_dialect(|dialect| {
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
    in_every_dialect(|dialect| {
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
    in_every_dialect(|dialect| {
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
    in_every_dialect(|dialect| {
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
        let order = Body::DoCheckpoint(DoCheckpoint {
            peers: 1,
            then_exit: false,
        });
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
        assert_eq!(talk.release("DMT:WriteCkpt", 1), []);
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
    in_every_dialect(|dialect| {
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

/// A header without what differs between two processes or is residue of a stock sender.
fn comparable(mut header: Header) -> Header {
    let restart = !header.group.is_null();
    header.from = UniquePid::NULL;
    header.group = UniquePid::NULL.with_generation(if restart { 1 } else { 0 });
    header.real_pid = if header.real_pid == -1 { -1 } else { 1 };
    header.key_value_code = 0;
    header.key_value_residue = 0;
    header.unique_id_offset = 0;
    header.magic_residue = 0;
    header
}

#[test]
fn every_message_has_the_fields_that_a_stock_worker_sets() {
    in_every_dialect(|dialect| {
        let (text, prefix) = match dialect {
            Dialect::V3 => (include_str!("../vectors/v3.jsonl"), "b"),
            Dialect::V5 => (include_str!("../vectors/v5.jsonl"), "c"),
            other => panic!("no vectors for {other:?}"),
        };
        let captured = |name: &str| {
            let line = text
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap())
                .find(|line| line["name"] == format!("{prefix}-c2s-{name}"))
                .unwrap_or_else(|| panic!("no vector {prefix}-c2s-{name}"));
            let hex = line["hex"].as_str().unwrap();
            let bytes: Vec<u8> = (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect();
            only_frame(dialect, &bytes)
        };
        let mut seen = 0;
        let mut sent = |names: &[&str], outputs: Vec<WorkerOutput>| {
            let mut names = names.iter();
            for output in outputs {
                let WorkerOutput::Transmit(bytes) = output else {
                    continue;
                };
                let ours = only_frame(dialect, &bytes);
                let name = names.next().expect("a message too many");
                let theirs = captured(name);
                let group = (ours.header.group.generation, theirs.header.group.generation);
                if !ours.header.group.is_null() {
                    assert_eq!(group, (3, 3), "{dialect:?} {name}");
                }
                assert_eq!(
                    comparable(ours.header),
                    comparable(theirs.header),
                    "{dialect:?} {name}"
                );
                if *name != "CKPT_FILENAME" {
                    assert_eq!(ours.payload, theirs.payload, "{dialect:?} {name}");
                }
                seen += 1;
            }
            assert_eq!(names.next(), None, "{dialect:?}");
        };
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
        assert_eq!(seen, 11);
    });
}
