//! Files that are complete or absent after a crash: written aside, synced, renamed.
//!
//! Not here: what is in them. Used by [`image::native`](crate::image::native) and
//! [`set`](crate::set).

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
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
    let temp = temp_name(path);
    let result = write_and_rename(&temp, path, fill);
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

/// Creates a new file that only its owner can read, writes and syncs it.
pub(crate) fn write_new(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failed> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
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
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failed> {
    write_new(temp, fill)?;
    fs::rename(temp, path).map_err(failed("rename to its final name", temp))
}

/// As in DMTCP: a name with this suffix is not complete yet.
pub(crate) const TEMP_SUFFIX: &str = ".temp";
