//! The policies together: what a job's loop has to do now.

use std::{fmt, time::Duration};

use super::{
    Backoff, CheckpointCost, CheckpointTime, EndSource, Instant, Interruptions, IntervalPlan,
    IntervalPolicy,
    deadline::{Earlier as _, End, needed},
    words::spoken,
};

/// When a job has to checkpoint, and when to stop.
///
/// It is told what happens, with the time at which it did, and answers [`decide`](Self::decide).
/// Times are those of one clock of the caller's that never goes back, counted from any start.
///
/// ```
/// use dmtcp_client::job::pace::{CheckpointTime, Decision, EndSource, Instant, IntervalPolicy, Pace};
/// use std::time::Duration;
///
/// let at = |seconds| Instant::from_start(Duration::from_secs(seconds));
/// let seconds = Duration::from_secs;
///
/// let mut pace = Pace::new(IntervalPolicy::Every(seconds(600))).grace(seconds(90));
/// pace.set_end(EndSource::Asked, at(3600));
/// pace.running(at(0));
/// assert_eq!(pace.decide(at(1)), Decision::Wait { until: Some(at(600)) });
/// assert!(matches!(pace.decide(at(600)), Decision::Checkpoint { .. }));
/// pace.checkpointed(at(650), CheckpointTime::new(seconds(45), seconds(50)));
/// // One took 50 s, the next may take twice as long: it begins well before the 90 s of grace.
/// assert!(matches!(pace.decide(at(3445)), Decision::CheckpointAndStop { .. }));
/// ```
#[derive(Clone, Debug)]
pub struct Pace {
    policy: IntervalPolicy,
    grace: Duration,
    retry: Backoff,
    cost: CheckpointCost,
    interruptions: Interruptions,
    /// At most one of each source.
    ends: Vec<End>,
    running: Option<Running>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    since: Instant,
    /// Up to when it was noted how long they ran.
    noted: Instant,
    /// When the last checkpoint began, and when the processes went on after it.
    began: Instant,
    went_on: Instant,
    failures: u32,
    failed_at: Instant,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// Nothing before then, unless something happens; `None`: nothing is planned at all.
    Wait {
        /// When to ask again.
        until: Option<Instant>,
    },
    /// Take a checkpoint and go on.
    Checkpoint {
        /// What is left until it is too late for it; `None`: no end is known.
        limit: Option<Duration>,
    },
    /// Take the last checkpoint and stop.
    CheckpointAndStop {
        /// What is left for it.
        limit: Duration,
        /// Who wants the job to be over.
        source: EndSource,
    },
    /// Kill the processes: no time is left for a checkpoint. The sets that are there stay.
    TooLate {
        /// Who wants the job to be over.
        source: EndSource,
    },
}

impl Pace {
    /// Without an end, a measurement or a record; with a minute and a half of grace.
    #[must_use]
    pub fn new(policy: IntervalPolicy) -> Self {
        Self {
            policy,
            grace: DEFAULT_GRACE,
            retry: Backoff::new(Duration::from_secs(5), Duration::from_secs(300)),
            cost: CheckpointCost::new(),
            interruptions: Interruptions::new(),
            ends: Vec::new(),
            running: None,
        }
    }

    /// How long before an end the last checkpoint begins at the latest; earlier where 95 of 100
    /// checkpoints take longer than two thirds of that. Never before half of the time from the
    /// start of the processes to the end is over. Default: 90 s.
    #[must_use]
    pub fn grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// Goes on with what was measured before.
    #[must_use]
    pub fn with_cost(self, cost: CheckpointCost) -> Self {
        Self { cost, ..self }
    }

    /// Goes on with a record from before.
    #[must_use]
    pub fn with_interruptions(self, interruptions: Interruptions) -> Self {
        Self {
            interruptions,
            ..self
        }
    }

    /// The processes run: started, or restarted from a set.
    pub fn running(&mut self, now: Instant) {
        self.note_run(now);
        self.running = Some(Running {
            since: now,
            noted: now,
            began: now,
            went_on: now,
            failures: 0,
            failed_at: now,
        });
    }

    /// A checkpoint is complete, whoever asked for it.
    pub fn checkpointed(&mut self, now: Instant, time: CheckpointTime) {
        self.note_run(now);
        self.cost.push(time);
        if let Some(running) = &mut self.running {
            running.began = now.earlier(time.sealed()).max(running.since);
            running.went_on = running.began + time.paused();
            running.failures = 0;
        }
    }

    /// A checkpoint failed; the next is tried after a while that grows with each failure.
    pub fn checkpoint_failed(&mut self, now: Instant) {
        if let Some(running) = &mut self.running {
            running.failures = running.failures.saturating_add(1);
            running.failed_at = now;
        }
    }

    /// The processes do not run any more, as was wanted or as they wanted.
    pub fn ended(&mut self, now: Instant) {
        self.note_run(now);
        self.running = None;
    }

    /// The processes do not run any more, and nobody wanted that.
    pub fn interrupted(&mut self, now: Instant) {
        if self.running.is_some() {
            self.ended(now);
            self.interruptions.note_interruption();
        }
    }

    /// The job has to be over at this time; what the same source said before is forgotten.
    pub fn set_end(&mut self, source: EndSource, at: Instant) {
        self.insert(End {
            at,
            source,
            at_once: None,
        });
    }

