//! Conversations of a worker with a coordinator written by hand, in every dialect.

#![allow(unreachable_pub, reason = "shared by several test crates")]
#![allow(dead_code, reason = "each test file uses its own part of this")]

use bytes::BytesMut;
use dmtcp_proto::{
    Accept, Body, Decoder, Dialect, DoCheckpoint, Entry, Finished, Frame, Header, Limits, Message,
    Name, Phase, PhaseOrder, Released, Stage, UniquePid, WorkerConfig, WorkerCore, WorkerExit,
    WorkerInput, WorkerOutput, WorkerState, encode,
};

use crate::captures;

pub const COORDINATOR: UniquePid = id(0x98ff, 900, 18_500);
pub const COMPUTATION: UniquePid = id(0x98ff, 100, 40_000);
pub const LAUNCHER: UniquePid = id(0x98ff, 100, 18_571);
pub const PROCESS: UniquePid = id(0x98ff, 200, 40_000);

pub const fn id(host_id: u64, time: u64, pid: i32) -> UniquePid {
    UniquePid {
        host_id,
        time,
        pid,
        generation: 0,
    }
}

/// A worker, and the coordinator's pen.
pub struct Talk {
    pub dialect: Dialect,
    pub core: WorkerCore,
}

/// What came out of one input: messages are decoded, the rest is as it was.
#[derive(Debug, PartialEq, Eq)]
pub enum Did {
    Sent(WorkerState, Body),
    Other(WorkerOutput),
}

impl Talk {
    pub fn new(dialect: Dialect, entry: Entry) -> Self {
        let config = WorkerConfig::new("vm".into(), "./counter".into(), 18_571);
        let core = WorkerCore::new(dialect, config, entry);
        Self { dialect, core }
    }

