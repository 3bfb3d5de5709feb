//! Notes what makes a timeline, as it happens. Knows neither sockets nor clocks: it is told.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime},
};

use dmtcp_proto::{ConnId, CoordinatorCore, Event, Instant, Name, WorkerInfo, WorkerStep};

use super::timeline::{
    BarrierPassage, RoundOutcome, RoundTimeline, SealingSpan, Step, TrackStep, WorkerTrack,
};

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Limits {
    /// Rounds; 0: nothing is noted.
    pub(in super::super) rounds: usize,
    /// Workers of each.
    pub(in super::super) workers: usize,
}

/// A round has some ten; 2.6.0 has the most.
const MAX_STEPS: usize = 64;
/// So many workers are entered in one turn.
const AT_ONCE: usize = 256;

/// The last rounds of a computation.
#[derive(Debug)]
pub(in super::super) struct Recorder {
    limits: Limits,
    /// Shared with those who asked; copied when one goes on that somebody still looks at.
    timelines: VecDeque<Arc<RoundTimeline>>,
    /// Workers are on their way through the latest.
    open: bool,
    /// Of those who were told, the ones behind this are still to be entered.
    not_entered: Option<Option<ConnId>>,
    /// Those who were told, and who have joined since.
    members: usize,
    /// Names of hosts and programs, of which there are few.
    names: HashSet<Arc<str>>,
}

