//! A script of what a coordinator, the driver and the network do to a worker.
//!
//! Two cores live through the same script: one is given what arrives in one piece, the other one
//! in many. Both must do the same.

use alloc::vec::Vec;
use bytes::Bytes;

use super::input::Script;
use super::wire::encoded;
use super::worker_watch::Watch;
use crate::dialect::Dialect;
use crate::ids::UniquePid;
use crate::message::{
    Accept, Body, DoCheckpoint, KeyValueResponse, Message, PhaseOrder, Reject, Released, UserResult,
};
use crate::message::{CommandStatus, KeyValueOp, KeyValueRequest};
use crate::name::Name;
use crate::text::Text;
use crate::wire::Limits;
use crate::worker::{Entry, Finished, Stage, WorkerConfig, WorkerInput};

const COORDINATOR: UniquePid = id(1, 1);
const COMPUTATION: UniquePid = id(2, 40_000);
const MAX_OPERATIONS: usize = 300;
/// No round has more steps than this: the longest lists of barriers, twice, and the stages.
const MAX_STEPS: usize = 40;

const fn id(time: u64, pid: i32) -> UniquePid {
    UniquePid {
        host_id: 7,
        time,
        pid,
        generation: 1,
    }
}

/// Whatever is said to a worker, it says only what a worker says, in the right state; it asks
/// its driver for one thing at a time; nothing follows its end; and as long as it was told nothing
/// wrong, a coordinator that does its part gets it to run and through a round.
pub fn worker(data: &[u8]) {
    let mut script = Script::new(data);
    if script.byte() % 4 == 3 {
        super::both_sides::both_sides(&mut script);
        return;
    }
    let mut talk = Talk::new(&mut script);
    for _ in 0..MAX_OPERATIONS {
        if script.is_over() {
            break;
        }
        talk.operation(&mut script);
    }
    talk.flush();
    talk.finish();
}

struct Talk {
    dialect: Dialect,
    whole: Watch,
    in_pieces: Watch,
    seed: usize,
    /// What is said and not yet delivered.
    waiting: Vec<u8>,
    /// Nothing was said but whole messages of the dialect.
    clean: bool,
    /// An order was said that workers exit behind.
    then_exit: bool,
}

impl Talk {
    fn new(script: &mut Script<'_>) -> Self {
        let dialect = script.dialect();
        let restart = script.flag();
        let (before, behind) = (barriers(script), barriers(script));
        let entry = || match restart {
            false => Entry::New {
                launcher: id(3, 99),
                process_time: 4,
            },
            true => Entry::Restart {
                process: id(3, 41_000),
                computation: COMPUTATION,
                peers: 1,
            },
        };
        let mut config =
            WorkerConfig::new("vm".into(), "/bin/count".into(), 99).barriers(before, behind);
        config.limits = Limits::default().max_payload(4096);
        Self {
            dialect,
            whole: Watch::new(dialect, config.clone(), entry()),
            in_pieces: Watch::new(dialect, config, entry()),
            seed: script.byte().into(),
            waiting: Vec::new(),
            clean: true,
            then_exit: false,
        }
    }

    fn operation(&mut self, script: &mut Script<'_>) {
        match script.byte() % 20 {
            0 => self.drive(|| WorkerInput::Opened),
            1..=5 => self.help(),
            6 => self.say(&Body::Accept(accept(script)), group(script)),
            7 => {
                let reject = script.choose(&[
                    Reject::NotRestarting,
                    Reject::WrongComputation,
                    Reject::NotRunning,
                    Reject::PeerMismatch,
                ]);
                self.say(&Body::Reject(reject), UniquePid::NULL);
            }
            8 | 9 if !self.dialect.phases().is_empty() => {
                let (any, _) = script.choose(self.dialect.phases());
                let due = self.whole.core().awaited_phase();
                let order = PhaseOrder {
                    phase: due.filter(|_| script.byte() % 4 < 3).unwrap_or(any),
                    peers: u32::from(script.byte() % 3),
                    checkpoint_dir: script
                        .choose(&[None, None, Some(""), Some("/d")])
                        .map(Text::from),
                };
                self.say(&Body::Do(order), group(script));
            }
            8 | 9 => {
                let order = DoCheckpoint {
                    peers: script.byte().into(),
                    then_exit: script.byte() % 4 == 3,
                };
                self.then_exit |= order.then_exit;
                self.say(&Body::DoCheckpoint(order), group(script));
            }
            10 | 11 => {
                let due = self.whole.core().waiting_at();
                let released = Released {
                    name: due
                        .filter(|_| script.byte() % 4 < 3)
                        .unwrap_or_else(|| name(script)),
                    peers: u32::from(script.byte() % 3),
                    then_exit: script.flag(),
                };
                self.say(&Body::BarrierReleased(released), COMPUTATION);
            }
            12 => {
                let finished = finished(script);
                self.drive(|| WorkerInput::Finished(finished.clone()));
            }
            13 => self.say(&Body::KillPeer, UniquePid::NULL),
            14 => self.drive(|| WorkerInput::Closed),
            15 => self.say(&other(script), COMPUTATION),
            16 => self.mutated(script),
            17 => {
                let len = script.byte();
                let noise = script.bytes(len.into());
                self.whole.anything_may_be_released();
                self.in_pieces.anything_may_be_released();
                self.clean &= noise.is_empty();
                self.waiting.extend_from_slice(noise);
            }
            // Nothing: what was said before and what is said next arrive together.
            18 => return,
            _ => self.seed += usize::from(script.byte()),
        }
        if script.byte() % 4 < 3 {
            self.flush();
        }
    }

