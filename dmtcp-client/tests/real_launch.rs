//! `Launch`, `Restart` and `process` against real DMTCP and its stock coordinator, for every
//! installation that `DMTCP_BIN` (or PATH) names. Without one each test says so and passes.

use std::{
    fs,
    io::Read as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use dmtcp_client::{
    Launch, Restart, StartError, Tools,
    process::{Child, ComputationTmp, Exit, FAIL_CODE, Stream, kill_members, members},
};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(60);

/// A restart that takes longer hangs: main's does at times.
const RESTART_LIMIT: Duration = Duration::from_secs(20);
const RESTART_TRIES: usize = 8;

/// Counts until told to stop, then exits with 7.
const COUNTER: &str = r"
import os, sys, time
dir, count = sys.argv[1], 0
while not os.path.exists(dir + '/stop'):
    count += 1
    with open(dir + '/count.new', 'w') as file:
        file.write(str(count))
    os.rename(dir + '/count.new', dir + '/count')
    time.sleep(0.02)
sys.exit(7)
";

/// A parent with two children, of which one leaves session and process group.
const FAMILY: &str = r"
import os, sys, time
dir, codes, children = sys.argv[1], (3, 4), []
for code in codes:
    pid = os.fork()
    if pid == 0:
        if code == 4:
            os.setsid()
        while not os.path.exists(dir + '/stop'):
            time.sleep(0.02)
        os._exit(code)
    children.append(pid)
ended = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
sys.exit(5 if ended == list(codes) else 6)
";

#[test]
fn a_process_goes_on_from_its_image_and_keeps_its_exit_code() {
    for stage in stages() {
        let child = stage.launch(COUNTER, 1);
        assert_eq!(
            stage.member_pids(),
            [child.id()],
            "dmtcp_launch becomes the program"
        );
        eventually("it counts", || stage.count() > 10);
        let before = stage.count();
        stage.checkpoint();
        stage.command("-k");
        assert_eq!(
            child.wait(LONG).unwrap(),
            Exit::Code(0),
            "killed by its coordinator"
        );
        eventually("no member is left", || stage.member_pids().is_empty());
        drop(child);

        fs::write(stage.dir.path().join("count"), "0").unwrap();
        let child = stage.restart(1);
        assert_eq!(
            stage.member_pids(),
            [child.id()],
            "dmtcp_restart becomes the program"
        );
        eventually("it counts on", || stage.count() > 0);
        assert!(stage.count() >= before, "it began again");
        fs::write(stage.dir.path().join("stop"), "").unwrap();
        assert_eq!(child.wait(LONG).unwrap(), Exit::Code(7));
        stage.close();
    }
}

#[test]
fn a_family_is_killed_whole_and_the_root_gives_the_exit_code() {
    for stage in stages() {
        let child = stage.launch(FAMILY, 3);
        assert_eq!(stage.member_pids().len(), 3);
        stage.checkpoint();
        child.kill_group().unwrap();
        assert_eq!(child.wait(LONG).unwrap(), Exit::Signal(9));
        // The one in a session of its own is out of the group's reach.
        assert!(kill_members(stage.tmp.path(), LONG).unwrap() >= 1);
        assert!(stage.member_pids().is_empty());
        drop(child);
        stage.await_workers(0);

        let child = stage.restart(3);
        assert_eq!(stage.member_pids().len(), 3);
        assert!(stage.member_pids().contains(&child.id()));
        fs::write(stage.dir.path().join("stop"), "").unwrap();
        assert_eq!(child.wait(LONG).unwrap(), Exit::Code(5));
        stage.close();
    }
}

#[test]
fn stopping_ends_a_restarted_family_within_the_grace() {
    for stage in stages() {
        let child = stage.launch(FAMILY, 3);
        stage.checkpoint();
        drop(child);
        kill_members(stage.tmp.path(), LONG).unwrap();
        stage.await_workers(0);
        let child = stage.restart(3);
        assert_eq!(child.stop(LONG).unwrap(), Exit::Signal(15));
        kill_members(stage.tmp.path(), LONG).unwrap();
        assert!(stage.member_pids().is_empty());
        stage.close();
    }
}

#[test]
fn faults_of_dmtcp_have_their_own_exit_code() {
    for stage in stages() {
        let tools = &stage.tools;
        let ends_with = |launch: Launch| {
            let launch = launch.tmpdir(stage.tmp.path());
            let log = Stream::File(stage.log("faults.log"));
            let child = launch.stdout(log.clone()).stderr(log).spawn().unwrap();
            child.wait(LONG).unwrap()
        };
        let nobody = "127.0.0.1:1".parse().unwrap();
        let failed = Exit::Code(FAIL_CODE);
        assert_eq!(
            ends_with(Launch::new(tools, "true").join(nobody)),
            failed,
            "no coordinator"
        );
        // Never asked for a program that is not there.
        let missing = Launch::new(tools, "/no/such/program").join(stage.address);
        let error = missing.spawn().unwrap_err();
        assert!(matches!(error, StartError::Program(_)), "{error}");

        let child = stage.launch(COUNTER, 1);
        stage.coordinator.kill_group().unwrap();
        assert_eq!(child.wait(LONG).unwrap(), failed, "coordinator lost");
    }
}

#[test]
fn the_version_of_a_real_release_is_known() {
    for tools in installed() {
        let release = tools.version().unwrap();
        assert!(release.quirks().is_some(), "{release}");
        assert_eq!(Some(tools.dialect().unwrap()), release.dialect);
        println!("{} is {release}", tools.dir().display());
    }
}

/// A stock coordinator with a directory for one computation.
struct Stage {
    tools: Tools,
    python: PathBuf,
    _survivors: Survivors,
    tmp: ComputationTmp,
    dir: TempDir,
    coordinator: Child,
    address: SocketAddr,
}

fn installed() -> Vec<Tools> {
    let all = Tools::all();
    if all.is_empty() {
        println!("SKIPPED: no DMTCP");
    }
    all
}

/// One stage after the other, so that only one computation runs at a time in each test.
fn stages() -> impl Iterator<Item = Stage> {
    let all = installed();
    let python = interpreter();
    if python.is_none() {
        println!("SKIPPED: no Python interpreter in /usr/bin");
    }
    all.into_iter()
        .filter_map(move |tools| Some(Stage::new(tools, python.clone()?)))
}

/// Not a script that starts one: DMTCP would hold its shell.
fn interpreter() -> Option<PathBuf> {
    let path = fs::canonicalize("/usr/bin/python3").ok()?;
    let mut magic = [0; 4];
    fs::File::open(&path).ok()?.read_exact(&mut magic).ok()?;
    (magic == *b"\x7fELF").then_some(path)
}

impl Stage {
    fn new(tools: Tools, python: PathBuf) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("images")).unwrap();
        let port_file = dir.path().join("port");
        let mut command = Command::new(tools.coordinator());
        let log = fs::File::create(dir.path().join("coordinator.log")).unwrap();
        command
            .args(["--coord-port", "0", "--port-file"])
            .arg(&port_file)
            .arg("--ckptdir")
            .arg(dir.path())
            .env("DMTCP_TMPDIR", dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let coordinator = Child::spawn(command).unwrap();
        let mut port = None;
        eventually("the coordinator listens", || {
            let text = fs::read_to_string(&port_file).unwrap_or_default();
            port = text.parse::<u16>().ok();
            port.is_some()
        });
        let address = SocketAddr::from(([127, 0, 0, 1], port.unwrap()));
        println!("{} on {address}", tools.version().unwrap());
        let tmp = ComputationTmp::create().unwrap();
        Self {
            tools,
            python,
            _survivors: Survivors(tmp.path().to_owned()),
            tmp,
            dir,
            coordinator,
            address,
        }
    }

    fn launch(&self, program: &str, workers: u32) -> Child {
        let log = Stream::File(self.log("launch.log"));
        let child = Launch::new(&self.tools, &self.python)
            .args(["-c", program])
            .arg(self.dir.path())
            .join(self.address)
            .checkpoint_dir(self.dir.path().join("images"))
            .current_dir(self.dir.path())
            .gzip(false)
            .tmpdir(self.tmp.path())
            .stdout(log.clone())
            .stderr(log)
            .spawn()
            .unwrap();
        self.await_workers(workers);
        child
    }

    /// Blocking where the release blocks; elsewhere complete when the restart script is there
    /// and all run again.
    fn checkpoint(&self) {
        self.command("-bc");
        let script = self.dir.path().join("dmtcp_restart_script.sh");
        eventually("the restart script is written", || script.exists());
        eventually("all run again", || self.running().is_some());
    }

    fn restart(&self, workers: u32) -> Child {
        let images: Vec<PathBuf> = fs::read_dir(self.dir.path().join("images"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "dmtcp")
            })
            .collect();
        assert_eq!(images.len(), workers as usize);
        for attempt in 1..=RESTART_TRIES {
            let log = Stream::File(self.log("restart.log"));
            let child = Restart::new(&self.tools, &images)
                .join(self.address)
                .tmpdir(self.tmp.path())
                .stdout(log.clone())
                .stderr(log)
                .spawn()
                .unwrap();
            let end = Instant::now() + RESTART_LIMIT;
            if wait_until(end, || self.running() == Some(workers)) {
                return child;
            }
            println!("restart {attempt} hangs");
            drop(child);
            kill_members(self.tmp.path(), LONG).unwrap();
            self.await_workers(0);
        }
        panic!(
            "no restart in {RESTART_TRIES} tries: {}",
            self.text("restart.log")
        );
    }

    fn await_workers(&self, workers: u32) {
        if workers == 0 {
            let none = || self.command("-s").contains("NUM_PEERS=0\n");
            eventually("the coordinator has no workers", none);
        } else {
            eventually("all workers run", || self.running() == Some(workers));
        }
    }

    /// How many workers there are, if all run.
    fn running(&self) -> Option<u32> {
        let status = self.command("-s");
        let peers = status
            .lines()
            .find_map(|line| line.trim().strip_prefix("NUM_PEERS="))?;
        status
            .contains("RUNNING=yes")
            .then(|| peers.parse().unwrap())
    }

    fn command(&self, verb: &str) -> String {
        let mut command = Command::new(self.tools.command());
        command
            .args(["--coord-host", "127.0.0.1", "--coord-port"])
            .arg(self.address.port().to_string())
            .arg(verb)
            .env("DMTCP_TMPDIR", self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = Child::spawn(command).unwrap();
        let mut output = child.take_stdout().unwrap();
        let exit = child.wait(LONG);
        let exit = exit.unwrap_or_else(|error| panic!("dmtcp_command {verb}: {error}"));
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        assert_eq!(exit, Exit::Code(0), "dmtcp_command {verb}: {text}");
        text
    }

    fn member_pids(&self) -> Vec<i32> {
        members(self.tmp.path())
            .unwrap()
            .iter()
            .map(|member| member.pid())
            .collect()
    }

    fn count(&self) -> u64 {
        let text = fs::read_to_string(self.dir.path().join("count"));
        text.ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.log(name)).unwrap_or_default()
    }

    fn close(self) {
        let path: &Path = self.tmp.path();
        assert_eq!(members(path).unwrap(), []);
        let path = path.to_owned();
        self.tmp.close().unwrap();
        assert!(!path.exists());
    }
}

/// A failed test leaves no process behind.
struct Survivors(PathBuf);

impl Drop for Survivors {
    fn drop(&mut self) {
        let _ = kill_members(&self.0, LONG);
    }
}

/// Real DMTCP announces nothing to this test, so it looks again and again.
fn wait_until(end: Instant, mut holds: impl FnMut() -> bool) -> bool {
    while !holds() {
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

fn eventually(what: &str, holds: impl FnMut() -> bool) {
    assert!(
        wait_until(Instant::now() + LONG, holds),
        "not within {LONG:?}: {what}"
    );
}
