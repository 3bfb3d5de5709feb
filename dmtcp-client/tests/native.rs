//! A native worker against a coordinator that is written down message by message.

mod counter;

use bytes::BytesMut;
use counter::Counter;
use dmtcp_client::image::native as image;
use dmtcp_client::native::{Error, Options, SafePoint, Worker, restart_command};
use dmtcp_proto::{
    Accept, Body, Decoder, Dialect, DoCheckpoint, Hello, Limits, Message, Name, Phase, PhaseOrder,
    Reject, Released, UniquePid, WorkerExit, WorkerState, encode,
};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Uid, setfsuid};
use socket2::{Domain, Socket, Type};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longer than anything here takes unless it hangs.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn counter_program() {
    counter::main_if_launched();
}

/// Where a scripted coordinator listens.
struct Door {
    listener: TcpListener,
    dialect: Dialect,
}

/// A scripted coordinator with its one worker.
struct Script {
    stream: TcpStream,
    dialect: Dialect,
    decoder: Decoder,
    computation: UniquePid,
}

impl Door {
    fn new(dialect: Dialect) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { listener, dialect }
    }

    fn options(&self, dir: &Path) -> Options {
        Options::new(self.addr(), self.dialect)
            .checkpoint_dir(dir)
            .join_limit(LIMIT)
            .barrier_limit(LIMIT)
    }

    fn addr(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    fn open(&self) -> Script {
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Script {
            stream,
            dialect: self.dialect,
            decoder: Decoder::new(self.dialect, Limits::default()),
            computation: UniquePid::NULL,
        }
    }

    /// Takes a new worker in.
    fn admit(&self) -> Script {
        let mut script = self.open();
        let hello = script.hear().unwrap();
        assert!(matches!(hello.body, Body::NewWorker(_)), "{hello:?}");
        assert_eq!(hello.state, WorkerState::Unknown);
        script.computation = UniquePid {
            pid: 40_000,
            ..hello.from
        };
        script.accept(40_000);
        let update = script.update();
        assert_eq!(update.from.pid, 40_000);
        assert_eq!(update.from.host_id, hello.from.host_id);
        assert_ne!(update.from.time, hello.from.time);
        script
    }

    /// Takes a restarted worker in, up to the last thing before it must have its state back.
    fn readmit(&self) -> (Script, Hello, UniquePid) {
        let mut script = self.open();
        let hello = script.hear().unwrap();
        let Body::RestartWorker(body) = hello.body else {
            panic!("{hello:?}");
        };
        assert_eq!(hello.state, WorkerState::Restarting);
        script.computation = hello.group;
        script.accept(-1);
        if script.has_barriers() {
            script.pass("DMT:Restart", WorkerState::Restarting, body.peers);
        }
        (script, body, hello.from)
    }
}

impl Script {
    fn say(&mut self, body: Body) {
        self.say_at_once([body]);
    }

    /// The worker gets them together.
    fn say_at_once<const COUNT: usize>(&mut self, bodies: [Body; COUNT]) {
        let mut bytes = BytesMut::new();
        for body in bodies {
            let message = Message::new(UniquePid::NULL, body).in_group(self.computation);
            let frame = message.to_frame(self.dialect).unwrap();
            encode(self.dialect, &frame, &mut bytes).unwrap();
        }
        // Fails when the worker has left, which the next look for a message tells.
        drop(self.stream.write_all(&bytes));
    }