    pub fn input(&mut self, input: WorkerInput<'_>) -> Vec<Did> {
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

    pub fn bytes(&self, group: UniquePid, body: Body) -> BytesMut {
        let message = Message::new(COORDINATOR, body).in_group(group);
        let mut bytes = BytesMut::new();
        let frame = message.to_frame(self.dialect).unwrap();
        encode(self.dialect, &frame, &mut bytes).unwrap();
        bytes
    }

    pub fn hear(&mut self, group: UniquePid, body: Body) -> Vec<Did> {
        let bytes = self.bytes(group, body);
        self.input(WorkerInput::Received(&bytes))
    }

    pub fn release(&mut self, name: &str, peers: u32) -> Vec<Did> {
        self.hear(COMPUTATION.with_generation(1), released(name, peers))
    }

    /// The order to begin a round.
    pub fn order(&mut self, then_exit: bool) -> Vec<Did> {
        let order = first_order(self.dialect, then_exit);
        self.hear(COMPUTATION.with_generation(1), order)
    }

    /// The order to begin a phase.
    pub fn say(&mut self, phase: Phase, peers: u32) -> Vec<Did> {
        self.hear(COMPUTATION.with_generation(1), phase_order(phase, peers))
    }

    pub fn finish(&mut self, finished: Finished) -> Vec<Did> {
        self.input(WorkerInput::Finished(finished))
    }

    /// A worker of a program that runs.
    pub fn running(dialect: Dialect) -> Self {
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
        let mut expected = vec![
            Did::Other(accepted),
            Did::Sent(WorkerState::Running, info),
            Did::Other(WorkerOutput::Resume),
        ];
        if !has_barriers(dialect) {
            expected.insert(2, ok(WorkerState::Running));
        }
        assert_eq!(did, expected);
        assert_eq!(talk.core.identity(), PROCESS);
        assert!(talk.core.is_running());
        talk
    }

    /// A worker that restarts, told to restore its state.
    pub fn restoring(dialect: Dialect) -> Self {
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
        if !has_barriers(dialect) {
            assert_eq!(did, [Did::Other(accepted), perform(Stage::Restore)]);
            return talk;
        }
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
    pub fn writing(dialect: Dialect, then_exit: bool) -> Self {
        let mut talk = Self::running(dialect);
        let image = Stage::WriteImage {
            computation: COMPUTATION.with_generation(1),
            process: PROCESS,
            peers: 2,
        };
        if !has_barriers(dialect) {
            assert_eq!(talk.order(then_exit), [perform(Stage::Suspend)]);
            let mut did = talk.finish(Finished::Suspended);
            for two in dialect.phases().windows(2) {
                let [(_, state), (next, _)] = *two else {
                    unreachable!()
                };
                assert_eq!(did, [ok(state)], "{dialect:?} {next:?}");
                // Only the peers of the election count.
                let peers = if next == Phase::FdLeaderElection {
                    2
                } else {
                    9
                };
                did = talk.say(next, peers);
                if next == Phase::Checkpoint {
                    assert_eq!(did, [perform(image)]);
                    return talk;
                }
            }
            panic!("{dialect:?} has no phase that writes");
        }
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
            [perform(image)]
        );
        talk
    }

    /// Everything up to the report.
    pub fn publish(&mut self) -> Vec<Did> {
        let mut did = self.finish(Finished::ImageWritten);
        if has_barriers(self.dialect) {
            assert_eq!(did, [barrier(WorkerState::Checkpointed, "DMT:WriteCkpt")]);
            did = self.release("DMT:WriteCkpt", 2);
        }
        assert_eq!(did, [perform(Stage::PublishImage)]);
        self.finish(Finished::ImagePublished {
            path: "/ckpt/ckpt_counter.dmtcp".into(),
            unique: false,
        })
    }

    /// Asserts that the worker left for breaking or seeing broken the protocol, and stays away.
    pub fn assert_left(&mut self, did: &[Did], what: &str) {
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

pub fn only_frame(dialect: Dialect, bytes: &[u8]) -> Frame {
    let mut decoder = Decoder::new(dialect, Limits::default());
    decoder.feed(bytes);
    let frame = decoder.next_frame().unwrap().unwrap();
    assert_eq!(decoder.pending(), 0);
    frame
}

pub fn accept(virtual_pid: i32, time_stamp: u64) -> Body {
    Body::Accept(Accept {
        virtual_pid,
        time_stamp,
        ip: [127, 0, 0, 1],
    })
}

pub fn released(name: &str, peers: u32) -> Body {
    Body::BarrierReleased(Released {
        name: Name::new(name).unwrap(),
        peers,
        then_exit: false,
    })
}

pub fn barrier(state: WorkerState, name: &str) -> Did {
    Did::Sent(state, Body::Barrier(Name::new(name).unwrap()))
}

pub fn perform(stage: Stage) -> Did {
    Did::Other(WorkerOutput::Perform(stage))
}

pub fn exit(reason: WorkerExit) -> Did {
    Did::Other(WorkerOutput::Exit { reason })
}

pub fn ok(state: WorkerState) -> Did {
    Did::Sent(state, Body::Ok)
}

pub fn phase_order(phase: Phase, peers: u32) -> Body {
    Body::Do(PhaseOrder {
        peers,
        ..PhaseOrder::new(phase)
    })
}

pub fn first_order(dialect: Dialect, then_exit: bool) -> Body {
    match dialect.phases().first() {
        Some(&(phase, _)) => phase_order(phase, 0),
        None => Body::DoCheckpoint(DoCheckpoint {
            peers: 2,
            then_exit,
        }),
    }
}

pub fn has_barriers(dialect: Dialect) -> bool {
    dialect.phases().is_empty()
}

pub fn in_every_dialect(test: impl Fn(Dialect)) {
    for &dialect in Dialect::ALL {
        eprintln!("--- {dialect:?}");
        test(dialect);
    }
}

/// A captured frame, by its sender (`c2s` or `s2c`) and name.
pub fn captured(dialect: Dialect, sender: &str, name: &str) -> Frame {
    let end = format!("-{sender}-{name}");
    let all = captures::of(dialect);
    let capture = all.iter().find(|capture| capture.name.ends_with(&end));
    let capture = capture.unwrap_or_else(|| panic!("no capture {dialect:?} {end}"));
    only_frame(dialect, &capture.bytes)
}

/// A header without what differs between two processes or is residue of a stock sender.
pub fn comparable(mut header: Header) -> Header {
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

/// What a worker sent, beside what a stock one sends: the captures of these names.
pub fn assert_like_captured(dialect: Dialect, names: &[&str], outputs: Vec<WorkerOutput>) {
    let mut names = names.iter();
    for output in outputs {
        let WorkerOutput::Transmit(bytes) = output else {
            continue;
        };
        let ours = only_frame(dialect, &bytes);
        let name = names.next().expect("a message too many");
        let theirs = captured(dialect, "c2s", name);
        if !ours.header.group.is_null() {
            let generation = theirs.header.group.generation;
            assert_eq!(
                ours.header.group.generation, generation,
                "{dialect:?} {name}"
            );
        }
        assert_eq!(
            comparable(ours.header),
            comparable(theirs.header),
            "{dialect:?} {name}"
        );
        if *name != "CKPT_FILENAME" {
            assert_eq!(ours.payload, theirs.payload, "{dialect:?} {name}");
        }
    }
    assert_eq!(names.next(), None, "{dialect:?}");
}
