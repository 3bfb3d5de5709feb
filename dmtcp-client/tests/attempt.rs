//! Attempts with native workers: started, killed, restarted, fallen back. No DMTCP needed.

mod late_image;
mod sample_images;
mod state;
mod stepper;

use dmtcp_client::attempt::{Attempt, AttemptError, Attempts, Program, Recovered, RestartFailure};
use dmtcp_client::host::HostFingerprint;
use dmtcp_client::process::{Exit, Identity, members};
use dmtcp_client::server::{ComputationEvent, Event, Server, ServerError};
use dmtcp_client::set::{CheckpointSet, SetError};
use dmtcp_client::{Launch, NotExecutable, StartError, Tools};
use late_image::LateImage;
use state::State;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{env, thread};
use stepper::eventually;
use tempfile::TempDir;

/// Longer than anything here takes unless it hangs.
const LONG: Duration = Duration::from_secs(60);

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn stepper_program() {
    stepper::main_if_launched();
}

/// A job directory, and the directory its workers work in.
struct Job {
    base: TempDir,
}

impl Job {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("work")).unwrap();
        Self { base }
    }

    fn dir(&self) -> PathBuf {
        self.base.path().join("job")
    }

    fn work(&self) -> PathBuf {
        self.base.path().join("work")
    }

    fn tell(&self, file: &str, text: &str) {
        fs::write(self.work().join(file), text).unwrap();
    }

    fn attempts<'s>(&self, server: &'s Server) -> Attempts<'s> {
        Attempts::open(server, &self.dir()).unwrap()
    }

    fn programs(&self, count: usize) -> Vec<Program> {
        (0..count)
            .map(|_| Program::from(stepper::command(&self.work())))
            .collect()
    }

    fn start(&self, attempts: &Attempts<'_>, workers: usize) -> Attempt {
        let attempt = attempts.start(self.programs(workers)).unwrap();
        await_running(&attempt, workers);
        attempt
    }

    /// Sets 1 to `sets` of one worker that is then killed.
    fn with_sets(&self, attempts: &Attempts<'_>, sets: u64) {
        let attempt = self.start(attempts, 1);
        for number in 1..=sets {
            assert_eq!(checkpoint(&attempt), number);
        }
        attempt.kill().unwrap();
    }

    fn set(&self, number: u64) -> CheckpointSet {
        let dir = self.dir().join("sets").join(format!("{number:06}"));
        CheckpointSet::open(&dir).unwrap()
    }

    /// Whatever was started is gone, and so is what it used.
    fn assert_clean(&self, tmp: &Path) {
        assert_eq!(
            fs::read_dir(self.dir().join("attempts")).unwrap().count(),
            0
        );
        assert_eq!(members(tmp).unwrap(), []);
        assert!(!tmp.exists());
        let sets = fs::read_dir(self.dir().join("sets")).unwrap();
        let names: Vec<_> = sets.map(|entry| entry.unwrap().file_name()).collect();
        let partial = |name: &std::ffi::OsString| name.to_str().unwrap().contains('.');
        assert!(
            names.iter().all(|name| name == ".lock" || !partial(name)),
            "{names:?}"
        );
    }
}

fn await_running(attempt: &Attempt, workers: usize) {
    let workers = u32::try_from(workers).unwrap();
    let computation = attempt.computation();
    computation.wait_until_running(Some(workers), LONG).unwrap();
}

fn checkpoint(attempt: &Attempt) -> u64 {
    let sealed = attempt.computation().checkpoint(LONG).unwrap();
    await_running(attempt, sealed.images.len());
    sealed.set.unwrap().sequence
}

/// The private `DMTCP_TMPDIR` of the attempt.
fn tmp_of(attempt: &Attempt) -> PathBuf {
    let note = attempt.images_dir().with_file_name("tmp");
    let text = fs::read_to_string(note).unwrap();
    PathBuf::from(text.lines().last().unwrap())
}

