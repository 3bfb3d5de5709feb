//! How many descriptors this process may have: one for each peer of each computation.

use std::{
    fs::File,
    io,
    os::fd::RawFd,
    sync::atomic::{AtomicI32, Ordering},
    thread,
};

use nix::{
    fcntl::{FcntlArg, fcntl},
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd,
};

/// Raises this process's limit of open files as far as it may go: from the soft limit, often 1024, to
/// the hard one. Returns the limit in effect then.
///
/// For a program that is a coordinator. [`Server::start`](super::Server::start) does not do it: the
/// limit is that of the whole process, and programs that it starts afterwards inherit it; with
/// descriptors from 1024 on, those that call `select` break.
///
/// At the limit the server goes on with the peers that it has. Newcomers wait, and
/// [`ComputationEvent::AcceptPaused`](super::ComputationEvent::AcceptPaused) tells.
///
/// # Errors
/// What the system says; the limit is unchanged then.
pub fn raise_open_file_limit() -> io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// Has the kernel make its table of this process's descriptors larger before `newest` fills it.
///
/// It doubles the table when that is full, from 64 on, and lets the thread that wanted the next
/// descriptor wait until no other thread of the process can be looking at the old table: 5 to 25 ms,
/// in which no peer is served. A thread of its own waits here instead, and for larger steps.
pub(super) fn make_room(newest: RawFd) {
    let room = ROOM.load(Ordering::Relaxed);
    if newest < room / 2 {
        return;
    }
    let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    let most = RawFd::try_from(limit).unwrap_or(RawFd::MAX);
    let wanted = newest.saturating_mul(8).max(LEAST_ROOM).min(most);
    let is_ours = ROOM
        .compare_exchange(room, wanted, Ordering::Relaxed, Ordering::Relaxed)
        .is_ok();
    if is_ours && wanted > room {
        // Only time is lost where there is no thread, or no descriptor of that number.
        let _ = thread::Builder::new()
            .name("descriptors".to_owned())
            .spawn(move || have(wanted - 1));
    }
}

/// Uses a descriptor of this number, or the next one that is free, for a moment.
fn have(number: RawFd) {
    let Ok(any) = File::open("/dev/null") else {
        return;
    };
    if let Ok(copy) = fcntl(&any, FcntlArg::F_DUPFD_CLOEXEC(number)) {
        let _ = unistd::close(copy);
    }
}

/// Descriptors below have room, or will in a moment. The table is the whole process's.
static ROOM: AtomicI32 = AtomicI32::new(0);
/// A table of 32 KiB.
const LEAST_ROOM: RawFd = 4096;
