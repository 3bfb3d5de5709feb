//! `list`, `wait`, `stop`, `logs`, and the questions to a coordinator by a state directory: on jobs
//! that this process runs, with native workers.

use crate::run::{Ran, command, run};
use dmtcp_client::attempt::{Attempt, Attempts, Program};
use dmtcp_client::job::{
    CoordinatorRecord, ExecutionLog, Job as RunnableJob, JobRecord, Outcome, OutcomeKind, Owner,
    ProgramKind, ProgramRecord, Reason, Registry, SetRecord,
};
use dmtcp_client::server::Server;
use dmtcp_client::set::CheckpointSet;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Longer than anything here takes unless it hangs.
const LONG: Duration = Duration::from_secs(60);
const PATIENCE: &str = "60s";

/// A job that this process owns, as `dmtcpctl run` would.
struct Job {
    dir: PathBuf,
    record: JobRecord,
}

impl Job {
    fn new(base: &Path, name: &str) -> Self {
        let argv = vec!["./count".into(), "to a million".into()];
        let mut record = JobRecord::new(ProgramRecord::new(ProgramKind::Native, argv, "/work"));
        record.id = Some("big".to_owned());
        record.owner = Some(Owner::this_process().unwrap());
        Self {
            dir: base.join(name),
            record,
        }
    }

    fn start(&mut self, attempts: &Attempts<'_>) -> Attempt {
        let mut program = counter();
        program.stdin(Stdio::null()).stdout(Stdio::null());
        let _alone = crate::state::nobody_starts();
        let attempt = attempts.start([Program::from(program)]).unwrap();
        let computation = attempt.computation();
        computation.wait_until_running(Some(1), LONG).unwrap();
        let set = computation.checkpoint(LONG).unwrap().set.unwrap();
        let set = CheckpointSet::open(&set.directory).unwrap();
        computation.wait_until_running(Some(1), LONG).unwrap();
        let id = set.manifest().computation;
        self.record.coordinator = Some(CoordinatorRecord::new(computation.addr(), Some(id)));
        let sealed = SystemTime::now() - Duration::from_secs(600);
        self.record.last_set = Some(SetRecord::new(1, sealed, set.total_bytes()));
        self.write();
        attempt
    }

    fn write(&mut self) {
        self.record.write(&self.dir).unwrap();
    }

    /// As a runner does when its run is over.
    fn end(&mut self, outcome: &Outcome) {
        outcome.write(&self.dir).unwrap();
        (self.record.owner, self.record.coordinator) = (None, None);
        self.write();
    }

    /// Waits for the end of what runs, and writes that down.
    fn watch(&mut self, attempt: &Attempt, outcome: &Outcome) {
        let end = Instant::now() + LONG;
        while attempt.finished().unwrap().is_none() {
            assert!(Instant::now() < end, "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
        self.end(outcome);
    }

    fn asked<'a>(&'a self, command: &'a str, options: &[&'a str]) -> Ran {
        let mut words = vec![OsStr::new(command), OsStr::new("--state-dir")];
        words.push(self.dir.as_os_str());
        words.extend(options.iter().map(OsStr::new));
        run(words)
    }
}

fn checkpointed() -> Outcome {
    let mut outcome = Outcome::new(
        OutcomeKind::Checkpointed,
        Reason::Command,
        "set 2 is complete",
    );
    outcome.set = Some(2);
    outcome
}

