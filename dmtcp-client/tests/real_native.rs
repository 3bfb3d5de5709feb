//! Native workers under stock coordinators, alone and beside unmodified DMTCP processes, for every
//! installation that `DMTCP_BIN` (or PATH) names. Without one each test says so and passes.

mod counter;

use counter::Counter;
use dmtcp_client::image;
use dmtcp_client::native::{Options, restart_command};
use dmtcp_client::process::{Child, ComputationTmp, Exit, Stream, kill_members};
use dmtcp_client::{Launch, Restart, Tools};
use dmtcp_proto::UniquePid;
use std::fs;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(60);
/// A restart that takes longer hangs: main's does at times.
const RESTART_LIMIT: Duration = Duration::from_secs(20);
const RESTART_TRIES: usize = 8;

/// Counts for ever into a file.
const COUNTER: &str = r"
import os, sys, time
count = 0
while True:
    count += 1
    with open(sys.argv[1] + '.new', 'w') as file:
        file.write(str(count))
    os.rename(sys.argv[1] + '.new', sys.argv[1])
    time.sleep(0.02)
";

#[test]
#[ignore = "run by the other tests as a process of its own"]
fn counter_program() {
    counter::main_if_launched();
}

#[test]
fn a_native_worker_and_a_dmtcp_process_are_checkpointed_killed_and_restarted_together() {
    let Some(python) = interpreter() else {
        println!("SKIPPED: no Python interpreter in /usr/bin");
        return;
    };
    for stage in stages() {
        let coordinator = stage.coordinator();
        let mut native = Counter::launch(&coordinator.options());
        let dmtcp = stage.launch(&coordinator, &python);
        coordinator.await_running(2);
        native.at(LONG).expect("it counts");
        eventually("the DMTCP process counts", || stage.count() > 0);

        eventually("the DMTCP process counts", || stage.count() > 10);
        let before = stage.count();
        coordinator.checkpoint(2);
        let saved = native.line("checkpoint 1 at ", LONG).expect("a checkpoint");
        let images = stage.images();
        assert_eq!(images.len(), 2, "{images:?}");
        assert_eq!(stage.described(&images), (2, 1), "peers and generation");

        coordinator.command("-k");
        assert_eq!(native.line("end ", LONG).as_deref(), Some("Left(Killed)"));
        assert_eq!(native.child.wait().unwrap().code(), Some(0));
        assert_eq!(dmtcp.wait(LONG).unwrap(), Exit::Code(0));
        drop((native, dmtcp, coordinator));

        fs::write(stage.dir.path().join("count"), "0").unwrap();
        let (coordinator, native, _dmtcp) = stage.restart(&images);
        assert_eq!(native.line("restored ", LONG), Some(saved));
        native.at(LONG).expect("it counts on");
        eventually("the DMTCP process counts on", || stage.count() > 0);
        assert!(stage.count() >= before, "it began again");

        // The computation is whole: it can be checkpointed again.
        coordinator.checkpoint(2);
        native.line("checkpoint 2 at ", LONG).expect("a checkpoint");
        assert_eq!(stage.described(&stage.images()), (2, 2));
        coordinator.command("-k");
        assert_eq!(native.line("end ", LONG).as_deref(), Some("Left(Killed)"));
    }
}

#[test]
fn native_workers_alone_go_on_after_a_sigkill_and_exit_behind_a_checkpoint() {
    for stage in stages() {
        let coordinator = stage.coordinator();
        let mut workers = [(); 2].map(|()| Counter::launch(&coordinator.options()));
        coordinator.await_running(2);
        coordinator.checkpoint(2);
        let saved = workers
            .each_ref()
            .map(|worker| worker.line("checkpoint 1 at ", LONG).expect("a checkpoint"));
        let images = stage.images();
        assert_eq!(stage.described(&images), (2, 1));
        workers.iter_mut().for_each(Counter::kill);
        eventually("the coordinator has no workers", || {
            coordinator.command("-s").contains("NUM_PEERS=0\n")
        });
        drop(coordinator);

        // No process of DMTCP takes part, so nothing may hang.
        let coordinator = stage.coordinator();
        let again: Vec<_> = images
            .iter()
            .map(|image| Counter::spawn(restart_command(image, &coordinator.options()).unwrap()))
            .collect();
        coordinator.await_running(2);
        let mut restored: Vec<_> = again
            .iter()
            .map(|worker| worker.line("restored ", LONG).expect("restored"))
            .collect();
        let mut saved = saved.to_vec();
        saved.sort();
        restored.sort();
        assert_eq!(restored, saved);

        // Not blocking; and they go on behind it.
        coordinator.command("-c");
        for worker in &again {
            worker.line("checkpoint 2 at ", LONG).expect("a checkpoint");
            worker.at(LONG).expect("it counts on");
        }
        coordinator.await_running(2);
        let end = coordinator.checkpoint_and_kill();
        for mut worker in again {
            assert_eq!(worker.line("end ", LONG).as_deref(), Some(end));
            assert_eq!(worker.child.wait().unwrap().code(), Some(0));
        }
        assert_eq!(stage.described(&stage.images()), (2, 3));
    }
}

