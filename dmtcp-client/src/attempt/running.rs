//! A computation that runs, and every way to end it.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use dmtcp_proto::Status;

use super::{
    AttemptError,
    directory::AttemptDir,
    hosts::{Hosts, Place},
    stall_guard::StallGuard,
};
use crate::{
    deadline::Deadline,
    process::{Child, ComputationTmp, Exit, ProcessError, Signal, kill_members},
    remote::Probed,
    server::{Computation, ServerError},
};

/// One attempt: a coordinator in this process and the programs that were started on it.
/// **Dropping it kills the programs.** What its sets hold stays.
#[derive(Debug)]
pub struct Attempt {
    children: Vec<Started>,
    /// What the attempt has until it is ended.
    parts: Option<Parts>,
    computation: Computation,
    images: PathBuf,
    hosts: Hosts,
    tmp: PathBuf,
}

/// A process of this host, and the host on which it does its work.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) place: Place,
}

/// What an attempt is made of before anything runs in it.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) computation: Computation,
    pub(super) guard: StallGuard,
    pub(super) dir: AttemptDir,
    pub(super) tmp: ComputationTmp,
    /// Tells the sealer that nobody wants the set any more.
    pub(super) abandoned: Arc<AtomicBool>,
    pub(super) hosts: Hosts,
    /// The other hosts on which it may have processes.
    pub(super) far: BTreeMap<OsString, Probed>,
    pub(super) _turn: Turn,
}

/// The right to be the only attempt.
#[derive(Debug)]
pub(super) struct Turn(Arc<AtomicBool>);