#[test]
fn a_killed_computation_goes_on_from_its_newest_set() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let attempts = job.attempts(&server);
    let attempt = job.start(&attempts, 2);
    assert_eq!(checkpoint(&attempt), 1);
    assert_eq!(checkpoint(&attempt), 2);
    let tmp = tmp_of(&attempt);
    assert_eq!(members(&tmp).unwrap().len(), 2);
    assert_eq!(attempt.finished().unwrap(), None);
    attempt.kill().unwrap();
    job.assert_clean(&tmp);
    let done = stepper::read_all(&job.work(), "count-");

    let Recovered {
        attempt,
        set,
        failed,
        refused,
        ..
    } = attempts.restart().unwrap();
    assert_eq!((set.sequence(), failed.len(), refused.len()), (2, 0, 0));
    let restored = || stepper::read_all(&job.work(), "restored-");
    eventually("both say what they have", LONG, || restored().len() == 2);
    for (done, restored) in done.iter().zip(restored()) {
        assert!((1..=*done).contains(&restored), "{restored} of {done}");
    }
    // It is a computation like the first one.
    assert_eq!(checkpoint(&attempt), 3);
    let set = job.set(3);
    assert_eq!(set.manifest().parent, Some(2));
    let phases = &set.manifest().phases;
    let names: Vec<_> = phases.iter().map(|phase| phase.name.as_str()).collect();
    assert!(names[0].starts_with("DMT:"), "{names:?}");
    assert!(names.ends_with(&["report", "settle", "check"]), "{names:?}");
    // Sets are sealed where the workers ran.
    assert_eq!(set.manifest().hosts, [HostFingerprint::of_this_host()]);
    let tmp = tmp_of(&attempt);
    job.tell(stepper::STOP, "");
    let mut exits = None;
    eventually("they end", LONG, || {
        exits = attempt.finished().unwrap();
        exits.is_some()
    });
    assert_eq!(exits.unwrap(), [Exit::Code(0); 2]);
    drop(attempt);
    job.assert_clean(&tmp);
}

#[test]
fn broken_sets_are_passed_over_and_named() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let attempts = job.attempts(&server);
    job.with_sets(&attempts, 5);
    let cut = job.set(5).images().remove(0);
    let len = fs::metadata(&cut).unwrap().len();
    File::options()
        .write(true)
        .open(&cut)
        .unwrap()
        .set_len(len - 1)
        .unwrap();
    let manifest = job.set(4).dir().join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("\"round\": 4", "\"round\": 5")).unwrap();
    let flipped = job.set(3).images().remove(0);
    let image = File::options()
        .read(true)
        .write(true)
        .open(&flipped)
        .unwrap();
    let mut byte = [0];
    let last = image.metadata().unwrap().len() - 1;
    image.read_exact_at(&mut byte, last).unwrap();
    image.write_all_at(&[byte[0] ^ 1], last).unwrap();
    let deleted = job.set(2).images().remove(0);
    fs::remove_file(&deleted).unwrap();

    let recovered = attempts.restart().unwrap();
    assert_eq!(recovered.set.sequence(), 1);
    match &recovered.refused[..] {
        [
            SetError::Size { path: short, .. },
            SetError::Manifest { path: wrong, .. },
            SetError::Checksum { path, .. },
            SetError::Missing { path: missing },
        ] => {
            assert_eq!((short, wrong), (&cut, &manifest));
            assert_eq!((path, missing), (&flipped, &deleted));
        }
        other => panic!("{other:?}"),
    }
    assert!(recovered.failed.is_empty());
}

