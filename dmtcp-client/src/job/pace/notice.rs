//! A file that says that the host will go away.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use nix::fcntl::OFlag;

use super::{moment, planned_end::EndError};

/// A file that something of the site's writes when the host will go away, such as what asks a
/// cloud for spot notices. When it appears or changes, the job has to stop.
#[derive(Clone, Debug)]
pub struct NoticeFile {
    path: PathBuf,
    /// What was there at the beginning, and may be of a notice before.
    old: Option<Mark>,
}

/// What a notice says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notice {
    /// When the host goes away; `None`: the file does not say.
    pub end: Option<SystemTime>,
}

/// Tells one file from what comes after it under its name.
type Mark = (u64, u64, u64, i64, i64);

impl NoticeFile {
    /// Watches this path. What is there now is old, unless it names an end that is still to come.
    ///
    /// # Errors
    /// [`EndError::Notice`]: it cannot be told whether it is there.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, EndError> {
        let path = path.into();
        let old = mark(&path)?;
        Ok(Self { path, old })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a notice. It may name the end as its first line or as `time` of a JSON
    /// object, in the forms of [`PlannedEnd::parse`](super::PlannedEnd::parse) but for `+`.
    ///
    /// # Errors
    /// [`EndError::Notice`]: it cannot be told.
    pub fn look(&self, now: SystemTime) -> Result<Option<Notice>, EndError> {
        let Some(mark) = mark(&self.path)? else {
            return Ok(None);
        };
        let end = self.stated_end();
        let is_old = self.old == Some(mark);
        let is_to_come = end.is_some_and(|end| end > now);
        Ok((!is_old || is_to_come).then_some(Notice { end }))
    }

    /// That there is a file is a notice, even if it cannot be read.
    fn stated_end(&self) -> Option<SystemTime> {
        let mut options = OpenOptions::new();
        // It may be a pipe that nobody writes to.
        let file = options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
        let mut text = Vec::new();
        let file = file.open(&self.path).ok()?;
        file.take(MAX_TEXT).read_to_end(&mut text).ok()?;
        let text = String::from_utf8_lossy(&text);
        if let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(&text) {
            return moment::point(fields.get("time")?.as_str()?);
        }
        moment::point(text.lines().next()?.trim())
    }
}

fn mark(path: &Path) -> Result<Option<Mark>, EndError> {
    match fs::metadata(path) {
        Ok(file) => Ok(Some((
            file.dev(),
            file.ino(),
            file.len(),
            file.mtime(),
            file.mtime_nsec(),
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EndError::Notice {
            path: path.to_owned(),
            source,
        }),
    }
}

const MAX_TEXT: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn unix(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    const SAID: &str = "2026-11-22T15:14:50Z";

    #[test]
    fn one_that_appears() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notice");
        let file = NoticeFile::new(&path).unwrap();
        let now = unix(1_795_360_000);
        assert_eq!(file.look(now).unwrap(), None);
        for (text, end) in [
            ("", None),
            ("soon\n", None),
            ("2026-11-22T15:14:50Z\nmore", Some(unix(1_795_360_490))),
            (
                r#"{"action": "terminate", "time": "2026-11-22T15:14:50Z"}"#,
                Some(unix(1_795_360_490)),
            ),
            (r#"{"action": "stop"}"#, None),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(file.look(now).unwrap(), Some(Notice { end }), "{text}");
        }
    }

    #[test]
    fn one_that_was_there_is_old_unless_it_names_an_end_to_come() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notice");
        fs::write(&path, SAID).unwrap();
        let file = NoticeFile::new(&path).unwrap();
        let end = Some(unix(1_795_360_490));
        assert_eq!(file.look(unix(1_795_360_491)).unwrap(), None);
        assert_eq!(
            file.look(unix(1_795_360_489)).unwrap(),
            Some(Notice { end })
        );
        // Another one in its place.
        let other = dir.path().join("other");
        fs::write(&other, SAID).unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(
            file.look(unix(1_795_360_491)).unwrap(),
            Some(Notice { end })
        );
        fs::remove_file(&path).unwrap();
        assert_eq!(file.look(unix(0)).unwrap(), None);
    }

    #[test]
    fn a_pipe_or_a_directory_is_a_notice_without_a_word() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["pipe", "directory"] {
            let path = dir.path().join(name);
            let file = NoticeFile::new(&path).unwrap();
            match name {
                "pipe" => nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
                _ => fs::create_dir(&path).unwrap(),
            }
            let notice = file.look(unix(0)).unwrap();
            assert_eq!(notice, Some(Notice { end: None }), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(
            NoticeFile::new(file.join("notice")),
            Err(EndError::Notice { .. })
        ));
    }
}
