//! Looks as lines of JSON: the first with everything, then one for each change.

use super::groups::{self, Group};
use super::snapshot::{Ended, Snapshot};
use crate::failure::Problem;
use crate::workers::Worker;
use dmtcp_client::Interval;
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::UNIX_EPOCH;

/// One line.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    at_unix_ms: u64,
    #[serde(flatten)]
    state: State,
    /// Workers that are new or not as in the line before.
    changed: Vec<Worker>,
    /// Numbers of those that are not there any more.
    gone: Vec<u64>,
}

/// What makes a new line when it changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct State {
    address: Option<SocketAddr>,
    dialect: Option<String>,
    release: Option<String>,
    pid: Option<i32>,
    peers: Option<u32>,
    running: Option<bool>,
    interval_s: Option<u64>,
    /// None: it tells no list.
    states: Option<Vec<Group>>,
    /// Numbers of the workers for which the others wait.
    waiting_for: Vec<u64>,
    set: Option<Set>,
    job: Option<Job>,
    error: Option<Problem>,
    ended: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Set {
    sequence: u64,
    sealed_unix_ms: u64,
    bytes: u64,
    images: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Job {
    id: Option<String>,
    runs: u64,
    attempts: u64,
    restarts: u64,
}

/// Remembers the line before.
#[derive(Debug, Default)]
pub(super) struct Changes {
    state: Option<State>,
    workers: BTreeMap<u64, Worker>,
}

impl Changes {
    /// The line for this look; `None`: it is as the one before.
    pub(super) fn line(&mut self, look: &Snapshot) -> Option<Line> {
        let state = State::of(look);
        let listed = look.coordinator.iter().flat_map(|seen| &seen.workers);
        let listed = listed.flatten().map(|worker| {
            let worker = Worker::from(worker.info.clone());
            (worker.number, worker)
        });
        let workers: BTreeMap<u64, Worker> = listed.collect();
        let is_new = |worker: &&Worker| self.workers.get(&worker.number) != Some(*worker);
        let changed: Vec<Worker> = workers.values().filter(is_new).cloned().collect();
        let before = self.workers.keys().copied();
        let gone: Vec<u64> = before
            .filter(|number| !workers.contains_key(number))
            .collect();
        if self.state.as_ref() == Some(&state) && changed.is_empty() && gone.is_empty() {
            return None;
        }
        self.workers = workers;
        self.state = Some(state.clone());
        let at = look.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(Line {
            at_unix_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            state,
            changed,
            gone,
        })
    }
}

impl State {
    fn of(look: &Snapshot) -> Self {
        let seen = look.coordinator.as_ref();
        let stall = seen.and_then(|seen| seen.stall.as_ref());
        let late = stall.iter().flat_map(|stall| &stall.laggards);
        Self {
            address: seen.map(|seen| seen.address),
            dialect: seen.map(|seen| seen.dialect.clone()),
            release: seen.and_then(|seen| seen.release.clone()),
            pid: seen.and_then(|seen| seen.pid),
            peers: seen.map(|seen| seen.peers),
            running: seen.map(|seen| seen.running),
            interval_s: seen.and_then(|seen| interval_s(seen.interval)),
            states: seen.and_then(|seen| seen.workers.as_deref().map(groups::of)),
            waiting_for: late.map(|late| late.worker.number).collect(),
            set: look.set.as_ref().map(|set| Set {
                sequence: set.sequence,
                sealed_unix_ms: set.sealed_unix_ms,
                bytes: set.bytes,
                images: set.images,
            }),
            job: look.job.as_ref().map(|job| Job {
                id: job.id.clone(),
                runs: job.runs,
                attempts: job.attempts,
                restarts: job.restarts,
            }),
            error: look.silent.as_ref().map(|(_, problem)| problem.clone()),
            ended: look.ended.map(Ended::slug),
        }
    }
}

impl Ended {
    pub(super) fn slug(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator-ended",
            Self::Job => "job-ended",
            Self::Silent => "silent",
        }
    }
}

/// 0: no periodic checkpoints; none: the release does not say.
pub(super) fn interval_s(interval: Interval) -> Option<u64> {
    match interval {
        Interval::Every(period) => Some(period.as_secs()),
        Interval::Never => Some(0),
        Interval::Unchanged => None,
    }
}
