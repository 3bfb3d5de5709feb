//! Attempts over several hosts with native workers, no DMTCP needed: "hosts" are commands run by a
//! launcher of the test, in UTS namespaces of their own names where those may be made.

mod sample_images;
mod state;
mod stepper;

use dmtcp_client::Tools;
use dmtcp_client::attempt::{Attempt, AttemptError, Attempts, Program, Recovered, RestartFailure};
use dmtcp_client::host::HostFingerprint;
use dmtcp_client::process::{Exit, members};
use dmtcp_client::remote::{HostError, HostLauncher as _, LauncherError, RemoteCommand, Ssh};
use dmtcp_client::server::{Server, ServerError};
use dmtcp_client::set::{CheckpointSet, SetError};
use state::State;
use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use stepper::eventually;
use tempfile::TempDir;

/// Longer than anything here takes unless it hangs.
const LONG: Duration = Duration::from_secs(60);

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn stepper_program() {
    stepper::main_if_launched();
}

/// A job in a directory whose name has all that a shell could stumble over.
struct Job {
    base: TempDir,
}

impl Job {
    fn new() -> Self {
        let base = tempfile::tempdir().unwrap();
        let job = Self { base };
        fs::create_dir_all(job.work()).unwrap();
        job
    }

    fn dir(&self) -> PathBuf {
        self.base.path().join("it's a \"$(job)\" `x`\n")
    }

    fn work(&self) -> PathBuf {
        self.base.path().join("work $HOME 'here'")
    }

    fn attempts<'s>(&self, server: &'s Server) -> Attempts<'s> {
        let attempts = Attempts::open(server, &self.dir()).unwrap();
        attempts.reached_at(Ipv4Addr::LOCALHOST.into())
    }

    fn program(&self) -> Program {
        Program::from(stepper::command(&self.work()))
    }

    fn left(&self) -> usize {
        fs::read_dir(self.dir().join("attempts")).unwrap().count()
    }
}

fn this_host() -> OsString {
    HostFingerprint::of_this_host().name
}

fn direct(what: &RemoteCommand) -> Command {
    let argv = what.argv();
    let mut command = Command::new(&argv[0]);
    command.args(&argv[1..]);
    command
}

fn starts_worker(what: &RemoteCommand) -> bool {
    what.argv().iter().any(|word| word == "stepper_program")
}

/// In the namespace of a host of this name, if there may be any.
fn in_namespace(host: &OsStr, what: &RemoteCommand) -> Command {
    let mut command = Command::new("unshare");
    let enter = r#"hostname "$1" && shift && exec "$@""#;
    command.args(["--uts", "sh", "-c", enter, "sh"]);
    command.arg(host).args(what.argv());
    command
}

fn has_namespaces() -> bool {
    let mut command = Command::new("unshare");
    command.args(["--uts", "sh", "-c", "hostname dmtcp-rs-test"]);
    let made = command.output().is_ok_and(|output| output.status.success());
    if !made {
        println!("SKIPPED: no UTS namespaces may be made here (root and `unshare` can)");
    }
    made
}

fn await_running(attempt: &Attempt, workers: u32) {
    let computation = attempt.computation();
    computation.wait_until_running(Some(workers), LONG).unwrap();
}

fn checkpoint(attempt: &Attempt, workers: u32) -> CheckpointSet {
    let sealed = attempt.computation().checkpoint(LONG).unwrap();
    await_running(attempt, workers);
    CheckpointSet::open(&sealed.set.unwrap().directory).unwrap()
}

/// The private `DMTCP_TMPDIR` of the attempt.
fn tmp_of(attempt: &Attempt) -> PathBuf {
    let note = attempt.images_dir().with_file_name("tmp");
    let text = fs::read_to_string(note).unwrap();
    PathBuf::from(text.lines().last().unwrap())
}

fn hosts_of(set: &CheckpointSet) -> Vec<String> {
    let images = set.manifest().images.iter();
    let mut hosts: Vec<_> = images
        .map(|image| image.host.to_string_lossy().into_owned())
        .collect();
    hosts.sort();
    hosts
}

