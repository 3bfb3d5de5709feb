//! An attempt while it runs: checkpoints when they are due, the last one when it has to stop, and
//! its end.

use std::{
    sync::mpsc::RecvTimeoutError,
    thread,
    time::{Duration, Instant, SystemTime},
};

use super::{
    JobEvent, Outcome, OutcomeKind, Reason, SetRecord,
    begin::Begun,
    last::LastCheckpoint,
    life::{Ended, LOOK, Life},
    pace::{CheckpointTime, Decision, EndSource},
    reports::AttemptReports,
    verdict::{Seen, Verdict, judge},
};
use crate::{
    attempt::{Attempt, AttemptError},
    process::{Exit, FAIL_CODE},
    server::{ComputationEvent, Event, Events, SealedSet, ServerError},
    with_causes,
};

/// What is known of an attempt.
struct Watch {
    attempt: Attempt,
    events: Events,
    begun: Instant,
    /// All processes have been seen to run.
    running: bool,
    seen: Seen,
    round: Option<Round>,
    last: Option<LastCheckpoint>,
    /// Who wanted the last checkpoint that was asked for.
    stopping: Option<Reason>,
    /// When it was first seen that it shall stop.
    asked: Option<Instant>,
    stop_known: bool,
    /// Since when its coordinator is gone.
    closed: Option<Instant>,
    /// A set is there behind which it shall stop.
    is_done: bool,
    /// `None`: there is no thread for them.
    reports: Option<AttemptReports>,
}

/// A checkpoint that is under way.
struct Round {
    begun: Instant,
    /// How long it took until the processes could go on.
    paused: Option<Duration>,
}

impl Life<'_, '_> {
    /// Until the attempt is over.
    pub(super) fn watch(&mut self, begun: Begun) -> Result<Outcome, Ended> {
        let reports = AttemptReports::start(begun.attempt.computation(), &self.job.reports);
        let reports = reports.map_err(|error| self.trouble(&error)).ok();
        let mut watch = Watch {
            attempt: begun.attempt,
            events: begun.events,
            begun: Instant::now(),
            running: false,
            seen: Seen::of(begun.restarted),
            round: None,
            last: None,
            stopping: None,
            asked: None,
            stop_known: false,
            closed: None,
            is_done: false,
            reports,
        };
        if begun.restarted {
            self.runs(&mut watch);
        }
        loop {
            self.look_after();
            let stopped = self
                .requests(&mut watch)
                .or_else(|| self.policy(&mut watch));
            if let Some(outcome) = stopped {
                return Ok(self.kill(watch, outcome));
            }
            match watch.events.recv_timeout(self.patience(&watch)) {
                Ok(event) => {
                    self.note(&mut watch, &event);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    watch.closed.get_or_insert_with(Instant::now);
                    thread::sleep(FAST_LOOK);
                }
            }
            match self.look(&mut watch) {
                Ok(None) => {}
                Ok(Some(verdict)) => return self.ended(watch, verdict),
                Err(error) => return Err(self.broken(watch, &error)),
            }
        }
    }

    fn patience(&self, watch: &Watch) -> Duration {
        match watch.running && watch.last.is_none() {
            true => LOOK,
            false => FAST_LOOK,
        }
    }

    /// What was asked for from outside; the outcome, if that is the end.
    fn requests(&mut self, watch: &mut Watch) -> Option<Outcome> {
        if let Some(reason) = self.control().kill_request() {
            let text = "all processes were killed, as was asked for";
            return Some(Outcome::new(OutcomeKind::TryAgain, reason, text));
        }
        if self.time_is_over() {
            return Some(self.timed_out());
        }
        if watch.is_done {
            let text = "a complete set was taken and the program stopped";
            let reason = Reason::StopAfterCheckpoint;
            return Some(Outcome::new(OutcomeKind::Checkpointed, reason, text));
        }
        let request = self.control().stop_request()?;
        let waited = watch.asked.get_or_insert_with(Instant::now).elapsed();
        let grace = request.grace.unwrap_or(self.job.grace);
        if !watch.running && !watch.seen.told_to_exit {
            // What has joined has begun its work, and will soon be known to run.
            let begins = watch.seen.joined || self.has_joined(watch);
            let text = "it was asked to stop before the program ran";
            return (!begins || waited >= grace)
                .then(|| Outcome::new(OutcomeKind::TryAgain, Reason::Interrupted, text));
        }
        if !watch.stop_known {
            watch.stop_known = true;
            let source = match request.reason {
                Reason::Notice => EndSource::Notice,
                _ => EndSource::Request,
            };
            let left = grace.saturating_sub(waited);
            self.pace.stop_within(self.now(), source, left);
        }
        None
    }

