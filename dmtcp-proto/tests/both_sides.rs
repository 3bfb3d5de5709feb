//! Our worker and our coordinator, both as pure functions, wired to each other byte by byte.

use bytes::Bytes;
use core::time::Duration;
use dmtcp_proto::{
    AfterCheckpoint, Command, ConnId, CoordinatorConfig, CoordinatorCore, Dialect, Entry, Event,
    Finished, Input, Instant, Output, Reply, RequestId, Stage, UniquePid, WorkerConfig, WorkerCore,
    WorkerExit, WorkerInput, WorkerOutput, WorkerState,
};
use std::collections::VecDeque;

const NOW: Instant = Instant::ZERO;

/// A coordinator with workers whose drivers do every stage at once.
struct World {
    coordinator: CoordinatorCore,
    workers: Vec<Seat>,
    events: Vec<Event>,
    replies: Vec<Result<Reply, dmtcp_proto::CommandError>>,
}

struct Seat {
    core: WorkerCore,
    /// The last image: who, which computation, how many.
    image: Option<(UniquePid, UniquePid, u32)>,
    stages: Vec<Stage>,
    exit: Option<WorkerExit>,
    /// Fails the stage that writes.
    disk_full: bool,
}

enum Parcel {
    ToCoordinator(usize, Bytes),
    ToWorker(usize, Bytes),
    Gone(usize),
}

impl World {
    fn new() -> Self {
        let identity = UniquePid {
            host_id: 1,
            time: 1,
            pid: 1,
            generation: 0,
        };
        let config = CoordinatorConfig::default()
            .settle_time(Duration::ZERO)
            .identity(identity);
        Self {
            coordinator: CoordinatorCore::new(config, NOW),
            workers: Vec::new(),
            events: Vec::new(),
            replies: Vec::new(),
        }
    }

    fn join(&mut self, dialect: Dialect, entry: Entry) {
        let index = self.workers.len();
        let config = WorkerConfig::new("vm".into(), "count".into(), 100 + index as i32);
        self.workers.push(Seat {
            core: WorkerCore::new(dialect, config, entry),
            image: None,
            stages: Vec::new(),
            exit: None,
            disk_full: false,
        });
        let conn = ConnId(index as u64);
        let peer = ([127, 0, 0, 1], 1).into();
        let mut mail = VecDeque::new();
        self.tell(Input::Opened { conn, peer }, &mut mail);
        self.work(index, WorkerInput::Opened, &mut mail);
        self.deliver(mail);
    }

    fn new_worker(&mut self, dialect: Dialect) {
        let time = 10 + self.workers.len() as u64;
        let launcher = UniquePid {
            host_id: 7,
            time,
            pid: 100 + time as i32,
            generation: 0,
        };
        self.join(
            dialect,
            Entry::New {
                launcher,
                process_time: 1000 + time,
            },
        );
    }

    fn checkpoint(&mut self, after: AfterCheckpoint) {
        let id = RequestId(self.replies.len() as u64);
        let command = Command::Checkpoint(after);
        let mut mail = VecDeque::new();
        self.tell(Input::Request { id, command }, &mut mail);
        self.deliver(mail);
    }

    fn deliver(&mut self, mut mail: VecDeque<Parcel>) {
        while let Some(parcel) = mail.pop_front() {
            match parcel {
                Parcel::ToCoordinator(from, bytes) => {
                    let conn = ConnId(from as u64);
                    let bytes = &bytes;
                    self.tell(Input::Received { conn, bytes }, &mut mail);
                }
                Parcel::ToWorker(to, bytes) => {
                    self.work(to, WorkerInput::Received(&bytes), &mut mail);
                }
                Parcel::Gone(from) => {
                    let conn = ConnId(from as u64);
                    self.tell(Input::Closed { conn }, &mut mail);
                }
            }
        }
    }

    fn tell(&mut self, input: Input<'_>, mail: &mut VecDeque<Parcel>) {
        let mut sealed = Vec::new();
        for output in self.coordinator.handle(NOW, input) {
            match output {
                Output::Transmit { conn, bytes } => {
                    mail.push_back(Parcel::ToWorker(conn.0 as usize, bytes));
                }
                Output::TransmitAll { conns, bytes } => mail.extend(
                    conns
                        .iter()
                        .map(|conn| Parcel::ToWorker(conn.0 as usize, bytes.clone())),
                ),
                Output::Seal { round, .. } => sealed.push(round),
                Output::Event(event) => self.events.push(event),
                Output::Reply { result, .. } => self.replies.push(result),
                Output::Close { .. }
                | Output::KillProcess { .. }
                | Output::Step { .. }
                | Output::Stop => {}
            }
        }
        for round in sealed {
            let result = Ok(());
            self.tell(Input::Sealed { round, result }, mail);
        }
    }

