//! Files that are complete or absent after a crash: written aside, synced, renamed.
//!
//! Not here: what is in them. Used by [`image::native`](crate::image::native),
//! [`set`](crate::set) and the reports of [`server`](crate::server).

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What failed, in words that follow "cannot", and on which path.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) action: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

/// `path` with DMTCP's suffix of a file that is being written.
pub(crate) fn temp_name(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(TEMP_SUFFIX);
    PathBuf::from(name)
}

/// Writes `<path>.temp`, syncs it, renames it to `path` and syncs the directory.
///
/// A failure leaves `path` as it was and removes the file aside.
pub(crate) fn write_aside(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failed> {
    write_aside_for(path, OWNER_ONLY, fill)
}

/// The same for those whom this mode and the process's umask let read it.
pub(crate) fn write_aside_for(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failed> {
    let temp = temp_name(path);
    let result = write_and_rename(&temp, path, mode, fill);
    if result.is_err() {
        // The first failure is the one to report; a file that was never made cannot be removed.
        let _ = fs::remove_file(&temp);
    }
    result?;
    sync_dir(parent_of(path))
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), Failed> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(failed("sync the directory", dir))
}

/// Makes a directory, with those above it that are missing, so that it outlives a crash.
pub(crate) fn create_dirs(dir: &Path, mode: u32) -> Result<(), Failed> {
    let above = dir.ancestors().filter(|dir| !dir.as_os_str().is_empty());
    let missing: Vec<_> = above.take_while(|dir| !dir.exists()).collect();
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(dir)
        .map_err(failed("create", dir))?;
    for dir in missing {
        sync_dir(parent_of(dir))?;
    }
    Ok(())
}

/// Creates a new file that only its owner can read, writes and syncs it; in place of what a
/// crash may have left there.
pub(crate) fn write_new(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failed> {
    write_new_for(path, OWNER_ONLY, fill)
}

fn write_new_for(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failed> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("replace", path)(error));
        }
        _ => {}
    }
    // New, and so not through a link that somebody else has put there.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .map_err(failed("create", path))?;
    fill(&mut file).map_err(failed("write", path))?;
    file.sync_all().map_err(failed("sync", path))
}

/// The directory an entry is in; `.` for a bare name.
pub(crate) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// For `map_err`: names the action and the path.
pub(crate) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Failed {
    move |source| Failed {
        action,
        path: path.to_owned(),
        source,
    }
}

fn write_and_rename(
    temp: &Path,
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failed> {
    write_new_for(temp, mode, fill)?;
    fs::rename(temp, path).map_err(failed("rename to its final name", temp))
}

/// Images hold a program's memory.
const OWNER_ONLY: u32 = 0o600;

/// As in DMTCP: a name with this suffix is not complete yet.
pub(crate) const TEMP_SUFFIX: &str = ".temp";

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn what_is_in_the_way_of_the_file_aside_is_replaced_and_not_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("image"), dir.path().join("other"));
        fs::write(&other, "of somebody").unwrap();
        symlink(&other, temp_name(&path)).unwrap();
        write_aside(&path, |file| file.write_all(b"new")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        assert_eq!(fs::read_to_string(&other).unwrap(), "of somebody");
    }

    #[test]
    fn directories_are_made_down_to_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let last = dir.path().join("a/b/c");
        for _ in 0..2 {
            create_dirs(&last, 0o700).unwrap();
        }
        assert_eq!(fs::metadata(&last).unwrap().mode() & 0o777, 0o700);
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let failed = create_dirs(&file.join("x"), 0o700).unwrap_err();
        assert_eq!(failed.path, file.join("x"));
    }
}