impl Turn {
    /// `None` while there is another one.
    pub(super) fn take(taken: &Arc<AtomicBool>) -> Option<Self> {
        let free = !taken.swap(true, Ordering::AcqRel);
        free.then(|| Self(Arc::clone(taken)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Attempt {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            children: Vec::new(),
            computation: parts.computation.clone(),
            images: parts.dir.images(),
            hosts: parts.hosts.clone(),
            tmp: parts.tmp.path().to_owned(),
            parts: Some(parts),
        }
    }

    pub(super) fn add(&mut self, child: Child, place: Place) {
        self.children.push(Started { child, place });
    }

    /// Processes of this host that were started; of another host's, those that lead there.
    pub(crate) fn pids(&self) -> Vec<i32> {
        let started = self.children.iter();
        started.map(|started| started.child.id()).collect()
    }

    pub(super) fn started(&self) -> &[Started] {
        &self.children
    }

    /// What is known of another host of the attempt.
    pub(super) fn probed(&self, host: &OsStr) -> Option<&Probed> {
        self.parts.as_ref()?.far.get(host)
    }

    /// The other hosts of the attempt.
    pub(crate) fn far(&self) -> impl Iterator<Item = (&OsString, &Probed)> {
        self.parts.iter().flat_map(|parts| &parts.far)
    }

    /// The coordinator as seen from there.
    pub(super) fn coordinator_from(
        &self,
        place: Option<&OsStr>,
    ) -> Result<SocketAddr, AttemptError> {
        self.hosts.coordinator_from(place, self.computation.addr())
    }

    /// What runs the command there.
    pub(super) fn send(
        &self,
        place: Option<&OsStr>,
        command: Command,
    ) -> Result<Command, AttemptError> {
        match place {
            None => Ok(command),
            Some(host) => self.hosts.send(host, &command, self.tmp.clone()),
        }
    }

    /// The coordinator: status, checkpoints, events.
    #[must_use]
    pub fn computation(&self) -> &Computation {
        &self.computation
    }

    /// Where its processes write their raw images. Only sets can be trusted.
    #[must_use]
    pub fn images_dir(&self) -> &Path {
        &self.images
    }

    pub(super) fn tmp_dir(&self) -> &Path {
        &self.tmp
    }

    /// How those that were started have ended; `None` for those that have not.
    ///
    /// After a start in the order in which they were started. `dmtcp_launch` becomes the program,
    /// so the exit is that of the program itself.
    ///
    /// After a restart the native workers come first, and behind them, for each host with images of
    /// DMTCP, **one** exit for them all: `dmtcp_restart` becomes the first process. If that one had
    /// already ended at the checkpoint it is [`Exit::Code`] 0 at once, while the others run.
    ///
    /// On other hosts it is what the launcher makes of it; ssh has 255 for a program that a signal
    /// ended, and for a connection that broke. [`exit_hosts`](Self::exit_hosts) has the hosts.
    ///
    /// # Errors
    ///
    /// [`AttemptError::Process`].
    pub fn exits(&self) -> Result<Vec<Option<Exit>>, AttemptError> {
        self.children
            .iter()
            .map(|started| Ok(started.child.try_wait()?))
            .collect()
    }

    /// The host of each of [`exits`](Self::exits); `None` is this one.
    #[must_use]
    pub fn exit_hosts(&self) -> Vec<Option<&OsStr>> {
        let started = self.children.iter();
        started.map(|started| started.place.as_deref()).collect()
    }

    /// How the programs ended, once all of them have and no worker is connected any more.
    ///
    /// `None` while something runs: a program may end before its children do. The order is that
    /// of [`exits`](Self::exits).
    ///
    /// # Errors
    ///
    /// [`AttemptError::Process`], [`AttemptError::Server`]; [`AttemptError::Stalled`] when they were
    /// killed for a stall.
    pub fn finished(&self) -> Result<Option<Vec<Exit>>, AttemptError> {
        let exits: Option<Vec<Exit>> = self.exits()?.into_iter().collect();
        if exits.is_none() || !self.is_deserted()? {
            return Ok(None);
        }
        self.check_stall()?;
        Ok(exits)
    }

    /// Whether its processes were killed for a stall ([`StallPolicy::Restart`]): then drop it and
    /// call [`Attempts::restart`].
    ///
    /// [`StallPolicy::Restart`]: super::StallPolicy::Restart
    /// [`Attempts::restart`]: super::Attempts::restart
    ///
    /// # Errors
    ///
    /// [`AttemptError::Stalled`].
    pub fn check_stall(&self) -> Result<(), AttemptError> {
        let parts = self.parts.as_ref();
        match parts.and_then(|parts| parts.guard.ended_by()) {
            Some(stall) => Err(AttemptError::Stalled(Box::new(stall))),
            None => Ok(()),
        }
    }

    /// Waits until all programs that were started, and all their children, run. No checkpoint
    /// begins before, whoever asks for it.
    ///
    /// # Errors
    ///
    /// [`AttemptError::Ended`] when the programs end instead, [`AttemptError::Stalled`] when they were
    /// killed for a stall; [`AttemptError::Server`] with
    /// [`TimedOut`](ServerError::TimedOut) when `limit` is over.
    pub fn wait_until_running(&self, limit: Duration) -> Result<Status, AttemptError> {
        let deadline = Deadline::after(limit);
        loop {
            let slice = deadline.left().min(CHILD_LOOK);
            match self.computation.wait_until_running(None, slice) {
                Err(ServerError::TimedOut { .. }) if !deadline.left().is_zero() => {}
                Err(ServerError::TimedOut { what, stall, .. }) => {
                    return Err(ServerError::TimedOut { what, limit, stall }.into());
                }
                outcome => return Ok(outcome?),
            }
            if let Some(exits) = self.finished()? {
                return Err(AttemptError::Ended { exits });
            }
        }
    }

    /// Whether no worker is connected.
    fn is_deserted(&self) -> Result<bool, AttemptError> {
        match self.computation.status() {
            Ok(status) => Ok(status.peers == 0),
            Err(ServerError::Closed | ServerError::ServerGone) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends the computation: asks through the coordinator, then with SIGTERM, waits up to `grace`
    /// for all, then kills. A set that is being sealed is waited for first, within `grace`; after
    /// that it is given up. Returns how the programs ended, in the order of
    /// [`exits`](Self::exits).
    ///
    /// # Errors
    ///
    /// [`AttemptError::Process`] when processes do not even end of SIGKILL; the next
    /// [`Attempts::open`](super::Attempts::open) tries again.
    pub fn stop(mut self, grace: Duration) -> Result<Vec<Exit>, AttemptError> {
        let end = Instant::now() + grace.min(LONGEST);
        let left = || end.saturating_duration_since(Instant::now());
        // Whoever has gone already has nothing left to be told.
        match self.computation.quit(grace) {
            Ok(())
            | Err(ServerError::TimedOut { .. } | ServerError::Closed | ServerError::ServerGone) => {
            }
            Err(error) => return Err(error.into()),
        }
        // Those that have left the computation are about to end by themselves. A signal now would
        // only spoil their exit codes.
        let alone = Instant::now() + left() / 2;
        for Started { child, .. } in &self.children {
            match child.wait(alone.saturating_duration_since(Instant::now())) {
                Ok(_) | Err(ProcessError::TimedOut { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // All of them first: one that does not listen must not cost the others their grace.
        for Started { child, .. } in &self.children {
            child.signal_group(Signal::Terminate)?;
        }
        let mut exits = Vec::new();
        for Started { child, .. } in std::mem::take(&mut self.children) {
            exits.push(child.stop(left())?);
        }
        self.kill()?;
        Ok(exits)
    }

    /// SIGKILL for every process of the computation, at once and without asking, and the end of
    /// its coordinator. Sets that are sealed stay; one that is being sealed is given up, unless it
    /// is complete already.
    ///
    /// On other hosts it is sent by the launcher, on all of them at the same time. A host that
    /// cannot be reached cannot be cleaned: its processes end by themselves when they learn that
    /// their coordinator has gone, which one that is cut off never may.
    ///
    /// # Errors
    ///
    /// [`AttemptError::Process`] when processes do not even end of SIGKILL; the next
    /// [`Attempts::open`](super::Attempts::open) tries again. [`AttemptError::HostsLeft`] with the
    /// hosts on which something may still run; the next start or restart tries again, and does
    /// nothing else before it succeeds or is told that they are [gone](super::Attempts::gone).
    pub fn kill(mut self) -> Result<(), AttemptError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), AttemptError> {
        let Some(mut parts) = self.parts.take() else {
            return Ok(());
        };
        let end = Instant::now() + KILL_LIMIT;
        parts.abandoned.store(true, Ordering::Release);
        // Every step is taken whatever came of the one before, and the first failure is told.
        let mut failures: Vec<AttemptError> = Vec::new();
        let children = std::mem::take(&mut self.children);
        for Started { child, .. } in &children {
            failures.extend(child.kill_group().err().map(Into::into));
        }
        let far: Vec<OsString> = parts.far.keys().cloned().collect();
        let (hosts, tmp, computation) = (&parts.hosts, parts.tmp.path(), &parts.computation);
        let cleaned = thread::scope(|scope| {
            let clean = || match far.is_empty() {
                true => Ok(()),
                false => hosts.clean(&far, tmp),
            };
            let cleaning = thread::Builder::new().spawn_scoped(scope, clean);
            let members = kill_members(tmp, KILL_LIMIT);
            failures.extend(members.err().map(Into::into));
            for Started { child, .. } in children {
                let ended = child.wait(end.saturating_duration_since(Instant::now()));
                failures.extend(ended.err().map(Into::into));
            }
            match computation.close(CLOSE_LIMIT) {
                // The sealer may sit in a disk's sync; it then ends without a set.
                Ok(()) | Err(ServerError::ServerGone | ServerError::TimedOut { .. }) => {}
                Err(error) => failures.push(error.into()),
            }
            match cleaning.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(cleaned)) => cleaned,
                _ => clean(),
            }
        });
        failures.extend(cleaned.err());
        if !failures.is_empty() {
            parts.dir.keep();
        }
        failures.extend(parts.tmp.close().err().map(Into::into));
        failures.into_iter().next().map_or(Ok(()), Err)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        // Nobody is left to be told; `kill` and `stop` are for those who want to know.
        drop(self.end());
    }
}

/// How long SIGKILL may take: on a busy machine what is killed waits for its turn to end, and
/// looking through all processes takes seconds too.
const KILL_LIMIT: Duration = Duration::from_secs(30);
/// How long the sealer is waited for behind a kill.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);
/// Any longer time is "for ever", and would not fit into the system's clock.
const LONGEST: Duration = Duration::from_secs(1 << 30);

/// How often it is looked whether the programs have ended, which the coordinator may not see.
const CHILD_LOOK: Duration = Duration::from_millis(50);
