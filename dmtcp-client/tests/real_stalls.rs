//! Stalls of real DMTCP computations: named, waited for, given up. For every installation that
//! `DMTCP_BIN` (or PATH) names; without one each test says so and passes.

#[expect(dead_code, reason = "shared by several test crates")]
mod real;
#[expect(dead_code, reason = "shared by several test crates")]
mod stepper;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use dmtcp_client::attempt::{Attempt, AttemptError, Attempts, Program, StallPolicy};
use dmtcp_client::coordinator;
use dmtcp_client::foreign::{self, ForeignError, ForeignSets};
use dmtcp_client::process::{ProcessState, Stream};
use dmtcp_client::server::{Sealed, Server, ServerError};
use dmtcp_client::set::SetStore;
use dmtcp_client::watch::{Awaited, Seen, Situation, Stall, StallWatch};
use dmtcp_client::{Launch, Tools};
use dmtcp_proto::{Dialect, RoundError, WorkerInfo, WorkerState};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use real::{Installation, LONG, on_each, soon};
use stepper::eventually;
use tempfile::TempDir;

/// When a stall is one.
const AFTER: Duration = Duration::from_secs(2);
/// Within it a checkpoint is asked for, however slow the machine.
const ASKED: Duration = Duration::from_secs(5);
/// A restart that takes longer hangs: main's does at times.
const RESTART_LIMIT: Duration = Duration::from_secs(20);
const RESTART_TRIES: u32 = 8;

/// A parent and two children that count, and do not need each other.
const FAMILY: &str = r"
import os, sys, time
name = 'parent'
for child in ('a', 'b'):
    if os.fork() == 0:
        name = child
        break
count = 0
file = os.open(sys.argv[1] + '/count-' + name, os.O_CREAT | os.O_WRONLY, 0o600)
while True:
    count += 1
    os.pwrite(file, b'%012d' % count, 0)
    time.sleep(0.02)
";

#[test]
#[ignore = "the stepper's own; not used here"]
fn stepper_program() {
    stepper::main_if_launched();
}

/// Not a script that starts one: DMTCP would hold its shell.
fn interpreter() -> Option<PathBuf> {
    let path = fs::canonicalize("/usr/bin/python3").ok()?;
    let mut magic = [0; 4];
    fs::File::open(&path).ok()?.read_exact(&mut magic).ok()?;
    (magic == *b"\x7fELF").then_some(path)
}

struct Stage {
    tools: Tools,
    dialect: Dialect,
    python: PathBuf,
    base: TempDir,
    server: Server,
}

/// The family on an embedded coordinator of each installation.
fn embedded(test: impl Fn(&Stage)) {
    on_each(|installation| {
        let Some(python) = interpreter() else {
            println!("SKIPPED: no Python interpreter in /usr/bin");
            return;
        };
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("work")).unwrap();
        test(&Stage {
            tools: tools_of(installation),
            dialect: installation.dialect,
            python,
            base,
            server: Server::start().unwrap(),
        });
    });
}

fn tools_of(installation: &Installation) -> Tools {
    let all = Tools::all().into_iter();
    let mut same = all.filter(|tools| tools.version().unwrap().text == installation.version);
    same.next().unwrap()
}

impl Stage {
    fn attempts(&self) -> Attempts<'_> {
        Attempts::open(&self.server, &self.base.path().join("job"))
            .unwrap()
            .tools(self.tools.clone())
            .restart_limit(RESTART_LIMIT)
            .tries(RESTART_TRIES)
    }

    fn work(&self) -> PathBuf {
        self.base.path().join("work")
    }

    fn start(&self, attempts: &Attempts<'_>) -> Attempt {
        let log = Stream::File(self.base.path().join("log"));
        let launch = Launch::new(&self.tools, &self.python)
            .args(["-c", FAMILY])
            .arg(self.work())
            .stdout(log.clone())
            .stderr(log);
        let attempt = attempts.start([Program::from(launch)]).unwrap();
        all_run(&attempt, 3);
        eventually("all count", LONG, || self.counts().len() == 3);
        attempt
    }

    fn counts(&self) -> Vec<u64> {
        stepper::read_all(&self.work(), "count-")
    }
}