#[test]
fn a_job_that_runs_is_asked_by_its_directory_and_stopped() {
    let base = tempfile::tempdir().unwrap();
    let (mut job, server) = (Job::new(base.path(), "job"), Server::start().unwrap());
    let attempts = Attempts::open(&server, &job.dir).unwrap();
    let attempt = job.start(&attempts);
    let addr = attempt.computation().addr().to_string();

    let patient = ["--timeout", PATIENCE, "--json"];
    let status = job.asked("status", &patient);
    assert_eq!((status.code, status.err.as_str()), (0, ""));
    let status = status.json("status");
    assert_eq!(status["job"]["state"], "running");
    assert_eq!(status["job"]["pid"], std::process::id());
    assert_eq!(status["coordinator"]["address"], addr.as_str());
    assert_eq!(status["coordinator"]["known_by"], "state-directory");
    assert_eq!(status["coordinator"]["peers"], 1);
    let text = job.asked("status", &["--timeout", PATIENCE]).out;
    assert!(
        text.contains("program      ./count 'to a million'\n"),
        "{text}"
    );
    assert!(text.contains("running      all\n"), "{text}");

    let workers = job.asked("workers", &patient).json("workers");
    assert_eq!(workers["workers"].as_array().unwrap().len(), 1);
    let done = job.asked(
        "checkpoint",
        &["--limit", PATIENCE, "--timeout", PATIENCE, "--json"],
    );
    assert_eq!(done.json("checkpoint")["peers"], 1);
    assert_eq!(attempts.store().list().unwrap().sets.len(), 2);
    attempt
        .computation()
        .wait_until_running(Some(1), LONG)
        .unwrap();

    let waited = run(["wait", job.dir.to_str().unwrap(), "--timeout", "100ms"]);
    assert_eq!((waited.code, waited.slug()), (124, "timed-out"));

    let dir = job.dir.clone();
    let stopped = thread::scope(|scope| {
        let stop =
            scope.spawn(|| run(["stop", dir.to_str().unwrap(), "--grace", PATIENCE, "--json"]));
        job.watch(&attempt, &checkpointed());
        stop.join().unwrap()
    });
    assert_eq!((stopped.code, stopped.err.as_str()), (0, ""));
    let stopped = stopped.json("stop");
    assert_eq!(
        (&stopped["was_running"], &stopped["checkpointed"]),
        (&true.into(), &true.into())
    );
    assert_eq!(stopped["outcome"]["slug"], "checkpointed");
    assert_eq!(attempts.store().list().unwrap().sets.len(), 3);

    let again = job.asked("stop", &[]);
    assert_eq!(
        (again.code, again.out.as_str()),
        (0, "did not run; checkpointed: set 2 is complete\n")
    );
    let waited = job.asked("wait", &["--json"]);
    assert_eq!(waited.code, 85, "{waited:?}");
    assert_eq!(waited.json("wait")["outcome"]["set"], 2);
    for command in ["workers", "checkpoint"] {
        let refused = job.asked(command, &[]);
        assert_eq!((refused.code, refused.slug()), (1, "job-not-running"));
    }
    let status = job.asked("status", &["--json"]).json("status");
    assert_eq!(
        (&status["job"]["state"], &status["coordinator"]),
        (&"ended".into(), &Value::Null)
    );
}

#[test]
fn one_that_makes_no_checkpoint_in_time_is_killed() {
    let base = tempfile::tempdir().unwrap();
    let (mut job, server) = (Job::new(base.path(), "job"), Server::start().unwrap());
    let attempts = Attempts::open(&server, &job.dir).unwrap();
    for options in [&["--grace", "1ms"][..], &["--now"]] {
        job.record.owner = Some(Owner::this_process().unwrap());
        let attempt = job.start(&attempts);
        let dir = job.dir.clone();
        let stopped = thread::scope(|scope| {
            let words = ["stop", dir.to_str().unwrap()]
                .into_iter()
                .chain(options.iter().copied());
            let stop = scope.spawn(|| run(words));
            let outcome = Outcome::new(OutcomeKind::TryAgain, Reason::Command, "killed");
            job.watch(&attempt, &outcome);
            stop.join().unwrap()
        });
        if options.len() == 1 {
            assert_eq!(
                (stopped.code, stopped.out.as_str()),
                (0, "try-again: killed\n")
            );
        } else {
            assert_eq!((stopped.code, stopped.slug()), (1, "not-checkpointed"));
        }
        attempt.kill().unwrap();
        fs::remove_file(job.dir.join("outcome.json")).unwrap();
    }
}

/// The program of all jobs here, in the words that a job can be given.
fn counter() -> Command {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--ignored", "--exact", "counter_program"]);
    program
}