#[test]
fn a_set_that_does_not_restart_is_tried_again_and_then_the_one_before() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let attempts = job.attempts(&server).tries(2);
    job.with_sets(&attempts, 3);
    fs::remove_file(job.set(2).images().remove(0)).unwrap();
    job.tell(stepper::EXIT_AFTER, "1");
    let recovered = attempts.restart().unwrap();
    assert_eq!(recovered.set.sequence(), 1);
    let failed: Vec<u64> = recovered
        .failed
        .iter()
        .map(|failed| failed.sequence)
        .collect();
    assert_eq!(failed, [3, 3]);
    for failed in &recovered.failed {
        // Success is none here: a native worker has no business to end before it runs.
        assert!(
            matches!(
                failed.reason,
                RestartFailure::Ended {
                    exit: Exit::Code(0),
                    host: None,
                }
            ),
            "{failed}"
        );
    }
    // The one between, though the newest was good.
    assert!(matches!(&recovered.refused[..], [SetError::Missing { .. }]));
    recovered.attempt.kill().unwrap();

    job.tell(stepper::EXIT_AFTER, "0");
    let error = attempts.restart().unwrap_err();
    let text = error.to_string();
    let AttemptError::NoRestart { failed, refused } = error else {
        panic!("{error}")
    };
    assert_eq!((failed.len(), refused.len()), (4, 1));
    assert!(
        text.contains("set 3: 2 tries: a process ended with exit code 0"),
        "{text}"
    );
    assert!(
        text.contains("is missing from its checkpoint set"),
        "{text}"
    );
}

#[test]
fn a_packed_set_goes_on_in_another_directory() {
    let (job, elsewhere, server) = (Job::new(), Job::new(), Server::start().unwrap());
    let attempts = job.attempts(&server);
    job.with_sets(&attempts, 2);
    let archive = elsewhere.work().join("set.tar");
    job.set(2).pack(&archive).unwrap();
    drop(attempts);
    fs::remove_dir_all(job.dir()).unwrap();

    let attempts = elsewhere.attempts(&server);
    let unpacked = attempts.store().unpack(&archive).unwrap();
    assert_eq!(unpacked.manifest().packed_as, Some(2));
    let Recovered { attempt, set, .. } = attempts.restart().unwrap();
    assert_eq!(set, unpacked);
    let restored = || stepper::read_all(&job.work(), "restored-");
    eventually("it says what it has", LONG, || restored().len() == 1);
    assert_eq!(checkpoint(&attempt), 2);
    assert_eq!(elsewhere.set(2).manifest().parent, Some(1));
    attempt.kill().unwrap();
}

#[test]
fn a_set_that_this_host_cannot_restore_is_not_tried() {
    let (state, server) = (State::new(), Server::start().unwrap());
    let mut other = HostFingerprint::of_this_host();
    other.name = "node1".into();
    let store = state.store();
    let mut round = state.round(1);
    round.hosts = vec![other.clone()];
    store.seal(&round).unwrap();
    let mut round = state.round(2);
    other.architecture = "vax".to_owned();
    round.hosts = vec![other];
    store.seal(&round).unwrap();
    drop(store);

    let attempts = Attempts::open(&server, &state.root).unwrap();
    // The one before fits, and is stopped only by there being no DMTCP.
    let error = attempts.restart().unwrap_err();
    assert!(matches!(error, AttemptError::NoTools), "{error}");
    fs::remove_file(state.root.join("sets/000001/manifest.json")).unwrap();
    let error = attempts.restart().unwrap_err();
    let text = error.to_string();
    let said = format!("its processor is {}, not vax", env::consts::ARCH);
    assert!(
        text.contains(&said) && text.contains("set 2 of host node1"),
        "{text}"
    );
    let AttemptError::NoUsableSet { refused } = error else {
        panic!("{error}")
    };
    assert!(matches!(
        refused[..],
        [SetError::Incompatible(_), SetError::NoManifest { .. }]
    ));
    // Whoever knows better can have it tried.
    let error = attempts.on_any_host().restart().unwrap_err();
    assert!(matches!(error, AttemptError::NoTools), "{error}");
}

#[test]
fn the_set_that_a_computation_goes_on_from_stays_until_it_has_one_of_its_own() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let attempts = job.attempts(&server).tries(1);
    job.with_sets(&attempts, 3);
    job.tell(stepper::EXIT_AFTER, "1");
    let Recovered { attempt, set, .. } = attempts.restart().unwrap();
    assert_eq!(set.sequence(), 1);
    // The newest verifies, but it is this one that can be restarted.
    assert_eq!(attempts.store().prune(1).unwrap(), [2]);
    set.verify().unwrap();
    assert_eq!(checkpoint(&attempt), 4);
    assert_eq!(attempts.store().prune(1).unwrap(), [3, 1]);
    attempt.kill().unwrap();
}

