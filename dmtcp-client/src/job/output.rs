//! What a run leaves in the logs of its state directory, and where the program writes to.

use std::{io, path::Path, time::Duration};

use super::{
    ApplicationLog, Channel, CoordinatorLog, ExecutionLog, Following, Job, LogError,
    program::Streams,
};
use crate::{
    process::{SharedStream, Stream},
    server::Events,
};

/// The logs of one run, open.
#[derive(Debug)]
pub(super) struct Output {
    application: ApplicationLog,
    execution: ExecutionLog,
    coordinator: CoordinatorLog,
    stdout: SharedStream,
    stderr: SharedStream,
    following: Option<Following>,
}

impl Output {
    pub(super) fn open(job: &Job, dir: &Path) -> Result<Self, LogError> {
        let mut application = ApplicationLog::open(&dir.join("application.log"))?;
        if job.show {
            application = application
                .show(Channel::Stdout, io::stdout())?
                .show(Channel::Stderr, io::stderr())?;
        }
        Ok(Self {
            stdout: application.pipe(Channel::Stdout)?.into(),
            stderr: application.pipe(Channel::Stderr)?.into(),
            execution: ExecutionLog::open(&dir.join("execution.log"))?,
            coordinator: CoordinatorLog::open(&dir.join("coordinator.log"))?,
            application,
            following: None,
        })
    }

    pub(super) fn streams(&self, stdin: &Stream) -> Streams {
        Streams {
            stdin: stdin.clone(),
            stdout: self.stdout.clone(),
            stderr: self.stderr.clone(),
        }
    }

    /// What the program said before is not of the attempt that begins.
    pub(super) fn begin_attempt(&self) {
        self.application.last_words().forget();
    }

    /// Whether DMTCP said that it ends a process, since it failed.
    pub(super) fn tells_of_dmtcps_failure(&self) -> bool {
        self.application.last_words().tell_of_failure(LAST_WORDS)
    }

    pub(super) fn note(&self, text: &str) {
        self.execution.note(text);
    }

    /// Writes down what happens in the computation of an attempt.
    pub(super) fn follow(&mut self, events: Events) -> Result<(), LogError> {
        self.following = Some(self.coordinator.follow(events)?);
        Ok(())
    }

    /// The computation has ended; waits until that is written down, too.
    pub(super) fn followed(&mut self) {
        if let Some(following) = self.following.take() {
            // A slow disk is no reason to wait longer: the thread goes on.
            let _ = following.wait(LAST_LINES);
        }
    }

    /// What is wrong with a log, once.
    pub(super) fn trouble(&self) -> Option<LogError> {
        let application = self.application.trouble();
        let others = || {
            let execution = self.execution.trouble();
            execution.or_else(|| self.coordinator.trouble())
        };
        application.or_else(others)
    }

    /// Waits until all that the program wrote is on the disk and shown; the troubles of that.
    pub(super) fn finish(self) -> (ExecutionLog, Vec<String>) {
        let Self {
            application,
            execution,
            stdout,
            stderr,
            ..
        } = self;
        // Whoever keeps them open keeps it waiting.
        drop((stdout, stderr));
        let written = application.finish(LAST_OUTPUT);
        let mut troubles = Vec::new();
        if written.lost > 0 {
            let lost = written.lost;
            troubles.push(format!("{lost} bytes are missing in application.log"));
        }
        if !written.complete {
            troubles.push("a process that was left behind has the program's output open".into());
        }
        troubles.extend(written.trouble.map(|error| crate::with_causes(&error)));
        (execution, troubles)
    }
}

/// Who reads the pipe is as busy as the machine.
const LAST_WORDS: Duration = Duration::from_secs(2);
const LAST_LINES: Duration = Duration::from_secs(2);
const LAST_OUTPUT: Duration = Duration::from_secs(10);
