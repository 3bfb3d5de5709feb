//! Reading the program's end of a pipe until nobody writes into it any more, or until told that
//! nobody is waited for.

use std::{
    fs::File,
    io::{self, Read as _},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::pipe2,
};

/// The two ends of a new pipe, reading end first; no child has them unless it is given one.
pub(super) fn new() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe2(OFlag::O_CLOEXEC)?)
}

/// Once it is dropped, whoever reads takes what is there and ends.
#[derive(Debug)]
pub(super) struct Ending {
    /// Its other end sees the end of this one.
    _held: OwnedFd,
    seen: Arc<OwnedFd>,
}

impl Ending {
    pub(super) fn new() -> io::Result<Self> {
        let (seen, held) = new()?;
        Ok(Self {
            _held: held,
            seen: Arc::new(seen),
        })
    }

    pub(super) fn watch(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.seen)
    }
}

/// Hands on what comes through `pipe`, in pieces, until all who could write are gone. Behind the
/// [`Ending`] only what had come until then, and not more than a pipe can hold: a process that was
/// left behind may write for ever.
pub(super) fn read_all(
    pipe: OwnedFd,
    ending: &OwnedFd,
    mut take: impl FnMut(&[u8]),
) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(&pipe, FcntlArg::F_GETFL)?);
    fcntl(&pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    let mut pipe = File::from(pipe);
    let mut buffer = vec![0; PIECE];
    let mut left = None;
    loop {
        if left.is_none() && wait(&pipe, ending)? {
            left = Some(PIPE_LIMIT);
        }
        match pipe.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => {
                take(buffer.get(..len).unwrap_or_default());
                if let Some(left) = &mut left {
                    *left = usize::saturating_sub(*left, len);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if left.is_some() {
                    return Ok(());
                }
            }
            Err(error) => return Err(error),
        }
        if left == Some(0) {
            return Ok(());
        }
    }
}

/// Until there is something to read, or the end; whether it is the end.
fn wait(pipe: &File, ending: &OwnedFd) -> io::Result<bool> {
    let mut both = [
        PollFd::new(pipe.as_fd(), PollFlags::POLLIN),
        PollFd::new(ending.as_fd(), PollFlags::POLLIN),
    ];
    match poll(&mut both, PollTimeout::NONE) {
        Ok(_) => {}
        Err(Errno::EINTR) => return Ok(false),
        Err(errno) => return Err(errno.into()),
    }
    let [_, ending] = both;
    Ok(ending.any().unwrap_or(true))
}

/// Of one piece.
const PIECE: usize = 64 << 10;
/// What an unprivileged process can make a pipe hold.
const PIPE_LIMIT: usize = 1 << 20;