    fn has_joined(&self, watch: &Watch) -> bool {
        let metrics = watch.attempt.computation().metrics();
        metrics.is_ok_and(|metrics| metrics.peers.joined > 0)
    }

    /// What is due; the outcome, if no time is left.
    fn policy(&mut self, watch: &mut Watch) -> Option<Outcome> {
        if !watch.running {
            return self.not_ready(watch);
        }
        if let Some(answer) = watch.last.as_ref().and_then(LastCheckpoint::answer) {
            watch.last = None;
            if let Err(error) = answer {
                self.last_failed(watch, &error);
            }
        }
        match self.pace.decide(self.now()) {
            Decision::TooLate { source } => {
                let text = format!(
                    "no checkpoint could be completed in the time that was left ({source})"
                );
                let kind = OutcomeKind::TryAgain;
                Some(Outcome::new(kind, Reason::NotCheckpointed, text))
            }
            // The one that is asked for is under way, or it ends already.
            _ if watch.last.is_some() || watch.seen.told_to_exit => None,
            Decision::CheckpointAndStop { limit, source } => {
                let reason = match source {
                    EndSource::Asked | EndSource::SlurmEndTime | EndSource::SlurmTimeLeft => {
                        Reason::Deadline
                    }
                    EndSource::Notice => Reason::Notice,
                    EndSource::Request => {
                        let request = self.control().stop_request();
                        request.map_or(Reason::Requested, |request| request.reason)
                    }
                };
                self.stop(watch, reason, limit);
                None
            }
            Decision::Checkpoint { limit } if watch.round.is_none() => {
                if self.job.stop_after_checkpoint {
                    let limit = limit.unwrap_or(LONGEST_LAST);
                    self.stop(watch, Reason::StopAfterCheckpoint, limit);
                } else {
                    self.checkpoint(watch);
                }
                None
            }
            Decision::Checkpoint { .. } | Decision::Wait { .. } => None,
        }
    }

    fn not_ready(&self, watch: &Watch) -> Option<Outcome> {
        let limit = self.job.ready_limit;
        if watch.begun.elapsed() < limit {
            return None;
        }
        Some(Outcome::new(
            OutcomeKind::FailedBeforeReady,
            Reason::NotReady,
            format!("not all processes were running under the coordinator after {limit:.1?}"),
        ))
    }

    fn checkpoint(&mut self, watch: &mut Watch) {
        match watch.attempt.computation().request_checkpoint() {
            Ok(_) => watch.round = Some(Round::begin()),
            // Another one, or processes that are just starting or ending: soon again.
            Err(ServerError::Busy { .. } | ServerError::NotRunning) => {}
            Err(ServerError::Closed | ServerError::ServerGone) => {}
            Err(error) => {
                self.trouble(&error);
                let now = self.now();
                self.pace.checkpoint_failed(now);
            }
        }
    }

    fn stop(&mut self, watch: &mut Watch, reason: Reason, limit: Duration) {
        let computation = watch.attempt.computation().clone();
        match LastCheckpoint::ask(computation, limit) {
            Ok(last) => {
                watch.last = Some(last);
                if watch.stopping != Some(reason) {
                    watch.stopping = Some(reason);
                    self.tell(&JobEvent::Stopping { reason, limit });
                }
            }
            Err(error) => {
                self.trouble(&error);
                let now = self.now();
                self.pace.checkpoint_failed(now);
            }
        }
    }