/// So many workers run, and each has told its own pid.
fn all_run(attempt: &Attempt, workers: u32) {
    let computation = attempt.computation();
    computation.wait_until_running(Some(workers), LONG).unwrap();
    eventually("all have told who they are", LONG, || {
        let mut pids: Vec<i32> = listed(attempt)
            .iter()
            .map(|worker| worker.real_pid)
            .collect();
        pids.sort_unstable();
        pids.dedup();
        pids.len() == usize::try_from(workers).unwrap()
    });
}

fn listed(attempt: &Attempt) -> Vec<WorkerInfo> {
    attempt.computation().workers().unwrap()
}

/// A child.
fn child(workers: &[WorkerInfo]) -> Pid {
    Pid::from_raw(workers.last().unwrap().real_pid)
}

/// The signal is on its way when `kill` returns.
fn stop(pid: Pid) {
    kill(pid, Signal::SIGSTOP).unwrap();
    eventually("it is stopped", LONG, || {
        let situation = Situation::of(pid.as_raw()).unwrap().unwrap();
        let mut threads = situation.threads.iter();
        threads.all(|thread| thread.state == ProcessState::Stopped)
    });
}

fn situation(stall: &Stall) -> &Situation {
    match &stall.laggards[0].seen {
        Seen::Here(situation) => situation,
        seen => panic!("{seen:?}"),
    }
}

/// The stall of just this process.
fn stall_of(pid: Pid, mut look: impl FnMut() -> Option<Stall>) -> Stall {
    let stall = soon("stall", || look().filter(|stall| stall.laggards.len() == 1));
    println!("{stall:#}");
    let laggard = &stall.laggards[0];
    assert_eq!(laggard.worker.real_pid, pid.as_raw(), "{stall}");
    assert_eq!((stall.arrived, stall.peers), (2, 3), "{stall}");
    assert!(laggard.since >= AFTER);
    stall
}

fn stalled(result: Result<Sealed, ServerError>) -> Vec<WorkerInfo> {
    let error = result.unwrap_err();
    let ServerError::CheckpointFailed { reason, .. } = &error else {
        panic!("{error}")
    };
    match &**reason {
        RoundError::Stalled(late) => late.clone(),
        reason => panic!("{reason}"),
    }
}

#[test]
fn one_that_is_stopped_is_named_and_the_round_goes_on_with_it() {
    embedded(|stage| {
        let attempts = stage.attempts();
        let attempt = stage.start(&attempts);
        let pid = child(&listed(&attempt));
        stop(pid);
        let computation = attempt.computation().clone();
        let asked = thread::spawn(move || computation.checkpoint(LONG));
        let mut watch = StallWatch::new(AFTER);
        let stall = stall_of(pid, || watch.look(attempt.computation()).unwrap());
        let first = match stage.dialect.phases().is_empty() {
            true => "DMT:SUSPEND",
            false => "SUSPENDED",
        };
        assert_eq!(stall.awaited, Awaited::At(first.to_owned()));
        let situation = situation(&stall);
        assert_eq!(situation.state, ProcessState::Stopped, "{stall:#}");
        // The order.
        assert!(situation.coordinator.as_ref().unwrap().unread > 0);
        assert!(stall.to_string().contains("stopped by a signal"), "{stall}");
        kill(pid, Signal::SIGCONT).unwrap();
        assert_eq!(asked.join().unwrap().unwrap().images.len(), 3);
        all_run(&attempt, 3);
    });
}