#[test]
fn a_restart_that_hangs_is_bounded_and_can_be_interrupted() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let mut limit = Duration::from_millis(300);
    let interrupt = Arc::new(AtomicBool::new(false));
    let mut attempts = job
        .attempts(&server)
        .tries(1)
        .interrupted_by(Arc::clone(&interrupt));
    job.with_sets(&attempts, 2);
    job.tell(stepper::HANG_AFTER, "1");
    let recovered = loop {
        attempts = attempts.restart_limit(limit);
        match attempts.restart() {
            // On a busy machine the set that does not hang needs longer.
            Err(AttemptError::NoRestart { .. }) if limit < LONG => limit *= 3,
            outcome => break outcome.unwrap(),
        }
    };
    assert_eq!(recovered.set.sequence(), 1);
    let [failed] = &recovered.failed[..] else {
        panic!("{recovered:?}")
    };
    assert!(failed.took >= limit, "{failed:?}");
    assert!(
        matches!(
            failed.reason,
            RestartFailure::TimedOut {
                running: 0,
                expected: 1,
                ..
            }
        ),
        "{failed}"
    );
    let tmp = tmp_of(&recovered.attempt);
    recovered.attempt.kill().unwrap();
    job.assert_clean(&tmp);

    let attempts = attempts.restart_limit(Duration::MAX);
    thread::scope(|scope| {
        let restart = scope.spawn(|| attempts.restart());
        let work = job.dir().join("attempts");
        eventually("the restart is under way", LONG, || {
            fs::read_dir(&work).unwrap().count() > 0
        });
        interrupt.store(true, Ordering::Release);
        let error = restart.join().unwrap().unwrap_err();
        assert!(matches!(error, AttemptError::Interrupted), "{error}");
    });
    assert_eq!(fs::read_dir(job.dir().join("attempts")).unwrap().count(), 0);
}

#[test]
fn mistakes_are_told_apart() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let attempts = job.attempts(&server);
    let error = attempts.restart().unwrap_err();
    assert!(matches!(&error, AttemptError::NoSet), "{error}");
    let error = attempts.start([]).unwrap_err();
    assert!(matches!(error, AttemptError::NoProgram), "{error}");
    let error = Attempts::open(&server, &job.dir()).unwrap_err();
    let own = std::process::id();
    assert!(
        matches!(&error, AttemptError::Set(SetError::Owned { pid, .. }) if *pid == Some(own)),
        "{error}"
    );

    // The first has been started when the second cannot be.
    let mut programs = job.programs(1);
    programs.push(Command::new("/no/such/program").into());
    let error = attempts.start(programs).unwrap_err();
    assert!(matches!(error, AttemptError::Process(_)), "{error}");
    assert_eq!(fs::read_dir(job.dir().join("attempts")).unwrap().count(), 0);

    // DMTCP does not say that there is no such program: it is looked for, before any is started.
    let bin = job.base.path().join("bin");
    fs::create_dir(&bin).unwrap();
    for tool in ["launch", "restart", "command", "coordinator"] {
        let path = bin.join(format!("dmtcp_{tool}"));
        fs::write(&path, "#!/bin/sh\necho 'DMTCP Version 4.2.0'\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let tools = Tools::in_dir(&bin).unwrap();
    let with_dmtcp = attempts.tools(tools.clone());
    let touched = job.work().join("touched");
    let mut first = Command::new("touch");
    first.arg(&touched);
    let missing = Launch::new(&tools, "./none").current_dir(job.work());
    let programs = [first.into(), missing.into()];
    let error = with_dmtcp.start(programs).unwrap_err();
    let AttemptError::Start(StartError::Program(NotExecutable::Missing { path, .. })) = error
    else {
        panic!("{error}");
    };
    assert_eq!(path, job.work().join("none"));
    assert!(!touched.exists());
    assert_eq!(fs::read_dir(job.dir().join("attempts")).unwrap().count(), 0);
    drop(with_dmtcp);

    let attempts = job.attempts(&server);
    let attempt = job.start(&attempts, 1);
    for second in [attempts.start(job.programs(1)).map(drop), {
        checkpoint(&attempt);
        attempts.restart().map(drop)
    }] {
        let error = second.unwrap_err();
        assert!(matches!(error, AttemptError::StillRunning), "{error}");
    }
    // It was not disturbed.
    assert_eq!(checkpoint(&attempt), 2);
    drop(attempts);
    // The attempt still writes sets, so the directory still has an owner.
    let error = Attempts::open(&server, &job.dir()).unwrap_err();
    assert!(
        matches!(error, AttemptError::Set(SetError::Owned { .. })),
        "{error}"
    );
    attempt.kill().unwrap();
    job.attempts(&server);
}

/// Starts a round and waits until its set is being sealed, which takes until its last image comes.
fn begin_seal(attempt: &Attempt) -> LateImage {
    let late = LateImage::join(attempt.computation().addr(), attempt.images_dir());
    await_running(attempt, 2);
    let events = attempt.computation().events();
    attempt.computation().request_checkpoint().unwrap();
    loop {
        let event = events.recv_timeout(LONG).unwrap();
        if matches!(
            event,
            ComputationEvent::Coordinator(Event::ImagesReported { .. })
        ) {
            return late;
        }
    }
}

#[test]
fn stopping_waits_for_the_set_that_is_being_sealed() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let attempts = job.attempts(&server);
    let attempt = job.start(&attempts, 1);
    checkpoint(&attempt);
    let (tmp, late) = (tmp_of(&attempt), begin_seal(&attempt));
    let exits = thread::scope(|scope| {
        let stopped = scope.spawn(|| attempt.stop(LONG).unwrap());
        // Whoever comes first, the set must be sealed; mostly it is the stopping.
        thread::sleep(Duration::from_millis(100));
        late.write();
        stopped.join().unwrap()
    });
    late.gone();
    assert_eq!(exits, [Exit::Code(0)], "it was told to end");
    assert_eq!(
        attempts
            .store()
            .newest_verified()
            .unwrap()
            .set
            .unwrap()
            .sequence(),
        2
    );
    job.assert_clean(&tmp);
}

