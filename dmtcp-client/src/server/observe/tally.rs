//! Counts what happens, for [`Metrics`].

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use dmtcp_proto::{CoordinatorCore, Event, Instant, RoundError, WorkerState};

use super::metrics::{FailedRounds, Metrics, PeerCounts};
use crate::server::{ComputationEvent, SealedSet};

/// Of one computation.
#[derive(Debug, Default)]
pub(in super::super) struct Tally {
    pub(in super::super) peers: PeerCounts,
    rounds_started: u64,
    rounds_complete: u64,
    rounds_failed: FailedRounds,
    restarts_started: u64,
    restarts_complete: u64,
    /// When the latest round began.
    began: Option<Instant>,
    last: Option<LastComplete>,
    last_set: Option<(SealedSet, Duration)>,
    sealing: Duration,
}

#[derive(Debug)]
struct LastComplete {
    took: Duration,
    at: Instant,
    time: SystemTime,
}

impl Tally {
    pub(in super::super) fn note(&mut self, now: Instant, event: &ComputationEvent) {
        let peers = &mut self.peers;
        match event {
            ComputationEvent::Coordinator(event) => self.note_core(now, event),
            ComputationEvent::SetSealed { set, took, .. } => {
                self.last_set = Some((set.clone(), *took));
            }
            ComputationEvent::PeerRefused { .. } => peers.refused_access += 1,
            ComputationEvent::PeerNotReading { .. } => peers.not_reading += 1,
            ComputationEvent::ProcessKilled(_) => peers.killed += 1,
            ComputationEvent::ProcessSpared { .. } => peers.spared += 1,
            ComputationEvent::AcceptPaused { .. } => peers.accept_paused += 1,
            ComputationEvent::AcceptResumed
            | ComputationEvent::Stalled(_)
            | ComputationEvent::Lagged(_) => {}
        }
    }

    fn note_core(&mut self, now: Instant, event: &Event) {
        let peers = &mut self.peers;
        match event {
            Event::WorkerJoined(_) => peers.joined += 1,
            Event::WorkerLeft(_) => peers.left += 1,
            Event::Refused { .. } => peers.refused += 1,
            Event::PeerMisbehaved { .. } => peers.misbehaved += 1,
            Event::PeerSilent { .. } => peers.silent += 1,
            Event::CheckpointStarted { .. } => {
                self.rounds_started += 1;
                self.began = Some(now);
            }
            Event::CheckpointComplete { .. } => {
                self.rounds_complete += 1;
                self.last = self.began.map(|began| LastComplete {
                    took: now - began,
                    at: now,
                    time: SystemTime::now(),
                });
            }
            Event::CheckpointFailed { reason, .. } => {
                let failed = &mut self.rounds_failed;
                *match reason {
                    RoundError::PeerLost(_) => &mut failed.peer_lost,
                    RoundError::NoImage(_) => &mut failed.no_image,
                    RoundError::Seal(_) => &mut failed.seal,
                    RoundError::Stalled(_) => &mut failed.stalled,
                    RoundError::Killed => &mut failed.killed,
                    _ => &mut failed.other,
                } += 1;
            }
            Event::RestartStarted { .. } => self.restarts_started += 1,
            Event::RestartComplete { .. } => self.restarts_complete += 1,
            _ => {}
        }
    }

    /// A sealer was at work for so long, with whatever result.
    pub(in super::super) fn sealed(&mut self, took: Duration) {
        self.sealing += took;
    }

    pub(in super::super) fn metrics(
        &self,
        now: Instant,
        addr: SocketAddr,
        core: &CoordinatorCore,
        connections: usize,
        events: u64,
    ) -> Metrics {
        let mut workers: HashMap<WorkerState, u64> = HashMap::new();
        for state in core.states() {
            *workers.entry(state).or_default() += 1;
        }
        let workers = workers.into_iter();
        let last = self.last.as_ref();
        let set = self.last_set.as_ref();
        Metrics {
            addr,
            computation: Some(core.computation()).filter(|id| !id.is_null()),
            workers: workers.map(|(state, n)| (state.to_string(), n)).collect(),
            connections: connections as u64,
            rounds_started: self.rounds_started,
            rounds_complete: self.rounds_complete,
            rounds_failed: self.rounds_failed,
            restarts_started: self.restarts_started,
            restarts_complete: self.restarts_complete,
            last_round_took: last.map(|last| last.took),
            last_complete: last.map(|last| last.time),
            since_complete: last.map(|last| now - last.at),
            last_set: set.map(|(set, _)| set.sequence),
            last_set_bytes: set.and_then(|(set, _)| set.bytes),
            last_seal: set.map(|&(_, took)| took),
            sealing: self.sealing,
            peers: self.peers,
            traffic: core.traffic(),
            events,
        }
    }
}
