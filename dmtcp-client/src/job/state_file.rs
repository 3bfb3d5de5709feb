//! The small JSON files of a job's state directory: read with a bound, written whole or not at all.
//!
//! Not here: what is in them.

use std::{
    fs::File,
    io::{self, ErrorKind, Read as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::durable;

/// Why a file of a job's state directory cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StateError {
    /// The environment: it cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not what this program writes; it was changed, or is another program's.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A later release has written it.
    #[error("{} has schema {schema}, and no more than {known} is known here", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        schema: u32,
        /// The newest that is read here.
        known: u32,
    },
}

impl From<durable::Failed> for StateError {
    fn from(failed: durable::Failed) -> Self {
        Self::Io {
            action: failed.action,
            path: failed.path,
            source: failed.source,
        }
    }
}

#[derive(Deserialize)]
struct Schema {
    schema: u32,
}

/// What is in the file; `None`: there is none.
pub(super) fn read<T: DeserializeOwned>(path: &Path, known: u32) -> Result<Option<T>, StateError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(durable::failed("open", path))?,
    };
    let mut text = Vec::new();
    file.take(MAX_LEN + 1)
        .read_to_end(&mut text)
        .map_err(durable::failed("read", path))?;
    let damaged = |what: String| StateError::Damaged {
        path: path.to_owned(),
        what,
    };
    if text.len() as u64 > MAX_LEN {
        return Err(damaged(format!("it has more than {MAX_LEN} bytes")));
    }
    let wrong = |error: serde_json::Error| damaged(error.to_string());
    let Schema { schema } = serde_json::from_slice(&text).map_err(wrong)?;
    if schema > known {
        return Err(StateError::Schema {
            path: path.to_owned(),
            schema,
            known,
        });
    }
    serde_json::from_slice(&text).map(Some).map_err(wrong)
}

/// Writes it aside, synced, with mode 0600, and renames it.
pub(super) fn write<T: Serialize>(path: &Path, content: &T) -> Result<(), StateError> {
    let text = serde_json::to_vec_pretty(content).map_err(|error| StateError::Io {
        action: "make JSON for",
        path: path.to_owned(),
        source: error.into(),
    })?;
    durable::write_aside(path, |file| {
        file.write_all(&text)?;
        file.write_all(b"\n")
    })?;
    Ok(())
}

/// A command line has at most a few megabytes.
const MAX_LEN: u64 = 16 << 20;
