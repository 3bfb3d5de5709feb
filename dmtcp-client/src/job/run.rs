//! One run of a job: whether it may run in its directory, whether there is anything left to do, and then
//! its life.
//!
//! Not here: that life (`life`), and how another run is told from none (`claim`).

use std::{path::Path, thread, time::SystemTime};

use super::{
    Begin, Job, JobControl, JobError, JobEvent, JobRecord, Outcome, OutcomeKind, Reason,
    StateError,
    claim::{claim, held_elsewhere},
    life::Life,
    output::Output,
};
use crate::{attempt::Attempts, process::Exit, server::Server, set, with_causes};

/// Runs the job, whatever comes of it, and tells its listeners that it is over.
pub(super) fn live(job: &Job, server: &Server) -> Result<Outcome, JobError> {
    let over = Over(&job.control);
    let mut outcome = run(job, server);
    if let Ok(outcome) = &mut outcome {
        outcome.code = job.exit_codes.of(outcome.kind, outcome.exit);
        let event = JobEvent::Ended(Box::new(outcome.clone()));
        job.control.tell(SystemTime::now(), &event);
    }
    over.with(outcome.as_ref().ok().cloned());
    outcome
}

/// Tells whoever waits that nothing comes any more, also when this thread panics, as code of the caller's
/// may in the middle of it ([`Job::configure`], a sealer).
struct Over<'a>(&'a JobControl);

impl Over<'_> {
    fn with(self, outcome: Option<Outcome>) {
        self.0.end(outcome);
    }
}

impl Drop for Over<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end(None);
        }
    }
}

fn run(job: &Job, server: &Server) -> Result<Outcome, JobError> {
    let dir = std::path::absolute(&job.dir).unwrap_or_else(|_| job.dir.clone());
    // Before anything is made there.
    let record = check(job, &dir)?;
    if let Some(outcome) = held_elsewhere(&dir, &record, &job.control) {
        return Ok(*outcome);
    }
    let attempts = match claim(server, &dir) {
        Ok(attempts) => attempts,
        Err(outcome) => return Ok(*outcome),
    };
    // By now nobody else writes there.
    let record = check(job, &dir)?;
    if job.begin_with() == Begin::GoOn {
        if let Some(outcome) = finished_before(&dir)? {
            say_farewell(&dir, record)?;
            return Ok(outcome);
        }
    }
    let after_crash = record.owner.is_some();
    let output = match Output::open(job, &dir) {
        Ok(output) => output,
        Err(error) => return Ok(environment(&error)),
    };
    let attempts = configured(job, attempts, &output, &record);
    let mut life = Life::new(job, attempts, dir, record, output);
    let mut outcome = match life.begin_run(after_crash) {
        Ok(()) => life.attempts(),
        Err(error) => environment(&error),
    };
    outcome.code = job.exit_codes.of(outcome.kind, outcome.exit);
    life.end_run(outcome)
}

/// The record of the job, if it is this one's.
fn check(job: &Job, dir: &Path) -> Result<JobRecord, JobError> {
    let found = JobRecord::read(dir)?;
    let asked = job.program.as_ref().map(|program| {
        program.record().map_err(|source| JobError::Thread {
            action: "find the working directory",
            source,
        })
    });
    let asked = asked.transpose()?;
    let record = match (found, asked) {
        (Some(found), Some(asked))
            if found.program.argv != asked.argv || found.program.kind != asked.kind =>
        {
            if never_started(&found, dir)? {
                return Ok(JobRecord::new(asked));
            }
            return Err(JobError::OtherProgram {
                dir: dir.to_owned(),
                found: found.program.argv,
                asked: asked.argv,
            });
        }
        (Some(found), _) => found,
        (None, Some(asked)) => JobRecord::new(asked),
        (None, None) => {
            return Err(JobError::NoJob {
                dir: dir.to_owned(),
            });
        }
    };
    if job.begin_with() == Begin::Start {
        let sets = set::list(dir).unwrap_or_default().sets.into_iter();
        let sets = sets.map(|set| set.sequence());
        let sets: Vec<u64> = sets.filter(|set| *set > record.fresh_after).collect();
        if let Some(newest) = sets.iter().copied().max() {
            return Err(JobError::SetsThere {
                dir: dir.to_owned(),
                count: sets.len(),
                newest,
            });
        }
    }
    Ok(record)
}

/// Whether the program of this job never came to be started: then a command that was mended may have
/// the directory.
fn never_started(record: &JobRecord, dir: &Path) -> Result<bool, JobError> {
    let fresh = record.owner.is_none() && record.ran_ms == 0 && record.sets_sealed == 0;
    let empty = |sets: set::Listing| sets.sets.is_empty() && sets.broken.is_empty();
    let outcome = Outcome::read(dir)?;
    Ok(fresh
        && outcome.is_some_and(|outcome| outcome.reason == Reason::NotStarted)
        && set::list(dir).is_ok_and(empty))
}

fn finished_before(dir: &Path) -> Result<Option<Outcome>, JobError> {
    let outcome = Outcome::read(dir)?;
    let is_done = |outcome: &Outcome| {
        outcome.kind == OutcomeKind::Finished && outcome.exit == Some(Exit::Code(0))
    };
    Ok(outcome.filter(is_done).map(|mut outcome| {
        outcome.reason = Reason::FinishedBefore;
        outcome.text = "the program had finished with exit code 0 before".to_owned();
        outcome.hint("`start --fresh` runs it again")
    }))
}

/// For a run that was cut short when it had already written down its outcome: else it would be taken for
/// lost for ever.
fn say_farewell(dir: &Path, mut record: JobRecord) -> Result<(), StateError> {
    if record.owner.is_none() {
        return Ok(());
    }
    (record.owner, record.coordinator) = (None, None);
    record.write(dir)
}

fn environment(error: &dyn std::error::Error) -> Outcome {
    let kind = OutcomeKind::FailedBeforeReady;
    Outcome::new(kind, Reason::Environment, with_causes(error))
}

fn configured<'s>(
    job: &Job,
    mut attempts: Attempts<'s>,
    output: &Output,
    record: &JobRecord,
) -> Attempts<'s> {
    if let Some(tools) = &job.tools {
        attempts = attempts.tools(tools.clone());
    }
    let [stdin, stdout, stderr] = output.streams(&job.stdin).all();
    // Elsewhere it may be another one: the directory from which it is run now.
    let directory = job.directory().unwrap_or(&record.program.directory);
    if directory.is_dir() {
        attempts = attempts.restart_in(directory);
    }
    (job.configure)(attempts)
        .interval(crate::Interval::Never)
        .restart_streams(stdin, stdout, stderr)
        .newer_than(record.fresh_after)
        .interrupted_by(job.control.interrupt())
}

impl Job {
    fn directory(&self) -> Option<&Path> {
        self.program.as_ref()?.directory()
    }

    pub(super) fn begin_with(&self) -> Begin {
        match self.program {
            Some(_) => self.begin,
            None => Begin::Restart,
        }
    }
}