    /// What a coordinator or driver that does its part would do next.
    fn help(&mut self) {
        self.flush();
        let core = self.whole.core();
        if core.is_over() {
            return;
        }
        if let Some(stage) = self.whole.asked_for() {
            let finished = match stage {
                Stage::Restore => Finished::Restored,
                Stage::Suspend => Finished::Suspended,
                Stage::WriteImage { .. } => Finished::ImageWritten,
                Stage::PublishImage => Finished::ImagePublished {
                    path: "/d/ckpt_count.dmtcp".into(),
                    unique: false,
                },
            };
            self.drive(|| WorkerInput::Finished(finished.clone()));
        } else if let Some(name) = core.waiting_at() {
            let released = Released {
                name,
                peers: 1,
                then_exit: false,
            };
            let group = core.computation();
            self.say(&Body::BarrierReleased(released), group);
        } else if let Some(order) = self.due_order() {
            let group = core.computation();
            self.say(&Body::Do(order), group);
        } else if core.is_running() {
            let order = DoCheckpoint {
                peers: 1,
                then_exit: false,
            };
            let group = core.computation();
            let next = group.with_generation(group.generation.wrapping_add(1));
            self.say(&Body::DoCheckpoint(order), next);
        } else if self.whole.opened() {
            let accept = Accept {
                virtual_pid: 40_000,
                time_stamp: 5,
                ip: [127, 0, 0, 1],
            };
            self.say(&Body::Accept(accept), COMPUTATION);
        } else {
            self.drive(|| WorkerInput::Opened);
        }
        self.flush();
    }

    /// Lockstep: the order that is due.
    fn due_order(&self) -> Option<PhaseOrder> {
        let core = self.whole.core();
        let first = self.dialect.phases().first().map(|&(phase, _)| phase);
        let due = core.awaited_phase();
        let phase = due.or_else(|| first.filter(|_| core.is_running()))?;
        Some(PhaseOrder {
            peers: 1,
            ..PhaseOrder::new(phase)
        })
    }

    /// A worker that was told nothing wrong can always be got to run, and through a round.
    fn finish(&mut self) {
        if !self.clean || self.whole.core().is_over() {
            return;
        }
        for _round in 0..2 {
            let mut steps = 0;
            while !self.whole.core().is_running() {
                self.help();
                steps += 1;
                assert!(steps < MAX_STEPS, "never runs");
                if self.whole.core().is_over() {
                    assert!(self.then_exit, "leaves for no reason");
                    return;
                }
            }
            self.help();
        }
    }

    fn say(&mut self, body: &Body, group: UniquePid) {
        let message = Message::new(COORDINATOR, body.clone()).in_group(group);
        let Some(bytes) = encoded(self.dialect, &message) else {
            return;
        };
        if let Body::BarrierReleased(released) = body {
            self.whole.released(released.name);
            self.in_pieces.released(released.name);
        }
        if let Body::Do(order) = body {
            self.whole.ordered(order.phase);
            self.in_pieces.ordered(order.phase);
        }
        self.waiting.extend_from_slice(&bytes);
    }

    /// A message with some of its bytes changed, or cut off.
    fn mutated(&mut self, script: &mut Script<'_>) {
        let released = Released {
            name: self.whole.core().waiting_at().unwrap_or_default(),
            peers: 1,
            then_exit: false,
        };
        let body = match script.byte() % 3 {
            0 | 2 if !self.dialect.phases().is_empty() => match self.due_order() {
                Some(order) => Body::Do(order),
                None => Body::KillPeer,
            },
            0 => Body::BarrierReleased(released),
            1 => Body::Accept(accept(script)),
            _ => Body::DoCheckpoint(DoCheckpoint {
                peers: 1,
                then_exit: false,
            }),
        };
        let message = Message::new(COORDINATOR, body).in_group(COMPUTATION);
        let Some(bytes) = encoded(self.dialect, &message) else {
            return;
        };
        let mut bytes = bytes.to_vec();
        for _ in 0..script.byte() % 4 {
            let at = usize::from(script.byte()) % bytes.len();
            bytes[at] = script.byte();
        }
        if script.byte() % 8 == 7 {
            bytes.truncate(script.byte().into());
        }
        self.clean = false;
        self.whole.anything_may_be_released();
        self.in_pieces.anything_may_be_released();
        self.waiting.extend_from_slice(&bytes);
    }

