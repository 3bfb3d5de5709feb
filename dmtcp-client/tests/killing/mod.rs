//! Ends everything of a job at once, by the numbers of its processes, as a host that goes away does.
#![allow(dead_code, reason = "most test programs use a part")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use dmtcp_client::process::{Identity, kill_all};
use std::time::Duration;

/// Numbers that look random and are the same for the same seed (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `least..most`.
    pub(crate) fn within(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least)
    }
}

/// SIGKILL for this process and all that descend from it, in an order that `random` chooses. Gives
/// how many they were.
pub(crate) fn kill_tree(root: i32, random: &mut Random) -> usize {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for (pid, parent) in processes() {
        children.entry(parent).or_default().push(pid);
    }
    let mut tree = vec![root];
    let mut at = 0;
    while let Some(pid) = tree.get(at) {
        tree.extend(children.get(pid).cloned().unwrap_or_default());
        at += 1;
    }
    let mut found: Vec<Identity> = Vec::new();
    for pid in tree {
        found.extend(Identity::of(pid).ok().flatten());
    }
    for last in (1..found.len()).rev() {
        found.swap(last, random.within(0, last as u64 + 1) as usize);
    }
    kill_all(&found, Duration::from_secs(60)).unwrap();
    found.len()
}

/// All processes, with their parents.
fn processes() -> Vec<(i32, i32)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        let parent = rest.split_whitespace().nth(1)?.parse().ok()?;
        Some((pid, parent))
    })
    .collect()
}

/// Processes that have this path in their environment or command line, but for this one.
pub(crate) fn processes_about(path: &Path) -> Vec<i32> {
    let needle = path.as_os_str().as_bytes();
    let holds = |pid: i32, file: &str| {
        let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        bytes.windows(needle.len()).any(|part| part == needle)
    };
    let own = std::process::id() as i32;
    let pids = processes().into_iter().map(|(pid, _)| pid);
    pids.filter(|&pid| pid != own && (holds(pid, "environ") || holds(pid, "cmdline")))
        .collect()
}
