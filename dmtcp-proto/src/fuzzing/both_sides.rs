//! Our workers and our coordinator, wired to each other: who acts, and how much of what was said
//! arrives, is the script's.

use alloc::vec::Vec;
use core::time::Duration;

use super::input::Script;
use super::worker_watch::Watch;
use crate::command::{AfterCheckpoint, Command};
use crate::coordinator::{CoordinatorConfig, CoordinatorCore, Input, Output, Survivors};
use crate::dialect::Dialect;
use crate::ids::{ConnId, RequestId, UniquePid};
use crate::time::Instant;
use crate::worker::{Entry, Finished, Stage, WorkerConfig, WorkerExit, WorkerInput, WorkerOutput};

const NOW: Instant = Instant::ZERO;
const MAX_WORKERS: usize = 5;
const MAX_OPERATIONS: usize = 400;
/// Turns of everybody until all is said and done.
const MAX_TURNS: usize = 200;

/// No order in which bytes arrive makes one of our sides break the protocol: workers leave only
/// because they were told to, because they were not let in or because their driver failed, and in
/// the end all that are left run and every request has its answer.
pub(super) fn both_sides(script: &mut Script<'_>) {
    let dialect = script.dialect();
    let identity = UniquePid {
        host_id: 1,
        time: 1,
        pid: 1,
        generation: 0,
    };
    let config = CoordinatorConfig::default()
        .settle_time(Duration::ZERO)
        .identity(identity);
    let mut world = World {
        dialect,
        coordinator: CoordinatorCore::new(config, NOW),
        seats: Vec::new(),
        seals: Vec::new(),
        requests: 0,
        answers: 0,
    };
    for _ in 0..MAX_OPERATIONS {
        if script.is_over() {
            break;
        }
        world.operation(script);
    }
    world.finish();
}

struct World {
    dialect: Dialect,
    coordinator: CoordinatorCore,
    seats: Vec<Seat>,
    /// Rounds to be sealed.
    seals: Vec<u64>,
    requests: u64,
    answers: u64,
}

/// One worker and its connection.
struct Seat {
    watch: Watch,
    to_coordinator: Vec<u8>,
    to_worker: Vec<u8>,
    /// The coordinator has hung up behind what is under way.
    hung_up: bool,
    /// The worker has left and the coordinator knows.
    gone: bool,
    failed: bool,
}

impl World {
    fn operation(&mut self, script: &mut Script<'_>) {
        match script.byte() % 11 {
            0 => self.join(),
            1 => {
                let command = script.choose(&[
                    Command::Checkpoint(AfterCheckpoint::ReplyWhenDone),
                    Command::Checkpoint(AfterCheckpoint::ReplyAtOnce),
                    Command::Checkpoint(AfterCheckpoint::ReplyWhenDone),
                    Command::Checkpoint(AfterCheckpoint::KillWorkers),
                    Command::Status,
                    Command::List,
                    Command::Kill,
                ]);
                self.request(command);
            }
            2 => self.sealed(script.byte() % 4 < 3),
            3 => {
                if let Some(index) = self.seat(script) {
                    self.act(index, script.byte() % 16 == 15);
                }
            }
            4 | 5 => {
                if let Some(index) = self.seat(script) {
                    self.deliver_up(index, script.byte().into());
                }
            }
            6 | 7 => {
                if let Some(index) = self.seat(script) {
                    self.deliver_down(index, script.byte().into());
                }
            }
            8 => self.turn(),
            10 => self.give_up(script),
            _ => {
                if let Some(index) = self.seat(script) {
                    self.deliver_up(index, usize::MAX);
                    self.deliver_down(index, usize::MAX);
                    self.act(index, false);
                }
            }
        }
    }

    fn seat(&self, script: &mut Script<'_>) -> Option<usize> {
        let index = usize::from(script.byte());
        (!self.seats.is_empty()).then(|| index % self.seats.len())
    }