#[test]
fn a_kill_gives_up_the_set_that_is_being_sealed_and_breaks_none() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let attempts = job.attempts(&server);
    let end: [fn(Attempt); 3] = [
        |attempt| attempt.kill().unwrap(),
        |attempt| drop(attempt),
        // Longer than anybody waits for the image here.
        |attempt| drop(attempt.stop(Duration::from_millis(100)).unwrap()),
    ];
    for (round, end) in (1..).zip(end) {
        let attempt = job.start(&attempts, 1);
        let good = checkpoint(&attempt);
        let (tmp, late) = (tmp_of(&attempt), begin_seal(&attempt));
        let computation = attempt.computation().clone();
        end(attempt);
        // So the sealer has ended; the image it waited for never came.
        computation.close(LONG).unwrap();
        job.assert_clean(&tmp);
        late.gone();
        let recovered = attempts.restart().unwrap();
        assert_eq!(recovered.set.sequence(), good, "round {round}");
    }
}

#[test]
fn what_has_ended_is_stopped_and_killed_without_complaint() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let attempts = job.attempts(&server);
    job.tell(stepper::STOP, "");
    for end in [
        |attempt: Attempt| attempt.stop(LONG).map(drop),
        Attempt::kill,
    ] {
        let attempt = attempts.start(job.programs(1)).unwrap();
        eventually("it ends", LONG, || attempt.finished().unwrap().is_some());
        let error = attempt.computation().checkpoint(LONG).unwrap_err();
        assert!(matches!(error, ServerError::NotRunning), "{error}");
        end(attempt).unwrap();
    }
    // The server may go first.
    let attempt = attempts.start(job.programs(1)).unwrap();
    let tmp = tmp_of(&attempt);
    drop(attempts);
    drop(server);
    attempt.stop(LONG).unwrap();
    job.assert_clean(&tmp);
}

/// What the owner's process is told by.
const OWNED_JOB: &str = "DMTCP_RS_TEST_JOB";