#[test]
fn a_computation_over_two_hosts_goes_on_with_the_hosts_swapped() {
    if !has_namespaces() {
        return;
    }
    let (job, server) = (Job::new(), Server::start().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let launcher = move |host: &OsStr, what: &RemoteCommand| {
        if starts_worker(what) {
            log.lock().unwrap().push(host.to_owned());
        }
        Ok::<_, LauncherError>(in_namespace(host, what))
    };
    let attempts = job.attempts(&server).launcher(launcher);
    let programs = [
        job.program().on_host("n2"),
        job.program().on_host("n3"),
        job.program().on_host(this_host()),
    ];
    let attempt = attempts.start(programs).unwrap();
    await_running(&attempt, 3);
    let hosts: Vec<_> = attempt.exit_hosts();
    assert_eq!(
        hosts,
        [Some(OsStr::new("n2")), Some(OsStr::new("n3")), None]
    );
    let tmp = tmp_of(&attempt);
    let set = checkpoint(&attempt, 3);
    let this = this_host().to_string_lossy().into_owned();
    let mut expected = vec!["n2".to_owned(), "n3".to_owned(), this];
    expected.sort();
    assert_eq!(hosts_of(&set), expected);
    let manifest = set.manifest();
    let mut known: Vec<_> = manifest.hosts.iter().map(|host| &host.name).collect();
    known.sort();
    assert_eq!(known, expected.iter().map(OsStr::new).collect::<Vec<_>>());
    let kernels = manifest.hosts.iter().map(|host| &host.kernel);
    assert!(
        kernels
            .into_iter()
            .all(|kernel| *kernel == HostFingerprint::of_this_host().kernel)
    );
    attempt.kill().unwrap();
    assert_eq!(members(&tmp).unwrap(), []);
    assert!(!tmp.exists());
    assert_eq!(job.left(), 0);

    let ran_on = |set: &CheckpointSet, host: &str| {
        let mut images = set.manifest().images.iter();
        let image = images.find(|image| image.host == host).unwrap();
        (image.process.host_id, image.process.pid)
    };
    let (of_n2, of_n3) = (ran_on(&set, "n2"), ran_on(&set, "n3"));
    asked.lock().unwrap().clear();
    let attempts = attempts.on_host("n2", "n3").on_host("n3", "n2");
    let Recovered {
        attempt, failed, ..
    } = attempts.restart().unwrap();
    assert_eq!(failed.len(), 0);
    asked.lock().unwrap().sort();
    assert_eq!(*asked.lock().unwrap(), ["n2", "n3"]);
    let restored = || stepper::read_all(&job.work(), "restored-").len();
    eventually("all say what they have", LONG, || restored() == 3);
    let set = checkpoint(&attempt, 3);
    assert_eq!(hosts_of(&set), expected);
    let dir = attempts.diagnose(&attempt, "just so").unwrap().unwrap();
    let told = fs::read_to_string(dir.join("processes.txt")).unwrap();
    assert_eq!(told.matches("== process ").count(), 3, "{told}");
    assert!(told.contains("VmRSS"), "{told}");
    assert_eq!((ran_on(&set, "n3"), ran_on(&set, "n2")), (of_n2, of_n3));
    // All of it here, as when a set is moved to one machine.
    let attempts = attempts
        .on_host("n2", this_host())
        .on_host("n3", this_host());
    attempt.kill().unwrap();
    asked.lock().unwrap().clear();
    let Recovered { attempt, .. } = attempts.restart().unwrap();
    assert_eq!(attempt.exit_hosts(), [None; 3]);
    assert!(asked.lock().unwrap().is_empty());
    attempt.kill().unwrap();
}

#[test]
fn a_restart_that_needs_a_second_attempt_and_one_that_falls_back() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let bad = Arc::new(AtomicU32::new(0));
    let left = Arc::clone(&bad);
    let launcher = move |_: &OsStr, what: &RemoteCommand| {
        let is_bad = starts_worker(what)
            && left
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                    left.checked_sub(1)
                })
                .is_ok();
        Ok::<_, LauncherError>(match is_bad {
            // As ssh says that the connection was lost.
            true => {
                let mut command = Command::new("sh");
                command.args(["-c", "exit 255"]);
                command
            }
            false => direct(what),
        })
    };
    // Without namespaces workers on "n2" report this host.
    let attempts = job
        .attempts(&server)
        .launcher(launcher)
        .on_host(this_host(), "n2");
    let attempt = attempts.start([job.program().on_host("n2")]).unwrap();
    await_running(&attempt, 1);
    for number in 1..=2 {
        assert_eq!(checkpoint(&attempt, 1).sequence(), number);
    }
    attempt.kill().unwrap();

    bad.store(1, Ordering::Release);
    let recovered = attempts.restart().unwrap();
    assert_eq!(recovered.set.sequence(), 2);
    let [failed] = &recovered.failed[..] else {
        panic!("{recovered:?}")
    };
    assert!(
        matches!(&failed.reason, RestartFailure::Ended { exit: Exit::Code(255), host: Some(host) } if host == "n2"),
        "{failed}"
    );
    // What was seen of it is kept.
    let dir = failed.diagnostics.as_ref().unwrap();
    let read = |file: &str| fs::read_to_string(dir.join(file)).unwrap();
    assert_eq!(
        read("reason.txt"),
        "a process on n2 ended with exit code 255 before all were running, or directly after\n"
    );
    assert!(read("exits.txt").contains("for n2: exit code 255"));
    assert!(read("manifest.json").contains("\"sequence\": 2"));
    assert!(read("hosts.json").contains(&HostFingerprint::of_this_host().kernel));
    assert!(
        read("sockets.txt").contains("0100007F:"),
        "{}",
        read("sockets.txt")
    );
    recovered.attempt.kill().unwrap();

    bad.store(3, Ordering::Release);
    let recovered = attempts.restart().unwrap();
    assert_eq!((recovered.set.sequence(), recovered.failed.len()), (1, 3));
    recovered.attempt.kill().unwrap();

    bad.store(6, Ordering::Release);
    let text = attempts.restart().unwrap_err().to_string();
    assert!(
        text.contains("set 2: 3 tries: a process on n2 ended"),
        "{text}"
    );
    assert!(
        text.contains("set 1: 3 tries: a process on n2 ended"),
        "{text}"
    );
    assert!(text.contains("/diagnostics/"), "{text}");
    // However many fail.
    let kept = fs::read_dir(job.dir().join("diagnostics")).unwrap();
    assert_eq!(kept.count(), 8);
    assert_eq!(job.left(), 0);
    let attempts = attempts.diagnostics(None);
    bad.store(1, Ordering::Release);
    let recovered = attempts.restart().unwrap();
    assert_eq!(recovered.failed[0].diagnostics, None);
}