    /// Delivers what was said.
    fn flush(&mut self) {
        let bytes = core::mem::take(&mut self.waiting);
        if bytes.is_empty() {
            return;
        }
        let whole = self.whole.input(WorkerInput::Received(&bytes));
        let mut in_pieces = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at((1 + self.seed % 113).min(rest.len()));
            in_pieces.extend(self.in_pieces.input(WorkerInput::Received(piece)));
            self.seed = self.seed.wrapping_mul(5).wrapping_add(3);
            rest = behind;
        }
        assert_eq!(whole, in_pieces, "the split changes what a worker does");
        self.compare();
    }

    fn drive<'a>(&mut self, input: impl Fn() -> WorkerInput<'a>) {
        self.flush();
        let whole = self.whole.input(input());
        let in_pieces = self.in_pieces.input(input());
        assert_eq!(whole, in_pieces);
        self.compare();
    }

    fn compare(&self) {
        let (one, other) = (self.whole.core(), self.in_pieces.core());
        assert_eq!(one.is_over(), other.is_over());
        assert_eq!(one.is_running(), other.is_running());
        assert_eq!(one.waiting_at(), other.waiting_at());
        assert_eq!(one.computation(), other.computation());
        assert_eq!(one.state(), other.state());
    }
}

fn barriers(script: &mut Script<'_>) -> Vec<Name> {
    (0..script.byte() % 4).map(|_| name(script)).collect()
}

fn name(script: &mut Script<'_>) -> Name {
    let text = script.choose(&[
        "A",
        "B",
        "DMT:SUSPEND",
        "DMT:CHECKPOINT",
        "DMT:WriteCkpt",
        "DMT:Restart",
        "",
    ]);
    Name::from_field(text.as_bytes())
}

fn group(script: &mut Script<'_>) -> UniquePid {
    let generation = u32::from(script.byte());
    script.choose(&[
        COMPUTATION.with_generation(generation),
        COMPUTATION,
        id(9, 40_000),
        UniquePid::NULL,
    ])
}

fn accept(script: &mut Script<'_>) -> Accept {
    Accept {
        virtual_pid: script.choose(&[40_000, 40_000, -1, 0]),
        time_stamp: script.byte().into(),
        ip: [127, 0, 0, 1],
    }
}

fn finished(script: &mut Script<'_>) -> Finished {
    match script.byte() % 5 {
        0 => Finished::Restored,
        1 => Finished::Suspended,
        2 => Finished::ImageWritten,
        3 => {
            let len = script.byte();
            let path = script.bytes(len.into()).iter().filter(|&&byte| byte != 0);
            let path = Text::new(path.copied().collect::<Bytes>()).unwrap_or_default();
            let unique = script.flag();
            Finished::ImagePublished { path, unique }
        }
        _ => Finished::Failed,
    }
}

/// What no coordinator says to a worker outside of a request.
fn other(script: &mut Script<'_>) -> Body {
    match script.byte() % 7 {
        0 => Body::CheckpointDir("/d".into()),
        1 => Body::UserResult(UserResult::new(CommandStatus::Success)),
        2 => Body::KeyValueResponse(KeyValueResponse::NoKey),
        3 => Body::KeyValueRequest(KeyValueRequest {
            op: KeyValueOp::Get,
            database: Name::EMPTY,
            key: "key".into(),
            value: Text::default(),
        }),
        4 => Body::Barrier(name(script)),
        5 => Body::WorkerResuming,
        _ => Body::NameServiceWorker,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The invariants are not vacuous: help alone gets through many rounds.
    #[test]
    fn help_alone_makes_rounds() {
        for &dialect in Dialect::ALL {
            for restart in [0, 1] {
                let index = Dialect::ALL.iter().position(|&d| d == dialect).unwrap();
                let data = [&[index as u8, restart, 2, 0, 1, 1, 1, 9], &[1; 200][..]].concat();
                let mut script = Script::new(&data);
                let mut talk = Talk::new(&mut script);
                while !script.is_over() {
                    talk.operation(&mut script);
                }
                assert!(talk.whole.rounds() > 5, "{}", talk.whole.rounds());
                assert_eq!(talk.whole.core().state(), talk.in_pieces.core().state());
            }
        }
    }
}
