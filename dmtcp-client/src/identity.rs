//! Who this process is to others: its host, its pid, and a time that it never used before.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::OsStrExt as _,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use dmtcp_proto::UniquePid;

pub(crate) fn host_name() -> io::Result<OsString> {
    nix::unistd::gethostname().map_err(io::Error::from)
}

pub(crate) fn real_pid() -> i32 {
    // The system's own type is signed; std only shows it unsigned.
    i32::try_from(std::process::id()).unwrap_or(-1)
}

/// A new identity of this process on this host: no other one has its time.
///
/// Each coordinator here has its own, because the time in it becomes the base of the name of a
/// shared-area file; each question to one has its own, because coordinators may tie the two
/// halves of a command to it.
pub(crate) fn fresh(host: &OsStr) -> UniquePid {
    UniquePid {
        host_id: UniquePid::host_id_of(host.as_bytes()),
        time: fresh_time(),
        pid: real_pid(),
        generation: 0,
    }
}

/// Nanoseconds since 1970, so that it differs between two processes with one pid, over reboots
/// too. Rises from call to call, even if the clock does not.
pub(crate) fn fresh_time() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX);
    let next = |last: u64| now.max(last.saturating_add(1));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
        Some(next(last))
    });
    next(last.unwrap_or_else(|last| last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_later_than_the_one_before() {
        let ids: Vec<_> = (0..1000).map(|_| fresh(OsStr::new("vm"))).collect();
        assert!(ids.windows(2).all(|pair| pair[0].time < pair[1].time));
        assert!(ids.iter().all(|id| id.host_id == 0x98ff && id.pid > 0));
    }
}