#[test]
fn a_host_that_does_not_answer_is_named_before_anything_is_started() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let sick = |script: &'static str| {
        move |host: &OsStr, what: &RemoteCommand| {
            assert!(!starts_worker(what), "something was started");
            if host == "good" {
                return Ok(direct(what));
            }
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            Ok::<_, LauncherError>(command)
        }
    };
    let programs = || [job.program().on_host("good"), job.program().on_host("n2")];
    let limit = Duration::from_secs(4);
    let attempts = job.attempts(&server).host_limit(limit);
    let attempts = attempts.launcher(sick("sleep 600"));
    let begun = Instant::now();
    let error = attempts.start(programs()).unwrap_err();
    assert!(begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
    let AttemptError::Host(trouble) = &error else {
        panic!("{error}")
    };
    assert_eq!(trouble.host, "n2");
    assert!(
        matches!(trouble.reason, HostError::TimedOut { .. }),
        "{error}"
    );
    assert_eq!(job.left(), 0);

    let attempts = attempts.launcher(sick("echo no route to host >&2; exit 255"));
    let error = attempts.start(programs()).unwrap_err();
    assert_eq!(error.to_string(), "host n2 cannot be used");
    assert_eq!(
        error.source().unwrap().to_string(),
        "the launcher's command ended with exit code 255: no route to host"
    );
    // Nobody would find the coordinator.
    let attempts = attempts.launcher(|_: &OsStr, _: &RemoteCommand| {
        Err::<Command, LauncherError>("asked nevertheless".into())
    });
    let error = attempts.start([job.program().on_host("-bad")]).unwrap_err();
    assert!(
        error
            .source()
            .unwrap()
            .to_string()
            .contains("no name of a host"),
        "{error}"
    );
    drop(attempts);
    let attempts = Attempts::open(&server, &job.dir()).unwrap();
    let error = attempts.start(programs()).unwrap_err();
    assert!(
        error
            .source()
            .unwrap()
            .to_string()
            .contains("needs a launcher"),
        "{error}"
    );
    let attempts = attempts.launcher(sick("exit 0"));
    let error = attempts.start(programs()).unwrap_err();
    assert!(
        matches!(error, AttemptError::NotReachable { .. }),
        "{error}"
    );
    assert_eq!(job.left(), 0);
}