#[test]
fn a_job_of_the_library_is_stopped_and_its_outcome_told() {
    let base = tempfile::tempdir().unwrap();
    let server = Arc::new(Server::start().unwrap());
    let registry = Registry::at(base.path().join("registry"));
    let dir = base.path().join("job");
    let state = dir.to_str().unwrap();
    for (run_number, options, code, reason) in [
        (
            1,
            &["--grace", PATIENCE][..],
            85,
            "checkpointed: a complete set",
        ),
        (2, &["--now"], 75, "try-again: the program was ended"),
        (
            3,
            &["--grace", PATIENCE],
            85,
            "checkpointed: a complete set",
        ),
    ] {
        let job = RunnableJob::new(&dir, Program::from(counter())).registry(registry.clone());
        let alone = crate::state::nobody_starts();
        let running = job.start(&server).unwrap();
        let end = Instant::now() + LONG;
        while !running
            .computation()
            .is_some_and(|c| c.status().is_ok_and(|s| s.running))
        {
            assert!(Instant::now() < end, "it does not run");
            thread::sleep(Duration::from_millis(5));
        }
        drop(alone);
        let words = ["stop", state].into_iter().chain(options.iter().copied());
        let stopped = run(words);
        assert_eq!(
            (stopped.code, stopped.err.as_str()),
            (0, ""),
            "run {run_number}"
        );
        assert!(stopped.out.starts_with(reason), "{}", stopped.out);
        assert_eq!(run(["wait", state]).code, code);
        assert_eq!(i32::from(running.wait().unwrap().code), code);
    }
    let jobs = registry.jobs().unwrap();
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0].directory, fs::canonicalize(&dir).unwrap());
    for (which, expected) in [
        ("execution", "checkpointed"),
        ("coordinator", "set 1 is sealed, after "),
    ] {
        let printed = run(["logs", "--which", which, state]);
        assert!(printed.out.contains(expected), "{}", printed.out);
    }
}

#[test]
fn whoever_is_not_the_job_is_left_alone() {
    let base = tempfile::tempdir().unwrap();
    let (mut job, server) = (Job::new(base.path(), "job"), Server::start().unwrap());
    let missing = job.asked("stop", &[]);
    assert_eq!((missing.code, missing.slug()), (1, "no-job"));
    let attempts = Attempts::open(&server, &job.dir).unwrap();
    let attempt = job.start(&attempts);
    let refused = |job: &mut Job, slug: &str, code: i32| {
        job.write();
        for command in ["workers", "checkpoint"] {
            let ran = job.asked(command, &[]);
            assert_eq!((ran.code, ran.slug()), (code, slug), "{ran:?}");
        }
    };
    let (owner, coordinator) = (job.record.owner.clone(), job.record.coordinator.clone());

    job.record.owner.as_mut().unwrap().start_time -= 1;
    refused(&mut job, "job-lost", 75);
    job.record.owner.clone_from(&owner);
    let (host, boot) = ("n17".into(), "another".to_owned());
    let elsewhere = job.record.owner.as_mut().unwrap();
    (elsewhere.host, elsewhere.boot_id) = (host, boot);
    refused(&mut job, "job-elsewhere", 1);
    job.record.owner.clone_from(&owner);
    job.record.coordinator = None;
    refused(&mut job, "no-coordinator", 75);
    let status = job.asked("status", &["--json"]);
    assert_eq!((status.code, status.slug()), (75, "no-coordinator"));
    assert_eq!(
        status.json("status")["job"]["error"]["slug"],
        "no-coordinator"
    );
    // Another computation of that process.
    job.record.coordinator.clone_from(&coordinator);
    let (mut second, server) = (Job::new(base.path(), "second"), Server::start().unwrap());
    let attempts = Attempts::open(&server, &second.dir).unwrap();
    let other = second.start(&attempts);
    let port = other.computation().port();
    job.record
        .coordinator
        .as_mut()
        .unwrap()
        .address
        .set_port(port);
    refused(&mut job, "not-its-coordinator", 1);
    assert_eq!(attempt.computation().status().unwrap().peers, 1);
}