    fn join(&mut self) {
        let index = self.seats.len();
        if index == MAX_WORKERS {
            return;
        }
        let number = index as u64;
        let launcher = UniquePid {
            host_id: 7,
            time: 10 + number,
            pid: 100 + index as i32,
            generation: 0,
        };
        let entry = Entry::New {
            launcher,
            process_time: 1000 + number,
        };
        let config = WorkerConfig::new("vm".into(), "count".into(), launcher.pid);
        let mut watch = Watch::new(self.dialect, config, entry);
        // Whether a release was due is the coordinator's model to check.
        watch.anything_may_be_released();
        self.seats.push(Seat {
            watch,
            to_coordinator: Vec::new(),
            to_worker: Vec::new(),
            hung_up: false,
            gone: false,
            failed: false,
        });
        let conn = ConnId(number);
        let peer = ([127, 0, 0, 1], 9).into();
        self.tell(Input::Opened { conn, peer });
        self.work(index, WorkerInput::Opened);
    }

    /// The embedding program waits no longer for one of those that are late.
    fn give_up(&mut self, script: &mut Script<'_>) {
        let (whom, survivors) = (
            usize::from(script.byte()),
            script.choose(&[Survivors::RunOn, Survivors::Killed]),
        );
        let Some(standing) = self.coordinator.standing(NOW) else {
            return;
        };
        let late = standing.late.get(whom % standing.late.len().max(1));
        if let (Some(round), Some(late)) = (standing.round, late) {
            let workers = &[late.worker.number];
            let after = Duration::ZERO;
            self.tell(Input::GiveUp {
                round,
                workers,
                after,
                survivors,
            });
        }
    }

    fn request(&mut self, command: Command) {
        let id = RequestId(self.requests);
        self.requests += 1;
        self.tell(Input::Request { id, command });
    }

    fn sealed(&mut self, well: bool) {
        if let Some(round) = self.seals.pop() {
            let result = if well { Ok(()) } else { Err("full".into()) };
            self.tell(Input::Sealed { round, result });
        }
    }

    fn tell(&mut self, input: Input<'_>) {
        let outputs: Vec<Output> = self.coordinator.handle(NOW, input).collect();
        for output in outputs {
            match output {
                Output::Transmit { conn, bytes } => self.transmit(conn, &bytes),
                Output::TransmitAll { conns, bytes } => {
                    for conn in conns {
                        self.transmit(conn, &bytes);
                    }
                }
                Output::Close { conn } => {
                    if let Some(seat) = self.seats.get_mut(conn.0 as usize) {
                        seat.hung_up = true;
                    }
                }
                Output::Seal { round, .. } => self.seals.push(round),
                Output::Reply { .. } => self.answers += 1,
                Output::KillProcess { conn, .. } => {
                    if let Some(seat) = self.seats.get_mut(conn.0 as usize) {
                        seat.failed = true;
                    }
                }
                Output::Event(_) | Output::Step { .. } | Output::Stop => {}
            }
        }
    }

    fn transmit(&mut self, conn: ConnId, bytes: &[u8]) {
        if let Some(seat) = self.seats.get_mut(conn.0 as usize) {
            assert!(!seat.hung_up, "speaks behind the end");
            seat.to_worker.extend_from_slice(bytes);
        }
    }

    fn work(&mut self, index: usize, input: WorkerInput<'_>) {
        let seat = &mut self.seats[index];
        for output in seat.watch.input(input) {
            match output {
                WorkerOutput::Transmit(bytes) => seat.to_coordinator.extend_from_slice(&bytes),
                WorkerOutput::Exit { reason } => match reason {
                    WorkerExit::Killed | WorkerExit::Checkpointed | WorkerExit::Failed => {}
                    WorkerExit::CoordinatorLost if seat.hung_up => {}
                    other => panic!("{other:?}"),
                },
                WorkerOutput::Accepted { .. }
                | WorkerOutput::Rejected(_)
                | WorkerOutput::CheckpointDir(_)
                | WorkerOutput::Perform(_)
                | WorkerOutput::Resume => {}
            }
        }
    }

