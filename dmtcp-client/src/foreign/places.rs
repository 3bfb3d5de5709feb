//! Where the images of a computation may be, as far as this host can tell.
//!
//! Hints only, from what processes say of themselves: what is found there is believed for its
//! content.

use super::files::Before;
use crate::coordinator::Coordinator;
use crate::identity;
use crate::native;
use crate::process::Listener;
use dmtcp_proto::{Dialect, RestartScript, WorkerInfo};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Directories, the likeliest first; each once, and only those that are there.
#[derive(Debug)]
pub(super) struct Places {
    dirs: Vec<PathBuf>,
    /// Where the coordinator may leave its restart script.
    scripts: Vec<PathBuf>,
    host: String,
}

impl Places {
    /// Those that do not depend on the workers.
    pub(super) fn new(coordinator: &Coordinator, named: &[PathBuf]) -> Self {
        let host = identity::host_name().unwrap_or_default();
        let mut places = Self {
            dirs: Vec::new(),
            scripts: Vec::new(),
            host: host.to_string_lossy().into_owned(),
        };
        for dir in named {
            places.add(dir);
            places.scripts.push(dir.clone());
        }
        if let Ok(Some(listener)) = Listener::at(coordinator.addr()) {
            let pid = listener.process.pid();
            for dir in dirs_of(pid).into_iter().chain(dir_argument(pid)) {
                places.add(&dir);
                places.scripts.push(dir);
            }
        }
        places
    }

    /// What the coordinator of some releases says while all workers run.
    pub(super) fn ask(&mut self, coordinator: &Coordinator) {
        if !matches!(coordinator.dialect(), Dialect::V2_5 | Dialect::V2_6) {
            return;
        }
        if let Ok(dir) = coordinator.checkpoint_dir() {
            let dir = PathBuf::from(OsStr::from_bytes(dir.as_bytes()));
            // A relative one is so to the directories of the workers.
            if dir.is_absolute() {
                self.add(&dir);
                self.scripts.push(dir);
            }
        }
    }

    pub(super) fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }

    /// Whether the worker runs on this host.
    pub(super) fn is_here(&self, worker: &WorkerInfo) -> bool {
        // Some builds add the address.
        let name = worker.host.split([' ', '(']).next();
        name.is_some_and(|name| name == self.host)
    }

    /// Where these workers, before the round, are and were told to write.
    pub(super) fn add_workers<'a>(&mut self, workers: impl IntoIterator<Item = &'a WorkerInfo>) {
        for worker in workers {
            if self.is_here(worker) {
                for dir in dirs_of(worker.real_pid) {
                    self.add(&dir);
                }
            }
        }
    }

    /// Where a worker has an image open.
    pub(super) fn add_open_images(&mut self, worker: &WorkerInfo) {
        if !self.is_here(worker) || worker.real_pid <= 0 {
            return;
        }
        let Ok(descriptors) = fs::read_dir(format!("/proc/{}/fd", worker.real_pid)) else {
            return;
        };
        for descriptor in descriptors.flatten() {
            let Ok(target) = fs::read_link(descriptor.path()) else {
                continue;
            };
            let name = target.file_name().unwrap_or_default().to_string_lossy();
            if name.ends_with(".dmtcp.temp") || name.ends_with(".dmtcp") {
                self.add(target.parent().unwrap_or(&target));
            }
        }
    }

    /// Where restart scripts say that images are: the latest ones, and with `before` those that were
    /// written since. Returns the images that the latter name, if they are of the coordinator on this
    /// port.
    pub(super) fn read_scripts(&mut self, before: Option<&Before>, port: u16) -> Vec<PathBuf> {
        let mut named = Vec::new();
        for dir in self.scripts.clone() {
            for (path, is_new) in scripts_in(&dir, before) {
                let Some(script) = read_script(&path) else {
                    continue;
                };
                let images = script.hosts.iter().flat_map(|host| &host.images);
                for image in images {
                    let image = dir.join(OsStr::from_bytes(image.as_bytes()));
                    let parent = image.parent().unwrap_or(&image);
                    self.add(parent);
                    if is_new && script.coordinator_port == port {
                        // As the same file is found in that directory.
                        let parent = fs::canonicalize(parent).unwrap_or_default();
                        let image = parent.join(image.file_name().unwrap_or_default());
                        // The link and the script that it leads to say the same.
                        if !named.contains(&image) {
                            named.push(image);
                        }
                    }
                }
            }
        }
        named
    }

    fn add(&mut self, dir: &Path) {
        // One that is not there yet is found when it is asked for again.
        let Ok(dir) = fs::canonicalize(dir) else {
            return;
        };
        if !self.dirs.contains(&dir) {
            self.dirs.push(dir);
        }
    }
}

/// What a process was told, and where it is. A restored process shows no environment.
fn dirs_of(pid: i32) -> Vec<PathBuf> {
    if pid <= 0 {
        return Vec::new();
    }
    let mut dirs = Vec::new();
    let process = PathBuf::from(format!("/proc/{pid}"));
    let cwd = fs::read_link(process.join("cwd")).ok();
    let mut add = |dir: &OsStr| {
        if let Some(cwd) = &cwd {
            dirs.push(cwd.join(dir));
        }
    };
    let environment = read_some(&process.join("environ"), LONGEST_TEXT).unwrap_or_default();
    for variable in environment.split(|&byte| byte == 0) {
        for name in [DIRECTORY, native::variable::CHECKPOINT_DIR] {
            let value = variable.strip_prefix(name.as_bytes());
            if let Some(dir) = value.and_then(|value| value.strip_prefix(b"=")) {
                add(OsStr::from_bytes(dir));
            }
        }
    }
    add(OsStr::new(""));
    dirs
}

/// Where a coordinator was told to write. Some write something else over their arguments.
fn dir_argument(pid: i32) -> Option<PathBuf> {
    let cwd = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    let line = read_some(Path::new(&format!("/proc/{pid}/cmdline")), LONGEST_TEXT)?;
    let mut arguments = line.split(|&byte| byte == 0);
    arguments.find(|argument| matches!(*argument, b"--ckptdir" | b"-c"))?;
    Some(cwd.join(OsStr::from_bytes(arguments.next()?)))
}

/// The latest script, and those that are new.
fn scripts_in(dir: &Path, before: Option<&Before>) -> Vec<(PathBuf, bool)> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut scripts = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_latest = name == OsStr::new(RestartScript::LINK_NAME);
        let name = name.to_string_lossy();
        if !name.starts_with("dmtcp_restart_script") || !name.ends_with(".sh") {
            continue;
        }
        // The link's own age says nothing.
        let modified = fs::metadata(entry.path()).and_then(|script| script.modified());
        let is_new = before.is_some_and(|before| before.changed_since(modified.ok()));
        if is_latest || is_new {
            scripts.push((entry.path(), is_new));
        }
    }
    scripts
}

fn read_script(path: &Path) -> Option<RestartScript> {
    // A FIFO of that name would not end.
    let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let text = is_file.then(|| read_some(path, RestartScript::MAX_LEN as u64 + 1))??;
    RestartScript::parse(&text).ok()
}

fn read_some(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(limit).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

const DIRECTORY: &str = "DMTCP_CHECKPOINT_DIR";
/// An environment is shorter than what one `execve` takes.
const LONGEST_TEXT: u64 = 4 << 20;