/// Its checkpoint thread runs on, and waits for the thread that does not stop.
#[test]
fn one_with_a_debugger_is_told_from_one_that_is_stopped() {
    embedded(|stage| {
        let attempts = stage.attempts();
        let attempt = stage.start(&attempts);
        let pid = child(&listed(&attempt));
        if ptrace::attach(pid).is_err() {
            println!("SKIPPED: tracing is forbidden here");
            return;
        }
        waitpid(pid, Some(WaitPidFlag::__WALL)).unwrap();
        let computation = attempt.computation().clone();
        let asked = thread::spawn(move || computation.checkpoint(LONG));
        let mut watch = StallWatch::new(AFTER);
        let stall = stall_of(pid, || watch.look(attempt.computation()).unwrap());
        let situation = situation(&stall);
        assert_eq!(situation.state, ProcessState::Traced, "{stall:#}");
        assert!(situation.tracer.is_some());
        assert!(situation.thread_count >= 2);
        assert!(stall.to_string().contains(", traced by "), "{stall}");
        ptrace::detach(pid, None).unwrap();
        assert_eq!(asked.join().unwrap().unwrap().images.len(), 3);
        all_run(&attempt, 3);
    });
}

#[test]
fn a_round_that_is_given_up_leaves_the_others_running() {
    embedded(|stage| {
        let attempts = stage.attempts().on_stall(StallPolicy::FailRound, AFTER);
        let attempt = stage.start(&attempts);
        let pid = child(&listed(&attempt));
        stop(pid);
        let late = stalled(attempt.computation().checkpoint(LONG));
        assert_eq!((late.len(), late[0].real_pid), (1, pid.as_raw()));
        all_run(&attempt, 2);
        let before: u64 = stage.counts().iter().sum();
        eventually("the others go on", LONG, || {
            stage.counts().iter().sum::<u64>() > before + 10
        });
        let sealed = attempt.computation().checkpoint(LONG).unwrap();
        assert_eq!(sealed.images.len(), 2);
        all_run(&attempt, 2);
    });
}

/// Behind the first barrier, where its threads are being stopped.
#[test]
fn one_that_cannot_be_suspended_is_given_up_alone() {
    embedded(|stage| {
        let attempts = stage.attempts().on_stall(StallPolicy::FailRound, AFTER);
        let attempt = stage.start(&attempts);
        let pid = child(&listed(&attempt));
        if ptrace::attach(pid).is_err() {
            println!("SKIPPED: tracing is forbidden here");
            return;
        }
        waitpid(pid, Some(WaitPidFlag::__WALL)).unwrap();
        let late = stalled(attempt.computation().checkpoint(LONG));
        assert_eq!((late.len(), late[0].real_pid), (1, pid.as_raw()));
        // SIGKILL ends one that is traced, too; whoever traces it is told.
        all_run(&attempt, 2);
        let sealed = attempt.computation().checkpoint(LONG).unwrap();
        assert_eq!(sealed.images.len(), 2);
    });
}

#[test]
fn an_attempt_that_was_ended_for_a_stall_goes_on_from_its_set() {
    embedded(|stage| {
        let attempts = stage.attempts().on_stall(StallPolicy::Restart, AFTER);
        let attempt = stage.start(&attempts);
        let sealed = attempt.computation().checkpoint(LONG).unwrap();
        assert_eq!(sealed.set.unwrap().sequence, 1);
        all_run(&attempt, 3);
        let pid = child(&listed(&attempt));
        stop(pid);
        let late = stalled(attempt.computation().checkpoint(LONG));
        assert_eq!((late.len(), late[0].real_pid), (1, pid.as_raw()));
        let Err(AttemptError::Stalled(stall)) = attempt.check_stall() else {
            panic!("not told")
        };
        println!("{stall}");
        drop(attempt);
        let recovered = attempts.restart().unwrap();
        for failed in &recovered.failed {
            println!("{failed}");
        }
        assert_eq!(recovered.set.sequence(), 1);
        let before: u64 = stage.counts().iter().sum();
        eventually("all go on", LONG, || {
            stage.counts().iter().sum::<u64>() > before + 10
        });
    });
}

#[test]
fn under_a_stock_coordinator_it_is_named_too() {
    on_each(|installation| {
        let Some(python) = interpreter() else {
            println!("SKIPPED: no Python interpreter in /usr/bin");
            return;
        };
        if installation.dialect == Dialect::V2_4 {
            println!("SKIPPED: 2.4 tells no list");
            return;
        }
        stock(installation, &python);
    });
}