    /// The next message; `None` at the end of the connection.
    fn hear(&mut self) -> Option<Message> {
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Some(Message::parse(self.dialect, &frame).unwrap());
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(len) => self.decoder.feed(&buffer[..len]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("the worker said nothing: {error}"),
            }
        }
    }

    fn accept(&mut self, virtual_pid: i32) {
        self.say(Body::Accept(Accept {
            virtual_pid,
            time_stamp: 1,
            ip: [127, 0, 0, 1],
        }));
    }

    fn has_barriers(&self) -> bool {
        self.dialect.phases().is_empty()
    }

    /// What a new worker says once it is taken in.
    fn update(&mut self) -> Message {
        let update = self.hear().unwrap();
        assert!(
            matches!(update.body, Body::ProcessAfterExec { .. }),
            "{update:?}"
        );
        assert_eq!(update.state, WorkerState::Running);
        if !self.has_barriers() {
            self.answers(WorkerState::Running);
        }
        update
    }

    /// The order to begin a round.
    fn order(&mut self, generation: u32, then_exit: bool) {
        self.computation.generation = generation;
        let order = self.first_order(then_exit);
        self.say(order);
    }

    fn first_order(&self, then_exit: bool) -> Body {
        match self.dialect.phases().first() {
            Some(&(phase, _)) => phase_order(phase),
            None => Body::DoCheckpoint(DoCheckpoint {
                peers: 2,
                then_exit,
            }),
        }
    }

    /// The end of a phase of 2.x.
    fn answers(&mut self, state: WorkerState) {
        let message = self.hear().unwrap();
        assert_eq!((message.body, message.state), (Body::Ok, state));
    }

    fn arrives(&mut self, barrier: &str, state: WorkerState) {
        let message = self.hear().unwrap();
        assert_eq!(message.body, Body::Barrier(Name::new(barrier).unwrap()));
        assert_eq!(message.state, state);
    }

    fn release(&mut self, barrier: &str, peers: u32) {
        self.say(release(barrier, peers));
    }

    fn pass(&mut self, barrier: &str, state: WorkerState, peers: u32) {
        self.arrives(barrier, state);
        self.release(barrier, peers);
    }

    /// From the order on up to the image.
    fn pass_until_writing(&mut self) {
        if !self.has_barriers() {
            for two in self.dialect.phases().windows(2) {
                let [(_, state), (next, _)] = *two else {
                    unreachable!()
                };
                self.answers(state);
                self.say(phase_order(next));
                if next == Phase::Checkpoint {
                    return;
                }
            }
        }
        self.pass("DMT:SUSPEND", WorkerState::PreSuspend, 2);
        self.pass("DMT:CHECKPOINT", WorkerState::Suspended, 2);
        self.pass(
            "Socket::Ckpt_Register_Peer_Info",
            WorkerState::Checkpointing,
            2,
        );
    }

    /// A whole round; gives back the path that was reported.
    fn round(&mut self, generation: u32) -> String {
        self.order(generation, false);
        self.pass_until_writing();
        let path = self.written();
        self.resumes();
        path
    }

    /// From the image on up to its report.
    fn written(&mut self) -> String {
        if self.has_barriers() {
            self.pass("DMT:WriteCkpt", WorkerState::Checkpointed, 2);
        }
        self.report()
    }

    fn report(&mut self) -> String {
        let report = self.hear().unwrap();
        if self.has_barriers() {
            assert_eq!(report.state, WorkerState::Checkpointed);
        } else {
            assert_eq!(report.state, WorkerState::Drained);
            self.answers(WorkerState::Checkpointed);
        }
        match report.body {
            Body::CheckpointFile(file) => file.path.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// From the report on until the worker runs.
    fn resumes(&mut self) {
        if self.has_barriers() {
            let resuming = self.hear().unwrap();
            assert_eq!(resuming.body, Body::WorkerResuming);
            assert_eq!(resuming.state, WorkerState::Running);
            return;
        }
        let phases = self.dialect.phases().iter();
        let behind = phases.skip_while(|&&(phase, _)| phase != Phase::Checkpoint);
        for &(phase, state) in behind.skip(1) {
            self.say(phase_order(phase));
            self.answers(state);
        }
    }

    /// From [`Door::readmit`] on until the worker runs.
    fn resumes_restored(&mut self) {
        if self.has_barriers() {
            self.pass(
                "Socket::Restart_Ns_Register_Data",
                WorkerState::Restarting,
                2,
            );
        } else {
            self.answers(WorkerState::Checkpointed);
        }
        self.resumes();
    }
}

fn phase_order(phase: Phase) -> Body {
    Body::Do(PhaseOrder {
        peers: if phase == Phase::FdLeaderElection {
            2
        } else {
            0
        },
        ..PhaseOrder::new(phase)
    })
}

fn order(then_exit: bool) -> Body {
    let peers = 2;
    Body::DoCheckpoint(DoCheckpoint { peers, then_exit })
}

fn release(barrier: &str, peers: u32) -> Body {
    Body::BarrierReleased(Released {
        name: Name::new(barrier).unwrap(),
        peers,
        then_exit: false,
    })
}

/// A program that counts its safe points until one has something to say.
fn until_asked(options: Options) -> JoinHandle<(Worker, Result<SafePoint, Error>)> {
    thread::spawn(move || {
        let mut worker = Worker::join(options).unwrap();
        let result = next_answer(&mut worker, &7u64);
        (worker, result)
    })
}

fn next_answer(worker: &mut Worker, state: &u64) -> Result<SafePoint, Error> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match worker.safe_point(state) {
            Ok(SafePoint::Nothing) => assert!(Instant::now() < deadline, "never asked"),
            answer => return answer,
        }
        thread::yield_now();
    }
}