#[test]
fn nothing_is_started_while_a_host_may_still_have_processes() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let down = Arc::new(AtomicBool::new(false));
    let launcher = |down: &Arc<AtomicBool>| {
        let down = Arc::clone(down);
        move |_: &OsStr, what: &RemoteCommand| match down.load(Ordering::Acquire) {
            false => Ok(direct(what)),
            true => Err::<_, LauncherError>("the network is down".into()),
        }
    };
    let attempts = job.attempts(&server).launcher(launcher(&down));
    let start = |attempts: &Attempts<'_>| attempts.start([job.program().on_host("n2")]);
    let attempt = start(&attempts).unwrap();
    await_running(&attempt, 1);
    down.store(true, Ordering::Release);
    let hosts_left = |error: AttemptError| {
        let AttemptError::HostsLeft { troubles } = &error else {
            panic!("{error}")
        };
        assert_eq!(troubles.len(), 1);
        assert_eq!(troubles[0].host, "n2");
        error.to_string()
    };
    let text = hosts_left(attempt.kill().unwrap_err());
    assert!(
        text.contains("n2: the launcher made no command: the network is down"),
        "{text}"
    );
    hosts_left(start(&attempts).unwrap_err());
    drop(attempts);

    // Nor by the next one that owns the job, as after a crash.
    let attempts = job.attempts(&server);
    let text = hosts_left(attempts.start([job.program()]).unwrap_err());
    assert!(text.contains("needs a launcher"), "{text}");
    assert_eq!(job.left(), 1);
    let attempts = attempts.launcher(launcher(&down));
    hosts_left(start(&attempts).unwrap_err());
    down.store(false, Ordering::Release);
    let attempt = start(&attempts).unwrap();
    await_running(&attempt, 1);
    assert_eq!(job.left(), 1);

    // Unless the caller answers for it.
    down.store(true, Ordering::Release);
    hosts_left(attempt.kill().unwrap_err());
    let attempts = attempts.gone("n2");
    let error = start(&attempts).unwrap_err();
    assert!(
        error.source().unwrap().to_string().contains("gone"),
        "{error}"
    );
    let attempt = attempts.start([job.program()]).unwrap();
    await_running(&attempt, 1);
    attempt.kill().unwrap();
    assert_eq!(job.left(), 0);
}

/// Called as ssh is, it hands the line to a shell as sshd does.
const FAKE_SSH: &str = r#"#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift 2
exec sh -c "$*"
"#;

#[test]
fn names_that_a_shell_could_stumble_over_pass_through_ssh() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let fake = job.base.path().join("ssh");
    fs::write(&fake, FAKE_SSH).unwrap();
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o700)).unwrap();
    let attempts = job
        .attempts(&server)
        .launcher(Ssh::new().program(&fake))
        .on_host(this_host(), "me@n2");
    let attempt = attempts.start([job.program().on_host("me@n2")]).unwrap();
    await_running(&attempt, 1);
    let tmp = tmp_of(&attempt);
    checkpoint(&attempt, 1);
    attempt.kill().unwrap();
    assert_eq!(members(&tmp).unwrap(), []);
    let Recovered { attempt, .. } = attempts.restart().unwrap();
    let restored = || stepper::read_all(&job.work(), "restored-").len();
    eventually("it says what it has", LONG, || restored() == 1);
    assert_eq!(attempt.exit_hosts(), [Some(OsStr::new("me@n2"))]);
    attempt.kill().unwrap();
}

