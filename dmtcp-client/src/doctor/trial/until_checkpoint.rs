//! The first half of a trial: from the start of the program to its checkpoint.

use std::{
    env,
    ffi::OsStr,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use super::super::{Finding, checks::storage::Free, world::size};
use super::{
    What,
    cause::{ended, stalled},
    look::{Family, look_for_conflicts, silent},
    program::{FileKind, ProgramFile},
    report::Told,
    run::{Flow, LOOK, Stage, finished, processes, soon_finished},
};
use crate::{
    Launch,
    attempt::{Attempt, AttemptError, Attempts, Program},
    deadline::Deadline,
    image::inspect,
    process::Stream,
    server::{Sealed, ServerError},
    with_causes,
};

impl Stage {
    /// From its start to its checkpoint.
    pub(super) fn first(&mut self, attempts: &Attempts<'_>, attempt: &Attempt) -> Flow<()> {
        self.join(attempt)?;
        self.watch(attempt)?;
        let looked = look_for_conflicts(attempt, self.settings.under_dmtcp);
        self.report.conflicts = looked.conflicts;
        self.outside = looked.outside;
        self.checkpoint(attempts, attempt)
    }

    pub(super) fn program(&mut self, program: &OsStr) -> Flow<()> {
        const SLUG: &str = "program";
        let begun = Instant::now();
        let path = env::var_os("PATH");
        let file = match ProgramFile::find(program, path.as_deref()) {
            Ok(file) => file,
            Err(error) => {
                let finding = Finding::failure(SLUG, error.to_string()).advice(error.hint());
                return self.over(Told::new(finding, "no-program"), begun);
            }
        };
        let at = file.path.display();
        let told = match &file.kind {
            FileKind::Static => Finding::warning(SLUG, format!("{at} is linked statically")),
            _ if file.privileged => Finding::warning(SLUG, format!("{at} is setuid or setgid")),
            FileKind::Script(interpreter) => Finding::note(
                SLUG,
                format!("{at} is a script: DMTCP runs {}", interpreter.display()),
            )
            .advice(
                "if it only starts another program, name that one: its shell is in the set, too",
            ),
            FileKind::Unknown => {
                Finding::note(SLUG, format!("{at} is of no kind that is known here"))
            }
            FileKind::Dynamic => Finding::ok(SLUG, format!("{at}, which DMTCP can enter")),
        };
        self.tell(told.into(), begun);
        Ok(())
    }

    pub(super) fn start(
        &mut self,
        attempts: &Attempts<'_>,
        what: What,
        log: &Stream,
        begun: Instant,
    ) -> Flow<Attempt> {
        let program = match what {
            What::Native(command) => Program::from(command),
            What::Dmtcp {
                tools,
                program,
                args,
            } => Launch::new(&tools, program)
                .args(args)
                .gzip(self.settings.gzip)
                .stdout(log.clone())
                .stderr(log.clone())
                .into(),
        };
        let started = attempts.start([program]);
        let attempt = self.or_over(started, "start", "not-started", begun)?;
        self.ok("start", "on a coordinator of its own", begun);
        Ok(attempt)
    }

    fn join(&mut self, attempt: &Attempt) -> Flow<()> {
        const SLUG: &str = "join";
        let begun = Instant::now();
        let deadline = Deadline::after(self.settings.limit);
        let mut hopeless_since: Option<Instant> = None;
        loop {
            match attempt.wait_until_running(LOOK.min(deadline.left())) {
                Ok(status) if status.peers > 0 => {
                    let seen = format!("{} at the coordinator", processes(status.peers));
                    self.ok(SLUG, &seen, begun);
                    return Ok(());
                }
                Ok(_) => thread::sleep(LOOK.min(deadline.left())),
                Err(AttemptError::Ended { exits }) => return self.over(ended(SLUG, &exits), begun),
                Err(AttemptError::Server(error)) if is_time_out(&error) => {}
                Err(error) => {
                    let told = Finding::failure(SLUG, with_causes(&error));
                    return self.over(Told::new(told, "no-coordinator"), begun);
                }
            }
            self.check_interrupt(begun)?;
            let mut silent = silent(attempt);
            let patience = silent.patience(self.settings.stall_after);
            match patience {
                None => hopeless_since = None,
                Some(_) => drop(hopeless_since.get_or_insert_with(Instant::now)),
            }
            let since = hopeless_since.map_or(Duration::ZERO, |since| since.elapsed());
            let is_hopeless = patience.is_some_and(|patience| since >= patience);
            if is_hopeless || deadline.has_passed() {
                silent.look_at_file();
                let under_dmtcp = self.settings.under_dmtcp && !silent.is_alone();
                self.report.conflicts = look_for_conflicts(attempt, under_dmtcp).conflicts;
                return self.over(silent.told(), begun);
            }
        }
    }

    /// Lets it run.
    fn watch(&mut self, attempt: &Attempt) -> Flow<()> {
        const SLUG: &str = "run";
        let begun = Instant::now();
        let deadline = Deadline::after(self.settings.run_for);
        while !deadline.has_passed() {
            deadline.pause(LOOK);
            self.check_interrupt(begun)?;
            if let Some(exits) = finished(attempt) {
                return self.over(ended(SLUG, &exits), begun);
            }
        }
        let count = u32::try_from(Family::of(attempt).count()).unwrap_or(u32::MAX);
        self.ok(SLUG, &processes(count), begun);
        Ok(())
    }

    fn checkpoint(&mut self, attempts: &Attempts<'_>, attempt: &Attempt) -> Flow<()> {
        const SLUG: &str = "checkpoint";
        let begun = Instant::now();
        let deadline = Deadline::after(self.settings.limit);
        loop {
            let error = match self.call(attempt, deadline.left()) {
                Ok(sealed) => {
                    let told = self.measure(attempts, &sealed, begun.elapsed());
                    self.tell(told.into(), begun);
                    return Ok(());
                }
                Err(error) => error,
            };
            self.check_interrupt(begun)?;
            if let Err(AttemptError::Stalled(stall)) = attempt.check_stall() {
                return self.over(stalled(&stall, &self.outside), begun);
            }
            if let Some(exits) = soon_finished(attempt) {
                return self.over(ended(SLUG, &exits), begun);
            }
            let told = match error {
                // Processes come and go.
                ServerError::NotRunning | ServerError::Busy { .. } if !deadline.has_passed() => {
                    deadline.pause(LOOK);
                    continue;
                }
                ServerError::TimedOut {
                    stall: Some(stall), ..
                } => stalled(&stall, &self.outside),
                error @ ServerError::TimedOut { .. } => Told::new(
                    Finding::failure(SLUG, with_causes(&error))
                        .advice("give it a longer limit, a faster disk, or no compression"),
                    "checkpoint-timed-out",
                ),
                error => Told::new(
                    Finding::failure(SLUG, with_causes(&error))
                        .advice("what DMTCP says of it is in the output"),
                    "checkpoint-failed",
                ),
            };
            return self.over(told, begun);
        }
    }

    /// A checkpoint that ends early when the trial is interrupted.
    fn call(&self, attempt: &Attempt, limit: Duration) -> Result<Sealed, ServerError> {
        let computation = attempt.computation();
        thread::scope(|scope| {
            let call = thread::Builder::new()
                .name("trial-checkpoint".to_owned())
                .spawn_scoped(scope, || computation.checkpoint(limit))
                .map_err(|source| ServerError::Start { source })?;
            while !call.is_finished() {
                thread::sleep(CALL_LOOK);
                if self.interrupt.load(Ordering::Acquire) {
                    // The call comes back with the round; that it was interrupted is told by the
                    // caller.
                    drop(computation.kill_workers(limit));
                }
            }
            call.join().unwrap_or(Err(ServerError::ServerGone))
        })
    }

    /// What the set is like.
    fn measure(&mut self, attempts: &Attempts<'_>, sealed: &Sealed, took: Duration) -> Finding {
        const SLUG: &str = "checkpoint";
        let count = sealed.images.len();
        self.report.processes = Some(count);
        let seen = processes(u32::try_from(count).unwrap_or(u32::MAX));
        let listing = attempts.store().list().ok();
        let newest = listing.and_then(|listing| listing.sets.into_iter().next());
        let Some(set) = newest else {
            return Finding::ok(SLUG, seen);
        };
        let bytes = set.total_bytes();
        self.report.set_bytes = Some(bytes);
        let mut compressed = String::new();
        if self.settings.under_dmtcp {
            let images = set.manifest().images.iter();
            let memory =
                images.filter_map(|image| inspect(&set.dir().join(&image.file)).ok()?.memory);
            let memory: u64 = memory.map(|memory| memory.total.stored_bytes).sum();
            self.report.memory_bytes = Some(memory);
            if self.settings.gzip {
                compressed = format!(" of {} of memory, compressed", size(memory));
            }
        }
        let seen = format!("{seen}, a set of {}{compressed}", size(bytes));
        let free = Free::at(&self.settings.dir).map_or(u64::MAX, |free| free.bytes);
        if free < bytes.saturating_mul(2) {
            return Finding::warning(SLUG, seen).advice(format!(
                "only {} are free there: a new set is written beside the last one",
                size(free)
            ));
        }
        if !compressed.is_empty() && took > SLOW {
            return Finding::note(SLUG, seen)
                .advice("--no-gzip is several times faster, with larger images");
        }
        Finding::ok(SLUG, seen)
    }
}

fn is_time_out(error: &ServerError) -> bool {
    matches!(error, ServerError::TimedOut { .. })
}

/// A checkpoint that is worth speeding up.
const SLOW: Duration = Duration::from_secs(3);
/// How soon the end of a checkpoint is seen.
const CALL_LOOK: Duration = Duration::from_millis(5);
