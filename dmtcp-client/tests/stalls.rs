//! Stalls with native workers: named, waited for, given up. No DMTCP needed.

mod stepper;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use dmtcp_client::attempt::{Attempt, AttemptError, Attempts, Program, StallPolicy};
use dmtcp_client::coordinator::{Coordinator, Error};
use dmtcp_client::process::ProcessState;
use dmtcp_client::server::{
    Computation, ComputationEvent, Event, Events, Sealed, Server, ServerError, Survivors,
};
use dmtcp_client::watch::{Laggard, Seen, Situation, Stall, StallWatch};
use dmtcp_proto::{Dialect, RoundError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stepper::eventually;
use tempfile::TempDir;

/// Longer than anything here takes unless it hangs.
const LONG: Duration = Duration::from_secs(60);
/// For a checkpoint that cannot end, and has begun by then.
const SHORT: Duration = Duration::from_secs(2);
/// When a stall is one.
const AFTER: Duration = Duration::from_millis(500);

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn stepper_program() {
    stepper::main_if_launched();
}

/// A job of three workers, each in a directory of its own.
struct Job {
    base: TempDir,
}

impl Job {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        for worker in 0..3 {
            fs::create_dir(base.path().join(format!("work-{worker}"))).unwrap();
        }
        Self { base }
    }

    fn work(&self, worker: usize) -> PathBuf {
        self.base.path().join(format!("work-{worker}"))
    }

    fn attempts<'s>(&self, server: &'s Server) -> Attempts<'s> {
        Attempts::open(server, &self.base.path().join("job")).unwrap()
    }

    fn start(&self, attempts: &Attempts<'_>) -> Attempt {
        let programs = (0..3).map(|worker| Program::from(stepper::command(&self.work(worker))));
        let attempt = attempts.start(programs).unwrap();
        attempt.wait_until_running(LONG).unwrap();
        attempt
    }

    /// One of them goes to no safe point until it is told to. Returns its real pid.
    fn keep_busy(&self, attempt: &Attempt) -> i32 {
        let work = self.work(1);
        fs::write(work.join(stepper::BUSY), "").unwrap();
        let busy = || !stepper::read_all(&work, "busy-").is_empty();
        eventually("one is busy", LONG, busy);
        pid_in(attempt.computation(), &work)
    }

    fn steps(&self, worker: usize) -> u64 {
        let steps = stepper::read_all(&self.work(worker), "count-");
        steps.first().copied().unwrap_or_default()
    }
}

/// The worker that works there.
fn pid_in(computation: &Computation, work: &Path) -> i32 {
    let work = fs::canonicalize(work).unwrap();
    let workers = computation.workers().unwrap();
    let mut pids = workers.iter().map(|worker| worker.real_pid);
    let is_there = |pid: &i32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|at| at == work);
    pids.find(is_there).unwrap()
}

/// The stall of just this one.
fn only(stall: &Stall, pid: i32) -> &Laggard {
    let [laggard] = &stall.laggards[..] else {
        panic!("{stall}")
    };
    assert_eq!(laggard.worker.real_pid, pid, "{stall}");
    assert_eq!((stall.arrived, stall.peers), (2, 3), "{stall}");
    laggard
}

/// The signal is on its way when `kill` returns.
fn stop(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
    eventually("it is stopped", LONG, || {
        let situation = Situation::of(pid).unwrap().unwrap();
        let mut threads = situation.threads.iter();
        threads.all(|thread| thread.state == ProcessState::Stopped)
    });
}

fn situation(laggard: &Laggard) -> &Situation {
    match &laggard.seen {
        Seen::Here(situation) => situation,
        seen => panic!("{seen:?}"),
    }
}

/// What a watch tells of just this one, once it does.
fn stall_of(pid: i32, mut look: impl FnMut() -> Option<Stall>) -> Stall {
    let end = Instant::now() + LONG;
    loop {
        let stall = look().filter(|stall| stall.laggards.len() == 1);
        if let Some(stall) = stall {
            only(&stall, pid);
            return stall;
        }
        assert!(Instant::now() < end, "no stall");
        thread::sleep(Duration::from_millis(20));
    }
}

fn told(events: &Events) -> Box<Stall> {
    loop {
        if let ComputationEvent::Stalled(stall) = events.recv_timeout(LONG).unwrap() {
            return stall;
        }
    }
}