    fn work(&mut self, index: usize, input: WorkerInput<'_>, mail: &mut VecDeque<Parcel>) {
        let seat = &mut self.workers[index];
        let mut next = Vec::new();
        for output in seat.core.handle(input) {
            match output {
                WorkerOutput::Transmit(bytes) => {
                    mail.push_back(Parcel::ToCoordinator(index, bytes));
                }
                WorkerOutput::Perform(stage) => {
                    seat.stages.push(stage);
                    next.push(match stage {
                        Stage::Restore => Finished::Restored,
                        Stage::Suspend => Finished::Suspended,
                        Stage::WriteImage { .. } if seat.disk_full => Finished::Failed,
                        Stage::WriteImage {
                            process,
                            computation,
                            peers,
                        } => {
                            seat.image = Some((process, computation, peers));
                            Finished::ImageWritten
                        }
                        Stage::PublishImage => Finished::ImagePublished {
                            path: format!("/images/{index}.dmtcp").into(),
                            unique: false,
                        },
                    });
                }
                WorkerOutput::Rejected(reason) => panic!("worker {index} rejected: {reason}"),
                WorkerOutput::Exit { reason } => {
                    seat.exit = Some(reason);
                    mail.push_back(Parcel::Gone(index));
                }
                WorkerOutput::Accepted { .. }
                | WorkerOutput::CheckpointDir(_)
                | WorkerOutput::Resume => {}
            }
        }
        for finished in next {
            self.work(index, WorkerInput::Finished(finished), mail);
        }
    }

    fn complete(&self) -> Option<usize> {
        self.events.iter().find_map(|event| match event {
            Event::CheckpointComplete { images, .. } => Some(images.len()),
            _ => None,
        })
    }
}

/// A computation of two workers, checkpointed once.
fn checkpointed(dialect: Dialect, after: AfterCheckpoint) -> World {
    let mut world = World::new();
    world.new_worker(dialect);
    world.new_worker(dialect);
    assert_eq!(world.coordinator.status().peers, 2);
    assert!(world.coordinator.status().running, "{:?}", world.events);
    world.checkpoint(after);
    world
}

fn in_every_dialect(test: impl Fn(Dialect)) {
    for &dialect in Dialect::ALL {
        test(dialect);
    }
}

#[test]
fn a_checkpoint_of_native_workers_is_complete_and_all_run_again() {
    in_every_dialect(|dialect| {
        let world = checkpointed(dialect, AfterCheckpoint::ReplyWhenDone);
        assert_eq!(world.complete(), Some(2), "{:?}", world.events);
        assert!(matches!(world.replies[..], [Ok(Reply::Checkpointed(_))]));
        assert!(world.coordinator.status().running);
        for (seat, listed) in world.workers.iter().zip(world.coordinator.workers()) {
            let (process, computation, peers) = seat.image.unwrap();
            assert_eq!((process, peers), (listed.id, 2));
            assert_eq!(computation, world.coordinator.computation());
            assert_eq!(computation.generation, 1);
            assert_eq!(listed.state, WorkerState::Running);
            assert_eq!(listed.program, "count");
            assert_eq!(seat.stages.len(), 3);
        }
    });
}

#[test]
fn native_workers_restart_together_and_only_together() {
    in_every_dialect(|dialect| {
        let before = checkpointed(dialect, AfterCheckpoint::ReplyWhenDone);
        let mut world = World::new();
        for (index, seat) in before.workers.iter().enumerate() {
            let (process, computation, peers) = seat.image.unwrap();
            let entry = Entry::Restart {
                process,
                computation,
                peers,
            };
            world.join(dialect, entry);
            let first = &world.workers[0];
            assert_eq!(
                first.core.is_running(),
                index > 0,
                "nobody runs before all are there"
            );
            // In lockstep a worker says that it is there by having restored.
            if dialect.phases().is_empty() {
                assert_eq!(first.stages.is_empty(), index == 0);
            }
        }
        assert!(
            world
                .events
                .iter()
                .any(|event| matches!(event, Event::RestartComplete { peers: 2 })),
            "{:?}",
            world.events
        );
        world.checkpoint(AfterCheckpoint::ReplyWhenDone);
        assert_eq!(world.complete(), Some(2), "{:?}", world.events);
        assert_eq!(world.coordinator.computation().generation, 2);
    });
}

#[test]
fn native_workers_exit_behind_a_checkpoint_that_kills() {
    in_every_dialect(|dialect| {
        let world = checkpointed(dialect, AfterCheckpoint::KillWorkers);
        assert_eq!(world.complete(), Some(2), "{:?}", world.events);
        // In lockstep a kill takes the place of the next phase.
        let exit = match dialect.phases().is_empty() {
            true => WorkerExit::Checkpointed,
            false => WorkerExit::Killed,
        };
        for seat in &world.workers {
            assert_eq!(seat.exit, Some(exit.clone()));
        }
        assert_eq!(world.coordinator.status().peers, 0);
    });
}

#[test]
fn a_worker_that_cannot_write_its_image_fails_the_round() {
    in_every_dialect(|dialect| {
        let mut world = World::new();
        world.new_worker(dialect);
        world.new_worker(dialect);
        world.workers[1].disk_full = true;
        world.checkpoint(AfterCheckpoint::ReplyWhenDone);
        assert_eq!(world.workers[1].exit, Some(WorkerExit::Failed));
        assert_eq!(world.complete(), None, "{:?}", world.events);
        assert!(matches!(world.replies[..], [Err(_)]), "{:?}", world.replies);
    });
}