fn in_every_dialect(test: impl Fn(Door, TempDir)) {
    for &dialect in Dialect::ALL {
        test(Door::new(dialect), TempDir::new().unwrap());
    }
}

/// Stock workers obey whoever has the port (`docs/PROTOCOL.md`, weakness 3).
#[test]
fn w03_a_coordinator_of_another_user_is_not_obeyed() {
    const SOMEBODY: u32 = 12_345;
    // Of one thread only: whose a connection is follows from who accepts it.
    let become_somebody = || {
        setfsuid(Uid::from_raw(SOMEBODY));
        setfsuid(Uid::from_raw(SOMEBODY)).as_raw() == SOMEBODY
    };
    if !thread::spawn(become_somebody).join().unwrap() {
        println!("SKIPPED: cannot become another user");
        return;
    }
    for &dialect in Dialect::ALL {
        let dir = tempfile::tempdir().unwrap();
        let door = Door::new(dialect);
        let options = door.options(dir.path());
        let theirs = thread::spawn(move || {
            assert!(become_somebody());
            drop(door.admit().hear());
            let mut script = door.admit();
            script.say(Body::KillPeer);
            assert!(script.hear().is_none());
        });
        let error = Worker::join(options.clone()).unwrap_err();
        assert!(
            matches!(error, Error::OtherUser { uid: SOMEBODY, .. }),
            "{error:?}"
        );
        let mut trusting = Worker::join(options.coordinator_of_any_user()).unwrap();
        let error = loop {
            if let Err(error) = trusting.safe_point_bytes(b"state") {
                break error;
            }
        };
        assert!(matches!(error, Error::Left(WorkerExit::Killed)), "{error}");
        drop(trusting);
        theirs.join().unwrap();
    }
}

#[test]
fn a_checkpoint_writes_an_image_and_gives_it_its_name_at_the_right_time() {
    in_every_dialect(|door, dir| {
        let program = until_asked(door.options(dir.path()));
        let mut script = door.admit();
        script.order(1, false);
        script.pass_until_writing();
        let names = || -> Vec<_> {
            let entries = fs::read_dir(dir.path()).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.collect()
        };
        if script.has_barriers() {
            script.arrives("DMT:WriteCkpt", WorkerState::Checkpointed);
            // Written, but a peer may still fail: the last checkpoint's image must not be gone.
            assert!(
                matches!(&names()[..], [name] if name.ends_with(".dmtcp.temp")),
                "{:?}",
                names()
            );
            script.release("DMT:WriteCkpt", 2);
        }
        let path = script.report();
        assert_eq!(names().len(), 1);
        assert!(path.ends_with(&names()[0]), "reported before it is there");
        script.resumes();

        let (worker, answer) = program.join().unwrap();
        let expected = SafePoint::Checkpointed {
            generation: 1,
            image: path.clone().into(),
        };
        assert_eq!(answer.unwrap(), expected);
        assert_eq!(worker.image_path(), Path::new(&path));
        assert!(
            path.ends_with(&format!("_{}.dmtcp", worker.identity())),
            "{path}"
        );
        let (header, payload) = image::read(Path::new(&path)).unwrap();
        assert_eq!(header.process, worker.identity());
        assert_eq!(header.computation, script.computation);
        assert_eq!(header.computation.generation, 1);
        assert_eq!((header.peers, header.virtual_pid), (2, 40_000));
        assert_eq!(header.program, std::env::current_exe().unwrap());
        assert_eq!(payload, [7]);
        worker.finish().unwrap();
        assert_eq!(script.hear(), None);
    });
}

