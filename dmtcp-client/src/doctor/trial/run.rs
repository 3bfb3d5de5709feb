//! The steps of a trial, one after the other. What follows from what is seen: `cause`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::super::{Finding, Verdict, checks::storage::Scratch};
use super::{OnStep, Trial, TrialReport, What, output::last_lines, report::Told};
use crate::{
    attempt::{Attempt, AttemptError, Attempts, StallPolicy},
    deadline::Deadline,
    process::{Exit, Stream},
    server::Server,
    with_causes,
};

/// The trial is over: it was told why.
pub(super) struct Over;

pub(super) type Flow<T> = Result<T, Over>;

pub(super) fn run(mut trial: Trial) -> TrialReport {
    let begun = Instant::now();
    let mut stage = Stage {
        settings: Settings {
            run_for: trial.run_for,
            limit: trial.limit,
            stall_after: trial.stall_after,
            settle: trial.settle,
            under_dmtcp: matches!(trial.what, What::Dmtcp { .. }),
            gzip: trial.gzip,
            dir: trial.dir.clone(),
        },
        interrupt: trial.interrupt.clone(),
        on_step: std::mem::take(&mut trial.on_step),
        report: TrialReport::default(),
        outside: BTreeSet::new(),
    };
    let scratch = match Scratch::in_dir(&trial.dir) {
        Ok(scratch) => scratch,
        Err(error) => {
            let dir = trial.dir.display();
            let seen = format!("cannot make a directory in {dir}: {error}");
            let told = Finding::failure("start", seen).advice("give a directory that is yours");
            stage.tell(Told::new(told, "no-directory"), begun);
            return stage.report;
        }
    };
    let output = scratch.path().join("output");
    let told = stage.go(trial, scratch.path(), &output);
    let is_bad = |verdict| verdict == Verdict::Failure;
    let mut report = stage.report;
    // What goes wrong may be told at the very end of it.
    if told.is_err() || report.steps.iter().any(|step| is_bad(step.finding.verdict)) {
        report.output = last_lines(&output);
    }
    report
}

pub(super) struct Stage {
    pub(super) settings: Settings,
    pub(super) interrupt: Arc<AtomicBool>,
    pub(super) on_step: OnStep,
    pub(super) report: TrialReport,
    /// Processes that DMTCP is not in.
    pub(super) outside: BTreeSet<i32>,
}

pub(super) struct Settings {
    pub(super) run_for: Duration,
    pub(super) limit: Duration,
    pub(super) stall_after: Duration,
    pub(super) settle: Duration,
    pub(super) under_dmtcp: bool,
    pub(super) gzip: bool,
    pub(super) dir: PathBuf,
}

impl Stage {
    fn go(&mut self, trial: Trial, scratch: &Path, output: &Path) -> Flow<()> {
        if let What::Dmtcp { program, .. } = &trial.what {
            self.program(program)?;
        }
        let begun = Instant::now();
        let server = Server::start();
        let server = self.or_over(server, "start", "no-coordinator", begun)?;
        let attempts = Attempts::open(&server, &scratch.join("job"));
        let attempts = self.or_over(attempts, "start", "no-directory", begun)?;
        let log = Stream::File(output.to_owned());
        let mut attempts = attempts
            .restart_streams(Stream::Null, log.clone(), log.clone())
            .restart_limit(trial.limit)
            .tries(trial.tries)
            .on_stall(StallPolicy::Restart, trial.stall_after)
            .interrupted_by(trial.interrupt.clone());
        if let What::Dmtcp { tools, .. } = &trial.what {
            attempts = attempts.tools(tools.clone());
        }
        let attempt = self.start(&attempts, trial.what, &log, begun)?;
        let done = self.first(&attempts, &attempt);
        let begun = Instant::now();
        let killed = attempt.kill();
        if done.is_err() {
            self.clear(killed, begun);
            return Err(Over);
        }
        let killed = killed.map(|()| "all processes, at once");
        let killed = self.or_over(killed, "kill", "not-killed", begun)?;
        self.ok("kill", killed, begun);

        let recovered = self.restart(&attempts)?;
        let watched = self.go_on(&recovered);
        let begun = Instant::now();
        let killed = recovered.kill();
        self.clear(killed, begun);
        watched
    }

    pub(super) fn clear(&mut self, killed: Result<(), AttemptError>, begun: Instant) {
        const SLUG: &str = "clear";
        match killed {
            Ok(()) => self.ok(SLUG, "nothing of it is left", begun),
            Err(error) => {
                let told = Finding::failure(SLUG, with_causes(&error));
                self.tell(Told::new(told, "not-killed"), begun);
            }
        }
    }

    pub(super) fn ok(&mut self, slug: &str, seen: &str, begun: Instant) {
        self.tell(Finding::ok(slug, seen).into(), begun);
    }

    pub(super) fn tell(&mut self, told: Told, begun: Instant) {
        self.report.push(told, begun.elapsed());
        if let (Some(tell), Some(step)) = (&mut self.on_step.0, self.report.steps.last()) {
            tell(step);
        }
    }

    pub(super) fn over<T>(&mut self, told: Told, begun: Instant) -> Flow<T> {
        self.tell(told, begun);
        Err(Over)
    }

    pub(super) fn or_over<T, E: std::error::Error>(
        &mut self,
        result: Result<T, E>,
        slug: &str,
        cause: &'static str,
        begun: Instant,
    ) -> Flow<T> {
        result.or_else(|error| {
            let told = Finding::failure(slug, with_causes(&error));
            self.over(Told::new(told, cause), begun)
        })
    }

    pub(super) fn check_interrupt(&mut self, begun: Instant) -> Flow<()> {
        if !self.interrupt.load(Ordering::Acquire) {
            return Ok(());
        }
        let told = Finding::failure("interrupt", "the trial was interrupted");
        self.over(Told::new(told, "interrupted"), begun)
    }
}

/// How all programs ended, if they did; without the stall for which they were killed.
pub(super) fn finished(attempt: &Attempt) -> Option<Vec<Exit>> {
    attempt.finished().ok().flatten()
}

/// One that was just lost may take a moment to be seen to have ended.
pub(super) fn soon_finished(attempt: &Attempt) -> Option<Vec<Exit>> {
    let deadline = Deadline::after(SOON);
    loop {
        let found = finished(attempt);
        if found.is_some() || deadline.has_passed() {
            return found;
        }
        deadline.pause(LOOK);
    }
}

/// `1 process runs`, `2 processes run`.
pub(super) fn run_on(count: u32) -> String {
    let verb = if count == 1 { "runs" } else { "run" };
    format!("{} {verb}", processes(count))
}

pub(super) fn processes(count: u32) -> String {
    match count {
        1 => "1 process".to_owned(),
        count => format!("{count} processes"),
    }
}

/// How often it is looked.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// How long the end of a process may take to be seen.
const SOON: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        assert_eq!([processes(1), processes(3)], ["1 process", "3 processes"]);
        assert_eq!(
            [run_on(1), run_on(0)],
            ["1 process runs", "0 processes run"]
        );
    }
}