/// An sshd of one's own on a free port of this host, gone when dropped.
struct Sshd {
    child: Child,
    port: u16,
}

impl Sshd {
    fn start(dir: &Path) -> Result<Self, String> {
        let run = |command: &mut Command| match command.output() {
            Ok(output) if output.status.success() => Ok(()),
            other => Err(format!("{command:?}: {other:?}")),
        };
        for key in ["host_key", "user_key"] {
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
            run(command.arg(dir.join(key)))?;
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .map_err(|error| error.to_string())?
            .port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {dir}/host_key\n\
             AuthorizedKeysFile {dir}/user_key.pub\nStrictModes no\nUsePAM no\n\
             PidFile none\nPermitRootLogin yes\n",
            dir = dir.display(),
        );
        fs::write(dir.join("config"), config).unwrap();
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(dir.join("config"));
        run(Command::new("/usr/sbin/sshd")
            .arg("-t")
            .arg("-f")
            .arg(dir.join("config")))?;
        let log = fs::File::create(dir.join("log")).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| error.to_string())?;
        let sshd = Self { child, port };
        let ssh = sshd.launcher(dir);
        let what = RemoteCommand::of(Command::new("true").current_dir("/"));
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let mut command = ssh.command(OsStr::new("127.0.0.1"), &what).unwrap();
            match run(&mut command) {
                Ok(()) => return Ok(sshd),
                Err(error) if Instant::now() > end => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    fn launcher(&self, dir: &Path) -> Ssh {
        let known = format!("-oUserKnownHostsFile={}", dir.join("known").display());
        Ssh::new()
            .option(format!("-p{}", self.port))
            .option("-F/dev/null")
            .option("-oStrictHostKeyChecking=no")
            .option("-oIdentitiesOnly=yes")
            .option(known)
            .option("-i")
            .option(dir.join("user_key"))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_computation_over_real_ssh_is_killed_and_goes_on() {
    let keys = tempfile::tempdir().unwrap();
    let sshd = match Sshd::start(keys.path()) {
        Ok(sshd) => sshd,
        Err(reason) => {
            println!("SKIPPED: no sshd of one's own: {reason}");
            return;
        }
    };
    let (job, server) = (Job::new(), Server::start().unwrap());
    let attempts = job
        .attempts(&server)
        .launcher(sshd.launcher(keys.path()))
        .on_host(this_host(), "127.0.0.1");
    let programs = [job.program().on_host("127.0.0.1"), job.program()];
    let attempt = attempts.start(programs).unwrap();
    await_running(&attempt, 2);
    let tmp = tmp_of(&attempt);
    checkpoint(&attempt, 2);
    attempt.kill().unwrap();
    assert_eq!(members(&tmp).unwrap(), []);
    let Recovered { attempt, .. } = attempts.restart().unwrap();
    assert_eq!(attempt.exit_hosts(), [Some(OsStr::new("127.0.0.1")); 2]);
    let restored = || stepper::read_all(&job.work(), "restored-").len();
    eventually("both say what they have", LONG, || restored() == 2);
    fs::write(job.work().join(stepper::STOP), "").unwrap();
    let mut exits = None;
    eventually("they end", LONG, || {
        exits = attempt.finished().unwrap();
        exits.is_some()
    });
    assert_eq!(exits.unwrap(), [Exit::Code(0); 2]);
    println!("over ssh on port {}", sshd.port);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let (job, server) = (Job::new(), Server::start().unwrap());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let attempts = job.attempts(&server).listen(addr);
    let error = attempts.start([job.program()]).unwrap_err();
    let AttemptError::Server(server_error) = &error else {
        panic!("{error}")
    };
    assert!(matches!(**server_error, ServerError::Listen { addr: at, .. } if at == addr));
    assert_eq!(
        error.to_string(),
        format!("cannot listen on {addr}; port 0 takes a free one")
    );
    assert_eq!(job.left(), 0);
    // One of its own choice is the same for every attempt, one after the other.
    drop(taken);
    for _ in 0..2 {
        let attempt = attempts.start([job.program()]).unwrap();
        assert_eq!(attempt.computation().addr(), addr);
        await_running(&attempt, 1);
        attempt.kill().unwrap();
    }
}

/// Programs that say that they are DMTCP 4.2.0 and can do nothing.
fn tools_4_2_0(dir: &Path) -> Tools {
    for name in ["launch", "restart", "command", "coordinator"] {
        let path = dir.join(format!("dmtcp_{name}"));
        let script = "#!/bin/sh\n[ \"$1\" = --version ] && echo 'dmtcp_x (DMTCP) 4.2.0'\nexit 9\n";
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }
    Tools::in_dir(dir).unwrap()
}

#[test]
fn a_set_is_not_moved_to_a_host_that_cannot_restore_it() {
    let (state, server) = (State::new(), Server::start().unwrap());
    let store = state.store();
    let mut round = state.round(1);
    let mut node1 = HostFingerprint::of_this_host();
    node1.name = "node1".into();
    round.hosts = vec![node1];
    store.seal(&round).unwrap();
    drop(store);
    let bin = tempfile::tempdir().unwrap();
    let uname = bin.path().join("uname");
    let script = "#!/bin/sh\ncase $1 in -n) echo n9;; -m) echo vax;; -r) echo 4.3;; esac\n";
    fs::write(&uname, script).unwrap();
    fs::set_permissions(&uname, fs::Permissions::from_mode(0o700)).unwrap();
    let path = format!(
        "{}:{}",
        bin.path().display(),
        std::env::var("PATH").unwrap()
    );
    let launcher = move |host: &OsStr, what: &RemoteCommand| {
        let mut command = direct(what);
        if host == "n9" {
            command.env("PATH", &path);
        }
        Ok::<_, LauncherError>(command)
    };
    let attempts = Attempts::open(&server, &state.root)
        .unwrap()
        .reached_at(Ipv4Addr::LOCALHOST.into())
        .tools(tools_4_2_0(bin.path()))
        .launcher(launcher)
        .diagnostics(None)
        .tries(1);
    // Where it ran it fits, and fails there only since these programs can do nothing.
    let text = attempts.restart().unwrap_err().to_string();
    assert!(
        text.contains("set 1: a process on node1 ended with exit code 9"),
        "{text}"
    );
    let attempts = attempts.on_host("node1", "n9");
    let error = attempts.restart().unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(&error, AttemptError::NoUsableSet { refused } if matches!(refused[..], [SetError::Incompatible(_)])),
        "{text}"
    );
    assert!(
        text.contains("set 1 of host node1 cannot be restored on n9"),
        "{text}"
    );
    let text = attempts.on_any_host().restart().unwrap_err().to_string();
    assert!(
        text.contains("a process on n9 ended with exit code 9"),
        "{text}"
    );
    assert_eq!(
        fs::read_dir(state.root.join("attempts")).unwrap().count(),
        0
    );
}

#[test]
fn a_set_of_another_release_is_not_tried() {
    let (state, server) = (State::new(), Server::start().unwrap());
    let store = state.store();
    let mut round = state.round(1);
    round.dmtcp = Some("3.2.0".to_owned());
    store.seal(&round).unwrap();
    drop(store);
    let bin = tempfile::tempdir().unwrap();
    let attempts = Attempts::open(&server, &state.root).unwrap();
    let attempts = attempts.tools(tools_4_2_0(bin.path()));
    let error = attempts.restart().unwrap_err();
    let text = error.to_string();
    let AttemptError::NoUsableSet { refused } = error else {
        panic!("{error}")
    };
    assert!(
        matches!(&refused[..], [SetError::OtherRelease { set, found, .. }] if set == "3.2.0" && found == "4.2.0"),
        "{text}"
    );
    assert!(text.contains("set 1 was written by DMTCP 3.2.0"), "{text}");
    assert!(text.contains("use the programs of 3.2.0"), "{text}");
    // Whoever knows better can have it tried.
    let text = attempts.on_any_release().restart().unwrap_err().to_string();
    assert!(
        text.contains("set 1: 3 tries: a process ended with exit code 9"),
        "{text}"
    );
}
