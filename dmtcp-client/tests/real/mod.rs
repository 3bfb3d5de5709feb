//! Real DMTCP for tests: stock coordinators and programs under them, gone when dropped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dmtcp_client::{Tools, coordinator::Coordinator};
use dmtcp_proto::{Dialect, Quirks};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// One installation of DMTCP.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    tools: Tools,
    pub(crate) version: String,
    pub(crate) dialect: Dialect,
    pub(crate) quirks: &'static Quirks,
}

impl Installation {
    /// The folder of its programs.
    #[allow(dead_code, reason = "only some test programs copy it")]
    pub(crate) fn folder(&self) -> &Path {
        self.tools.dir()
    }
}

/// Runs `test` on every installation of [`Tools::all`]. One test at a time: several would starve
/// each other.
pub(crate) fn on_each(test: impl Fn(&Installation)) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one: MutexGuard<'_, ()> = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let all = Tools::all();
    if all.is_empty() {
        println!("SKIPPED: no DMTCP");
    }
    for tools in all {
        let installation = Installation {
            version: tools.version().unwrap().text,
            dialect: tools.dialect().unwrap(),
            quirks: tools.version().unwrap().quirks().unwrap(),
            tools,
        };
        println!("--- DMTCP {}", installation.version);
        test(&installation);
    }
}

/// `program`, without any of the caller's DMTCP settings.
fn tool(program: PathBuf, tmp: &Path) -> Command {
    let mut command = Command::new(program);
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

/// A coordinator with its own folder, and programs under it.
pub(crate) struct Stage {
    installation: Installation,
    dir: tempfile::TempDir,
    port: u16,
    /// The stock coordinator; `None`: it is somebody else's.
    coordinator: Option<Group>,
    programs: Vec<Group>,
    variables: Vec<(&'static str, &'static str)>,
}

impl Stage {
    /// A stock coordinator with these options.
    pub(crate) fn stock(installation: &Installation, options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port_file = dir.path().join("port");
        let coordinator = Group::spawn(
            tool(installation.tools.coordinator(), dir.path())
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
            coordinator: Some(coordinator),
            programs: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// The coordinator that already listens on this port of this host.
    pub(crate) fn on(installation: &Installation, port: u16) -> Self {
        Self {
            installation: installation.clone(),
            dir: tempfile::tempdir().unwrap(),
            port,
            coordinator: None,
            programs: Vec::new(),
            variables: Vec::new(),
        }
    }

    pub(crate) fn handle(&self) -> Coordinator {
        let addr = (std::net::Ipv4Addr::LOCALHOST, self.port).into();
        let handle = Coordinator::new(addr, self.installation.dialect).timeout(LONG);
        match self.coordinator {
            Some(_) => handle.with_release(self.installation.tools.version().unwrap()),
            None => handle,
        }
    }

    /// Starts a program as a worker; does not wait for it. Returns its place in `pid`.
    pub(crate) fn launch(&mut self, options: &[&str], program: &[&str]) -> usize {
        let port = self.port.to_string();
        let group = Group::spawn(
            tool(self.installation.tools.launch(), self.dir.path())
                .args(["-h", "127.0.0.1", "-p", &port, "-j", "--ckptdir"])
                .arg(self.dir.path())
                .args(options)
                .args(program)
                .envs(self.variables.iter().copied())
                .current_dir(self.dir.path()),
        );
        self.programs.push(group);
        self.programs.len() - 1
    }

    /// Programs that are launched from now on have this in their environment.
    #[allow(dead_code, reason = "not every test crate needs it")]
    pub(crate) fn set_variable(&mut self, name: &'static str, value: &'static str) {
        self.variables.push((name, value));
    }

    /// Restarts these images; does not wait for them.
    #[allow(dead_code, reason = "not every test crate needs it")]
    pub(crate) fn restart(&mut self, images: &[&Path]) {
        let port = self.port.to_string();
        let mut command = tool(self.installation.tools.restart(), self.dir.path());
        command.args(["-h", "127.0.0.1", "-p", &port, "-j"]);
        // 2.x would find another layout than it saved.
        command.env("GLIBC_TUNABLES", "glibc.pthread.rseq=0");
        if self.installation.quirks.restart_refuses_root {
            command.arg("--run-as-root");
        }
        command.args(images).current_dir(self.dir.path());
        self.programs.push(Group::spawn(&mut command));
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

    /// Whether the stock coordinator has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        let coordinator = self.coordinator.as_mut().unwrap();
        coordinator.child.try_wait().unwrap().is_some()
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

/// Longer than anything here takes unless it hangs.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// What `look` finds in the end.
pub(crate) fn soon<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < LONG, "no {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
