//! The life of one run of a job that has it: attempts, again and again if need be, and how it ended,
//! written down.
//!
//! Not here: who may run it (`run`), how an attempt begins (`begin`), what is done while it runs
//! (`watch`), and what its end means (`verdict`).

use std::{
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use super::{
    Begin, Job, JobControl, JobError, JobEvent, JobRecord, Outcome, OutcomeKind, Owner, Reason,
    StateError,
    outcome::unix_ms,
    output::Output,
    pace::{self, NoticeFile, Pace, ProgressLimit},
};
use crate::{attempt::Attempts, process::Stream, with_causes};

/// What one run has at hand.
pub(super) struct Life<'j, 's> {
    pub(super) job: &'j Job,
    pub(super) attempts: Attempts<'s>,
    pub(super) dir: PathBuf,
    pub(super) record: JobRecord,
    pub(super) pace: Pace,
    pub(super) output: Output,
    pub(super) limit: ProgressLimit,
    pub(super) restarts: u64,
    pub(super) sets_sealed: u64,
    /// The next start is a fresh one, whatever is there.
    pub(super) afresh: bool,
    notice: Option<NoticeFile>,
    looked_for_notice: Option<Instant>,
    began: Instant,
    began_unix_ms: u64,
    saved: Instant,
    /// Why attempts before were no good.
    pub(super) failures: Vec<String>,
}

/// What an attempt came to.
#[derive(Debug)]
pub(super) enum Ended {
    Over(Box<Outcome>),
    Again(String),
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Self {
        Self::Over(Box::new(outcome))
    }
}

impl<'j, 's> Life<'j, 's> {
    pub(super) fn new(
        job: &'j Job,
        attempts: Attempts<'s>,
        dir: PathBuf,
        mut record: JobRecord,
        output: Output,
    ) -> Self {
        record.id = job.id.clone().or(record.id);
        let mut history = record.history();
        if record.owner.is_some() {
            history.note_interruption();
            record.note_history(history);
        }
        let pace = Pace::new(job.interval)
            .grace(job.grace)
            .with_cost(record.checkpoints.clone())
            .with_interruptions(history);
        let limit = ProgressLimit::new(job.restarts).made(record.restarts_since_progress);
        let now = Instant::now();
        Self {
            job,
            attempts,
            dir,
            record,
            pace,
            output,
            limit,
            restarts: 0,
            sets_sealed: 0,
            afresh: job.begin_with() == Begin::Fresh,
            notice: None,
            looked_for_notice: None,
            began: now,
            began_unix_ms: unix_ms(SystemTime::now()),
            saved: now,
            failures: Vec::new(),
        }
    }

    pub(super) fn begin_run(&mut self, after_crash: bool) -> Result<(), StateError> {
        let owner = Owner::this_process();
        self.record.owner = owner.inspect_err(|error| self.trouble(error)).ok();
        self.record.coordinator = None;
        self.record.runs = self.record.runs.saturating_add(1);
        let tools = self.job.tools.as_ref();
        if let Some(release) = tools.and_then(|tools| tools.version().ok()) {
            self.record.dmtcp = Some(release.text);
        }
        self.record.write(&self.dir)?;
        Outcome::clear(&self.dir)?;
        self.tell(&JobEvent::Began {
            run: self.record.runs,
            after_crash,
        });
        let registry = self.job.registry.as_ref();
        if let Some(Err(error)) = registry.map(|registry| registry.register(&self.dir)) {
            self.trouble(&error);
        }
        let (now, today) = (self.now(), SystemTime::now());
        for end in &self.job.ends {
            self.pace.set_end(end.source(), now + end.left(today));
        }
        if let Some(path) = &self.job.notice {
            match NoticeFile::new(path) {
                Ok(notice) => self.notice = Some(notice),
                Err(error) => self.trouble(&error),
            }
        }
        Ok(())
    }

    /// Attempts, one after the other, until there is an outcome.
    pub(super) fn attempts(&mut self) -> Outcome {
        let mut failures = 0;
        loop {
            let sealed = self.sets_sealed;
            let ended = self.begin().and_then(|begun| self.watch(begun));
            self.control().set_computation(None);
            let text = match ended {
                Ok(outcome) => return outcome,
                Err(Ended::Over(outcome)) => return *outcome,
                Err(Ended::Again(text)) => text,
            };
            failures = match self.sets_sealed == sealed {
                true => failures + 1,
                false => 1,
            };
            self.failures.push(text.clone());
            if let Some(outcome) = self.over() {
                return outcome;
            }
            if !self.limit.allows_restart() {
                return self.given_up();
            }
            let seed = u64::from(std::process::id());
            let delay = self.job.backoff.spread_delay(failures, seed);
            self.tell(&JobEvent::Again { text, delay });
            if let Some(outcome) = self.wait(delay) {
                return outcome;
            }
        }
    }

    /// Restarts have led nowhere too often. The next run may try as often again.
    pub(super) fn given_up(&mut self) -> Outcome {
        let made = self.limit.restarts_since_progress();
        self.limit.note_progress();
        let reasons: String = self
            .failures
            .iter()
            .map(|text| format!("; {text}"))
            .collect();
        Outcome::new(
            OutcomeKind::FailedToRestore,
            Reason::NoProgress,
            format!("{made} restarts without a newer set{reasons}"),
        )
        .hint(
            "see execution.log and diagnostics; where it is only interrupted too often, \
             checkpoint more often",
        )
    }

    /// The outcome, if the job shall not run on and nothing runs. Looks for notices, too.
    pub(super) fn over(&mut self) -> Option<Outcome> {
        self.look_for_notice();
        self.asked_to_end()
    }

    /// The same without a look for notices.
    pub(super) fn asked_to_end(&self) -> Option<Outcome> {
        let today = SystemTime::now();
        let try_again = |reason, text: &str| Outcome::new(OutcomeKind::TryAgain, reason, text);
        if let Some(reason) = self.control().kill_request() {
            return Some(try_again(reason, "it was ended at once, as was asked for"));
        }
        if self.time_is_over() {
            return Some(self.timed_out());
        }
        if self.control().stop_request().is_some() {
            let text = "it was asked to stop before the program ran";
            return Some(try_again(Reason::Interrupted, text));
        }
        let is_over = self.job.ends.iter().any(|end| end.left(today).is_zero());
        is_over.then(|| try_again(Reason::TooLate, "the time was over before the program ran"))
    }

    pub(super) fn time_is_over(&self) -> bool {
        let limit = self.job.time_limit;
        limit.is_some_and(|limit| self.began.elapsed() >= limit)
    }

    pub(super) fn timed_out(&self) -> Outcome {
        let limit = self.job.time_limit.unwrap_or_default();
        let text = format!("it was ended after its time limit of {limit:.1?}");
        Outcome::new(OutcomeKind::TimedOut, Reason::TimeLimit, text)
    }

    /// Once a second.
    pub(super) fn look_for_notice(&mut self) {
        let is_due = |at: Instant| at.elapsed() >= NOTICE_LOOK;
        if self.notice.is_none() || !self.looked_for_notice.is_none_or(is_due) {
            return;
        }
        self.looked_for_notice = Some(Instant::now());
        let today = SystemTime::now();
        let looked = self.notice.as_ref().map(|notice| notice.look(today));
        match looked {
            Some(Ok(Some(notice))) => {
                let left = notice
                    .end
                    .map(|end| end.duration_since(today).unwrap_or_default());
                let grace = left.map_or(self.job.grace, |left| left.min(self.job.grace));
                self.control().stop_for(Reason::Notice, Some(grace));
                self.notice = None;
            }
            Some(Err(error)) => {
                self.trouble(&error);
                self.notice = None;
            }
            _ => {}
        }
    }

    /// Waits this long, unless there is an outcome before.
    fn wait(&mut self, delay: Duration) -> Option<Outcome> {
        let begun = Instant::now();
        loop {
            if let Some(outcome) = self.over() {
                return Some(outcome);
            }
            let left = delay.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return None;
            }
            self.control().pause(left.min(LOOK));
        }
    }

    /// Writes down how it ended, and that nobody has the job any more.
    pub(super) fn end_run(mut self, mut outcome: Outcome) -> Result<Outcome, JobError> {
        let sets = self.attempts.store().list();
        let newest = sets
            .ok()
            .and_then(|sets| Some(sets.sets.first()?.sequence()));
        outcome.set = newest.filter(|newest| *newest > self.record.fresh_after);
        if matches!(outcome.reason, Reason::Killed | Reason::NotCheckpointed) {
            outcome.text += &match outcome.set {
                Some(set) => format!("; set {set} stays"),
                None => "; there is no checkpoint set".to_owned(),
            };
        }
        outcome.restarts = self.restarts;
        outcome.sets_sealed = self.sets_sealed;
        outcome.started_unix_ms = self.began_unix_ms;
        outcome.ended_unix_ms = unix_ms(SystemTime::now());
        if matches!(
            outcome.kind,
            OutcomeKind::Finished | OutcomeKind::KilledBySignal
        ) {
            self.limit.note_progress();
        }
        self.note_state();
        // First: nothing else may be left of this run if it is killed here.
        let written = outcome.write(&self.dir);
        let Self {
            output,
            attempts,
            job,
            dir,
            mut record,
            ..
        } = self;
        // They have its end of the program's pipes.
        let attempts = attempts.restart_streams(Stream::Null, Stream::Null, Stream::Null);
        let (log, mut troubles) = output.finish();
        let trouble = |text| {
            let event = JobEvent::Trouble { text };
            log.note(&event.to_string());
            job.control.tell(SystemTime::now(), &event);
        };
        troubles.extend(written.err().map(|error| with_causes(&error)));
        troubles.into_iter().for_each(trouble);
        log.note_durably(&JobEvent::Ended(Box::new(outcome.clone())).to_string());
        // Whoever waits for the end finds all logs complete.
        (record.owner, record.coordinator) = (None, None);
        if let Err(error) = record.write(&dir) {
            trouble(with_causes(&error));
        }
        // Up to here nobody else may write there.
        drop(attempts);
        Ok(outcome)
    }

    /// Takes what was learned into the record.
    fn note_state(&mut self) {
        let now = self.now();
        self.record.note_history(self.pace.interruptions(now));
        self.record.checkpoints = self.pace.cost().clone();
        self.record.restarts_since_progress = self.limit.restarts_since_progress();
    }

    /// Writes the record.
    pub(super) fn save(&mut self) {
        self.note_state();
        self.saved = Instant::now();
        if let Err(error) = self.record.write(&self.dir) {
            self.trouble(&error);
        }
    }

    /// What is to be done once in a while.
    pub(super) fn look_after(&mut self) {
        self.look_for_notice();
        if self.saved.elapsed() >= SAVE {
            self.save();
            if let Some(error) = self.output.trouble() {
                self.trouble(&error);
            }
        }
    }

    pub(super) fn control(&self) -> &'j JobControl {
        &self.job.control
    }

    /// The time as the policies count it.
    pub(super) fn now(&self) -> pace::Instant {
        pace::Instant::from_start(self.began.elapsed())
    }

    pub(super) fn tell(&self, event: &JobEvent) {
        self.output.note(&event.to_string());
        self.control().tell(SystemTime::now(), event);
    }

    pub(super) fn trouble(&self, error: &dyn std::error::Error) {
        self.tell(&JobEvent::Trouble {
            text: with_causes(error),
        });
    }
}

/// How often it is looked whether something is asked for.
pub(super) const LOOK: Duration = Duration::from_millis(100);
const NOTICE_LOOK: Duration = Duration::from_secs(1);
/// How often the record is written, at least.
pub(super) const SAVE: Duration = Duration::from_secs(60);
