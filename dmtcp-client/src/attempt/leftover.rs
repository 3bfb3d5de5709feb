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
use crate::{
    durable,
    process::{ComputationTmp, kill_members},
};

/// Writes down in an attempt's directory where its `DMTCP_TMPDIR` is, which marks the attempt's
/// processes, and on which other hosts they may be. Gives the file with the former. Durable: those
/// on other hosts outlive a crash of this one.
pub(super) fn note(
    attempt: &Path,
    tmp: &ComputationTmp,
    hosts: &[OsString],
) -> Result<PathBuf, AttemptError> {
    let write = |name, text: &[u8]| {
        let note = attempt.join(name);
        let written = durable::write_new(&note, |file| file.write_all(text));
        written.map(|()| note).map_err(not_durable)
    };
    // First, so that there is never a mark without its hosts.
    if !hosts.is_empty() {
        let names: Vec<&[u8]> = hosts.iter().map(|host| host.as_bytes()).collect();
        write(HOSTS, &names.join(&b'\n'))?;
    }
    write(MARK, b"")?;
    let (place, mark) = (place(attempt)?, mark(attempt)?.unwrap_or_default());
    let mut text = format!("{place},{mark}\n").into_bytes();
    text.extend(tmp.path().as_os_str().as_bytes());
    let note = write(NOTE, &text)?;
    // With the directories above, which are made when the first attempt is.
    for dir in attempt.ancestors().take(3) {
        durable::sync_dir(dir).map_err(not_durable)?;
    }
    Ok(note)
}

fn not_durable(failed: durable::Failed) -> AttemptError {
    AttemptError::Io {
        action: failed.action,
        path: failed.path,
        source: failed.source,
    }
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
            hosts = noted_hosts(&attempt)?;
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
            hosts.clean(&noted_hosts(&attempt)?, &tmp)?;
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
fn noted_hosts(attempt: &Path) -> Result<Vec<OsString>, AttemptError> {
    let text = read(&attempt.join(HOSTS))?.unwrap_or_default();
    let names = text.split(|&byte| byte == b'\n');
    let names = names.filter(|name| !name.is_empty());
    Ok(names
        .map(|name| OsStr::from_bytes(name).to_owned())
        .collect())
}

/// The directory that [`note`] wrote down, if it looks like one of ours and was written here.
fn noted(attempt: &Path) -> Result<Option<PathBuf>, AttemptError> {
    let Some(text) = read(&attempt.join(NOTE))? else {
        return Ok(None);
    };
    let mut parts = text.splitn(2, |&byte| byte == b'\n');
    let (Some(identity), Some(path)) = (parts.next(), parts.next()) else {
        return Ok(None);
    };
    // In the copy of a job's directory it is the note of another job, which may well be running.
    let identity = String::from_utf8_lossy(identity);
    let Some((noted_place, noted_mark)) = identity.split_once(',') else {
        return Ok(None);
    };
    let is_same_mark = mark(attempt)?.is_some_and(|mark| mark == noted_mark);
    if place(attempt)? != noted_place && !is_same_mark {
        return Ok(None);
    }
    let path = PathBuf::from(OsString::from_vec(path.to_owned()));
    Ok(ComputationTmp::is_one(&path).then_some(path))
}

/// `None`: there is none. One that cannot be read is not taken for that: what it tells of may run.
fn read(note: &Path) -> Result<Option<Vec<u8>>, AttemptError> {
    match fs::read(note) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", note)(error)),
    }
}

/// The same wherever a directory is moved, and another one for a copy of it. But a network file
/// system may have another device at each mount, and so on another host or after a crash of this one.
fn place(dir: &Path) -> Result<String, AttemptError> {
    let metadata = fs::symlink_metadata(dir).map_err(failed("look at", dir))?;
    Ok(format!("{} {}", metadata.dev(), metadata.ino()))
}

/// The same at each mount, too, as long as nobody changes owners, permissions or links: which file
/// the mark is, and when that was last changed, which no copy can set. `None`: it is not there.
fn mark(attempt: &Path) -> Result<Option<String>, AttemptError> {
    let mark = attempt.join(MARK);
    let metadata = match fs::symlink_metadata(&mark) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(failed("look at", &mark))?,
    };
    let (inode, changed) = (metadata.ino(), metadata.ctime());
    Ok(Some(format!("{inode} {changed} {}", metadata.ctime_nsec())))
}

fn remove(dir: &Path) -> Result<(), AttemptError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", dir)(error)),
        _ => Ok(()),
    }
}

const NOTE: &str = "tmp";
const MARK: &str = "mark";
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
        for name in [NOTE, MARK] {
            fs::copy(attempt.join(name), copied.path().join(name)).unwrap();
        }
        clear(&copy).unwrap();
        assert!(!copied.path().exists());
        assert!(tmp.path().exists());
        assert_eq!(child.try_wait().unwrap(), None, "it was killed");
    }

    /// As after a crash of the host, or on another one.
    #[test]
    fn a_job_whose_file_system_has_another_device_by_now_is_no_copy() {
        let base = tempfile::tempdir().unwrap();
        let (attempt, tmp) = abandoned(base.path());
        let note = attempt.join(NOTE);
        let text = fs::read_to_string(&note).unwrap();
        let (_, rest) = text.split_once(' ').unwrap();
        fs::write(&note, format!("4711 {rest}")).unwrap();
        assert_eq!(noted(&attempt).unwrap().unwrap(), tmp.path());
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_nothing() {
        for unreadable in [NOTE, HOSTS] {
            let base = tempfile::tempdir().unwrap();
            let (attempt, _tmp) = abandoned(base.path());
            drop(fs::remove_file(attempt.join(unreadable)));
            fs::create_dir(attempt.join(unreadable)).unwrap();
            clear(&attempts_dir(base.path())).unwrap_err();
            assert!(attempt.exists(), "what is told there is gone");
        }
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
        let text = format!("{},\n{}", place(&attempt).unwrap(), victim.display());
        fs::write(attempt.join(NOTE), text).unwrap();
        clear(&attempts).unwrap();
        assert!(victim.exists());
        assert!(!attempt.exists());
        assert_eq!(fs::read_dir(&attempts).unwrap().count(), 4);
        let next = AttemptDir::create(&attempts).unwrap();
        assert!(next.path().ends_with("000010"), "{next:?}");
    }
}
