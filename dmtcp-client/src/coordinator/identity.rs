//! The name under which this process asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use dmtcp_proto::UniquePid;

/// A new identity: this host and process, and a number never used before.
///
/// Each exchange has its own, because coordinators may tie the two halves of a command to it.
pub(super) fn fresh() -> UniquePid {
    static USED: AtomicU64 = AtomicU64::new(0);
    let host = std::fs::read("/proc/sys/kernel/hostname").unwrap_or_default();
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX);
    // Rises from call to call, even if the clock does not.
    let before = USED.fetch_max(now, Ordering::Relaxed);
    let time = if before < now {
        now
    } else {
        USED.fetch_add(1, Ordering::Relaxed) + 1
    };
    UniquePid {
        host_id: UniquePid::host_id_of(host.trim_ascii_end()),
        time,
        pid: i32::try_from(std::process::id()).unwrap_or(0),
        generation: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_are_the_same() {
        let asked = 1000;
        let ids: BTreeSet<_> = (0..asked).map(|_| fresh()).collect();
        assert_eq!(ids.len(), asked);
    }
}