    fn last_failed(&mut self, watch: &mut Watch, error: &ServerError) {
        match error {
            // It is told as an event, or will be.
            ServerError::CheckpointFailed { .. } => {}
            // The end of it is seen otherwise.
            ServerError::Closed | ServerError::ServerGone => return,
            error => self.trouble(error),
        }
        if watch.stopping == Some(Reason::StopAfterCheckpoint) {
            watch.stopping = None;
        }
        let now = self.now();
        self.pace.checkpoint_failed(now);
    }

    fn note(&mut self, watch: &mut Watch, event: &ComputationEvent) {
        watch.seen.note(event);
        if let Some(reports) = &watch.reports {
            reports.note(event);
            for text in reports.failures() {
                self.tell(&JobEvent::Trouble { text });
            }
        }
        match event {
            ComputationEvent::Coordinator(event) => self.note_core(watch, event),
            ComputationEvent::SetSealed { set, .. } => self.sealed(watch, set),
            ComputationEvent::Stalled(stall) => {
                let text = stall.to_string();
                self.tell(&JobEvent::Stalled { text });
            }
            ComputationEvent::Lagged(count) => {
                let text = format!("{count} events of the computation were missed");
                self.tell(&JobEvent::Trouble { text });
            }
            _ => {}
        }
    }

    fn note_core(&mut self, watch: &mut Watch, event: &Event) {
        match event {
            Event::CheckpointStarted { workers, .. } => {
                // Whoever asked for it.
                watch.round.get_or_insert_with(Round::begin);
                let processes = *workers;
                self.tell(&JobEvent::CheckpointStarted { processes });
            }
            Event::ImagesReported { .. } => {
                if let Some(round) = &mut watch.round {
                    round.paused = Some(round.begun.elapsed());
                }
            }
            Event::CheckpointComplete { .. } => watch.round = None,
            Event::CheckpointFailed { reason, .. } => {
                watch.round = None;
                let now = self.now();
                self.pace.checkpoint_failed(now);
                let text = reason.to_string();
                self.tell(&JobEvent::CheckpointFailed { text });
            }
            _ => {}
        }
    }

    fn sealed(&mut self, watch: &mut Watch, set: &SealedSet) {
        let round = watch.round.as_ref();
        let sealed = round.map_or(Duration::ZERO, |round| round.begun.elapsed());
        let paused = round.and_then(|round| round.paused).unwrap_or(sealed);
        let took = CheckpointTime::new(paused, sealed);
        let plan = self.pace.plan();
        let now = self.now();
        self.pace.checkpointed(now, took);
        self.limit.note_progress();
        self.sets_sealed = self.sets_sealed.saturating_add(1);
        let bytes = set.bytes.unwrap_or(0);
        let record = SetRecord::new(set.sequence, SystemTime::now(), bytes);
        self.record.note_checkpoint(took, record);
        self.save();
        self.tell(&JobEvent::Sealed {
            set: set.clone(),
            took,
        });
        if self.pace.plan() != plan {
            self.tell_plan();
        }
        match self.attempts.store().retain(&self.job.retention) {
            Ok(retained) if retained.removed.is_empty() => {}
            Ok(retained) => {
                let sets = retained.removed.iter().map(|set| set.sequence).collect();
                self.tell(&JobEvent::Removed { sets });
            }
            Err(error) => self.trouble(&error),
        }
        watch.is_done = self.job.stop_after_checkpoint && watch.last.is_none();
    }

    fn tell_plan(&self) {
        let text = self.pace.explain(self.now());
        self.tell(&JobEvent::Planned { text });
    }

    fn runs(&mut self, watch: &mut Watch) {
        watch.running = true;
        let now = self.now();
        self.pace.running(now);
        let metrics = watch.attempt.computation().metrics();
        let id = metrics.ok().and_then(|metrics| metrics.computation);
        if let Some(coordinator) = &mut self.record.coordinator {
            coordinator.computation = id.or(coordinator.computation);
        }
        self.save();
        self.tell_plan();
    }