#[test]
fn a_second_round_replaces_the_image_and_bytes_come_back_as_they_were() {
    in_every_dialect(|door, dir| {
        // As long as there is time: no overflow.
        let options = door.options(dir.path());
        let options = options
            .join_limit(Duration::MAX)
            .barrier_limit(Duration::MAX);
        let program = thread::spawn(move || {
            let mut worker = Worker::join(options).unwrap();
            assert_eq!(worker.restore_bytes().unwrap(), None);
            for state in [&[1u8, 2, 3][..], &[255; 100_000]] {
                while worker.safe_point_bytes(state).unwrap() == SafePoint::Nothing {
                    thread::yield_now();
                }
            }
        });
        let mut script = door.admit();
        script.round(1);
        let path = script.round(2);
        program.join().unwrap();

        let options = door.options(dir.path()).image(&path);
        let again = thread::spawn(move || {
            let mut worker = Worker::join(options).unwrap();
            worker.restore_bytes().unwrap().unwrap()
        });
        let (mut script, ..) = door.readmit();
        script.resumes_restored();
        assert_eq!(again.join().unwrap(), [255; 100_000]);
    });
}

#[test]
fn a_state_in_parts_is_one_behind_the_other_and_restarts_by_the_command_that_was_given() {
    in_every_dialect(|door, dir| {
        let options = door
            .options(dir.path())
            .restart_with("/env/bin/python3", ["-u".into(), "train.py".into()]);
        let program = thread::spawn(move || {
            let mut worker = Worker::join(options).unwrap();
            let parts: [&[u8]; 4] = [b"head", b"", &[7; 100_000], b"tail"];
            while worker.safe_point_parts(&parts).unwrap() == SafePoint::Nothing {
                thread::yield_now();
            }
        });
        let path = door.admit().round(1);
        program.join().unwrap();
        let (header, payload) = image::read(Path::new(&path)).unwrap();
        assert_eq!(payload, [b"head", &[7; 100_000][..], b"tail"].concat());
        assert_eq!(header.program, Path::new("/env/bin/python3"));
        assert_eq!(header.args, ["-u", "train.py"]);
        assert!(path.contains("ckpt_python3_"), "{path}");
    });
}

#[test]
fn a_killed_program_goes_on_from_its_image() {
    in_every_dialect(|door, dir| {
        let mut first = Counter::launch(&door.options(dir.path()));
        let mut script = door.admit();
        first.at(LIMIT).unwrap();
        let path = script.round(1);
        let saved = first.line("checkpoint 1 at ", LIMIT).unwrap();
        first.at(LIMIT).unwrap();
        first.kill();
        assert_eq!(script.hear(), None);

        let elsewhere = dir.path().join("next");
        let options = door.options(&elsewhere);
        let again = Counter::spawn(restart_command(Path::new(&path), &options).unwrap());
        let (mut restarted, hello, from) = door.readmit();
        assert_eq!(hello.peers, 2);
        assert_eq!(from.pid, 40_000);
        assert_eq!(restarted.computation, script.computation);
        restarted.resumes_restored();
        assert_eq!(again.line("restored ", LIMIT), Some(saved));
        again.at(LIMIT).unwrap();
        // The same name in the new directory.
        let next = restarted.round(2);
        assert_eq!(
            Path::new(&next),
            elsewhere.join(Path::new(&path).file_name().unwrap())
        );
    });
}

#[test]
fn a_restarted_program_must_fetch_its_state_before_it_is_checkpointed() {
    in_every_dialect(|door, dir| {
        let program = until_asked(door.options(dir.path()));
        let mut script = door.admit();
        let path = script.round(1);
        drop(program.join().unwrap());
        let before = fs::read(&path).unwrap();

        let program = until_asked(door.options(dir.path()).image(&path));
        let (mut script, ..) = door.readmit();
        let (worker, answer) = program.join().unwrap();
        assert!(matches!(answer, Err(Error::NotRestored)), "{answer:?}");
        let rest: Vec<_> = std::iter::from_fn(|| script.hear()).collect();
        assert!(
            rest.iter()
                .all(|message| message.state == WorkerState::Restarting),
            "{rest:?}"
        );
        assert!(matches!(worker.finish(), Err(Error::NotRestored)));
        assert_eq!(fs::read(&path).unwrap(), before);
    });
}

