//! Who still has a file open for writing.
//!
//! Answered from `/proc`, so only for processes that this one may look into; the others are
//! counted. Called while a round settles.

use crate::process::is_gone;
use std::collections::{BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A file by what the kernel knows it as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl FileId {
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// A file to ask about.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) id: FileId,
    pub(super) name: OsString,
}

/// What a look through all processes gave.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) writers: Vec<Writer>,
    /// Processes whose open files may not be seen.
    pub(super) unseen: usize,
}

/// A process that can still write one of the files.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) id: FileId,
    pub(super) pid: u32,
    pub(super) command: String,
}

/// Looks through all processes once.
///
/// # Errors
///
/// `/proc` cannot be listed at all.
pub(super) fn scan(wanted: &[Wanted]) -> io::Result<Scan> {
    let wanted = Files::of(wanted);
    let mut scan = Scan::default();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = number(&entry.file_name()) else {
            continue;
        };
        match look_into(&entry.path(), pid, &wanted, &mut scan) {
            // Ended meanwhile.
            Err(error) if is_gone(&error) => {}
            Err(_) => scan.unseen += 1,
            Ok(()) => {}
        }
    }
    Ok(scan)
}

/// Whether one of these files, by device and inode and by name, is seen open for writing.
pub(crate) fn is_written<'a>(files: impl Iterator<Item = ((u64, u64), &'a Path)>) -> bool {
    let wanted = files.map(|((device, inode), path)| Wanted {
        id: FileId { device, inode },
        name: path.file_name().unwrap_or_default().to_owned(),
    });
    let wanted: Vec<_> = wanted.collect();
    !wanted.is_empty() && scan(&wanted).is_ok_and(|scan| !scan.writers.is_empty())
}

/// The files as they are looked up: the processes of a large round have many descriptors, and each
/// may be one of many images.
struct Files<'a> {
    ids: HashSet<FileId>,
    inodes: HashSet<u64>,
    names: HashSet<&'a [u8]>,
    /// Of the names.
    lengths: BTreeSet<usize>,
}

impl<'a> Files<'a> {
    fn of(wanted: &'a [Wanted]) -> Self {
        let names = || wanted.iter().map(|file| file.name.as_bytes());
        Self {
            ids: wanted.iter().map(|file| file.id).collect(),
            inodes: wanted.iter().map(|file| file.id.inode).collect(),
            names: names().collect(),
            lengths: names().map(<[u8]>::len).collect(),
        }
    }

    /// Whether it is one of their names, or one followed by something.
    fn begin(&self, name: &[u8]) -> bool {
        let mut beginnings = self.lengths.iter().filter_map(|&len| name.get(..len));
        beginnings.any(|beginning| self.names.contains(beginning))
    }
}

fn look_into(process: &Path, pid: u32, wanted: &Files<'_>, scan: &mut Scan) -> io::Result<()> {
    for entry in fs::read_dir(process.join("fd"))? {
        let fd = entry?.path();
        let Some(id) = written_through(process, &fd, wanted) else {
            continue;
        };
        let command = fs::read_to_string(process.join("comm")).unwrap_or_default();
        scan.writers.push(Writer {
            id,
            pid,
            command: command.trim_end().to_owned(),
        });
    }
    Ok(())
}

/// The wanted file that this descriptor can write, if it is one.
///
/// A file system that hangs must not hang the scan, so a descriptor is only followed into it
/// when its inode number or its name is one of those wanted. (The number in `fdinfo` is not
/// always that of `stat` on stacked file systems; hence the name.)
fn written_through(process: &Path, fd: &Path, wanted: &Files<'_>) -> Option<FileId> {
    let target = fs::read_link(fd).ok()?;
    // Most are sockets, pipes and the like, whose targets are no paths.
    if !target.is_absolute() {
        return None;
    }
    let info = fs::read_to_string(process.join("fdinfo").join(fd.file_name()?)).ok()?;
    let flags = field(&info, "flags:").and_then(|octal| i32::from_str_radix(octal, 8).ok())?;
    if flags & ACCESS_MODE == READ_ONLY {
        return None;
    }
    let inode = field(&info, "ino:").and_then(|text| text.parse().ok());
    let name = target.file_name().unwrap_or_default().as_bytes();
    if !inode.is_some_and(|inode| wanted.inodes.contains(&inode)) && !wanted.begin(name) {
        return None;
    }
    let id = FileId::of(&fs::metadata(fd).ok()?);
    wanted.ids.contains(&id).then_some(id)
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

fn number(name: &OsStr) -> Option<u32> {
    name.to_str()?.parse().ok()
}

const ACCESS_MODE: i32 = 0o3;
const READ_ONLY: i32 = 0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::Deadline;
    use std::fs::{File, OpenOptions};
    use std::time::Duration;

    fn wanted(path: &Path) -> Wanted {
        Wanted {
            id: FileId::of(&fs::metadata(path).unwrap()),
            name: path.file_name().unwrap().to_owned(),
        }
    }

    /// What this process has open for writing. Each child that a test beside this one starts has
    /// it too, for a moment: until it executes its program.
    fn own_writers(files: &[Wanted]) -> usize {
        let writers = scan(files).unwrap().writers;
        let own = |writer: &&Writer| {
            assert!(files.iter().any(|file| file.id == writer.id));
            writer.pid == std::process::id()
        };
        writers.iter().filter(own).count()
    }

    fn assert_nobody_writes(files: &[Wanted]) {
        let end = Deadline::after(Duration::from_secs(60));
        while !scan(files).unwrap().writers.is_empty() {
            assert_eq!(own_writers(files), 0);
            assert!(!end.has_passed());
            end.pause(Duration::from_millis(1));
        }
    }

    #[test]
    fn sees_a_writer_until_it_closes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        let writer = File::create(&path).unwrap();
        let files = [wanted(&path)];
        assert_eq!(own_writers(&files), 1);
        drop(writer);
        assert_nobody_writes(&files);
    }

    #[test]
    fn a_reader_is_no_writer_and_names_do_not_matter() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("image"), dir.path().join("elsewhere"));
        fs::write(&path, "x").unwrap();
        fs::hard_link(&path, &other).unwrap();
        let files = [wanted(&path)];
        let _reader = File::open(&path).unwrap();
        assert_nobody_writes(&files);
        let _writer = OpenOptions::new().append(true).open(&other).unwrap();
        assert_eq!(own_writers(&files), 1);
    }
}
