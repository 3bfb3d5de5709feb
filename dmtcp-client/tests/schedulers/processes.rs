//! Processes of schedulers and of their jobs: found, waited for, and ended by their numbers.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here takes unless it hangs.
pub(crate) const LONG: Duration = Duration::from_secs(300);

/// What `look` finds in the end; looks again and again, since programs in other processes announce
/// nothing to a test.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LONG;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "not within {LONG:?}: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Where a program is: in PATH, or in one of these folders.
pub(crate) fn find(name: &str, more: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let more = more.iter().map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(more)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// What a command prints, if it ends with success.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let done = command.stdin(Stdio::null()).output();
    let done = done.map_err(|error| format!("{command:?}: {error}"))?;
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    match done.status.success() {
        true => Ok(out),
        false => {
            let err = String::from_utf8_lossy(&done.stderr);
            Err(format!("{command:?}: {}: {out}{err}", done.status))
        }
    }
}

/// Numbers and contents of these files of all processes that are still there.
fn processes(file: &str) -> impl Iterator<Item = (i32, Vec<u8>)> {
    fs::read_dir("/proc").unwrap().filter_map(move |entry| {
        let entry = entry.ok()?;
        let pid = entry.file_name().to_str()?.parse().ok()?;
        Some((pid, fs::read(entry.path().join(file)).ok()?))
    })
}

/// The processes below this one, it not included, with those that are not reaped.
pub(crate) fn descendants(pid: i32) -> Vec<i32> {
    let parents: Vec<(i32, i32)> = processes("stat")
        .filter_map(|(pid, stat)| {
            let text = String::from_utf8_lossy(&stat).into_owned();
            let parent = text.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    let mut found = vec![pid];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        found.extend(
            parents
                .iter()
                .filter(|&&(_, of)| of == parent)
                .map(|&(pid, _)| pid),
        );
        at += 1;
    }
    found.split_off(1)
}

/// The words with which a process was started.
pub(crate) fn arguments(pid: i32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = bytes.split(|&byte| byte == 0);
    words
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

/// SIGKILL for this one and all below it, to their end.
pub(crate) fn kill_tree(root: i32) {
    let mut pids = vec![root];
    pids.extend(descendants(root));
    for &pid in &pids {
        // Gone already is as good.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    wait_ended(&pids);
}

/// Waits until these are gone or wait for their parents.
pub(crate) fn wait_ended(pids: &[i32]) {
    for &pid in pids {
        eventually("the end of a process", || has_ended(pid).then_some(()));
    }
}

fn has_ended(pid: i32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with(['Z', 'X'])),
        Err(_) => true,
    }
}

/// Daemons of a scheduler, in a folder that stands in the environment of all their processes.
pub(crate) struct Daemons {
    folder: PathBuf,
    children: Vec<Child>,
}

impl Daemons {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            children: Vec::new(),
        }
    }

    /// Starts one; what it says goes to a file of this name in the folder.
    pub(crate) fn start(&mut self, name: &str, command: &mut Command) -> &mut Child {
        let log = fs::File::create(self.folder.join(format!("{name}.out"))).unwrap();
        let child = command
            .env(MARK, &self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.children.push(child.unwrap());
        self.children.last_mut().unwrap()
    }

    /// What they have written, for whoever has to find out what went wrong.
    pub(crate) fn logs(&self) -> String {
        let entries = fs::read_dir(&self.folder).unwrap();
        let mut text = String::new();
        for path in entries.map(|entry| entry.unwrap().path()) {
            let is_log = path
                .extension()
                .is_some_and(|ext| ext == "out" || ext == "log");
            if let (true, Ok(log)) = (is_log, fs::read(&path)) {
                let log = String::from_utf8_lossy(&log);
                let last: Vec<&str> = log.lines().rev().take(12).collect();
                text += &format!("== {}\n", path.display());
                last.iter()
                    .rev()
                    .for_each(|line| text += &format!("{line}\n"));
            }
        }
        text
    }

    /// All processes that these have started, directly or not, wherever they are now: by their
    /// environment, or, as some write their names over that, by the files that they have open.
    fn all(&self) -> Vec<i32> {
        let mark = [MARK.as_bytes(), b"=", self.folder.as_os_str().as_bytes()].concat();
        let mine = Pid::this().as_raw();
        let is_marked = |environment: &[u8]| {
            let mut variables = environment.split(|&byte| byte == 0);
            variables.any(|variable| variable == mark)
        };
        let has_open = |pid: i32| {
            let files = fs::read_dir(format!("/proc/{pid}/fd"))
                .into_iter()
                .flatten();
            let mut targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
            targets.any(|target| target.starts_with(&self.folder))
        };
        processes("environ")
            .filter(|&(pid, ref environment)| {
                pid != mine && (is_marked(environment) || has_open(pid))
            })
            .map(|(pid, _)| pid)
            .collect()
    }
}

impl Drop for Daemons {
    fn drop(&mut self) {
        // Those that are just starting another one are there the second time.
        for _ in 0..2 {
            for pid in self.all() {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        for child in &mut self.children {
            let _ = child.wait();
        }
    }
}

/// In the environment of each process of a scheduler that was started here.
pub(crate) const MARK: &str = "SCHEDULER_OF_TEST";

/// Ports of this host that nobody listens on.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    // All at once, so that they differ.
    let listeners: [_; N] =
        std::array::from_fn(|_| std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap());
    std::array::from_fn(|at| listeners[at].local_addr().unwrap().port())
}