/// One DMTCP installation and a directory.
struct Stage {
    tools: Tools,
    _survivors: Survivors,
    tmp: ComputationTmp,
    dir: TempDir,
}

/// A stock coordinator; ends with its value.
struct Coordinator {
    tools: Tools,
    _child: Child,
    address: SocketAddr,
    images: PathBuf,
    tmp: PathBuf,
    script: PathBuf,
}

/// One stage after the other, so that only one computation runs at a time in each test.
fn stages() -> impl Iterator<Item = Stage> {
    let all = Tools::all();
    if all.is_empty() {
        println!("SKIPPED: no DMTCP");
    }
    all.into_iter().map(|tools| {
        let tmp = ComputationTmp::create().unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("images")).unwrap();
        println!("{}", tools.version().unwrap());
        Stage {
            tools,
            _survivors: Survivors(tmp.path().to_owned()),
            tmp,
            dir,
        }
    })
}

/// Not a script that starts one: DMTCP would hold its shell.
fn interpreter() -> Option<PathBuf> {
    let path = fs::canonicalize("/usr/bin/python3").ok()?;
    let mut magic = [0; 4];
    fs::File::open(&path).ok()?.read_exact(&mut magic).ok()?;
    (magic == *b"\x7fELF").then_some(path)
}

impl Stage {
    /// A fresh coordinator, and no restart script.
    fn coordinator(&self) -> Coordinator {
        let dir = self.dir.path();
        let port_file = dir.join("port");
        let _ = fs::remove_file(&port_file);
        let log = fs::File::options()
            .append(true)
            .create(true)
            .open(dir.join("coordinator.log"))
            .unwrap();
        let mut command = Command::new(self.tools.coordinator());
        command
            .args(["--coord-port", "0", "--port-file"])
            .arg(&port_file)
            .arg("--ckptdir")
            .arg(dir)
            .env("DMTCP_TMPDIR", dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let child = Child::spawn(command).unwrap();
        let mut port = None;
        eventually("the coordinator listens", || {
            let text = fs::read_to_string(&port_file).unwrap_or_default();
            port = text.parse::<u16>().ok();
            port.is_some()
        });
        Coordinator {
            tools: self.tools.clone(),
            _child: child,
            address: SocketAddr::from(([127, 0, 0, 1], port.unwrap())),
            images: dir.join("images"),
            tmp: dir.to_owned(),
            script: dir.join("dmtcp_restart_script.sh"),
        }
    }

    fn launch(&self, coordinator: &Coordinator, python: &Path) -> Child {
        let log = Stream::File(self.dir.path().join("launch.log"));
        Launch::new(&self.tools, python)
            .args(["-c", COUNTER])
            .arg(self.dir.path().join("count"))
            .join(coordinator.address)
            .checkpoint_dir(&coordinator.images)
            .current_dir(self.dir.path())
            .gzip(false)
            .tmpdir(self.tmp.path())
            .stdout(log.clone())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Both kinds of image under one fresh coordinator, again until all run.
    fn restart(&self, images: &[PathBuf]) -> (Coordinator, Counter, Child) {
        let is_native = |path: &&PathBuf| image::native::read(path).is_ok();
        let native = images.iter().find(is_native).unwrap();
        let dmtcp = images.iter().find(|path| !is_native(path)).unwrap();
        for attempt in 1..=RESTART_TRIES {
            let coordinator = self.coordinator();
            let options = coordinator.options();
            let counter = Counter::spawn(restart_command(native, &options).unwrap());
            let child = Child::spawn(self.restart_command(dmtcp, &coordinator)).unwrap();
            let end = Instant::now() + RESTART_LIMIT;
            if wait_until(end, || coordinator.running() == Some(2)) {
                return (coordinator, counter, child);
            }
            println!("restart {attempt} hangs: {}", coordinator.command("-l"));
            drop((counter, child, coordinator));
            kill_members(self.tmp.path(), LONG).unwrap();
        }
        let log = fs::read_to_string(self.dir.path().join("restart.log"));
        panic!("no restart in {RESTART_TRIES} tries: {log:?}");
    }

    /// `dmtcp_restart`, writing into a log.
    fn restart_command(&self, image: &Path, coordinator: &Coordinator) -> Command {
        let restart = Restart::new(&self.tools, [image])
            .join(coordinator.address)
            .tmpdir(self.tmp.path());
        let mut command = restart.to_command().unwrap();
        let log = fs::File::options()
            .append(true)
            .create(true)
            .open(self.dir.path().join("restart.log"))
            .unwrap();
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        command
    }

    fn images(&self) -> Vec<PathBuf> {
        let mut images: Vec<PathBuf> = fs::read_dir(self.dir.path().join("images"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "dmtcp"))
            .collect();
        images.sort();
        images
    }

    /// Peers and generation, after a check that all images are of one set.
    fn described(&self, images: &[PathBuf]) -> (u32, u32) {
        let mut seen: Option<(UniquePid, u32)> = None;
        for image in images {
            let header = image::read_header(image).unwrap();
            let says = (header.computation, header.peers);
            assert_eq!(*seen.get_or_insert(says), says, "{}", image.display());
        }
        let (computation, peers) = seen.expect("images");
        (peers, computation.generation)
    }

    fn count(&self) -> u64 {
        let text = fs::read_to_string(self.dir.path().join("count"));
        text.ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

impl Coordinator {
    fn options(&self) -> Options {
        Options::new(self.address, self.tools.dialect().unwrap())
            .checkpoint_dir(&self.images)
            .barrier_limit(LONG)
    }

    /// Blocking where the release blocks; elsewhere complete when the restart script is there
    /// and all run again.
    fn checkpoint(&self, workers: u32) {
        let _ = fs::remove_file(&self.script);
        self.command("-bc");
        eventually("the restart script is written", || self.script.exists());
        self.await_running(workers);
    }

    /// Says how the workers end.
    fn checkpoint_and_kill(&self) -> &'static str {
        if self.tools.dialect().unwrap().phases().is_empty() {
            self.command_of_any_code("-kc");
            "Left(Checkpointed)"
        } else {
            // 2.x takes -kc for -k, and kills instead of going on.
            self.command("-xc");
            "Left(Killed)"
        }
    }

    fn await_running(&self, workers: u32) {
        eventually("all workers run", || self.running() == Some(workers));
    }

    /// How many workers there are, if all run.
    fn running(&self) -> Option<u32> {
        let status = self.command("-s");
        let peers = status
            .lines()
            .find_map(|line| line.trim().strip_prefix("NUM_PEERS="))?;
        let running = status.contains("RUNNING=yes");
        running.then(|| peers.parse().unwrap())
    }

    fn command(&self, verb: &str) -> String {
        let (exit, text) = self.command_of_any_code(verb);
        assert_eq!(exit, Exit::Code(0), "dmtcp_command {verb}: {text}");
        text
    }

    /// 4.x ends `-kc` with 2 when it worked.
    fn command_of_any_code(&self, verb: &str) -> (Exit, String) {
        let mut command = Command::new(self.tools.command());
        command
            .args(["--coord-host", "127.0.0.1", "--coord-port"])
            .arg(self.address.port().to_string())
            .arg(verb)
            .env("DMTCP_TMPDIR", &self.tmp)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = Child::spawn(command).unwrap();
        let mut output = child.take_stdout().unwrap();
        let exit = child.wait(LONG);
        let exit = exit.unwrap_or_else(|error| panic!("dmtcp_command {verb}: {error}"));
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        (exit, text)
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
