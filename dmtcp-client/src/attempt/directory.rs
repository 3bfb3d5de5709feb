//! The numbered directory of an attempt.
//!
//! Not here: what is done about those that a crash leaves (`leftover`).

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use super::AttemptError;

/// A directory of one attempt, **removed with all it holds on drop**.
#[derive(Debug)]
pub(super) struct AttemptDir {
    path: PathBuf,
    kept: bool,
}

impl AttemptDir {
    /// The next one in `attempts`, which is made if it is not there; with its `images`.
    pub(super) fn create(attempts: &Path) -> Result<Self, AttemptError> {
        make(fs::DirBuilder::new().recursive(true), attempts)?;
        let entries = fs::read_dir(attempts).map_err(failed("list", attempts))?;
        let last = entries
            .filter_map(|entry| number(&entry.ok()?.path()))
            .max()
            .unwrap_or(0);
        let path = attempts.join(name(last.saturating_add(1)));
        make(&mut fs::DirBuilder::new(), &path)?;
        let this = Self { path, kept: false };
        make(&mut fs::DirBuilder::new(), &this.images())?;
        Ok(this)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the processes write their images.
    pub(super) fn images(&self) -> PathBuf {
        self.path.join("images")
    }

    /// It stays, so that who opens the job next finds what is noted there.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for AttemptDir {
    fn drop(&mut self) {
        if !self.kept {
            // What stays is cleared when the job is opened next.
            drop(fs::remove_dir_all(&self.path));
        }
    }
}

/// Where the attempts at the job in `dir` are.
pub(super) fn attempts_dir(dir: &Path) -> PathBuf {
    dir.join("attempts")
}

/// The number of an attempt's directory; `None` for what is not named as one.
pub(super) fn number(path: &Path) -> Option<u64> {
    let text = path.file_name()?.to_str()?;
    let number = text.parse().ok()?;
    (text == name(number)).then_some(number)
}

pub(super) fn name(number: u64) -> String {
    format!("{number:06}")
}

fn make(builder: &mut fs::DirBuilder, path: &Path) -> Result<(), AttemptError> {
    builder
        .mode(0o700)
        .create(path)
        .map_err(failed("create", path))
}

pub(super) fn failed(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> AttemptError + use<> {
    let path = path.to_owned();
    move |source| AttemptError::Io {
        action,
        path,
        source,
    }
}