#[test]
fn a_state_of_another_type_is_refused_and_the_worker_leaves() {
    in_every_dialect(|door, dir| {
        let program = until_asked(door.options(dir.path()));
        let path = door.admit().round(1);
        drop(program.join().unwrap());
        let options = door.options(dir.path()).image(&path);
        let program = thread::spawn(move || {
            let mut worker = Worker::join(options).unwrap();
            worker.restore::<String>().unwrap_err()
        });
        let (mut script, ..) = door.readmit();
        let error = program.join().unwrap();
        assert!(matches!(error, Error::State { .. }), "{error:?}");
        let rest: Vec<_> = std::iter::from_fn(|| script.hear()).collect();
        assert!(
            rest.iter()
                .all(|message| message.state != WorkerState::Running),
            "{rest:?}"
        );
    });
}

#[test]
fn kill_and_loss_reach_the_program_at_its_next_safe_point() {
    in_every_dialect(|door, dir| {
        let program = until_asked(door.options(dir.path()));
        let mut script = door.admit();
        script.say(Body::KillPeer);
        let (mut worker, answer) = program.join().unwrap();
        let error = answer.unwrap_err();
        assert!(
            matches!(error, Error::Left(WorkerExit::Killed)),
            "{error:?}"
        );
        assert_eq!(error.exit_code(), 0);
        assert!(matches!(worker.safe_point(&1), Err(Error::AlreadyLeft)));
        assert_eq!(script.hear(), None);

        let program = until_asked(door.options(dir.path()));
        drop(door.admit());
        let (_worker, answer) = program.join().unwrap();
        let error = answer.unwrap_err();
        assert!(
            matches!(error, Error::Left(WorkerExit::CoordinatorLost)),
            "{error:?}"
        );
        assert_eq!(error.exit_code(), 99);
    });
}

#[test]
fn an_order_to_exit_behind_the_checkpoint_is_carried_out_after_the_report() {
    in_every_dialect(|door, dir| {
        let program = until_asked(door.options(dir.path()));
        let mut script = door.admit();
        script.order(1, true);
        script.pass_until_writing();
        let path = script.written();
        let exit = if script.has_barriers() {
            WorkerExit::Checkpointed
        } else {
            script.say(Body::KillPeer);
            WorkerExit::Killed
        };
        assert_eq!(script.hear(), None);
        let (_worker, answer) = program.join().unwrap();
        let error = answer.unwrap_err();
        assert!(
            matches!(&error, Error::Left(reason) if *reason == exit),
            "{error:?}"
        );
        assert_eq!(error.exit_code(), 0);
        image::read(Path::new(&path)).unwrap();
    });
}

#[test]
fn an_image_that_cannot_be_written_makes_the_worker_leave_with_the_reason() {
    in_every_dialect(|door, dir| {
        let images = dir.path().join("images");
        let program = until_asked(door.options(&images));
        let mut script = door.admit();
        fs::remove_dir(&images).unwrap();
        script.order(1, false);
        script.pass_until_writing();
        assert_eq!(script.hear(), None, "neither a barrier nor a report");
        let (_worker, answer) = program.join().unwrap();
        assert!(matches!(answer, Err(Error::Image(_))), "{answer:?}");
    });
}

#[test]
fn a_barrier_or_phase_that_does_not_come_in_time_is_named() {
    in_every_dialect(|door, dir| {
        let options = door.options(dir.path()).barrier_limit(Duration::ZERO);
        let program = until_asked(options);
        let mut script = door.admit();
        let awaited = if script.has_barriers() {
            script.computation.generation = 1;
            // What is there when the worker comes to the barrier counts, however late that is.
            script.say_at_once([order(false), release("DMT:SUSPEND", 2)]);
            script.arrives("DMT:SUSPEND", WorkerState::PreSuspend);
            script.arrives("DMT:CHECKPOINT", WorkerState::Suspended);
            "DMT:CHECKPOINT"
        } else {
            script.order(1, false);
            script.answers(WorkerState::Suspended);
            "FdLeaderElection"
        };
        let (_worker, answer) = program.join().unwrap();
        let error = answer.unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
        assert!(error.to_string().contains(awaited), "{error}");
        assert_eq!(script.hear(), None);
    });
}