#[test]
#[ignore = "run by another test as a process of its own"]
fn owner_program() {
    let Some(base) = env::var_os(OWNED_JOB) else {
        return;
    };
    let work = PathBuf::from(&base).join("work");
    let server = Server::start().unwrap();
    let attempts = Attempts::open(&server, &PathBuf::from(&base).join("job")).unwrap();
    let programs = [(); 2].map(|()| Program::from(stepper::command(&work)));
    let attempt = attempts.start(programs).unwrap();
    await_running(&attempt, 2);
    checkpoint(&attempt);
    println!("\ntmp {}", tmp_of(&attempt).display());
    // Until it is killed, or the test has ended.
    drop(std::io::stdin().read_to_end(&mut Vec::new()));
}

#[test]
fn what_a_killed_owner_left_is_ended_before_the_job_goes_on() {
    let job = Job::new();
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "owner_program", "--nocapture"])
        .env(OWNED_JOB, job.base.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut owner = command.spawn().unwrap();
    let lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    let mut lines = lines.map_while(Result::ok);
    let tmp = lines.find_map(|line| Some(PathBuf::from(line.strip_prefix("tmp ")?)));
    let tmp = tmp.expect("the owner is ready");

    let server = Server::start().unwrap();
    let error = Attempts::open(&server, &job.dir()).unwrap_err();
    assert!(
        matches!(&error, AttemptError::Set(SetError::Owned { pid, .. }) if *pid == Some(owner.id())),
        "{error}"
    );
    // Otherwise they would soon see that their coordinator is gone.
    job.tell(stepper::BUSY, "");
    eventually("both are busy", LONG, || {
        stepper::read_all(&job.work(), "busy-").len() == 2
    });
    owner.kill().unwrap();
    owner.wait().unwrap();
    // As a crash in the middle of a seal leaves it.
    fs::create_dir(job.dir().join("sets/000002.partial")).unwrap();
    let left = members(&tmp).unwrap();
    assert_eq!(left.len(), 2);

    let attempts = job.attempts(&server);
    assert!(
        left.iter()
            .all(|process: &Identity| !process.is_alive().unwrap())
    );
    job.assert_clean(&tmp);
    fs::remove_file(job.work().join(stepper::BUSY)).unwrap();
    let recovered = attempts.restart().unwrap();
    assert_eq!(recovered.set.sequence(), 1);
    let tmp = tmp_of(&recovered.attempt);
    job.tell(stepper::STOP, "");
    let attempt = recovered.attempt;
    eventually("they end", LONG, || attempt.finished().unwrap().is_some());
    attempt.stop(LONG).unwrap();
    job.assert_clean(&tmp);
}

/// A set that lacks one of them would pass for a complete one.
#[test]
fn no_checkpoint_begins_before_every_program_has_joined() {
    let job = Job::new();
    let server = Server::start().unwrap();
    let attempts = job.attempts(&server);
    let attempt = attempts.start(job.programs(4)).unwrap();
    // Asked for from the first moment on, it is refused until all four are there.
    let sealed = loop {
        match attempt.computation().checkpoint(LONG) {
            Err(ServerError::NotRunning) => thread::yield_now(),
            outcome => break outcome.unwrap(),
        }
    };
    assert_eq!(sealed.images.len(), 4);
    attempt.kill().unwrap();
}

#[test]
fn waiting_for_programs_that_end_is_not_waiting_for_the_limit() {
    let job = Job::new();
    let server = Server::start().unwrap();
    let attempts = job.attempts(&server);
    let mut shell = Command::new("sh");
    shell.args(["-c", "exit 3"]);
    let attempt = attempts.start([Program::from(shell)]).unwrap();
    let begun = Instant::now();
    let error = attempt
        .wait_until_running(Duration::from_secs(600))
        .unwrap_err();
    assert!(
        matches!(&error, AttemptError::Ended { exits } if exits[..] == [Exit::Code(3)]),
        "{error:?}"
    );
    assert!(begun.elapsed() < Duration::from_secs(300));
    attempt.kill().unwrap();

    let attempt = attempts.start(job.programs(2)).unwrap();
    assert_eq!(attempt.wait_until_running(LONG).unwrap().peers, 2);
    attempt.kill().unwrap();
}
