//! One owner of a directory of sets at a time.

use super::error::SetError;
use super::writers::FileId;
use crate::durable;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Held while it lives; the kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _held: Flock<File>,
}

impl Lock {
    pub(super) fn take(path: &Path) -> Result<Self, SetError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(durable::failed("open the lock file", path))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut held) => {
                // Whoever gives a new store up removes the file while it is locked.
                let id = |metadata: io::Result<Metadata>| metadata.map(|m| FileId::of(&m));
                let locked = id(held.metadata()).map_err(durable::failed("look at", path))?;
                let there = id(fs::metadata(path)).map_err(durable::failed("look at", path))?;
                if locked != there {
                    return Err(SetError::Owned {
                        path: path.to_owned(),
                        pid: None,
                    });
                }
                held.set_len(0)
                    .and_then(|()| writeln!(*held, "{}", std::process::id()))
                    .map_err(durable::failed("write the lock file", path))?;
                Ok(Self { _held: held })
            }
            Err((file, nix::errno::Errno::EWOULDBLOCK)) => Err(SetError::Owned {
                path: path.to_owned(),
                pid: read_pid(&file),
            }),
            Err((_, errno)) => Err(durable::failed("lock", path)(io::Error::from(errno)).into()),
        }
    }
}

fn read_pid(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(MAX_PID_TEXT).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

const MAX_PID_TEXT: u64 = 32;
