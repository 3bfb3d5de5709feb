//! The processes of a host, as its `/proc` shows them.
//!
//! Bounded, and without an error: what ends meanwhile or may not be looked into is left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    os::unix::{ffi::OsStringExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use super::world::{World, read_text};
use crate::process::Stat;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) user: u32,
    pub(super) parent: i32,
    pub(super) threads: u64,
    /// Clock ticks since the system booted.
    pub(super) start_time: u64,
    /// In clock ticks, of all its threads.
    pub(super) processor_time: u64,
    folder: PathBuf,
}

impl Process {
    fn read(folder: PathBuf) -> Option<Self> {
        let pid = folder.file_name()?.to_str()?.parse().ok()?;
        let stat = Stat::at(&folder.join("stat")).ok().flatten()?;
        stat.is_running().then_some(())?;
        Some(Self {
            pid,
            user: fs::metadata(&folder).ok()?.uid(),
            parent: stat.parent,
            threads: stat.threads,
            start_time: stat.start_time,
            processor_time: stat.processor_time,
            folder,
        })
    }

    /// What it runs; one that was removed has ` (deleted)` behind its name.
    pub(super) fn executable(&self) -> Option<PathBuf> {
        fs::read_link(self.folder.join("exe")).ok()
    }

    /// What it was started with; empty where that may not be read.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let text = fs::read(self.folder.join("cmdline")).unwrap_or_default();
        let end = text.len().min(MOST_ARGUMENTS);
        let text = text.get(..end).unwrap_or_default();
        let text = text.strip_suffix(b"\0").unwrap_or(text);
        if text.is_empty() {
            return Vec::new();
        }
        let parts = text.split(|byte| *byte == 0);
        parts
            .map(|part| OsString::from_vec(part.to_vec()))
            .collect()
    }

    /// Where its descriptors lead, as the system names it.
    pub(super) fn open_files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.join("fd")).into_iter().flatten();
        let entries = entries.flatten().take(MOST_FILES);
        entries
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .collect()
    }

    /// The files that it has mapped, each once, and the system's names such as `[vdso]`.
    pub(super) fn mapped(&self) -> BTreeSet<PathBuf> {
        let text = read_text(&self.folder.join("maps")).unwrap_or_default();
        let names = text.lines().filter_map(mapped_name);
        names.map(PathBuf::from).collect()
    }
}

/// The sixth field, which may have blanks in it.
fn mapped_name(line: &str) -> Option<&str> {
    let mut rest = line;
    for _ in 0..5 {
        let (_, after) = rest.trim_start().split_once(' ')?;
        rest = after;
    }
    Some(rest.trim()).filter(|name| !name.is_empty())
}

/// All of them, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Processes(BTreeMap<i32, Process>);

impl Processes {
    pub(super) fn of(world: &World) -> Self {
        Self::below(&world.path("/proc"))
    }

    fn below(proc: &Path) -> Self {
        let entries = fs::read_dir(proc).into_iter().flatten().flatten();
        let found = entries.filter_map(|entry| Process::read(entry.path()));
        Self(found.map(|process| (process.pid, process)).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Process> {
        self.0.values()
    }

    pub(super) fn get(&self, pid: i32) -> Option<&Process> {
        self.0.get(&pid)
    }

    /// How many threads the processes of a user have.
    pub(super) fn threads_of(&self, user: u32) -> u64 {
        let own = self.iter().filter(|process| process.user == user);
        own.map(|process| process.threads).sum()
    }

    /// Those of these numbers that are there, and all that they started, directly or not.
    pub(super) fn families(&self, roots: impl IntoIterator<Item = i32>) -> Vec<&Process> {
        let mut found: BTreeSet<i32> = roots
            .into_iter()
            .filter(|pid| self.0.contains_key(pid))
            .collect();
        loop {
            let before = found.len();
            let children = self.iter().filter(|child| found.contains(&child.parent));
            let children: Vec<i32> = children.map(|child| child.pid).collect();
            found.extend(children);
            if found.len() == before {
                break;
            }
        }
        found.iter().filter_map(|pid| self.get(*pid)).collect()
    }
}

const MOST_FILES: usize = 4096;
const MOST_ARGUMENTS: usize = 64 << 10;

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A process in a made-up `/proc`.
    pub(in crate::doctor) struct Made<'a> {
        pub(in crate::doctor) pid: i32,
        pub(in crate::doctor) parent: i32,
        pub(in crate::doctor) start_time: u64,
        pub(in crate::doctor) executable: &'a str,
        pub(in crate::doctor) arguments: &'a [&'a str],
        pub(in crate::doctor) files: &'a [&'a str],
    }

    impl Made<'_> {
        pub(in crate::doctor) fn below(&self, root: &Path) {
            let folder = root.join(format!("proc/{}", self.pid));
            fs::create_dir_all(folder.join("fd")).unwrap();
            let stat = format!(
                "{} (p) S {} 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 2 21 {} 23",
                self.pid, self.parent, self.start_time
            );
            fs::write(folder.join("stat"), stat).unwrap();
            symlink(self.executable, folder.join("exe")).unwrap();
            let arguments: String = self.arguments.iter().flat_map(|a| [a, "\0"]).collect();
            fs::write(folder.join("cmdline"), arguments).unwrap();
            for (number, file) in self.files.iter().enumerate() {
                symlink(file, folder.join(format!("fd/{number}"))).unwrap();
            }
        }
    }

    #[test]
    fn names_of_mapped_files_may_have_blanks() {
        let line = "7f3-7f4 r--p 00027000 fe:00 325843                     /usr/my lib/ld.so";
        assert_eq!(mapped_name(line), Some("/usr/my lib/ld.so"));
        assert_eq!(mapped_name("7ff-800 rw-p 00000000 00:00 0 "), None);
        assert_eq!(mapped_name(""), None);
    }

    #[test]
    fn families_are_found_over_several_generations() {
        let root = tempfile::tempdir().unwrap();
        for (pid, parent) in [(10, 1), (11, 10), (12, 11), (9, 12), (20, 1)] {
            let made = Made {
                pid,
                parent,
                start_time: 22,
                executable: "/bin/p",
                arguments: &["p", "", "two words"],
                files: &["/dev/null"],
            };
            made.below(root.path());
        }
        let processes = Processes::of(&World::new(root.path(), []));
        let family: Vec<i32> = processes.families([10, 99]).iter().map(|p| p.pid).collect();
        assert_eq!(family, [9, 10, 11, 12]);
        let first = processes.get(10).unwrap();
        assert_eq!(first.arguments(), ["p", "", "two words"]);
        assert_eq!(first.executable(), Some("/bin/p".into()));
        assert_eq!(first.open_files(), [PathBuf::from("/dev/null")]);
        assert_eq!(first.processor_time, 14 + 15);
        assert_eq!(processes.threads_of(first.user), 10);
    }

    #[test]
    fn this_process_is_among_those_of_the_host() {
        let processes = Processes::of(&World::of_this_process());
        let own = i32::try_from(std::process::id()).unwrap();
        let this = processes.get(own).unwrap();
        assert!(this.threads >= 1);
        assert_eq!(this.executable(), std::env::current_exe().ok());
        assert!(
            this.mapped()
                .iter()
                .any(|name| name == Path::new("[stack]"))
        );
    }
}