impl Recorder {
    pub(in super::super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            timelines: VecDeque::new(),
            open: false,
            not_entered: None,
            members: 0,
            names: HashSet::new(),
        }
    }

    /// Oldest first.
    pub(in super::super) fn timelines(&self) -> Vec<Arc<RoundTimeline>> {
        self.timelines.iter().cloned().collect()
    }

    /// Enters some of those who were told to checkpoint; says whether those were the last.
    pub(in super::super) fn enroll(&mut self, core: &CoordinatorCore) -> bool {
        let Some(behind) = self.not_entered.take() else {
            return true;
        };
        let mut entered = 0;
        for (conn, worker) in core.workers_behind(behind).take(AT_ONCE) {
            self.identify(&worker, None);
            self.not_entered = Some(Some(conn));
            entered += 1;
        }
        if entered < AT_ONCE {
            self.not_entered = None;
        }
        self.count_cut();
        self.not_entered.is_none()
    }

    pub(in super::super) fn note(&mut self, now: Instant, event: &Event) {
        if self.limits.rounds == 0 {
            return;
        }
        match event {
            Event::CheckpointStarted {
                round,
                generation,
                workers,
            } => {
                self.begin(now, *round, *generation, *workers);
                (self.open, self.not_entered) = (true, Some(None));
                self.members = *workers as usize;
            }
            Event::WorkerJoined(worker) => {
                let joined = self.since(now);
                self.identify(worker, joined);
                self.members += 1;
                self.count_cut();
            }
            Event::WorkerUpdated(worker) => {
                self.identify(worker, None);
            }
            Event::WorkerLeft(worker) => {
                // It may be among those that are not entered yet.
                self.identify(worker, None);
                let (number, left) = (worker.number, self.since(now));
                if let Some(track) = self.track(number) {
                    track.left = left;
                }
            }
            Event::BarrierReleased { name, peers } => self.released(now, *name, *peers),
            Event::ImagesReported { round } => {
                self.change(
                    *round,
                    |timeline, now| timeline.images_reported = Some(now),
                    now,
                );
            }
            Event::CheckpointComplete { round, .. } => self.change(
                *round,
                |timeline, at| timeline.outcome = RoundOutcome::Complete { at },
                now,
            ),
            Event::CheckpointFailed {
                round,
                generation,
                reason,
            } => {
                // It may have failed before anybody was told.
                if self
                    .timelines
                    .back()
                    .is_none_or(|latest| latest.round != *round)
                {
                    self.begin(now, *round, *generation, 0);
                }
                self.change(
                    *round,
                    |timeline, at| {
                        let reason = reason.clone();
                        timeline.outcome = RoundOutcome::Failed { at, reason };
                    },
                    now,
                );
            }
            Event::Resumed => {
                let resumed = self.since(now);
                if let Some(timeline) = self.open() {
                    timeline.resumed = resumed;
                }
                self.open = false;
            }
            Event::RestartStarted { .. } | Event::ComputationEnded { .. } => self.open = false,
            _ => {}
        }
    }

    /// A worker got to its next step.
    pub(in super::super) fn step(&mut self, now: Instant, worker: u64, step: WorkerStep) {
        let Some(at) = self.since(now) else { return };
        let step = match step {
            WorkerStep::Barrier { name, index } => {
                let Some(timeline) = self.open() else { return };
                if !arrived(&mut timeline.barriers, index, name, at, worker) {
                    return;
                }
                Step::Barrier(index)
            }
            WorkerStep::ImageReported => Step::ImageReported,
            WorkerStep::Running => Step::Running,
            _ => return,
        };
        if let Some(track) = self.track_or_new(worker) {
            if track.steps.len() < MAX_STEPS {
                track.steps.push(TrackStep { at, step });
            } else {
                track.steps_cut = track.steps_cut.saturating_add(1);
            }
        }
    }

    pub(in super::super) fn sealing_began(&mut self, now: Instant, round: u64) {
        let began = |timeline: &mut RoundTimeline, began| {
            timeline.sealing = Some(SealingSpan { began, ended: None });
        };
        self.change(round, began, now);
    }

    pub(in super::super) fn sealing_ended(&mut self, now: Instant, round: u64) {
        let ended = |timeline: &mut RoundTimeline, at| {
            if let Some(sealing) = &mut timeline.sealing {
                sealing.ended = Some(at);
            }
        };
        self.change(round, ended, now);
    }

    fn begin(&mut self, now: Instant, round: u64, generation: u32, workers: u32) {
        while self.timelines.len() >= self.limits.rounds {
            self.timelines.pop_front();
        }
        // Those of programs that are gone would add up.
        self.names.retain(|name| Arc::strong_count(name) > 1);
        self.open = false;
        self.timelines.push_back(Arc::new(RoundTimeline {
            round,
            generation,
            started: SystemTime::now(),
            workers,
            tracks: Vec::new(),
            workers_cut: 0,
            barriers: Vec::new(),
            images_reported: None,
            sealing: None,
            outcome: RoundOutcome::UnderWay,
            resumed: None,
            began: now,
        }));
    }

    /// Time since the round that workers are on their way through.
    fn since(&self, now: Instant) -> Option<Duration> {
        let latest = self.timelines.back().filter(|_| self.open)?;
        Some(now - latest.began)
    }

    fn open(&mut self) -> Option<&mut RoundTimeline> {
        let latest = self.timelines.back_mut().filter(|_| self.open)?;
        Some(Arc::make_mut(latest))
    }

    /// Changes the timeline of a round, if it is kept.
    fn change(
        &mut self,
        round: u64,
        change: impl FnOnce(&mut RoundTimeline, Duration),
        now: Instant,
    ) {
        let mut kept = self.timelines.iter_mut();
        if let Some(timeline) = kept.find(|timeline| timeline.round == round) {
            let at = now - timeline.began;
            change(Arc::make_mut(timeline), at);
        }
    }

    fn released(&mut self, now: Instant, name: Name, peers: u32) {
        let at = self.since(now);
        let Some(timeline) = self.open() else { return };
        let mut barriers = timeline.barriers.iter_mut();
        let is_it = |barrier: &&mut BarrierPassage| barrier.released.is_none();
        if let Some(barrier) = barriers.find(is_it).filter(|barrier| barrier.name == name) {
            (barrier.released, barrier.peers) = (at, peers);
        }
    }

    /// Once all are entered, those without a track had no room.
    fn count_cut(&mut self) {
        let members = self.members;
        if self.not_entered.is_none() {
            if let Some(timeline) = self.open() {
                let cut = members.saturating_sub(timeline.tracks.len());
                timeline.workers_cut = u32::try_from(cut).unwrap_or(u32::MAX);
            }
        }
    }

    /// Notes who it is, if a round is open and has room for it.
    fn identify(&mut self, worker: &WorkerInfo, joined: Option<Duration>) {
        if !self.open {
            return;
        }
        let (program, host) = (self.name(&worker.program), self.name(&worker.host));
        let Some(track) = self.track_or_new(worker.number) else {
            return;
        };
        (track.program, track.host) = (program, host);
        track.real_pid = worker.real_pid;
        track.joined = track.joined.or(joined);
    }

    fn name(&mut self, text: &str) -> Arc<str> {
        if let Some(name) = self.names.get(text) {
            return Arc::clone(name);
        }
        let name: Arc<str> = text.into();
        self.names.insert(Arc::clone(&name));
        name
    }

    fn track(&mut self, number: u64) -> Option<&mut WorkerTrack> {
        let timeline = self.open()?;
        let at = timeline.locate(number).ok()?;
        timeline.tracks.get_mut(at)
    }

    /// `None`: there are too many.
    fn track_or_new(&mut self, number: u64) -> Option<&mut WorkerTrack> {
        let limit = self.limits.workers;
        let timeline = self.open()?;
        let at = match timeline.locate(number) {
            Ok(at) => at,
            Err(_) if timeline.tracks.len() >= limit => return None,
            Err(at) => {
                let track = WorkerTrack {
                    number,
                    program: Arc::default(),
                    host: Arc::default(),
                    real_pid: -1,
                    joined: None,
                    left: None,
                    steps: Vec::new(),
                    steps_cut: 0,
                };
                timeline.tracks.insert(at, track);
                at
            }
        };
        timeline.tracks.get_mut(at)
    }
}

/// False: nobody can have got there.
fn arrived(
    barriers: &mut Vec<BarrierPassage>,
    index: u32,
    name: Name,
    at: Duration,
    worker: u64,
) -> bool {
    let index = index as usize;
    if index > barriers.len() {
        return false;
    }
    match barriers.get_mut(index) {
        None => barriers.push(BarrierPassage {
            name,
            first: at,
            last: at,
            last_worker: worker,
            released: None,
            peers: 0,
        }),
        // Later ones only catch up.
        Some(barrier) if barrier.released.is_none() => {
            // The first one was there alone and has left; others meet elsewhere.
            barrier.name = name;
            (barrier.last, barrier.last_worker) = (at, worker);
        }
        Some(_) => {}
    }
    true
}

#[cfg(test)]
mod tests;
