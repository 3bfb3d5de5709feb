//! Where what happens is written: stderr, and the file that all programs of a computation share.

use dmtcp_client::standalone::{Importance, News, utc};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use super::known_words::KnownWords;
use crate::text::printable;

#[derive(Debug)]
pub(super) struct Log {
    /// `None`: nothing is said.
    least: Option<Importance>,
    shared: Option<File>,
    known_words: KnownWords,
}

impl Log {
    /// Goes on without a shared file that cannot be opened, and says so.
    pub(super) fn open(least: Option<Importance>, shared: Option<&Path>) -> Self {
        let mut log = Self {
            least,
            shared: None,
            known_words: KnownWords::default(),
        };
        let Some(path) = shared else {
            return log;
        };
        let mut options = OpenOptions::new();
        match options.create(true).append(true).mode(0o600).open(path) {
            Ok(file) => log.shared = Some(file),
            Err(error) => {
                let text = format!("cannot write the log {}: {error}", path.display());
                log.write(Importance::Warning, &text);
            }
        }
        log
    }

    pub(super) fn news(&mut self, news: &News<'_>) {
        let known = match news {
            News::Event(event) => self.known_words.of(event),
            _ => None,
        };
        match (known, news.in_words()) {
            (None, Some((importance, text))) => self.write(importance, &text),
            (Some(words), Some((importance, text))) => {
                self.write(importance, &format!("{words}: {text}"));
            }
            (Some(words), None) => self.write(Importance::Note, words),
            (None, None) => {}
        }
    }

    pub(super) fn write(&mut self, importance: Importance, text: &str) {
        if self.least.is_none_or(|least| importance < least) {
            return;
        }
        let line = format!(
            "dmtcp_coordinator: {} {}\n",
            utc(SystemTime::now()),
            printable(text)
        );
        // At once, so that it stays whole among those of others. There may be nobody to be told.
        let _ = io::stderr().lock().write_all(line.as_bytes());
        if let Some(file) = &mut self.shared {
            let _ = file.write_all(line.as_bytes());
        }
    }
}
