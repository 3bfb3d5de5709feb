//! A socket that listens already, handed on by the program that started this one.

use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use socket2::Socket;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};

/// The socket: standard input, or the descriptor on which `dmtcp_launch` and `dmtcp_restart` of
/// every release hand one on; `None` if there is none.
///
/// # Errors
/// When there is one and it does not listen.
pub(super) fn inherited(is_stdin: bool) -> io::Result<Option<TcpListener>> {
    if is_stdin {
        let owned = io::stdin().as_fd().try_clone_to_owned()?;
        return listening(owned, "standard input").map(Some);
    }
    let numbers = [moved_base(), Some(BASE)].into_iter().flatten();
    for number in numbers.filter_map(|base| base.checked_add(1)) {
        let target = fs::read_link(format!("/proc/self/fd/{number}"));
        if target.is_ok_and(|target| target.to_string_lossy().starts_with("socket:")) {
            let owned = duplicate(number)?;
            return listening(owned, &format!("descriptor {number}")).map(Some);
        }
    }
    Ok(None)
}

fn listening(owned: OwnedFd, name: &str) -> io::Result<TcpListener> {
    let socket = Socket::from(owned);
    if !socket.is_listener()? {
        let text = format!("{name} is a socket that does not listen: close it");
        return Err(io::Error::other(text));
    }
    Ok(socket.into())
}

/// 2.5 and 2.6 move their descriptors to where this says.
fn moved_base() -> Option<i32> {
    std::env::var("DMTCP_PROTECTED_FD_BASE").ok()?.parse().ok()
}

/// To own a descriptor by its number is unsafe, since somebody else may; to duplicate one of
/// another process, which this process may be, is not.
fn duplicate(number: i32) -> io::Result<OwnedFd> {
    let own = pidfd_open(rustix::process::getpid(), PidfdFlags::empty())?;
    Ok(pidfd_getfd(own, number, PidfdGetfdFlags::empty())?)
}

/// Where DMTCP's own descriptors begin; the socket is the next.
const BASE: i32 = 820;
