//! Real DMTCP for tests: stock coordinators and programs under them, gone when dropped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dmtcp_client::coordinator::Coordinator;
use dmtcp_proto::Dialect;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// One installation of DMTCP.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    bin: PathBuf,
    pub(crate) version: String,
    pub(crate) dialect: Dialect,
}

/// Runs `test` on every installation in `DMTCP_BIN` (folders separated by colons) or, without
/// it, on the one in `PATH`. One test at a time: several would starve each other.
pub(crate) fn on_each(test: impl Fn(&Installation)) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one: MutexGuard<'_, ()> = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let named = std::env::var_os("DMTCP_BIN").filter(|value| !value.is_empty());
    let folders = named.or_else(|| std::env::var_os("PATH"));
    let found: Vec<Installation> = std::env::split_paths(&folders.unwrap_or_default())
        .filter_map(Installation::in_folder)
        .collect();
    if found.is_empty() {
        println!("SKIPPED: no DMTCP");
    }
    for installation in &found {
        println!("--- DMTCP {}", installation.version);
        test(installation);
    }
}

impl Installation {
    fn in_folder(bin: PathBuf) -> Option<Self> {
        let tool = bin.join("dmtcp_command");
        let output = Command::new(tool).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        let version = text
            .split_whitespace()
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?
            .to_owned();
        let major: u32 = version.split('.').next()?.parse().ok()?;
        let dialect = match major {
            3 | 4 => Dialect::V3,
            5 => Dialect::V5,
            _ => return None,
        };
        Some(Self {
            bin,
            version,
            dialect,
        })
    }

    /// A command without any of the caller's DMTCP settings.
    fn tool(&self, name: &str, tmp: &Path) -> Command {
        let mut command = Command::new(self.bin.join(name));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DMTCP_") {
                command.env_remove(name);
            }
        }
        command
            .env("DMTCP_TMPDIR", tmp)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

/// A stock coordinator with its own folder.
pub(crate) struct Stock {
    installation: Installation,
    dir: tempfile::TempDir,
    port: u16,
    coordinator: Group,
    programs: Vec<Group>,
}

impl Stock {
    pub(crate) fn start(installation: &Installation, options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port_file = dir.path().join("port");
        let coordinator = Group::spawn(
            installation
                .tool("dmtcp_coordinator", dir.path())
                .args(["-p", "0", "--port-file"])
                .arg(&port_file)
                .args(options)
                .current_dir(dir.path()),
        );
        let port = soon("the port file", || {
            std::fs::read_to_string(&port_file)
                .ok()?
                .trim()
                .parse()
                .ok()
        });
        Self {
            installation: installation.clone(),
            dir,
            port,
            coordinator,
            programs: Vec::new(),
        }
    }

    pub(crate) fn handle(&self) -> Coordinator {
        let addr = (std::net::Ipv4Addr::LOCALHOST, self.port).into();
        Coordinator::new(addr, self.installation.dialect)
    }

    /// Starts a program as a worker; does not wait for it. Returns its place in `pid`.
    pub(crate) fn launch(&mut self, options: &[&str], program: &[&str]) -> usize {
        let port = self.port.to_string();
        let group = Group::spawn(
            self.installation
                .tool("dmtcp_launch", self.dir.path())
                .args(["-h", "127.0.0.1", "-p", &port, "-j", "--ckptdir"])
                .arg(self.dir.path())
                .args(options)
                .args(program)
                .current_dir(self.dir.path()),
        );
        self.programs.push(group);
        self.programs.len() - 1
    }

    pub(crate) fn pid(&self, program: usize) -> i32 {
        self.programs[program].pgid.as_raw()
    }

    /// Kills a program and everything it started, without any farewell.
    pub(crate) fn kill(&mut self, program: usize) {
        self.programs[program].kill();
    }

    /// Waits until so many workers are connected and all of them run.
    pub(crate) fn wait_running(&self, peers: u32) {
        let handle = self.handle();
        soon("all workers to run", || {
            let status = handle.status().unwrap();
            (status.peers == peers && status.running).then_some(())
        });
    }

    /// Complete images, by their names.
    pub(crate) fn images(&self) -> Vec<PathBuf> {
        let is_image = |path: &PathBuf| path.extension().is_some_and(|ext| ext == "dmtcp");
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        entries
            .map(|entry| entry.unwrap().path())
            .filter(is_image)
            .collect()
    }

    /// Whether a program has left this file.
    pub(crate) fn exists(&self, name: &str) -> bool {
        self.dir.path().join(name).exists()
    }

    /// Whether the coordinator has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.coordinator.child.try_wait().unwrap().is_some()
    }
}

/// A process and its descendants, killed when dropped.
struct Group {
    child: Child,
    pgid: Pid,
}

impl Group {
    fn spawn(command: &mut Command) -> Self {
        use std::os::unix::process::CommandExt as _;
        let child = command.process_group(0).spawn().unwrap();
        let pgid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        Self { child, pgid }
    }

    fn kill(&mut self) {
        // Gone already is as good. The leader is not reaped before, so the number is still ours.
        let _ = killpg(self.pgid, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What `look` finds, within 20 s.
pub(crate) fn soon<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "no {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
