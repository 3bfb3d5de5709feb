//! What an attempt leaves when the process that made it is killed: raw images, a temporary
//! directory, and for a moment processes, which exit once their coordinator's connection ends.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::ErrorKind,
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::MetadataExt as _,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    AttemptError,
    directory::{failed, number},
    hosts::Hosts,
};
use crate::process::{ComputationTmp, kill_members};

/// Writes down in an attempt's directory where its `DMTCP_TMPDIR` is, which marks the attempt's
/// processes, and on which other hosts they may be. Gives the file with the former.
pub(super) fn note(
    attempt: &Path,
    tmp: &ComputationTmp,
    hosts: &[OsString],
) -> Result<PathBuf, AttemptError> {
    // First, so that there is never a mark without its hosts.
    if !hosts.is_empty() {
        let note = attempt.join(HOSTS);
        let names: Vec<&[u8]> = hosts.iter().map(|host| host.as_bytes()).collect();
        fs::write(&note, names.join(&b'\n')).map_err(failed("write", &note))?;
    }
    let note = attempt.join(NOTE);
    let mut text = identity(attempt)?.into_bytes();
    text.extend(tmp.path().as_os_str().as_bytes());
    fs::write(&note, text).map_err(failed("write", &note))?;
    Ok(note)
}

/// Ends what is left of earlier attempts on this host and removes their directories, but for those
/// that had processes on other hosts. What else is in `attempts` is not touched.
///
/// Only for the owner of the job's sets: then none of these attempts can still be wanted.
pub(super) fn clear(attempts: &Path) -> Result<(), AttemptError> {
    for attempt in left(attempts)? {
        let mut hosts = Vec::new();
        if let Some(tmp) = noted(&attempt)? {
            end_here(&tmp)?;
            hosts = noted_hosts(&attempt);
        }
        if hosts.is_empty() {
            remove(&attempt)?;
        }
    }
    Ok(())
}

/// Ends what is left of earlier attempts anywhere. Not while an attempt lives.
pub(super) fn clear_hosts(attempts: &Path, hosts: &Hosts) -> Result<(), AttemptError> {
    for attempt in left(attempts)? {
        if let Some(tmp) = noted(&attempt)? {
            end_here(&tmp)?;
            hosts.clean(&noted_hosts(&attempt), &tmp)?;
        }
        remove(&attempt)?;
    }
    Ok(())
}

fn end_here(tmp: &Path) -> Result<(), AttemptError> {
    kill_members(tmp, KILL_LIMIT).map_err(|source| AttemptError::Leftover { source })?;
    remove(tmp)
}

/// The directories of attempts.
fn left(attempts: &Path) -> Result<Vec<PathBuf>, AttemptError> {
    let entries = match fs::read_dir(attempts) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed("list", attempts))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("list", attempts))?;
        let attempt = entry.path();
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_dir && number(&attempt).is_some() {
            found.push(attempt);
        }
    }
    Ok(found)
}

/// The other hosts of an attempt. What a host cannot be called is left to whoever uses it.
fn noted_hosts(attempt: &Path) -> Vec<OsString> {
    let text = fs::read(attempt.join(HOSTS)).unwrap_or_default();
    let names = text.split(|&byte| byte == b'\n');
    let names = names.filter(|name| !name.is_empty());
    names
        .map(|name| OsStr::from_bytes(name).to_owned())
        .collect()
}

/// The directory that [`note`] wrote down, if it looks like one of ours and was written here.
fn noted(attempt: &Path) -> Result<Option<PathBuf>, AttemptError> {
    let Ok(text) = fs::read(attempt.join(NOTE)) else {
        return Ok(None);
    };
    // In the copy of a job's directory it is the note of another job, which may well be running.
    let Some(path) = text.strip_prefix(identity(attempt)?.as_bytes()) else {
        return Ok(None);
    };
    let path = PathBuf::from(OsString::from_vec(path.to_owned()));
    Ok(ComputationTmp::is_one(&path).then_some(path))
}

