//! What an attempt leaves when the process that made it is killed: raw images, a temporary
//! directory, and for a moment processes, which exit once their coordinator's connection ends.

use std::{
    ffi::OsString,
    fs,
    io::ErrorKind,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{AttemptError, attempts::failed};
use crate::process::{ComputationTmp, kill_members};

/// Writes down where an attempt's `DMTCP_TMPDIR` is: it marks the attempt's processes.
pub(super) fn note(attempt: &Path, tmp: &ComputationTmp) -> Result<(), AttemptError> {
    let note = attempt.join(NOTE);
    fs::write(&note, tmp.path().as_os_str().as_bytes()).map_err(failed("write", &note))
}

/// Ends what is left of earlier attempts and removes their directories.
///
/// Only for the owner of the job's sets: then none of these attempts can still be wanted.
pub(super) fn clear(attempts: &Path) -> Result<(), AttemptError> {
    let entries = match fs::read_dir(attempts) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed("list", attempts))?,
    };
    for entry in entries {
        let attempt = entry.map_err(failed("list", attempts))?.path();
        if let Some(tmp) = noted(&attempt) {
            kill_members(&tmp, KILL_LIMIT).map_err(|source| AttemptError::Leftover { source })?;
            remove(&tmp)?;
        }
        remove(&attempt)?;
    }
    Ok(())
}

/// The directory that [`note`] wrote down, if it looks like one of ours.
fn noted(attempt: &Path) -> Option<PathBuf> {
    let text = fs::read(attempt.join(NOTE)).ok()?;
    let path = PathBuf::from(OsString::from_vec(text));
    ComputationTmp::is_one(&path).then_some(path)
}

fn remove(dir: &Path) -> Result<(), AttemptError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", dir)(error)),
        _ => Ok(()),
    }
}

const NOTE: &str = "tmp";
const KILL_LIMIT: Duration = Duration::from_secs(10);
