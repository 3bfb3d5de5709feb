//! What a running coordinator tells the program around it.

use crate::server::ComputationEvent;
use crate::with_causes;
use std::path::Path;

use super::error::StandaloneError;
use super::words::{Importance, in_words};

/// Something that is worth a line in a log.
#[derive(Debug)]
#[non_exhaustive]
pub enum News<'a> {
    /// Something happened in the computation.
    Event(&'a ComputationEvent),
    /// The key-value store was written to this file.
    KeyValuesWritten(&'a Path),
    /// It could not be read or written.
    KeyValuesNotWritten(&'a StandaloneError),
    /// A file of [`StandaloneConfig::reports`](super::StandaloneConfig::reports) could not be
    /// written; why.
    ReportNotWritten(&'a str),
}

impl News<'_> {
    /// In one line; `None`: too small for a log.
    #[must_use]
    pub fn in_words(&self) -> Option<(Importance, String)> {
        match self {
            Self::Event(event) => in_words(event),
            Self::KeyValuesWritten(path) => {
                let text = format!("key-value store in {}", path.display());
                Some((Importance::Note, text))
            }
            Self::ReportNotWritten(why) => Some((Importance::Warning, (*why).to_owned())),
            Self::KeyValuesNotWritten(error) => {
                let text = format!("the key-value store is not written: {}", with_causes(error));
                Some((Importance::Warning, text))
            }
        }
    }
}