/// No list tells of it: all workers are as they were before the checkpoint was asked for.
#[test]
fn the_only_one_stopped_before_the_order_is_named_under_a_stock_coordinator() {
    on_each(|installation| {
        if installation.dialect == Dialect::V2_4 {
            println!("SKIPPED: 2.4 tells no list");
            return;
        }
        let mut stage = real::Stage::stock(installation, &[]);
        stage.launch(&[], &["sleep", "1000"]);
        stage.wait_running(1);
        let handle = stage.handle();
        let pid = soon("its pid", || {
            let pid = handle.workers().unwrap()[0].real_pid;
            (pid > 1).then_some(Pid::from_raw(pid))
        });
        let advice = format!("stopped by a signal: `kill -CONT {pid}` lets it go on");
        let names_it = |stall: &Option<Box<Stall>>, text: &str| {
            println!("{text}");
            let stall = stall.as_deref().unwrap();
            assert_eq!(stall.awaited, Awaited::FirstStep, "{stall:#}");
            assert_eq!(situation(stall).state, ProcessState::Stopped, "{stall:#}");
            assert!(text.contains("asked for, and no process has answered yet"));
            assert!(text.contains(&advice), "{text}");
        };

        stop(pid);
        let error = handle.checkpoint(ASKED).unwrap_err();
        let coordinator::Error::CheckpointTimedOut { begun, stall, .. } = &error else {
            panic!("{error}")
        };
        assert!(!begun);
        names_it(stall, &error.to_string());
        kill(pid, Signal::SIGCONT).unwrap();
        soon("the end of what was asked for", || {
            let runs = handle.workers().unwrap()[0].state == WorkerState::Running;
            (runs && !stage.images().is_empty()).then_some(())
        });

        let dir = tempfile::tempdir().unwrap();
        let sets = ForeignSets::new(stage.handle(), SetStore::open(dir.path()).unwrap());
        stop(pid);
        let error = sets.checkpoint(ASKED).unwrap_err();
        let ForeignError::TimedOut {
            stage: how_far,
            stall,
            ..
        } = &error
        else {
            panic!("{error}")
        };
        assert_eq!(*how_far, foreign::Stage::Round);
        names_it(stall, &error.to_string());
        kill(pid, Signal::SIGCONT).unwrap();
        assert_eq!(sets.finish(LONG).unwrap().images().len(), 1);
    });
}

fn stock(installation: &Installation, python: &Path) {
    let work = tempfile::tempdir().unwrap();
    let mut stage = real::Stage::stock(installation, &[]);
    let program = [
        python.to_str().unwrap(),
        "-c",
        FAMILY,
        work.path().to_str().unwrap(),
    ];
    stage.launch(&[], &program);
    stage.wait_running(3);
    let handle = stage.handle();
    let workers = soon("pids of all workers", || {
        let workers = handle.workers().unwrap();
        let mut pids: Vec<i32> = workers.iter().map(|worker| worker.real_pid).collect();
        pids.sort_unstable();
        pids.dedup();
        let all = pids.len() == 3 && pids.iter().all(|&pid| pid > 0);
        all.then_some(workers)
    });
    let pid = child(&workers);
    stop(pid);
    let asking = handle.clone();
    let asked = thread::spawn(move || asking.checkpoint(LONG));
    let mut watch = StallWatch::new(AFTER);
    let stall = stall_of(pid, || watch.look_outside(&handle).unwrap());
    let situation = situation(&stall);
    assert_eq!(situation.state, ProcessState::Stopped, "{stall:#}");
    assert!(situation.coordinator.as_ref().unwrap().unread > 0);
    kill(pid, Signal::SIGCONT).unwrap();
    let report = asked.join().unwrap().unwrap();
    assert_eq!(report.peers, 3);
    // The same as an error: nobody sends it on.
    stage.wait_running(3);
    thread::sleep(Duration::from_millis(500));
    stop(pid);
    let error = handle.checkpoint(Duration::from_secs(4)).unwrap_err();
    println!("{error}");
    assert!(error.to_string().contains("stopped by a signal"), "{error}");
    kill(pid, Signal::SIGCONT).unwrap();
    stage.wait_running(3);
}
