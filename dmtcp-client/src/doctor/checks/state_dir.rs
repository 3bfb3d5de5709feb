//! The directory that sets go to: whether what sealing does works there, what it is on, and how much
//! fits.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use nix::fcntl::{Flock, FlockArg};

use super::storage::{Free, Scratch, existing};
use crate::{
    doctor::{
        Finding, World,
        mounts::{Medium, Mounts},
        world::{kilobytes, size},
    },
    durable, with_causes,
};

/// What was seen, and when a file that was written there says that it was.
pub(crate) struct StateDir {
    pub(crate) findings: Vec<Finding>,
    /// The file system's clock, and this host's at the same moment.
    pub(crate) clocks: Option<(SystemTime, SystemTime)>,
}

pub(crate) fn check(world: &World, mounts: &Mounts, dir: &Path) -> StateDir {
    let memory = world.read("/proc/meminfo").ok();
    let memory = memory.and_then(|text| kilobytes(&text, "MemTotal"));
    let Some(base) = existing(dir) else {
        let seen = format!("nothing of {} exists", dir.display());
        return StateDir {
            findings: vec![Finding::failure(SLUG, seen)],
            clocks: None,
        };
    };
    let shown = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let (tried, clocks) = try_out(&base);
    let mount = mounts.at(&base);
    let medium = mount.map_or(Medium::Local, |mount| mount.medium());
    let kind = mount.map_or_else(String::new, |mount| mount.kind.clone());
    let free = Free::at(&base);
    let mut findings = vec![
        place(&shown, &base, world.user()),
        operations(tried),
        file_system(medium, &kind),
    ];
    findings.extend(free.map(|free| space(free, memory)));
    StateDir { findings, clocks }
}

const SLUG: &str = "state-dir";

fn place(dir: &Path, base: &Path, user: u32) -> Finding {
    let there = dir.exists();
    let shown = dir.display();
    if base.is_file() || (there && !dir.is_dir()) {
        return Finding::failure(SLUG, format!("{} is not a directory", base.display()));
    }
    if !there {
        let seen = format!("{shown} can be made in {}", base.display());
        return Finding::ok(SLUG, seen);
    }
    let Ok(found) = fs::metadata(dir) else {
        return Finding::failure(SLUG, format!("{shown} cannot be looked at"));
    };
    if found.uid() != user {
        return Finding::warning(SLUG, format!("{shown} belongs to user {}", found.uid()))
            .advice("images hold the memory of programs: use a directory of your own");
    }
    Finding::ok(SLUG, format!("{shown} is there"))
}

/// What sealing and its lock do, one after the other; the first that fails ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tried {
    All,
    Failed(&'static str, String),
}

type Clocks = Option<(SystemTime, SystemTime)>;

fn try_out(base: &Path) -> (Tried, Clocks) {
    let failed = |what, error: &dyn std::error::Error| Tried::Failed(what, with_causes(error));
    let scratch = match Scratch::in_dir(base) {
        Ok(scratch) => scratch,
        Err(error) => return (failed("make a directory", &error), None),
    };
    let file = scratch.path().join("file");
    let written = durable::write_aside(&file, |out| out.write_all(b"written by dmtcpctl doctor"));
    let now = SystemTime::now();
    if let Err(error) = written {
        return (failed(error.action, &error.source), None);
    }
    let clocks = fs::metadata(&file)
        .and_then(|found| found.modified())
        .ok()
        .map(|modified| (modified, now));
    let linked = fs::hard_link(&file, scratch.path().join("second"));
    if let Err(error) = linked {
        return (failed("make a second link to a file", &error), clocks);
    }
    let dirs: [PathBuf; 2] = ["partial", "whole"].map(|name| scratch.path().join(name));
    let [partial, whole] = &dirs;
    let renamed = fs::create_dir(partial).and_then(|()| fs::rename(partial, whole));
    if let Err(error) = renamed {
        return (failed("rename a directory", &error), clocks);
    }
    let pointed = std::os::unix::fs::symlink("whole", scratch.path().join("latest"));
    if let Err(error) = pointed {
        return (failed("make a symbolic link", &error), clocks);
    }
    let locked = File::open(&file)
        .map(|file| Flock::lock(file, FlockArg::LockSharedNonblock).map_err(|(_, errno)| errno));
    match locked {
        Ok(Ok(_)) => (Tried::All, clocks),
        Ok(Err(error)) => (failed("lock a file", &error), clocks),
        Err(error) => (failed("open a file", &error), clocks),
    }
}

fn operations(tried: Tried) -> Finding {
    const SLUG: &str = "state-dir-operations";
    match tried {
        Tried::All => Finding::ok(SLUG, "writing, syncing, linking, renaming and locking work"),
        Tried::Failed(what, why) => Finding::failure(SLUG, format!("cannot {what}: {why}"))
            .advice("sets cannot be sealed there: use another directory"),
    }
}