    /// The same, to be stopped for now and not only shortly before. One that came from this source
    /// before stays, if it is earlier.
    pub fn stop_within(&mut self, now: Instant, source: EndSource, grace: Duration) {
        let at = now + grace;
        let is_earlier = |end: &End| end.source == source && end.at_once.is_some() && end.at <= at;
        if !self.ends.iter().any(is_earlier) {
            self.insert(End {
                at,
                source,
                at_once: Some(now),
            });
        }
    }

    fn insert(&mut self, end: End) {
        self.ends.retain(|known| known.source != end.source);
        self.ends.push(end);
    }

    /// What to do. While a checkpoint is under way, ask only whether it is too late.
    #[must_use]
    pub fn decide(&self, now: Instant) -> Decision {
        let Some(running) = &self.running else {
            return Decision::Wait { until: None };
        };
        let Some(limits) = self.limits(running) else {
            return match self.due(running) {
                Some(due) if due > now => Decision::Wait { until: Some(due) },
                Some(_) => Decision::Checkpoint { limit: None },
                None => Decision::Wait { until: None },
            };
        };
        let left = limits.too_late_at - now;
        if left.is_zero() {
            return Decision::TooLate {
                source: limits.last.source,
            };
        }
        // With little time, little of it is waited after a failure.
        let again_at = match running.failures {
            0 => limits.stop_at,
            _ => running.failed_at + FIRST_RETRY.min((limits.too_late_at - running.failed_at) / 4),
        };
        let stop_at = limits.stop_at.max(again_at);
        if stop_at <= now {
            return Decision::CheckpointAndStop {
                limit: left,
                source: limits.stops.source,
            };
        }
        // One that would not fit is left out; the last one comes instead.
        let fits = |due: &Instant| {
            let begins = (*due).max(now);
            begins + needed(&self.cost).unwrap_or_default() < limits.stop_at
        };
        match self.due(running).filter(fits) {
            Some(due) if due > now => Decision::Wait { until: Some(due) },
            Some(_) => Decision::Checkpoint { limit: Some(left) },
            None => Decision::Wait {
                until: Some(stop_at),
            },
        }
    }

    /// When the next periodic checkpoint is due.
    fn due(&self, running: &Running) -> Option<Instant> {
        let plan = self.plan();
        let period = plan.period()?;
        let due = if plan.counts_from_beginning() {
            // The processes get half of the time at least, whatever was asked for.
            let pause = running.went_on - running.began;
            (running.began + period).max(running.went_on + pause)
        } else {
            running.went_on + period
        };
        if running.failures == 0 {
            return Some(due);
        }
        Some(due.max(running.failed_at + self.retry.delay(running.failures).min(period)))
    }

    fn limits(&self, running: &Running) -> Option<Limits> {
        let stop_at = |end: &End| end.stop_at(self.grace, &self.cost, running.since);
        let stops = *self.ends.iter().min_by_key(|end| stop_at(end))?;
        let too_late_at = |end: &End| end.too_late_at(stop_at(end));
        let last = *self.ends.iter().min_by_key(|end| too_late_at(end))?;
        Some(Limits {
            stop_at: stop_at(&stops),
            too_late_at: too_late_at(&last),
            stops,
            last,
        })
    }

    /// The interval that is kept now, which tells its reason.
    #[must_use]
    pub fn plan(&self) -> IntervalPlan {
        self.policy.plan(&self.cost, &self.interruptions)
    }

    /// What was measured, to be recorded.
    #[must_use]
    pub fn cost(&self) -> &CheckpointCost {
        &self.cost
    }

    /// How long the job ran until `now` and how often it was interrupted, to be recorded.
    #[must_use]
    pub fn interruptions(&self, now: Instant) -> Interruptions {
        let mut seen = self.interruptions;
        if let Some(running) = &self.running {
            seen.note_run(now - running.noted);
        }
        seen
    }

    /// How long after `now` the last checkpoint begins and who wants that; `None`: no end is
    /// known, or nothing runs.
    #[must_use]
    pub fn stops_in(&self, now: Instant) -> Option<(Duration, EndSource)> {
        let limits = self.limits(self.running.as_ref()?)?;
        Some((limits.stop_at - now, limits.stops.source))
    }

    /// In one line when it checkpoints and stops, and why then.
    #[must_use]
    pub fn explain(&self, now: Instant) -> String {
        let plan = self.plan();
        match self.stops_in(now) {
            Some((left, source)) => format!("{plan}; the last one in {} ({source})", spoken(left)),
            None => plan.to_string(),
        }
    }

    fn note_run(&mut self, now: Instant) {
        if let Some(running) = &mut self.running {
            self.interruptions.note_run(now - running.noted);
            running.noted = running.noted.max(now);
        }
    }
}

/// The ends together.
struct Limits {
    stop_at: Instant,
    stops: End,
    too_late_at: Instant,
    last: End,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait { .. } => f.write_str("nothing is due"),
            Self::Checkpoint { .. } => f.write_str("a periodic checkpoint is due"),
            Self::CheckpointAndStop { limit, source } => write!(
                f,
                "checkpoint and stop: {} are left ({source})",
                spoken(*limit)
            ),
            Self::TooLate { source } => write!(f, "no time is left for a checkpoint ({source})"),
        }
    }
}

const DEFAULT_GRACE: Duration = Duration::from_secs(90);
/// After a failure of the last checkpoint.
const FIRST_RETRY: Duration = Duration::from_secs(2);

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
