//! One owner of a directory of sets at a time.

use super::error::SetError;
use crate::durable;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
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
                held.set_len(0)
                    .and_then(|()| writeln!(*held, "{}", std::process::id()))
                    .map_err(durable::failed("write the lock file", path))?;
                Ok(Self { _held: held })
            }
            Err((file, nix::errno::Errno::EWOULDBLOCK)) => Err(SetError::Owned {
                path: path.to_owned(),
                pid: read_pid(&file),
            }),
            Err((_, errno)) => {
                Err(durable::failed("lock", path)(std::io::Error::from(errno)).into())
            }
        }
    }
}

fn read_pid(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(MAX_PID_TEXT).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

const MAX_PID_TEXT: u64 = 32;
