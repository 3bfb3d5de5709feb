//! A job seen from outside: whether it runs, and whether the coordinator that is found is its own.
//! Native workers; no DMTCP needed.

#[expect(dead_code, reason = "other programs use the rest")]
mod stepper;

use dmtcp_client::attempt::{Attempt, Attempts, Program};
use dmtcp_client::coordinator::Evidence;
use dmtcp_client::job::{
    Contact, ContactError, CoordinatorRecord, JobRecord, Outcome, OutcomeKind, Owner, ProgramKind,
    ProgramRecord, Reason, Standing, wait_for_outcome,
};
use dmtcp_client::server::{ComputationConfig, Server};
use dmtcp_client::set::CheckpointSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs, thread};
use tempfile::TempDir;

/// Longer than anything here takes unless it hangs.
const LONG: Duration = Duration::from_secs(60);

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn stepper_program() {
    stepper::main_if_launched();
}

/// A coordinator in a process of its own, until its standard input ends.
#[test]
#[ignore = "run by the other tests as a process of its own"]
fn stranger_program() {
    if env::var_os(STRANGER).is_none() {
        return;
    }
    let server = Server::start().unwrap();
    let computation = server.open(ComputationConfig::default()).unwrap();
    println!("\nat {}", computation.addr());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

struct Stranger {
    child: Child,
    addr: SocketAddr,
}

impl Stranger {
    fn start() -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "stranger_program", "--nocapture"])
            .env(STRANGER, "")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let addr = lines.find_map(|line| line.unwrap().strip_prefix("at ").map(str::to_owned));
        let addr = addr.expect("it does not listen").parse().unwrap();
        thread::spawn(move || lines.for_each(drop));
        Self { child, addr }
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

/// A job that this process runs, as `job.json` has it.
struct Job {
    base: TempDir,
    record: JobRecord,
}

impl Job {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("work")).unwrap();
        let program = ProgramRecord::new(ProgramKind::Native, vec!["stepper".into()], "/");
        let mut record = JobRecord::new(program);
        record.owner = Some(Owner::this_process().unwrap());
        Self { base, record }
    }

    fn dir(&self) -> PathBuf {
        self.base.path().join("job")
    }

    /// One attempt with one worker, recorded.
    fn start(&mut self, attempts: &Attempts<'_>) -> Attempt {
        let program = Program::from(stepper::command(&self.base.path().join("work")));
        let attempt = attempts.start([program]).unwrap();
        let computation = attempt.computation();
        computation.wait_until_running(Some(1), LONG).unwrap();
        let set = computation.checkpoint(LONG).unwrap().set.unwrap();
        let set = CheckpointSet::open(&set.directory).unwrap();
        computation.wait_until_running(Some(1), LONG).unwrap();
        let id = set.manifest().computation;
        self.record.coordinator = Some(CoordinatorRecord::new(computation.addr(), Some(id)));
        self.write();
        attempt
    }

    fn write(&mut self) {
        self.record.write(&self.base.path().join("job")).unwrap();
    }

    fn owner(&mut self) -> &mut Owner {
        self.record.owner.as_mut().unwrap()
    }

    fn contact(&self) -> Contact {
        Contact::open(&self.dir()).unwrap()
    }

    fn refusal(&self) -> ContactError {
        self.contact().coordinator(LONG).unwrap_err()
    }
}

#[test]
fn the_coordinator_of_a_job_that_runs_is_found_and_obeys() {
    let (mut job, server) = (Job::new(), Server::start().unwrap());
    let attempts = Attempts::open(&server, &job.dir()).unwrap();
    let attempt = job.start(&attempts);
    assert_eq!(job.contact().standing().slug(), "running");
    assert_eq!(job.contact().outcome(), None);
    let coordinator = job.contact().coordinator(LONG).unwrap();
    assert_eq!(coordinator.addr(), attempt.computation().addr());
    assert_eq!(coordinator.status().unwrap().peers, 1);
    let report = coordinator.checkpoint(LONG).unwrap();
    assert_eq!(report.peers, 1);
    assert!(matches!(report.evidence, Evidence::CoordinatorReply));
    assert_eq!(attempts.store().list().unwrap().sets.len(), 2);

    // A directory may move while its job runs.
    let moved = job.base.path().join("moved");
    fs::rename(job.dir(), &moved).unwrap();
    let contact = Contact::open(&moved).unwrap();
    contact.coordinator(LONG).unwrap();
    fs::rename(&moved, job.dir()).unwrap();

    // Between two attempts.
    attempt.kill().unwrap();
    job.record.coordinator = None;
    job.write();
    let refusal = job.refusal();
    assert!(
        matches!(refusal, ContactError::NoCoordinator { .. }),
        "{refusal}"
    );
}

#[test]
fn a_coordinator_that_has_taken_over_the_port_is_left_alone() {
    let (mut job, server) = (Job::new(), Server::start().unwrap());
    let attempts = Attempts::open(&server, &job.dir()).unwrap();
    let attempt = job.start(&attempts);
    attempt.kill().unwrap();
    let refusal = job.refusal();
    assert!(
        matches!(refusal, ContactError::NoCoordinator { .. }),
        "{refusal}"
    );

    // As if it had got the very port.
    let stranger = Stranger::start();
    let addr = stranger.addr;
    job.record.coordinator.as_mut().unwrap().address = addr;
    job.write();
    let refusal = job.refusal();
    let own = i32::try_from(std::process::id()).unwrap();
    assert!(
        matches!(&refusal, ContactError::NotItsPort { pid, address } if *pid == own && *address == addr),
        "{refusal}"
    );
    stranger.end();
}