/// A line that is the same wherever a directory is moved, and another one for a copy of it.
fn identity(dir: &Path) -> Result<String, AttemptError> {
    let metadata = fs::symlink_metadata(dir).map_err(failed("look at", dir))?;
    Ok(format!("{} {}\n", metadata.dev(), metadata.ino()))
}

fn remove(dir: &Path) -> Result<(), AttemptError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", dir)(error)),
        _ => Ok(()),
    }
}

const NOTE: &str = "tmp";
const HOSTS: &str = "hosts";
const KILL_LIMIT: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        attempt::directory::{AttemptDir, attempts_dir},
        process::Child,
    };
    use std::process::Command;

    fn sleeper(tmp: &ComputationTmp) -> Child {
        let mut command = Command::new("sleep");
        command.arg("600").env("DMTCP_TMPDIR", tmp.path());
        let child = Child::spawn(command).unwrap();
        // `spawn` returns in the middle of the exec.
        while crate::process::members(tmp.path()).unwrap().is_empty() {
            std::thread::yield_now();
        }
        child
    }

    /// An attempt as a crash leaves it.
    fn abandoned(job: &Path) -> (PathBuf, ComputationTmp) {
        let mut dir = AttemptDir::create(&attempts_dir(job)).unwrap();
        let tmp = ComputationTmp::create().unwrap();
        note(dir.path(), &tmp, &[]).unwrap();
        dir.keep();
        (dir.path().to_owned(), tmp)
    }

    #[test]
    fn what_a_moved_job_left_is_ended_and_removed() {
        let base = tempfile::tempdir().unwrap();
        let job = base.path().join("job");
        let (_, tmp) = abandoned(&job);
        let child = sleeper(&tmp);
        let moved = base.path().join("moved");
        fs::rename(&job, &moved).unwrap();
        clear(&attempts_dir(&moved)).unwrap();
        assert!(child.try_wait().is_ok());
        assert!(child.wait(KILL_LIMIT).is_ok(), "it was not killed");
        assert!(!tmp.path().exists());
        assert_eq!(fs::read_dir(attempts_dir(&moved)).unwrap().count(), 0);
    }

    #[test]
    fn a_copy_of_a_job_does_not_end_the_original() {
        let base = tempfile::tempdir().unwrap();
        let job = base.path().join("job");
        let (attempt, tmp) = abandoned(&job);
        let child = sleeper(&tmp);
        let copy = attempts_dir(&base.path().join("copy"));
        let copied = AttemptDir::create(&copy).unwrap();
        fs::copy(attempt.join(NOTE), copied.path().join(NOTE)).unwrap();
        clear(&copy).unwrap();
        assert!(!copied.path().exists());
        assert!(tmp.path().exists());
        assert_eq!(child.try_wait().unwrap(), None, "it was killed");
    }

    #[test]
    fn what_is_not_an_attempt_stays() {
        let base = tempfile::tempdir().unwrap();
        let attempts = attempts_dir(base.path());
        let (attempt, _tmp) = abandoned(base.path());
        for dir in ["notes", "7", "+00002"] {
            fs::create_dir(attempts.join(dir)).unwrap();
        }
        fs::write(attempts.join("000009"), "a file").unwrap();
        // A note may say what it wants: only a directory named as ours is removed.
        let victim = base.path().join("victim");
        fs::create_dir(&victim).unwrap();
        let mut text = identity(&attempt).unwrap();
        text.push_str(victim.to_str().unwrap());
        fs::write(attempt.join(NOTE), text).unwrap();
        clear(&attempts).unwrap();
        assert!(victim.exists());
        assert!(!attempt.exists());
        assert_eq!(fs::read_dir(&attempts).unwrap().count(), 4);
        let next = AttemptDir::create(&attempts).unwrap();
        assert!(next.path().ends_with("000010"), "{next:?}");
    }
}
