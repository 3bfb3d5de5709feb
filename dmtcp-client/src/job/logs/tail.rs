//! Reading a log while it is written. Not here: what is in it.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{ApplicationLog, CoordinatorLog, ExecutionLog, LogError};

/// Which of a job's logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogKind {
    /// [`ApplicationLog`].
    Application,
    /// [`ExecutionLog`].
    Execution,
    /// [`CoordinatorLog`].
    Coordinator,
}

impl LogKind {
    /// Name of its file in the state directory.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Application => ApplicationLog::FILE_NAME,
            Self::Execution => ExecutionLog::FILE_NAME,
            Self::Coordinator => CoordinatorLog::FILE_NAME,
        }
    }
}

/// A log that is read from some place on, as far as it is written, again and again.
#[derive(Debug)]
pub struct LogTail {
    path: PathBuf,
    file: File,
}

impl LogTail {
    /// From the beginning of this log of the job in `directory`.
    ///
    /// # Errors
    ///
    /// [`LogError::Open`].
    pub fn open(directory: &Path, which: LogKind) -> Result<Self, LogError> {
        let path = directory.join(which.file_name());
        match File::open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(LogError::Open { path, source }),
        }
    }

    /// From the last so many lines on.
    ///
    /// # Errors
    ///
    /// [`LogError::ReadFile`].
    pub fn last_lines(mut self, lines: u64) -> Result<Self, LogError> {
        let start = self.start_of_last(lines);
        let sought = start.and_then(|start| self.file.seek(SeekFrom::Start(start)));
        sought.map_err(|source| self.failed(source))?;
        Ok(self)
    }

    /// What was written behind the last read, at most 64 KiB of it; empty: nothing yet. A log that was
    /// made shorter is read from its beginning.
    ///
    /// # Errors
    ///
    /// [`LogError::ReadFile`].
    pub fn read(&mut self) -> Result<Vec<u8>, LogError> {
        self.read_on().map_err(|source| self.failed(source))
    }

    fn read_on(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; PIECE];
        loop {
            match self.file.read(&mut bytes) {
                Ok(0) if self.file.stream_position()? > self.file.metadata()?.len() => {
                    self.file.rewind()?;
                }
                Ok(len) => {
                    bytes.truncate(len);
                    return Ok(bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn start_of_last(&self, lines: u64) -> io::Result<u64> {
        let mut end = self.file.metadata()?.len();
        // The last line ends there, or where the one before it ended.
        let mut bytes = vec![0; PIECE];
        let mut ends = 0;
        let last = end.saturating_sub(1);
        while end > 0 {
            let start = end.saturating_sub(PIECE as u64);
            let piece = bytes.get_mut(..usize::try_from(end - start).unwrap_or(PIECE));
            let piece = piece.unwrap_or_default();
            self.file.read_exact_at(piece, start)?;
            let ends_here = piece.iter().enumerate().rev();
            for (at, _) in ends_here.filter(|(_, byte)| **byte == b'\n') {
                let at = start + at as u64;
                if at == last {
                    continue;
                }
                ends += 1;
                if ends == lines {
                    return Ok(at + 1);
                }
            }
            end = start;
        }
        Ok(0)
    }

    fn failed(&self, source: io::Error) -> LogError {
        LogError::ReadFile {
            path: self.path.clone(),
            source,
        }
    }
}

const PIECE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _};

    use super::*;

    #[test]
    fn what_is_added_is_read_and_what_was_cut_is_read_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("execution.log");
        let missing = LogTail::open(dir.path(), LogKind::Execution).unwrap_err();
        assert!(matches!(missing, LogError::Open { .. }));
        let mut log = File::create(&path).unwrap();
        let mut tail = LogTail::open(dir.path(), LogKind::Execution).unwrap();
        for text in ["one\n", "two", " more\n"] {
            assert_eq!(tail.read().unwrap(), b"");
            log.write_all(text.as_bytes()).unwrap();
            assert_eq!(tail.read().unwrap(), text.as_bytes());
        }
        fs::write(&path, "new\n").unwrap();
        assert_eq!(tail.read().unwrap(), b"new\n");
    }

    #[test]
    fn the_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("application.log");
        let long = "x".repeat(PIECE);
        for (text, lines, expected) in [
            ("", 3, String::new()),
            ("a\nb\nc\n", 2, "b\nc\n".to_owned()),
            ("a\nb\nc", 2, "b\nc".to_owned()),
            ("a\nb\nc\n", 9, "a\nb\nc\n".to_owned()),
            ("a\n\n\n", 2, "\n\n".to_owned()),
            (
                &format!("a\n{long}\n{long}\n"),
                2,
                format!("{long}\n{long}\n"),
            ),
        ] {
            fs::write(&path, text).unwrap();
            let tail = LogTail::open(dir.path(), LogKind::Application).unwrap();
            let mut tail = tail.last_lines(lines).unwrap();
            let mut read = Vec::new();
            loop {
                let piece = tail.read().unwrap();
                if piece.is_empty() {
                    break;
                }
                read.extend(piece);
            }
            assert_eq!(String::from_utf8(read).unwrap(), expected);
        }
    }
}