    /// Whether it has come to run, and whether it has ended.
    fn look(&mut self, watch: &mut Watch) -> Result<Option<Verdict>, AttemptError> {
        if !watch.running && watch.closed.is_none() {
            match watch.attempt.computation().status() {
                Ok(status) if status.running => {
                    let peers = status.peers;
                    self.tell(&JobEvent::Running { peers });
                    self.runs(watch);
                }
                Ok(_) | Err(ServerError::Closed | ServerError::ServerGone) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let Some(exits) = watch.attempt.finished()? else {
            return Ok(self.left_behind(watch));
        };
        // Everything that led to it has been told by now.
        while let Ok(event) = watch.events.try_recv() {
            self.note(watch, &event);
        }
        if watch.seen.is_sealing() && watch.closed.is_none() {
            return Ok(None);
        }
        watch.seen.joined |= self.has_joined(watch);
        if exits.contains(&Exit::Code(FAIL_CODE)) {
            // On other hosts it says so where nobody may hear it.
            watch.seen.dmtcp_failed =
                watch.attempt.far().next().is_some() || self.output.tells_of_dmtcps_failure();
        }
        Ok(Some(judge(&watch.seen, &exits, watch.stopping)))
    }

    /// A program whose coordinator was told to quit is about to end by itself.
    fn left_behind(&self, watch: &Watch) -> Option<Verdict> {
        let is_long_ago = |since: Instant| since.elapsed() >= QUIT_LIMIT;
        watch.closed.is_some_and(is_long_ago).then(|| {
            let mut seen = watch.seen;
            seen.told_to_exit = true;
            judge(&seen, &[], watch.stopping)
        })
    }

    fn ended(&mut self, watch: Watch, verdict: Verdict) -> Result<Outcome, Ended> {
        let now = self.now();
        match &verdict {
            Verdict::Over { .. } => self.pace.ended(now),
            Verdict::Again(_) => self.pace.interrupted(now),
        }
        self.clear(watch);
        match verdict {
            Verdict::Again(text) => Err(Ended::Again(text)),
            Verdict::Over {
                kind,
                reason,
                exit,
                text,
            } => {
                let mut outcome = Outcome::new(kind, reason, text);
                outcome.exit = exit;
                Ok(match kind {
                    OutcomeKind::FailedBeforeReady => {
                        outcome.hint("application.log has what it said")
                    }
                    _ => outcome,
                })
            }
        }
    }

    /// It cannot be told how it is, or it was killed for a stall.
    fn broken(&mut self, watch: Watch, error: &AttemptError) -> Ended {
        let now = self.now();
        self.pace.interrupted(now);
        self.clear(watch);
        Ended::Again(with_causes(error))
    }

    fn kill(&mut self, watch: Watch, mut outcome: Outcome) -> Outcome {
        let reason = outcome.reason;
        if let Some(asked) = watch.stopping.filter(|_| watch.seen.is_behind_set()) {
            // What it stops for is there already.
            outcome.kind = OutcomeKind::Checkpointed;
            outcome.reason = asked;
            outcome.text = "a complete set was taken and the program stopped".to_owned();
        }
        self.tell(&JobEvent::Killing { reason });
        let now = self.now();
        self.pace.ended(now);
        self.clear(watch);
        outcome
    }

    /// Nothing of the attempt is left then.
    fn clear(&mut self, watch: Watch) {
        self.control().set_computation(None);
        let Watch {
            attempt,
            events,
            reports,
            ..
        } = watch;
        // Those that were told before it ended, as its last round.
        while let (Some(reports), Ok(event)) = (&reports, events.try_recv()) {
            reports.note(&event);
        }
        drop(events);
        if let Err(error) = attempt.kill() {
            self.trouble(&error);
        }
        // Behind the end of the processes: it may wait for a slow file system.
        for text in reports.into_iter().flat_map(AttemptReports::finish) {
            self.tell(&JobEvent::Trouble { text });
        }
        self.output.followed();
    }
}

impl Round {
    fn begin() -> Self {
        Self {
            begun: Instant::now(),
            paused: None,
        }
    }
}

/// While something is about to happen.
const FAST_LOOK: Duration = Duration::from_millis(20);
/// For a last checkpoint without an end to be in time for.
const LONGEST_LAST: Duration = Duration::from_secs(24 * 3600);
/// How long programs may go on once their coordinator is gone.
const QUIT_LIMIT: Duration = Duration::from_secs(30);
