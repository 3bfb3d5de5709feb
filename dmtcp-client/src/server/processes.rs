//! The processes behind the workers of one computation, for the one case in which only SIGKILL
//! helps: a peer died inside DMTCP's own process-shared barrier.
//!
//! A worker's real pid is its own claim, and any local user can connect and claim. So a process
//! is killed only if it is the one that had the number when the worker said so, and if it holds
//! the other end of the worker's connection.

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc};

use dmtcp_proto::WorkerInfo;
use thiserror::Error;

use crate::process::{Identity, ProcessError, Signal, TcpOwners};

/// Why a process was left alone that should have been killed.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum NotKilled {
    /// It is on another host.
    #[error("it is on {host}")]
    OtherHost {
        /// The host it says it is on.
        host: String,
    },
    /// There was no such process when the worker told its pid.
    #[error("no process had the real pid it told")]
    Unknown,
    /// It has ended, or another process has its number now.
    #[error("it has ended")]
    Ended,
    /// The process that has the number does not hold the worker's connection, or that is closed.
    #[error("process {pid} does not hold the worker's connection")]
    NotTheWorker {
        /// The number.
        pid: i32,
    },
    /// Nobody could tell whether it holds the worker's connection.
    #[error("cannot see which process holds the worker's connection")]
    Unverified(#[source] Arc<io::Error>),
    /// The system refused.
    #[error("cannot kill it")]
    Signal(#[source] Arc<ProcessError>),
}

#[derive(Debug)]
pub(super) struct Processes {
    host: String,
    /// By the worker's number: who had its real pid when it told it.
    seen: HashMap<u64, Identity>,
}

impl Processes {
    /// Of workers on the host of this name.
    pub(super) fn on(host: String) -> Self {
        Self {
            host,
            seen: HashMap::new(),
        }
    }

    /// Remembers who has the worker's real pid now.
    pub(super) fn saw(&mut self, worker: &WorkerInfo) {
        let known = self.seen.get(&worker.number).map(Identity::pid);
        // Negative: it does not say.
        let as_before = known.is_some_and(|pid| worker.real_pid < 0 || pid == worker.real_pid);
        if worker.host != self.host || as_before {
            return;
        }
        match Identity::of(worker.real_pid) {
            Ok(Some(identity)) => {
                self.seen.insert(worker.number, identity);
            }
            // Told when it matters: as unknown.
            Ok(None) | Err(_) => self.forget(worker.number),
        }
    }

    /// Who had its real pid when it told it; `None`: on another host, or nobody.
    pub(super) fn seen(&self, worker: &WorkerInfo) -> Option<Identity> {
        self.seen.get(&worker.number).copied()
    }

    pub(super) fn forget(&mut self, worker: u64) {
        self.seen.remove(&worker);
    }

    /// `ends`: our end of the worker's connection, and its; `None` if it is closed.
    pub(super) fn kill(
        &self,
        worker: &WorkerInfo,
        ends: Option<(SocketAddr, SocketAddr)>,
    ) -> Result<(), NotKilled> {
        if worker.host != self.host {
            return Err(NotKilled::OtherHost {
                host: worker.host.clone(),
            });
        }
        let identity = self.seen.get(&worker.number).ok_or(NotKilled::Unknown)?;
        let signal_error = |error| NotKilled::Signal(Arc::new(error));
        if !identity.is_alive().map_err(signal_error)? {
            return Err(NotKilled::Ended);
        }
        let pid = identity.pid();
        let (ours, theirs) = ends.ok_or(NotKilled::NotTheWorker { pid })?;
        match TcpOwners::open().is_held_by(pid, theirs, ours) {
            Ok(true) => {}
            Ok(false) => return Err(NotKilled::NotTheWorker { pid }),
            Err(error) => return Err(NotKilled::Unverified(Arc::new(error))),
        }
        match identity.kill(Signal::Kill).map_err(signal_error)? {
            true => Ok(()),
            false => Err(NotKilled::Ended),
        }
    }
}
