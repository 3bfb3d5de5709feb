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
        for (conn, worker) in core.workers_behind(behind).take(AT_ONCE) {
            self.enter(&worker, None);
            self.not_entered = Some(Some(conn));
        }
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
            }
            Event::WorkerJoined(worker) => {
                let joined = self.since(now);
                self.enter(worker, joined);
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

    /// One more takes part.
    fn enter(&mut self, worker: &WorkerInfo, joined: Option<Duration>) {
        if !self.identify(worker, joined) {
            if let Some(timeline) = self.open() {
                timeline.workers_cut = timeline.workers_cut.saturating_add(1);
            }
        }
    }

    /// False: there is no room for it, or no round.
    fn identify(&mut self, worker: &WorkerInfo, joined: Option<Duration>) -> bool {
        if !self.open {
            return false;
        }
        let (program, host) = (self.name(&worker.program), self.name(&worker.host));
        let Some(track) = self.track_or_new(worker.number) else {
            return false;
        };
        (track.program, track.host) = (program, host);
        track.real_pid = worker.real_pid;
        track.joined = track.joined.or(joined);
        true
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
mod tests {
    use dmtcp_proto::{RoundError, UniquePid};

    use super::*;

    const LIMITS: Limits = Limits {
        rounds: 2,
        workers: 3,
    };

    fn at(seconds: u64) -> Instant {
        Instant::from_start(Duration::from_secs(seconds))
    }

    fn barrier(name: &str, index: u32) -> WorkerStep {
        let name = Name::new(name).unwrap();
        WorkerStep::Barrier { name, index }
    }

    fn started(round: u64) -> Event {
        Event::CheckpointStarted {
            round,
            generation: 1,
            workers: 2,
        }
    }

    fn failed(round: u64) -> Event {
        Event::CheckpointFailed {
            round,
            generation: 1,
            reason: RoundError::Killed,
        }
    }

    #[test]
    fn times_count_from_the_order_and_the_last_at_a_barrier_is_named() {
        let mut recorder = Recorder::new(LIMITS);
        recorder.note(at(10), &started(1));
        recorder.step(at(11), 7, barrier("a", 0));
        recorder.step(at(14), 5, barrier("a", 0));
        let name = Name::new("a").unwrap();
        recorder.note(at(15), &Event::BarrierReleased { name, peers: 2 });
        // A child that was forked meanwhile: nobody waited for it.
        recorder.step(at(16), 9, barrier("a", 0));
        let timelines = recorder.timelines();
        let [passage] = &timelines[0].barriers[..] else {
            panic!("{timelines:#?}");
        };
        let seconds = |time: Duration| time.as_secs();
        assert_eq!((seconds(passage.first), seconds(passage.last)), (1, 4));
        assert_eq!((passage.last_worker, passage.peers), (5, 2));
        assert_eq!(passage.released.map(seconds), Some(5));
        let order: Vec<u64> = timelines[0].tracks.iter().map(|t| t.number).collect();
        assert_eq!(order, [5, 7, 9]);
        assert_eq!(seconds(timelines[0].track(9).unwrap().steps[0].at), 6);
    }

    #[test]
    fn what_a_peer_can_make_us_hold_is_bounded() {
        let mut recorder = Recorder::new(LIMITS);
        recorder.note(at(0), &started(1));
        // Nobody can have been there.
        recorder.step(at(1), 1, barrier("z", 5));
        for _ in 0..10 * MAX_STEPS {
            recorder.step(at(1), 1, WorkerStep::Running);
        }
        for worker in 2..100 {
            recorder.step(at(1), worker, WorkerStep::ImageReported);
        }
        let timelines = recorder.timelines();
        assert_eq!(
            (timelines[0].barriers.len(), timelines[0].tracks.len()),
            (0, 3)
        );
        let track = timelines[0].track(1).unwrap();
        assert_eq!(track.steps.len(), MAX_STEPS);
        assert_eq!(track.steps_cut as usize, 9 * MAX_STEPS);
    }

    #[test]
    fn what_is_not_of_a_round_is_not_noted() {
        let mut recorder = Recorder::new(LIMITS);
        recorder.step(at(1), 1, barrier("a", 0));
        recorder.note(at(2), &started(1));
        recorder.note(at(3), &failed(1));
        recorder.note(at(4), &Event::Resumed);
        recorder.step(at(5), 1, WorkerStep::Running);
        let restart = Event::RestartStarted {
            computation: UniquePid::NULL,
            expected: 1,
        };
        recorder.note(at(6), &started(2));
        recorder.note(at(7), &restart);
        recorder.step(at(8), 1, barrier("a", 0));
        for timeline in recorder.timelines() {
            assert_eq!((timeline.tracks.len(), timeline.barriers.len()), (0, 0));
        }
    }

    #[test]
    fn a_round_that_fails_before_anybody_is_told_is_kept_too() {
        let mut recorder = Recorder::new(LIMITS);
        recorder.note(at(1), &failed(4));
        let timelines = recorder.timelines();
        assert_eq!((timelines[0].round, timelines[0].workers), (4, 0));
        assert!(matches!(timelines[0].outcome, RoundOutcome::Failed { .. }));
    }
}