    /// The driver does what it was asked for.
    fn act(&mut self, index: usize, fail: bool) {
        let seat = &mut self.seats[index];
        if seat.watch.core().is_over() {
            return;
        }
        let finished = match seat.watch.asked_for() {
            None => return,
            Some(_) if fail => Finished::Failed,
            Some(Stage::Restore) => Finished::Restored,
            Some(Stage::Suspend) => Finished::Suspended,
            Some(Stage::WriteImage { .. }) => Finished::ImageWritten,
            Some(Stage::PublishImage) => Finished::ImagePublished {
                path: alloc::format!("/d/ckpt_{index}").into(),
                unique: false,
            },
        };
        seat.failed |= fail;
        self.work(index, WorkerInput::Finished(finished));
    }

    /// Up to so many bytes arrive at the coordinator; behind the last ones, the end.
    fn deliver_up(&mut self, index: usize, count: usize) {
        let seat = &mut self.seats[index];
        let count = count.min(seat.to_coordinator.len());
        let bytes: Vec<u8> = seat.to_coordinator.drain(..count).collect();
        let ends = seat.watch.core().is_over() && seat.to_coordinator.is_empty() && !seat.gone;
        let hung_up = seat.hung_up;
        seat.gone |= ends;
        let conn = ConnId(index as u64);
        if !bytes.is_empty() && !hung_up {
            let bytes = &bytes;
            self.tell(Input::Received { conn, bytes });
        }
        if ends && !hung_up {
            self.tell(Input::Closed { conn });
        }
    }

    /// Up to so many bytes arrive at the worker; behind the last ones, the end.
    fn deliver_down(&mut self, index: usize, count: usize) {
        let seat = &mut self.seats[index];
        let count = count.min(seat.to_worker.len());
        let bytes: Vec<u8> = seat.to_worker.drain(..count).collect();
        if !bytes.is_empty() {
            self.work(index, WorkerInput::Received(&bytes));
        }
        let seat = &self.seats[index];
        if seat.hung_up && seat.to_worker.is_empty() && !seat.watch.core().is_over() {
            self.work(index, WorkerInput::Closed);
        }
    }

    /// Everybody does everything that is due.
    fn turn(&mut self) {
        for index in 0..self.seats.len() {
            self.deliver_up(index, usize::MAX);
            self.deliver_down(index, usize::MAX);
            self.act(index, false);
        }
    }

    /// Those that have not left.
    fn left(&self) -> Vec<usize> {
        let is_left = |&index: &usize| !self.seats[index].watch.core().is_over();
        (0..self.seats.len()).filter(is_left).collect()
    }

    fn finish(mut self) {
        for _ in 0..MAX_TURNS {
            self.turn();
            self.sealed(true);
        }
        let left = self.left();
        for &index in &left {
            let seat = &self.seats[index];
            assert!(seat.to_worker.is_empty() && seat.to_coordinator.is_empty());
            assert!(!seat.hung_up, "cut off and still there");
        }
        let failed = self.seats.iter().any(|seat| seat.failed);
        let all_run = left
            .iter()
            .all(|&index| self.seats[index].watch.core().is_running());
        // Survivors of a lost peer may have to be killed by their pid, which is not done here.
        assert!(all_run || failed, "stuck");
        assert!(self.answers == self.requests || failed, "never answered");
        if failed || left.is_empty() {
            return;
        }
        let before: usize = left
            .iter()
            .map(|&index| self.seats[index].watch.rounds())
            .sum();
        self.request(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone));
        for _ in 0..MAX_TURNS {
            self.turn();
            self.sealed(true);
        }
        assert_eq!(self.answers, self.requests, "the last round has no end");
        let after: usize = left
            .iter()
            .map(|&index| self.seats[index].watch.rounds())
            .sum();
        assert_eq!(after, before + left.len(), "an image is missing");
    }
}