#[test]
fn another_computation_of_the_same_process_is_left_alone() {
    let (mut job, server) = (Job::new(), Server::start().unwrap());
    let (mut other, attempts) = (Job::new(), Attempts::open(&server, &job.dir()).unwrap());
    let other_attempts = Attempts::open(&server, &other.dir()).unwrap();
    let (_attempt, other_attempt) = (job.start(&attempts), other.start(&other_attempts));
    let wrong = other_attempt.computation().addr();
    job.record.coordinator.as_mut().unwrap().address = wrong;
    job.write();
    let refusal = job.refusal();
    assert!(
        matches!(&refusal, ContactError::OtherComputation { address, .. } if *address == wrong),
        "{refusal}"
    );
}

#[test]
fn who_has_only_the_number_of_the_owner_is_not_it() {
    let (mut job, server) = (Job::new(), Server::start().unwrap());
    let attempts = Attempts::open(&server, &job.dir()).unwrap();
    let _attempt = job.start(&attempts);
    job.owner().start_time -= 1;
    job.write();
    assert_eq!(job.contact().standing().slug(), "lost");
    let refusal = job.refusal();
    assert!(matches!(refusal, ContactError::Lost { .. }), "{refusal}");
    let waited = wait_for_outcome(&job.dir(), LONG).unwrap_err();
    assert!(matches!(waited, ContactError::Lost { .. }), "{waited}");
    // This host before it booted last.
    *job.owner() = Owner::this_process().unwrap();
    job.owner().boot_id = "before".to_owned();
    job.write();
    assert_eq!(job.contact().standing().slug(), "lost");
}

#[test]
fn an_owner_on_another_host_is_named() {
    let (mut job, server) = (Job::new(), Server::start().unwrap());
    let attempts = Attempts::open(&server, &job.dir()).unwrap();
    let _attempt = job.start(&attempts);
    let owner = job.owner();
    (owner.host, owner.boot_id, owner.pid) = ("n17.cluster".into(), "other".into(), 4711);
    job.write();
    let contact = job.contact();
    assert!(matches!(contact.standing(), Standing::Elsewhere(owner) if owner.pid == 4711));
    let refusal = job.refusal().to_string();
    assert!(
        refusal.contains("host n17.cluster, as pid 4711"),
        "{refusal}"
    );
    let waited = wait_for_outcome(&job.dir(), Duration::from_millis(50)).unwrap_err();
    assert!(matches!(waited, ContactError::TimedOut { .. }), "{waited}");
}

#[test]
fn a_copy_of_the_directory_does_not_reach_the_job_of_the_original() {
    let (mut job, server) = (Job::new(), Server::start().unwrap());
    let attempts = Attempts::open(&server, &job.dir()).unwrap();
    let _attempt = job.start(&attempts);
    let copy = job.base.path().join("copy");
    let copied = Command::new("cp")
        .arg("-a")
        .args([&job.dir(), &copy])
        .status();
    assert!(copied.unwrap().success());
    let contact = Contact::open(&copy).unwrap();
    assert_eq!(contact.standing().slug(), "copied");
    let refusal = contact.coordinator(LONG).unwrap_err();
    assert!(matches!(refusal, ContactError::Copied { .. }), "{refusal}");
    job.contact().coordinator(LONG).unwrap();
}

#[test]
fn the_end_is_waited_for_and_told() {
    let (mut job, server) = (Job::new(), Server::start().unwrap());
    let missing = wait_for_outcome(&job.dir(), LONG).unwrap_err();
    assert!(matches!(missing, ContactError::NoJob { .. }), "{missing}");
    let attempts = Attempts::open(&server, &job.dir()).unwrap();
    let attempt = job.start(&attempts);
    let outcome = Outcome::new(OutcomeKind::Checkpointed, Reason::Requested, "stopped");
    thread::scope(|scope| {
        let dir = job.dir();
        let waiting = scope.spawn(move || wait_for_outcome(&dir, LONG));
        attempt.kill().unwrap();
        outcome.write(&job.base.path().join("job")).unwrap();
        (job.record.owner, job.record.coordinator) = (None, None);
        job.record.write(&job.base.path().join("job")).unwrap();
        assert_eq!(waiting.join().unwrap().unwrap(), outcome);
    });
    assert_eq!(job.contact().outcome(), Some(&outcome));
    let refusal = job.refusal();
    assert!(
        refusal.to_string().ends_with("ended as checkpointed"),
        "{refusal}"
    );
}

#[test]
fn what_is_no_job_is_called_so() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |dir: &Path| Contact::open(dir).unwrap_err();
    assert!(matches!(refused(dir.path()), ContactError::NoJob { .. }));
    let mut file = fs::File::create(dir.path().join("job.json")).unwrap();
    file.write_all(b"{\"schema\": 99}").unwrap();
    assert!(matches!(refused(dir.path()), ContactError::State(_)));
}

const STRANGER: &str = "DMTCP_RS_TEST_STRANGER";
