//! What a helper that did not serve wrote, for the error.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::process::ChildStderr;

/// Where it is found.
#[derive(Debug)]
pub(super) enum Said {
    /// Its standard error, as long as nobody has closed it.
    Pipe(ChildStderr),
    /// The log, from what stood there before it.
    Log(File, u64),
    Nowhere,
}

impl Said {
    /// The end of it, as text. It does not wait: whoever still holds the pipe may never end.
    pub(super) fn text(self) -> String {
        let mut bytes = Vec::new();
        // What was read before a failure is still worth having.
        let _ = match self {
            Self::Pipe(pipe) => read_there(pipe, &mut bytes),
            Self::Log(mut file, from) => file
                .seek(SeekFrom::Start(from))
                .and_then(|_| file.take(MOST_READ).read_to_end(&mut bytes)),
            Self::Nowhere => Ok(0),
        };
        let from = bytes.len().saturating_sub(SHOWN);
        let end = bytes.get(from..).unwrap_or_default();
        String::from_utf8_lossy(end).trim().to_owned()
    }
}

/// What is in the pipe now.
fn read_there(pipe: ChildStderr, bytes: &mut Vec<u8>) -> io::Result<usize> {
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    pipe.take(MOST_READ).read_to_end(bytes)
}

const MOST_READ: u64 = 64 * 1024;
const SHOWN: usize = 1000;
