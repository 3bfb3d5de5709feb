//! How many workers are where: those in the same state at the same barrier, together.

use super::snapshot::Worker;
use dmtcp_client::{WorkerInfo, WorkerState};
use serde::Serialize;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Group {
    pub(super) state: String,
    pub(super) barrier: Option<String>,
    pub(super) count: usize,
    #[serde(skip)]
    pub(super) kind: WorkerState,
}

/// The largest first.
pub(super) fn of(workers: &[Worker]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for Worker { info, .. } in workers {
        match groups.iter_mut().find(|group| group.has(info)) {
            Some(group) => group.count += 1,
            None => groups.push(Group {
                state: info.state.to_string(),
                barrier: barrier(info).map(str::to_owned),
                count: 1,
                kind: info.state,
            }),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}

impl Group {
    pub(super) fn has(&self, worker: &WorkerInfo) -> bool {
        self.kind == worker.state && self.barrier.as_deref() == barrier(worker)
    }
}

/// Where it is on its way through a round. One that runs is on none; what is told then is of the
/// round before.
pub(super) fn barrier(worker: &WorkerInfo) -> Option<&str> {
    match worker.state {
        WorkerState::Running => None,
        _ => worker
            .barrier
            .as_deref()
            .filter(|barrier| !barrier.is_empty()),
    }
}