fn file_system(medium: Medium, kind: &str) -> Finding {
    const SLUG: &str = "state-dir-file-system";
    match medium {
        Medium::Local => Finding::ok(
            SLUG,
            match kind {
                "" => "not told",
                kind => kind,
            },
        ),
        Medium::Memory => Finding::warning(SLUG, format!("{kind}: in memory"))
            .advice("sets there are gone with the host's power and take its memory: use a disk"),
        Medium::Network => Finding::note(SLUG, format!("{kind}: on the network")).advice(
            "good for restarts on other hosts; checkpoints take as long as the network does, and \
             the clocks of all hosts should agree",
        ),
    }
}

/// A new set is written beside the last one, so that two must fit.
fn space(free: Free, memory: Option<u64>) -> Finding {
    const SLUG: &str = "state-dir-space";
    let memory_text = memory.map_or_else(String::new, |memory| {
        format!("; this host has {} of memory", size(memory))
    });
    let seen = format!("{} are free{memory_text}", size(free.bytes));
    let advice = "an uncompressed image is as large as the memory of its process, and a new set is \
                  written beside the last one; `dmtcpctl doctor -- PROGRAM` measures one";
    if free.bytes < LEAST {
        return Finding::failure(SLUG, seen).advice(advice);
    }
    if let Some(files) = free.files.filter(|files| *files < LEAST_FILES) {
        return Finding::failure(SLUG, format!("{seen}, but only {files} files can be made"));
    }
    match memory {
        Some(memory) if free.bytes < memory / 8 => Finding::warning(SLUG, seen).advice(advice),
        Some(memory) if free.bytes / 2 < memory => Finding::note(SLUG, seen).advice(advice),
        _ => Finding::ok(SLUG, seen),
    }
}

const LEAST: u64 = 64 << 20;
const LEAST_FILES: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn all_that_sealing_does_is_tried_and_leaves_nothing() {
        let base = tempfile::tempdir().unwrap();
        let (tried, clocks) = try_out(base.path());
        assert_eq!(tried, Tried::All);
        assert!(clocks.is_some());
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
        let (tried, _) = try_out(Path::new("/proc"));
        assert!(
            matches!(tried, Tried::Failed("make a directory", _)),
            "{tried:?}"
        );
        assert_eq!(operations(tried).verdict, Verdict::Failure);
    }

    #[test]
    fn places() {
        let base = tempfile::tempdir().unwrap();
        let user = fs::metadata(base.path()).unwrap().uid();
        let verdict = |dir: &Path, user| place(dir, &existing(dir).unwrap(), user).verdict;
        assert_eq!(verdict(base.path(), user), Verdict::Ok);
        assert_eq!(verdict(base.path(), user + 1), Verdict::Warning);
        assert_eq!(verdict(&base.path().join("new/one"), user), Verdict::Ok);
        let file = base.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(verdict(&file, user), Verdict::Failure);
        assert_eq!(verdict(&file.join("below"), user), Verdict::Failure);
    }

    #[test]
    fn space_is_held_against_memory() {
        const GIB: u64 = 1 << 30;
        let verdict = |bytes, files, memory| space(Free { bytes, files }, memory).verdict;
        assert_eq!(verdict(100 * GIB, None, Some(16 * GIB)), Verdict::Ok);
        assert_eq!(verdict(100 * GIB, None, None), Verdict::Ok);
        assert_eq!(verdict(20 * GIB, None, Some(16 * GIB)), Verdict::Note);
        assert_eq!(verdict(GIB, None, Some(16 * GIB)), Verdict::Warning);
        assert_eq!(verdict(1 << 20, None, None), Verdict::Failure);
        assert_eq!(verdict(100 * GIB, Some(2), None), Verdict::Failure);
    }

    #[test]
    fn media() {
        let media = [Medium::Local, Medium::Network, Medium::Memory];
        let verdicts = media.map(|medium| file_system(medium, "x").verdict);
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Note, Verdict::Warning]);
    }

    #[test]
    fn all_of_a_directory_is_told_in_a_made_world() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        fs::write(root.path().join("proc/meminfo"), "MemTotal: 1024 kB\n").unwrap();
        let info = "1 0 0:1 / / rw - tmpfs none rw\n";
        fs::write(root.path().join("proc/self/mountinfo"), info).unwrap();
        let world = World::new(root.path(), []);
        let seen = check(&world, &Mounts::of(&world), &root.path().join("state"));
        let slugs: Vec<&str> = seen.findings.iter().map(|f| f.slug.as_str()).collect();
        let expected = [
            SLUG,
            "state-dir-operations",
            "state-dir-file-system",
            "state-dir-space",
        ];
        assert_eq!(slugs, expected);
        assert_eq!(
            seen.findings[2].verdict,
            Verdict::Warning,
            "{:?}",
            seen.findings
        );
        assert!(!root.path().join("state").exists());
    }
}
