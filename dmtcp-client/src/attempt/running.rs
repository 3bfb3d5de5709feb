//! A computation that runs, and every way to end it.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::AttemptError;
use crate::{
    process::{Child, ComputationTmp, Exit, kill_members},
    server::{Computation, ServerError},
};

/// One attempt: a coordinator in this process and the programs that were started on it.
/// **Dropping it kills the programs.** What its sets hold stays.
#[derive(Debug)]
pub struct Attempt {
    computation: Computation,
    children: Vec<Child>,
    dir: PathBuf,
    tmp: Option<ComputationTmp>,
}

/// What an attempt is made of before anything runs in it.
pub(super) struct Parts {
    pub(super) computation: Computation,
    pub(super) dir: PathBuf,
    pub(super) tmp: ComputationTmp,
}

impl Attempt {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts {
            computation,
            dir,
            tmp,
        } = parts;
        Self {
            computation,
            children: Vec::new(),
            dir,
            tmp: Some(tmp),
        }
    }

    pub(super) fn add(&mut self, child: Child) {
        self.children.push(child);
    }

    /// The coordinator: status, checkpoints, events.
    #[must_use]
    pub fn computation(&self) -> &Computation {
        &self.computation
    }

    /// Where its processes write their raw images. Only sets can be trusted.
    #[must_use]
    pub fn images_dir(&self) -> PathBuf {
        images_dir(&self.dir)
    }

    pub(super) fn tmp_dir(&self) -> &Path {
        self.tmp.as_ref().map_or(&self.dir, ComputationTmp::path)
    }

    /// How those that were started have ended; `None` for those that have not.
    ///
    /// In the order in which they were started. `dmtcp_launch` and `dmtcp_restart` become the
    /// first process of the computation, so the exit is that of the program itself.
    ///
    /// # Errors
    ///
    /// [`AttemptError::Process`].
    pub fn exits(&self) -> Result<Vec<Option<Exit>>, AttemptError> {
        self.children
            .iter()
            .map(|child| Ok(child.try_wait()?))
            .collect()
    }

    /// How the programs ended, once all of them have and no worker is connected any more.
    ///
    /// `None` while something runs: a program may end before its children do.
    ///
    /// # Errors
    ///
    /// [`AttemptError::Process`], [`AttemptError::Server`].
    pub fn finished(&self) -> Result<Option<Vec<Exit>>, AttemptError> {
        let exits: Option<Vec<Exit>> = self.exits()?.into_iter().collect();
        if exits.is_none() || !self.is_deserted()? {
            return Ok(None);
        }
        Ok(exits)
    }

    /// Whether no worker is connected.
    fn is_deserted(&self) -> Result<bool, AttemptError> {
        match self.computation.status() {
            Ok(status) => Ok(status.peers == 0),
            Err(ServerError::Closed) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the computation: asks, waits up to `grace`, then kills. A set that is being sealed is
    /// waited for first, within `grace`.
    ///
    /// # Errors
    ///
    /// [`AttemptError::Process`] when processes do not even end of SIGKILL.
    pub fn stop(mut self, grace: Duration) -> Result<Vec<Exit>, AttemptError> {
        let end = Instant::now() + grace;
        // Whoever has gone already has nothing left to be told.
        match self.computation.quit(grace) {
            Ok(()) | Err(ServerError::TimedOut { .. } | ServerError::Closed) => {}
            Err(error) => return Err(error.into()),
        }
        let mut exits = Vec::new();
        for child in std::mem::take(&mut self.children) {
            exits.push(child.stop(end.saturating_duration_since(Instant::now()))?);
        }
        self.kill()?;
        Ok(exits)
    }

    /// SIGKILL for every process of the computation, at once and without asking, and the end of
    /// its coordinator. What it had sealed stays.
    ///
    /// # Errors
    ///
    /// [`AttemptError::Process`] when processes do not even end of SIGKILL.
    pub fn kill(mut self) -> Result<(), AttemptError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), AttemptError> {
        let Some(tmp) = self.tmp.take() else {
            return Ok(());
        };
        for child in &self.children {
            child.kill_group()?;
        }
        kill_members(tmp.path(), KILL_LIMIT)?;
        for child in std::mem::take(&mut self.children) {
            child.wait(KILL_LIMIT)?;
        }
        match self.computation.close(KILL_LIMIT) {
            Ok(()) | Err(ServerError::ServerGone) => {}
            Err(error) => return Err(error.into()),
        }
        tmp.close()?;
        // Raw images are of no use to anybody now; what stays is cleared by the next attempt.
        drop(fs::remove_dir_all(&self.dir));
        Ok(())
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        // Nobody is left to be told; `kill` and `stop` are for those who want to know.
        drop(self.end());
    }
}

pub(super) fn images_dir(attempt: &Path) -> PathBuf {
    attempt.join("images")
}

const KILL_LIMIT: Duration = Duration::from_secs(10);
