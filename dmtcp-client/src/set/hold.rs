//! Sets that are in use, so that nobody removes them meanwhile.
//!
//! A shared lock on the manifest: every process sees it, and the kernel lets go of it when its
//! holder ends, however it ends.

use super::error::SetError;
use super::manifest::Manifest;
use super::writers::FileId;
use crate::durable;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// While it lives, retention leaves the set alone, in this process and in all others.
///
/// It does not keep the set from being changed otherwise, and file systems without locks ignore
/// it.
#[derive(Debug)]
pub struct SetHold {
    _held: Flock<File>,
}

impl SetHold {
    /// Whoever removes sets, or asks which could be, has the lock only for an instant: behind it
    /// the set is gone, or free.
    pub(super) fn take(set: &Path) -> Result<Self, SetError> {
        let deadline = Instant::now() + CLAIMED_AT_MOST;
        loop {
            match lock(set, FlockArg::LockSharedNonblock)? {
                Some(held) => return Ok(Self { _held: held }),
                None if Instant::now() >= deadline => return Err(gone(set)),
                None => thread::sleep(PAUSE),
            }
        }
    }
}

/// The set is held by nobody and can be removed, as long as this lives.
#[derive(Debug)]
pub(super) struct Unheld {
    _held: Flock<File>,
}

impl Unheld {
    /// `None` if somebody holds the set.
    pub(super) fn claim(set: &Path) -> Result<Option<Self>, SetError> {
        let held = lock(set, FlockArg::LockExclusiveNonblock)?;
        Ok(held.map(|held| Self { _held: held }))
    }
}

fn lock(set: &Path, how: FlockArg) -> Result<Option<Flock<File>>, SetError> {
    let path = set.join(Manifest::FILE_NAME);
    let open = |write| File::options().read(true).write(write).open(&path);
    // NFS gives an exclusive lock only to who could write; others do not ask for that.
    let opened = match how {
        FlockArg::LockExclusiveNonblock => open(true).or_else(|_| open(false)),
        _ => open(false),
    };
    let file = match opened {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(gone(set)),
        other => other.map_err(durable::failed("open", &path))?,
    };
    let id = |metadata: io::Result<fs::Metadata>| metadata.map(|metadata| FileId::of(&metadata));
    let opened = id(file.metadata()).map_err(durable::failed("look at", &path))?;
    match Flock::lock(file, how) {
        // It may have been put aside before it was locked.
        Ok(held) if id(fs::metadata(&path)).is_ok_and(|now| now == opened) => Ok(Some(held)),
        Ok(_) => Err(gone(set)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(durable::failed("lock", &path)(io::Error::from(errno)).into()),
    }
}

/// Somebody who was stopped while claiming it does not stop others.
const CLAIMED_AT_MOST: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(2);

fn gone(set: &Path) -> SetError {
    SetError::NoManifest {
        path: set.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_claim_that_is_given_up_is_waited_for() {
        let set = tempfile::tempdir().unwrap();
        fs::write(set.path().join(Manifest::FILE_NAME), "{}").unwrap();
        let claim = Unheld::claim(set.path()).unwrap().unwrap();
        let (tell, told) = mpsc::channel();
        thread::scope(|scope| {
            let holder = scope.spawn(|| {
                tell.send(()).unwrap();
                SetHold::take(set.path())
            });
            told.recv().unwrap();
            // So that it meets the claim, as a rule; it must succeed in any case.
            thread::sleep(10 * PAUSE);
            drop(claim);
            holder.join().unwrap().unwrap();
        });
        let held = SetHold::take(set.path()).unwrap();
        assert!(Unheld::claim(set.path()).unwrap().is_none());
        drop(held);
    }
}
