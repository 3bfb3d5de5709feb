//! `execution.log`: what was done about a job, and when.

use std::{path::Path, time::SystemTime};

use super::{LogError, file::LineLog};

/// What was done, one line each: the time in UTC to the millisecond, as `2026-11-22T15:14:50.123Z`, and
/// a text. Several processes may add to it at the same time.
#[derive(Debug)]
pub struct ExecutionLog {
    lines: LineLog,
}

impl ExecutionLog {
    /// Name of the file in the state directory.
    pub const FILE_NAME: &str = "execution.log";

    /// The log in this file, which is made if it is not there. What is in it stays.
    ///
    /// # Errors
    ///
    /// [`LogError::Open`], [`LogError::NotAFile`].
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let lines = LineLog::open(path)?;
        Ok(Self { lines })
    }

    /// Adds a line with the time that it is now. Control characters are shown in it, not obeyed, and
    /// texts are cut after 16 KiB.
    ///
    /// A job does not end because its log cannot be written: [`trouble`](Self::trouble) says so.
    pub fn note(&self, text: &str) {
        self.lines.add(SystemTime::now(), text);
    }

    /// The same, and it is on the disk when it returns: for what must be known after a crash.
    pub fn note_durably(&self, text: &str) {
        self.note(text);
        self.lines.sync();
    }

    /// Why the log is not written; `None` if it is, or this was told since it last was.
    #[must_use]
    pub fn trouble(&self) -> Option<LogError> {
        self.lines.trouble()
    }
}