fn reason(result: Result<Sealed, ServerError>) -> RoundError {
    match result {
        Err(ServerError::CheckpointFailed { reason, .. }) => *reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_checkpoint_that_takes_too_long_says_who_was_late() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let attempts = job.attempts(&server);
    let attempt = job.start(&attempts);
    let pid = job.keep_busy(&attempt);
    let error = attempt.computation().checkpoint(SHORT).unwrap_err();
    let text = error.to_string();
    let ServerError::TimedOut {
        stall: Some(stall), ..
    } = error
    else {
        panic!("{text}")
    };
    let laggard = only(&stall, pid);
    assert!(laggard.since <= LONG);
    assert!(situation(laggard).coordinator.is_some(), "{stall:#}");
    assert!(text.contains("2 of 3 at DMT:SUSPEND for "), "{text}");
    assert!(text.contains(&format!("(pid {pid} on ")), "{text}");

    // The same, asked over the wire as of any other coordinator.
    let outside = Coordinator::new(attempt.computation().addr(), Dialect::V5);
    let mut watch = StallWatch::new(AFTER);
    let seen = stall_of(pid, || watch.look_outside(&outside).unwrap());
    assert!(seen.laggards[0].since >= AFTER);
    assert!(situation(&seen.laggards[0]).coordinator.is_some());
    let error = outside.checkpoint(SHORT).unwrap_err();
    assert!(
        matches!(&error, Error::CheckpointTimedOut { stall: Some(stall), .. }
            if stall.laggards[0].worker.real_pid == pid),
        "{error}"
    );
}

#[test]
fn one_that_is_stopped_is_named_and_the_round_goes_on_with_it() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let attempts = job.attempts(&server);
    let attempt = job.start(&attempts);
    let pid = pid_in(attempt.computation(), &job.work(1));
    stop(pid);
    let computation = attempt.computation().clone();
    let asked = thread::spawn(move || computation.checkpoint(LONG));
    let mut watch = StallWatch::new(AFTER);
    let stall = stall_of(pid, || watch.look(attempt.computation()).unwrap());
    let situation = situation(&stall.laggards[0]);
    assert_eq!(situation.state, ProcessState::Stopped, "{stall:#}");
    let connection = situation.coordinator.as_ref().unwrap();
    assert!(connection.unread > 0, "{stall:#}");
    assert!(!stall.may_progress());
    kill(Pid::from_raw(pid), Signal::SIGCONT).unwrap();
    let sealed = asked.join().unwrap().unwrap();
    assert_eq!(sealed.images.len(), 3);
    assert_eq!(watch.look(attempt.computation()).unwrap(), None);
}

#[test]
fn reported_is_what_nobody_decided_about() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let attempts = job
        .attempts(&server)
        .on_stall(StallPolicy::default(), AFTER);
    let attempt = job.start(&attempts);
    let events = attempt.computation().events();
    let pid = job.keep_busy(&attempt);
    attempt.computation().request_checkpoint().unwrap();
    let first = told(&events);
    only(&first, pid);
    let second = told(&events);
    assert!(second.quiet >= first.quiet * 2, "{first}\n{second}");
    assert_eq!(attempt.computation().workers().unwrap().len(), 3);
    attempt.check_stall().unwrap();
}

#[test]
fn a_round_that_is_given_up_leaves_the_others_running() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let attempts = job
        .attempts(&server)
        .on_stall(StallPolicy::FailRound, AFTER);
    let attempt = job.start(&attempts);
    let events = attempt.computation().events();
    let pid = job.keep_busy(&attempt);
    let reason = reason(attempt.computation().checkpoint(LONG));
    let RoundError::Stalled(late) = &reason else {
        panic!("{reason}")
    };
    assert_eq!((late.len(), late[0].real_pid), (1, pid));
    only(&told(&events), pid);

    let status = attempt.computation().wait_until_running(Some(2), LONG);
    assert!(status.unwrap().running);
    let before = (job.steps(0), job.steps(2));
    let go_on = || job.steps(0) > before.0 && job.steps(2) > before.1;
    eventually("the others go on", LONG, go_on);
    let sealed = attempt.computation().checkpoint(LONG).unwrap();
    assert_eq!(sealed.images.len(), 2);
    attempt.check_stall().unwrap();
}

#[test]
fn an_attempt_that_was_ended_for_a_stall_says_so_and_goes_on_from_its_set() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let attempts = job.attempts(&server).on_stall(StallPolicy::Restart, AFTER);
    let attempt = job.start(&attempts);
    let sealed = attempt.computation().checkpoint(LONG).unwrap();
    assert_eq!(sealed.set.unwrap().sequence, 1);
    attempt.wait_until_running(LONG).unwrap();
    let pid = job.keep_busy(&attempt);
    let reason = reason(attempt.computation().checkpoint(LONG));
    assert!(matches!(reason, RoundError::Stalled(_)), "{reason}");
    let Err(AttemptError::Stalled(stall)) = attempt.check_stall() else {
        panic!("not told")
    };
    only(&stall, pid);
    let mut finished = attempt.finished();
    eventually("all have ended", LONG, || {
        finished = attempt.finished();
        !matches!(finished, Ok(None))
    });
    assert!(matches!(finished, Err(AttemptError::Stalled(_))));

    fs::remove_file(job.work(1).join(stepper::BUSY)).unwrap();
    drop(attempt);
    let recovered = attempts.restart().unwrap();
    assert_eq!(recovered.set.sequence(), 1);
    let sealed = recovered.attempt.computation().checkpoint(LONG).unwrap();
    assert_eq!(sealed.images.len(), 3);
}

#[test]
fn nobody_is_given_up_who_has_come_meanwhile() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let attempts = job.attempts(&server);
    let attempt = job.start(&attempts);
    let computation = attempt.computation();
    let events = computation.events();
    let pid = pid_in(computation, &job.work(1));
    stop(pid);
    computation.request_checkpoint().unwrap();
    let mut watch = StallWatch::new(AFTER);
    let stall = stall_of(pid, || watch.look(computation).unwrap());
    kill(Pid::from_raw(pid), Signal::SIGCONT).unwrap();
    loop {
        let event = events.recv_timeout(LONG).unwrap();
        if let ComputationEvent::Coordinator(Event::CheckpointComplete { .. }) = event {
            break;
        }
    }
    let given_up = computation.give_up(&stall, Survivors::Killed).unwrap();
    assert_eq!(given_up, []);
    computation.wait_until_running(Some(3), LONG).unwrap();
}
