//! Where what happens is written: stderr, and the file that all programs of a computation share.

use dmtcp_client::standalone::{Importance, News, utc};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use crate::text::printable;

#[derive(Debug)]
pub(super) struct Log {
    /// `None`: nothing is said.
    least: Option<Importance>,
    shared: Option<File>,
}

impl Log {
    /// Goes on without a shared file that cannot be opened, and says so.
    pub(super) fn open(least: Option<Importance>, shared: Option<&Path>) -> Self {
        let mut log = Self {
            least,
            shared: None,
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
        if let Some((importance, text)) = news.in_words() {
            self.write(importance, &text);
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