#[test]
fn all_jobs_of_a_user_are_listed() {
    let base = tempfile::tempdir().unwrap();
    let (mut job, server) = (Job::new(base.path(), "job"), Server::start().unwrap());
    let registry = Registry::at(base.path().join("state/dmtcp-rs/jobs"));
    let listed = |options: &[&str]| {
        let _alone = crate::state::nobody_starts();
        let mut command = command(["list"]);
        let command = command.env("XDG_STATE_HOME", base.path().join("state"));
        let output = command.args(options).output().unwrap();
        Ran {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    };
    assert_eq!(
        (listed(&[]).code, listed(&[]).out.as_str()),
        (0, "no jobs\n")
    );
    let attempts = Attempts::open(&server, &job.dir).unwrap();
    let attempt = job.start(&attempts);
    registry.register(&job.dir).unwrap();
    let mut ended = Job::new(base.path(), "ended");
    fs::create_dir(&ended.dir).unwrap();
    ended.end(&checkpointed());
    registry.register(&ended.dir).unwrap();
    fs::create_dir(base.path().join("broken")).unwrap();
    fs::write(base.path().join("broken/job.json"), "{}").unwrap();
    registry.register(&base.path().join("broken")).unwrap();

    let jobs = listed(&["--json"]).json("list");
    let jobs = jobs["jobs"].as_array().unwrap();
    let state = |name: &str| {
        let of = |job: &&Value| job["directory"].as_str().unwrap().ends_with(name);
        jobs.iter().find(of).unwrap()
    };
    assert_eq!(jobs.len(), 3);
    assert_eq!(jobs[0]["state"], "running");
    assert_eq!(jobs[0]["address"], attempt.computation().addr().to_string());
    assert_eq!(jobs[0]["program"]["argv"][1], "to a million");
    assert_eq!(state("/ended")["outcome"]["slug"], "checkpointed");
    assert_eq!(state("/broken")["error"]["slug"], "state-damaged");
    let text = listed(&["--running"]).out;
    let port = attempt.computation().port().to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    for word in ["running", "10 min", &port, "./count 'to a million'"] {
        assert!(lines[1].contains(word), "{text}");
    }
}

#[test]
fn the_newest_set_is_that_of_the_directory() {
    let base = tempfile::tempdir().unwrap();
    let (mut job, server) = (Job::new(base.path(), "job"), Server::start().unwrap());
    let attempts = Attempts::open(&server, &job.dir).unwrap();
    let attempt = job.start(&attempts);
    attempt.computation().checkpoint(LONG).unwrap();
    attempt.kill().unwrap();
    job.end(&checkpointed());
    let last = |job: &Job| {
        let told = job.asked("status", &["--json"]).json("status");
        told["job"]["last_set"].clone()
    };
    // The record still has the first one.
    let sets = dmtcp_client::set::list(&job.dir).unwrap().sets;
    assert_eq!(last(&job)["sequence"], 2);
    assert_eq!(last(&job)["bytes"], sets[0].total_bytes());
    let sealed = sets[0].manifest().created_unix_ms;
    assert_eq!(last(&job)["sealed_unix_ms"], sealed);
    // As behind `unpack`: none.
    job.record.last_set = None;
    job.write();
    assert_eq!(last(&job)["sequence"], 2);
    let text = job.asked("status", &[]).out;
    assert!(text.contains("  2 of "), "{text}");
    // One that cannot be read is passed over.
    fs::write(sets[0].dir().join("manifest.json"), "{").unwrap();
    assert_eq!(last(&job)["sequence"], 1);
    // Those before a fresh start are not gone on from.
    job.record.fresh_after = 1;
    job.write();
    assert_eq!(last(&job), Value::Null);
}

#[test]
fn logs_are_printed_and_followed_to_the_end() {
    let base = tempfile::tempdir().unwrap();
    let (mut job, server) = (Job::new(base.path(), "job"), Server::start().unwrap());
    let _attempts = Attempts::open(&server, &job.dir).unwrap();
    job.write();
    fs::write(job.dir.join("application.log"), b"one\ntwo \xff\nthree").unwrap();
    let log = ExecutionLog::open(&job.dir.join("execution.log")).unwrap();
    log.note("began");

    let _alone = crate::state::nobody_starts();
    let raw = command(["logs", job.dir.to_str().unwrap(), "-n", "2"])
        .output()
        .unwrap();
    assert_eq!(raw.stdout, b"two \xff\nthree");
    drop(_alone);
    let json = job.asked("logs", &["--json"]);
    let lines: Vec<Value> = json
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(
        (&lines[1]["text"], &lines[1]["time"]),
        (&"two \u{fffd}".into(), &Value::Null)
    );
    assert_eq!(
        (&lines[0]["which"], &lines[0]["schema"]),
        (&"application".into(), &1.into())
    );
    let missing = job.asked("logs", &["--which", "coordinator"]);
    assert_eq!((missing.code, missing.slug()), (1, "io"));

    let alone = crate::state::nobody_starts();
    let mut following = command(["logs", "--follow", "--json", "--which", "execution"])
        .arg(&job.dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(alone);
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = || -> Option<Value> {
        let line = lines.next()?.unwrap();
        Some(serde_json::from_str(&line).unwrap())
    };
    assert_eq!(next().unwrap()["text"], "began");
    log.note("went on");
    let line = next().unwrap();
    assert_eq!(line["text"], "went on");
    assert_eq!(line["time"].as_str().unwrap().len(), 24);
    job.end(&checkpointed());
    assert!(next().is_none());
    assert!(following.wait().unwrap().success());
}
