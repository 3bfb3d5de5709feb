//! How an attempt begins: from the newest set, or afresh.

use std::{sync::atomic::Ordering, thread, time::Duration};

use super::{
    Begin, JobEvent, Outcome, OutcomeKind, Reason,
    life::{Ended, LOOK, Life},
    record::CoordinatorRecord,
};
use crate::{
    attempt::{Attempt, AttemptError, Recovered},
    server::Events,
    with_causes,
};

/// An attempt whose programs were started.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) attempt: Attempt,
    pub(super) events: Events,
    /// All its processes have been seen to run.
    pub(super) restarted: bool,
}

impl Life<'_, '_> {
    pub(super) fn begin(&mut self) -> Result<Begun, Ended> {
        if let Some(outcome) = self.over() {
            return Err(outcome.into());
        }
        let has_sets = !self.afresh && self.has_sets()?;
        self.record.attempts = self.record.attempts.saturating_add(1);
        self.output.begin_attempt();
        if has_sets {
            if !self.limit.allows_restart() {
                return Err(self.given_up().into());
            }
            self.limit.note_restart();
            self.save();
            return self.restart();
        }
        if self.job.begin_with() == Begin::Restart {
            let text = "there is no checkpoint set to restart from";
            return Err(Outcome::new(OutcomeKind::FailedToRestore, Reason::NoSet, text).into());
        }
        if !self.failures.is_empty() {
            // Again within this run: that, too, may lead nowhere for ever.
            self.limit.note_restart();
        }
        self.save();
        self.start()
    }

    fn has_sets(&self) -> Result<bool, Ended> {
        let failed = |error| cannot_begin(OutcomeKind::FailedToRestore, &error);
        let sets = self.attempts.store().list().map_err(failed)?;
        let after = self.record.fresh_after;
        // One that cannot be read is not taken for nothing.
        Ok(!sets.broken.is_empty() || sets.sets.iter().any(|set| set.sequence() > after))
    }

    fn start(&mut self) -> Result<Begun, Ended> {
        let failed =
            |error: &dyn std::error::Error| cannot_start(OutcomeKind::FailedBeforeReady, error);
        let Some(template) = &self.job.program else {
            return Err(failed(&AttemptError::NoProgram));
        };
        // Before the sets that are there are given up for it.
        template.look_for_program().map_err(|error| {
            let outcome = Outcome::new(
                OutcomeKind::FailedBeforeReady,
                Reason::NotStarted,
                error.to_string(),
            );
            outcome.hint(error.hint())
        })?;
        if self.afresh {
            let sets = self
                .attempts
                .store()
                .list()
                .map_err(|error| failed(&error))?;
            let newest = sets.sets.first().map_or(0, |set| set.sequence());
            self.record.fresh_after = newest.max(self.record.fresh_after);
            self.attempts.set_newer_than(self.record.fresh_after);
            self.record.last_set = None;
            self.limit.note_progress();
            self.afresh = false;
            self.save();
        }
        let streams = self.output.streams(&self.job.stdin);
        let program = template.program(&streams).map_err(|error| failed(&error))?;
        let attempt = self.attempts.start([program]);
        let attempt = attempt.map_err(|error| self.not_started(error))?;
        let address = attempt.computation().addr();
        let begun = self.begun(attempt, false);
        self.tell(&JobEvent::Started { address });
        Ok(begun)
    }

    fn not_started(&self, error: AttemptError) -> Ended {
        match error {
            AttemptError::HostsLeft { .. }
            | AttemptError::Leftover { .. }
            | AttemptError::Server(_) => Ended::Again(with_causes(&error)),
            error => cannot_start(OutcomeKind::FailedBeforeReady, &error),
        }
    }

    /// Restarts on a thread of its own, since whoever waits for it must go on seeing signals and the
    /// clock.
    fn restart(&mut self) -> Result<Begun, Ended> {
        let control = self.control();
        let recovered = thread::scope(|scope| {
            let attempts = &self.attempts;
            let restarting = thread::Builder::new()
                .name("restart".to_owned())
                .spawn_scoped(scope, || attempts.restart());
            let Ok(restarting) = restarting else {
                return self.attempts.restart();
            };
            while !restarting.is_finished() {
                if self.asked_to_end().is_some() {
                    control.interrupt().store(true, Ordering::Release);
                    thread::sleep(SHORT);
                } else {
                    control.pause(SHORT);
                }
            }
            restarting.join().unwrap_or(Err(AttemptError::Interrupted))
        });
        match recovered {
            Ok(recovered) => Ok(self.recovered(recovered)),
            Err(AttemptError::Interrupted) => {
                if self.control().stop_request().is_some() {
                    // It says nothing about the set.
                    let made = self.limit.restarts_since_progress();
                    self.limit = self.limit.made(made.saturating_sub(1));
                }
                let text = "it was interrupted before the program ran";
                let interrupted = Outcome::new(OutcomeKind::TryAgain, Reason::Interrupted, text);
                Err(self.over().unwrap_or(interrupted).into())
            }
            Err(error) => Err(self.not_restarted(&error)),
        }
    }

    fn recovered(&mut self, recovered: Recovered) -> Begun {
        let Recovered {
            attempt,
            set,
            took,
            failed,
            refused,
            ..
        } = recovered;
        let failed = failed.iter().map(ToString::to_string);
        for text in refused.iter().map(|error| with_causes(error)).chain(failed) {
            self.tell(&JobEvent::PassedOver { text });
        }
        self.restarts = self.restarts.saturating_add(1);
        self.record.restarts = self.record.restarts.saturating_add(1);
        let address = attempt.computation().addr();
        let begun = self.begun(attempt, true);
        self.tell(&JobEvent::Restarted {
            address,
            set: set.sequence(),
            took,
        });
        begun
    }

    fn not_restarted(&self, error: &AttemptError) -> Ended {
        match error {
            AttemptError::NoUsableSet { .. } => cannot_begin(OutcomeKind::FailedToRestore, error),
            AttemptError::NoTools
            | AttemptError::Tools(_)
            | AttemptError::Start(_)
            | AttemptError::Native(_) => cannot_start(OutcomeKind::FailedToRestore, error),
            error => Ended::Again(with_causes(error)),
        }
    }

    /// From here on others find it.
    fn begun(&mut self, attempt: Attempt, restarted: bool) -> Begun {
        let computation = attempt.computation();
        let events = computation.events();
        if let Err(error) = self.output.follow(computation.events()) {
            self.trouble(&error);
        }
        let id = computation
            .metrics()
            .ok()
            .and_then(|metrics| metrics.computation);
        self.record.coordinator = Some(CoordinatorRecord::new(computation.addr(), id));
        self.control().set_computation(Some(computation.clone()));
        self.save();
        Begun {
            attempt,
            events,
            restarted,
        }
    }
}

fn cannot_start(kind: OutcomeKind, error: &dyn std::error::Error) -> Ended {
    Outcome::new(kind, Reason::NotStarted, with_causes(error)).into()
}

fn cannot_begin(kind: OutcomeKind, error: &dyn std::error::Error) -> Ended {
    Outcome::new(kind, Reason::NoUsableSet, with_causes(error))
        .hint("`dmtcpctl verify` says what is wrong with each; `start --fresh` begins again")
        .into()
}

const SHORT: Duration = Duration::from_millis(20);
const _: () = assert!(SHORT.as_millis() < LOOK.as_millis());
