//! The identity of a coordinator in this process: one that no other coordinator has.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::OsStrExt as _,
    sync::atomic::{AtomicU64, Ordering},
};

use dmtcp_proto::UniquePid;

use super::clock::monotonic_nanos;

pub(super) fn host_name() -> io::Result<OsString> {
    nix::unistd::gethostname().map_err(io::Error::from)
}

/// Two coordinators that share a `DMTCP_TMPDIR` must differ: the time in the identity becomes
/// the base of the name of the computation's shared-area file.
pub(super) fn new_identity(host: &OsStr) -> UniquePid {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = monotonic_nanos();
    let earlier = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
        Some(now.max(last.saturating_add(1)))
    });
    let last = earlier.unwrap_or_else(|last| last);
    UniquePid {
        host_id: UniquePid::host_id_of(host.as_bytes()),
        time: now.max(last.saturating_add(1)),
        pid: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
        generation: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        let host = OsStr::new("vm");
        let ids: Vec<UniquePid> = (0..100).map(|_| new_identity(host)).collect();
        assert!(ids.windows(2).all(|pair| pair[0].time < pair[1].time));
        assert!(ids.iter().all(|id| id.host_id == 0x98ff && id.pid > 0));
    }
}
