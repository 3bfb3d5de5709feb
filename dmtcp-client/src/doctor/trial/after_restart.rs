//! The second half of a trial: the restart, and whether the program goes on behind it.

use std::time::{Duration, Instant};

use super::super::Finding;
use super::{
    cause::{ended, not_restarted},
    look::Family,
    report::Told,
    run::{Flow, LOOK, Over, Stage, finished, processes, run_on, soon_finished},
};
use crate::{
    attempt::{Attempt, AttemptError, Attempts},
    deadline::Deadline,
    with_causes,
};

impl Stage {
    pub(super) fn restart(&mut self, attempts: &Attempts<'_>) -> Flow<Attempt> {
        const SLUG: &str = "restart";
        let begun = Instant::now();
        let recovered = match attempts.restart() {
            Ok(recovered) => recovered,
            Err(AttemptError::NoRestart { failed, .. }) => {
                return self.over(not_restarted(&failed), begun);
            }
            Err(AttemptError::Interrupted) => {
                self.check_interrupt(begun)?;
                return Err(Over);
            }
            Err(error) => {
                let told = Finding::failure(SLUG, with_causes(&error));
                return self.over(Told::new(told, "restart-failed"), begun);
            }
        };
        let count = u32::try_from(recovered.set.manifest().images.len()).unwrap_or(u32::MAX);
        let seen = format!(
            "{} ran again after {:.1} s",
            processes(count),
            recovered.took.as_secs_f64()
        );
        match recovered.failed.last() {
            None => self.ok(SLUG, &seen, begun),
            Some(last) => {
                let tries = recovered.failed.len();
                let told = Finding::warning(
                    SLUG,
                    format!(
                        "{seen}; {tries} tries before it failed: {}",
                        with_causes(&last.reason)
                    ),
                )
                .advice(
                    "restarts are tried again by themselves; another release may need that less",
                );
                self.tell(Told::new(told, "restart-flaky"), begun);
            }
        }
        Ok(recovered.attempt)
    }

    pub(super) fn go_on(&mut self, attempt: &Attempt) -> Flow<()> {
        const SLUG: &str = "go-on";
        let begun = Instant::now();
        let used = Family::of(attempt).processor_time();
        let deadline = Deadline::after(self.settings.settle);
        while !deadline.has_passed() {
            deadline.pause(LOOK);
            self.check_interrupt(begun)?;
            if let Some(exits) = finished(attempt) {
                return self.over(ended(SLUG, &exits), begun);
            }
        }
        // Processes that come and go keep all from running at the same time.
        let status = attempt
            .computation()
            .wait_until_running(None, self.settings.limit.min(LONGEST_PAUSE));
        let expected = self.report.processes.unwrap_or_default();
        let family = Family::of(attempt);
        let Ok(status) = status else {
            if let Some(exits) = soon_finished(attempt) {
                return self.over(ended(SLUG, &exits), begun);
            }
            let seen = format!("its {expected} processes did not all run on");
            let told =
                Finding::failure(SLUG, seen).advice("see what they are known to conflict with");
            return self.over(Told::new(told, "died-after-restart"), begun);
        };
        let ticks = family.processor_time().saturating_sub(used);
        let work = match ticks {
            0 => "idle".to_owned(),
            ticks => format!("{} ms of processor time since", ticks.saturating_mul(10)),
        };
        let seen = format!("{} on, {work}", run_on(status.peers));
        match usize::try_from(status.peers).is_ok_and(|peers| peers < expected) {
            false => self.ok(SLUG, &seen, begun),
            true => {
                let told = Finding::warning(SLUG, format!("{seen}; there were {expected}"));
                self.tell(Told::new(told, "fewer-processes"), begun);
            }
        }
        Ok(())
    }
}

/// In which not all processes may be seen to run behind a restart.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