#[test]
fn joining_is_bounded_and_a_refusal_says_why() {
    in_every_dialect(|door, dir| {
        let options = door
            .options(dir.path())
            .join_limit(Duration::from_millis(50));
        let error = Worker::join(options).unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
        drop(door.open());

        let options = door.options(dir.path());
        let program = thread::spawn(move || Worker::join(options).unwrap_err());
        let mut script = door.open();
        script.hear().unwrap();
        script.say(Body::Reject(Reject::NotRunning));
        let error = program.join().unwrap();
        assert!(
            matches!(
                error,
                Error::Rejected {
                    reason: Reject::NotRunning,
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(script.hear(), None);
    });
    // Taken, so that nobody else comes to listen there.
    let taken = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    taken.bind(&any.into()).unwrap();
    let nobody = taken.local_addr().unwrap().as_socket().unwrap();
    let error = Worker::join(Options::new(nobody, Dialect::V5)).unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error:?}");
}

#[test]
fn who_joins_in_the_middle_of_a_checkpoint_takes_part_at_its_first_safe_point() {
    in_every_dialect(|door, dir| {
        let program = until_asked(door.options(dir.path()));
        let mut script = door.open();
        let hello = script.hear().unwrap();
        script.computation = hello.from;
        script.accept(41_000);
        script.order(3, false);
        script.update();
        if script.has_barriers() {
            // As stock coordinators do behind such an update.
            script.order(3, false);
        }
        script.pass_until_writing();
        script.written();
        if !script.has_barriers() {
            script.resumes();
        }
        let (_worker, answer) = program.join().unwrap();
        assert!(
            matches!(answer, Ok(SafePoint::Checkpointed { generation: 3, .. })),
            "{answer:?}"
        );
    });
}

#[test]
fn half_a_message_is_no_reason_to_stop() {
    in_every_dialect(|door, dir| {
        let program = until_asked(door.options(dir.path()));
        let mut script = door.admit();
        let message = Message::new(UniquePid::NULL, script.first_order(false))
            .in_group(script.computation.with_generation(1));
        let mut bytes = BytesMut::new();
        let frame = message.to_frame(door.dialect).unwrap();
        encode(door.dialect, &frame, &mut bytes).unwrap();
        for byte in &bytes {
            script.stream.write_all(&[*byte]).unwrap();
        }
        if script.has_barriers() {
            script.arrives("DMT:SUSPEND", WorkerState::PreSuspend);
        } else {
            script.answers(WorkerState::Suspended);
        }
        script.stream.shutdown(Shutdown::Both).unwrap();
        let (_worker, answer) = program.join().unwrap();
        assert!(
            matches!(answer, Err(Error::Left(WorkerExit::CoordinatorLost))),
            "{answer:?}"
        );
    });
}

/// Measured in time on the processor, which does not depend on what else the machine does.
#[test]
fn images_go_where_a_plugin_of_2_x_sends_them() {
    in_every_dialect(|door, dir| {
        let program = until_asked(door.options(dir.path()));
        let mut script = door.admit();
        if script.has_barriers() {
            return; // no such order
        }
        let elsewhere = dir.path().join("all").join("images");
        script.computation.generation = 1;
        script.say(Body::Do(PhaseOrder {
            checkpoint_dir: Some(elsewhere.to_str().unwrap().to_owned().into()),
            ..PhaseOrder::new(Phase::Suspend)
        }));
        script.pass_until_writing();
        let path = script.written();
        script.resumes();
        let (worker, answer) = program.join().unwrap();
        answer.unwrap();
        assert_eq!(worker.image_path(), Path::new(&path));
        assert_eq!(Path::new(&path).parent(), Some(elsewhere.as_path()));
        image::read(Path::new(&path)).unwrap();
    });
}

#[test]
fn a_safe_point_costs_less_than_a_system_call_when_nothing_is_asked() {
    let (door, dir) = (Door::new(Dialect::V5), TempDir::new().unwrap());
    let options = door.options(dir.path());
    let program = thread::spawn(move || Worker::join(options).unwrap());
    let script = door.admit();
    let mut worker = program.join().unwrap();
    script.stream.set_nonblocking(true).unwrap();
    let (mut safe_points, mut looks) = (Duration::ZERO, Duration::ZERO);
    for state in 0..100 {
        let start = processor_time();
        for _ in 0..1000 {
            worker.safe_point(&state).unwrap();
        }
        let between = processor_time();
        for _ in 0..1000 {
            script.stream.peek(&mut [0]).unwrap_err();
        }
        safe_points += between - start;
        looks += processor_time() - between;
    }
    println!("100,000 safe points: {safe_points:?}, looks at the socket: {looks:?}");
    assert!(safe_points < looks, "{safe_points:?}, not {looks:?}");
}

/// What this thread has used so far.
fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .unwrap()
        .into()
}
