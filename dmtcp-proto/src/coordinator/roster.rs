//! Who is connected as a worker, and how many of them are in which state.
//!
//! Counts are kept, never recomputed: each message costs O(log n) at most.

use alloc::collections::BTreeMap;
use alloc::string::ToString as _;
use core::ops::Bound;

use super::virtual_pids::VirtualPids;
use crate::command::WorkerInfo;
use crate::ids::{ConnId, UniquePid};
use crate::message::Hello;
use crate::name::Name;
use crate::state::WorkerState;
use crate::text::Text;
use crate::time::Instant;

/// One connected worker.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) number: u64,
    pub(super) id: UniquePid,
    pub(super) virtual_pid: i32,
    pub(super) real_pid: i32,
    pub(super) host: Text,
    pub(super) program: Text,
    state: WorkerState,
    /// For the list: the last barrier it reached since it was last running.
    pub(super) last_barrier: Option<Name>,
    /// Barriers of this round or restart that it has gone through.
    pub(super) passed: usize,
    /// It waits at the current barrier.
    pub(super) waiting: bool,
    /// What the running round expects of it.
    pub(super) part: Part,
    /// Since when its parent is in the middle of forking it.
    pub(super) forked_at: Option<Instant>,
    /// When it got to its latest step, or was let go on from there.
    pub(super) stepped: Instant,
}

/// A worker's part in the running round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// None: it joined afterwards, or there is no round.
    None,
    /// It was told to checkpoint and has not answered.
    Told,
    /// It has answered, and has not reported its image.
    Answered,
    /// It has reported its image.
    Reported,
}

impl Worker {
    pub(super) fn new(
        number: u64,
        id: UniquePid,
        virtual_pid: i32,
        hello: &Hello,
        state: WorkerState,
    ) -> Self {
        Self {
            number,
            id,
            virtual_pid,
            real_pid: hello.real_pid,
            host: hello.host.clone(),
            program: hello.program.clone(),
            state,
            last_barrier: None,
            passed: 0,
            waiting: false,
            part: Part::None,
            forked_at: None,
            stepped: Instant::ZERO,
        }
    }

    pub(super) fn state(&self) -> WorkerState {
        self.state
    }

    pub(super) fn info(&self) -> WorkerInfo {
        WorkerInfo {
            number: self.number,
            id: self.id,
            virtual_pid: self.virtual_pid,
            real_pid: self.real_pid,
            host: self.host.to_string(),
            program: self.program.to_string(),
            state: self.state,
            barrier: self.last_barrier.map(|name| name.to_string()),
        }
    }
}

/// All connected workers of a computation.
#[derive(Clone, Debug, Default)]
pub(super) struct Roster {
    workers: BTreeMap<ConnId, Worker>,
    virtual_pids: VirtualPids,
    running: usize,
}

impl Roster {
    pub(super) fn len(&self) -> usize {
        self.workers.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// All of them are running, and there is at least one.
    pub(super) fn all_running(&self) -> bool {
        !self.is_empty() && self.running == self.len()
    }

    pub(super) fn peers(&self) -> u32 {
        u32::try_from(self.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn get(&self, conn: ConnId) -> Option<&Worker> {
        self.workers.get(&conn)
    }

    /// Everything but the state can be changed; that goes through [`set_state`](Self::set_state).
    pub(super) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Worker> {
        self.workers.get_mut(&conn)
    }

    /// In the order in which they joined: the driver's numbers rise.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnId, &Worker)> {
        self.workers.iter().map(|(&conn, worker)| (conn, worker))
    }

    /// Those behind this one, in the same order.
    pub(super) fn behind(&self, conn: Option<ConnId>) -> impl Iterator<Item = (ConnId, &Worker)> {
        let from = conn.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.workers.range((from, Bound::Unbounded));
        range.map(|(&conn, worker)| (conn, worker))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Worker> {
        self.workers.values_mut()
    }

    pub(super) fn add(&mut self, conn: ConnId, worker: Worker) {
        self.running += usize::from(worker.state == WorkerState::Running);
        self.virtual_pids.insert(worker.virtual_pid);
        self.workers.insert(conn, worker);
    }

    pub(super) fn remove(&mut self, conn: ConnId) -> Option<Worker> {
        let worker = self.workers.remove(&conn)?;
        self.running -= usize::from(worker.state == WorkerState::Running);
        self.virtual_pids.remove(worker.virtual_pid);
        Some(worker)
    }

    pub(super) fn set_state(&mut self, conn: ConnId, state: WorkerState) {
        if let Some(worker) = self.workers.get_mut(&conn) {
            self.running -= usize::from(worker.state == WorkerState::Running);
            self.running += usize::from(state == WorkerState::Running);
            worker.state = state;
        }
    }

    /// Whether a worker with this very one is connected.
    pub(super) fn has_virtual_pid(&self, pid: i32) -> bool {
        self.virtual_pids.contains(pid)
    }

    /// A virtual pid that nobody has; `None` when all are taken. See [`VirtualPids::free`].
    pub(super) fn free_virtual_pid(&mut self) -> Option<i32> {
        self.virtual_pids.free()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(virtual_pid: i32, state: WorkerState) -> Worker {
        Worker::new(1, UniquePid::NULL, virtual_pid, &Hello::default(), state)
    }

    #[test]
    fn counts_follow_every_change() {
        let mut roster = Roster::default();
        assert!(!roster.all_running());
        roster.add(ConnId(1), worker(40_000, WorkerState::Running));
        roster.add(ConnId(2), worker(41_000, WorkerState::Unknown));
        assert!(!roster.all_running());
        roster.set_state(ConnId(2), WorkerState::Running);
        assert!(roster.all_running());
        roster.set_state(ConnId(1), WorkerState::Suspended);
        assert!(!roster.all_running());
        roster.remove(ConnId(1));
        assert!(roster.all_running());
    }

    /// The stock coordinator spins for ever here (`docs/PROTOCOL.md`, weakness 7).
    #[test]
    fn w07_virtual_pids_run_out_without_spinning() {
        let mut roster = Roster::default();
        for number in 0..32_768 {
            let pid = roster.free_virtual_pid().unwrap();
            assert_eq!(pid, 40_000 + 1000 * number);
            roster.add(ConnId(number as u64), worker(pid, WorkerState::Running));
        }
        assert_eq!(roster.free_virtual_pid(), None);
        roster.remove(ConnId(7));
        assert_eq!(roster.free_virtual_pid(), Some(47_000));
    }
}
