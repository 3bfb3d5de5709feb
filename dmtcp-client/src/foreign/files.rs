//! Image files by their names and inodes: what was there before a round, and what is new since.
//!
//! Not here: what is in them (`search`).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A file as it is at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    len: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            len: metadata.len(),
        }
    }

    fn same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// For a search of its writers.
    pub(super) fn file(&self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

/// A file that may be an image.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
    pub(super) modified: Option<SystemTime>,
}

/// The images of some directories.
#[derive(Debug, Default)]
pub(super) struct Images {
    /// Under final names.
    pub(super) finals: Vec<Candidate>,
    /// Under the names that they have while they are written.
    pub(super) temps: Vec<Candidate>,
}

impl Images {
    /// What is there now, in the order of the directories. One that cannot be read has nothing.
    pub(super) fn list<'a>(dirs: impl IntoIterator<Item = &'a Path>) -> Self {
        let mut images = Self::default();
        for dir in dirs {
            images.list_dir(dir, true);
        }
        images
    }

    fn list_dir(&mut self, dir: &Path, and_below: bool) {
        let Ok(entries) = fs::read_dir(dir) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let list = if name.ends_with(FINAL) {
                &mut self.finals
            } else if name.ends_with(TEMP) {
                &mut self.temps
            } else {
                // A plugin of DMTCP makes a directory for each round.
                let is_round = name.starts_with("ckpt_") && !name.ends_with("_files");
                if and_below && is_round && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    self.list_dir(&entry.path(), false);
                }
                continue;
            };
            // A link could lead to a file that has its other name in a sealed set.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_file() {
                list.push(Candidate {
                    path: entry.path(),
                    stamp: Stamp::of(&metadata),
                    modified: metadata.modified().ok(),
                });
            }
        }
    }
}

/// What was there before a round.
#[derive(Debug)]
pub(super) struct Before {
    dirs: BTreeSet<PathBuf>,
    at: HashMap<PathBuf, Stamp>,
    anywhere: HashSet<Stamp>,
    taken: SystemTime,
}

impl Before {
    pub(super) fn take(dirs: &[PathBuf]) -> Self {
        let images = Images::list(dirs.iter().map(PathBuf::as_path));
        let stamps = images.finals.iter().map(|image| image.stamp);
        Self {
            // What cannot be read now may be read later.
            dirs: dirs.iter().filter(|dir| dir.is_dir()).cloned().collect(),
            anywhere: stamps.collect(),
            at: images
                .finals
                .into_iter()
                .map(|image| (image.path, image.stamp))
                .collect(),
            taken: SystemTime::now(),
        }
    }

    /// Whether the file has come since.
    ///
    /// DMTCP writes a new file beside the old one and renames it: while the old one is there, no
    /// other has its number. Where nobody looked before, the time of its last change must tell.
    pub(super) fn is_new(&self, image: &Candidate) -> bool {
        if self.anywhere.contains(&image.stamp) {
            return false;
        }
        match self.at.get(&image.path) {
            Some(before) => !before.same_file(&image.stamp),
            None if self.looked_at(&image.path) => true,
            None => self.changed_since(image.modified),
        }
    }

    pub(super) fn changed_since(&self, modified: Option<SystemTime>) -> bool {
        modified.is_some_and(|modified| modified + CLOCK_STEP >= self.taken)
    }

    fn looked_at(&self, path: &Path) -> bool {
        path.parent().is_some_and(|dir| self.dirs.contains(dir))
    }
}

/// Files get the time of the last tick.
const CLOCK_STEP: Duration = Duration::from_millis(20);
const FINAL: &str = ".dmtcp";
const TEMP: &str = ".dmtcp.temp";

#[cfg(test)]
mod tests {
    use super::*;

    fn images(dir: &Path) -> Vec<Candidate> {
        Images::list([dir]).finals
    }

    #[test]
    fn only_another_file_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ckpt_a.dmtcp");
        fs::write(&path, "old").unwrap();
        let before = Before::take(&[dir.path().to_owned()]);
        assert!(!before.is_new(&images(dir.path())[0]));
        // A compressor that is late goes on writing the old one.
        fs::write(&path, "old, and longer").unwrap();
        assert!(!before.is_new(&images(dir.path())[0]));
        let temp = dir.path().join("ckpt_a.dmtcp.temp");
        fs::write(&temp, "new").unwrap();
        assert_eq!(Images::list([dir.path()]).temps.len(), 1);
        fs::rename(&temp, &path).unwrap();
        assert!(before.is_new(&images(dir.path())[0]));
    }

    #[test]
    fn an_old_file_under_a_new_name_is_old() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.dmtcp"), "old").unwrap();
        let before = Before::take(&[dir.path().to_owned()]);
        let other = tempfile::tempdir_in(dir.path()).unwrap();
        fs::hard_link(dir.path().join("a.dmtcp"), other.path().join("b.dmtcp")).unwrap();
        assert!(!before.is_new(&images(other.path())[0]));
    }

    #[test]
    fn where_nobody_looked_before_time_tells() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.dmtcp");
        let file = fs::File::create(&path).unwrap();
        let before = Before::take(&[]);
        let hour = Duration::from_secs(3600);
        for (age, expected) in [(hour, false), (Duration::ZERO, true)] {
            file.set_modified(SystemTime::now() - age).unwrap();
            assert_eq!(before.is_new(&images(dir.path())[0]), expected, "{age:?}");
        }
    }

    #[test]
    fn directories_of_rounds_are_looked_into_and_those_of_saved_files_are_not() {
        let dir = tempfile::tempdir().unwrap();
        for (below, name) in [
            ("ckpt_98ff-1-2_00001", "a.dmtcp"),
            ("ckpt_a_files", "b.dmtcp"),
            ("other", "c.dmtcp"),
        ] {
            fs::create_dir(dir.path().join(below)).unwrap();
            fs::write(dir.path().join(below).join(name), "").unwrap();
        }
        let found = images(dir.path());
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].path.ends_with("ckpt_98ff-1-2_00001/a.dmtcp"));
    }
}
