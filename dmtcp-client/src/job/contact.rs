//! A job seen from another process: whether it runs, where, and its coordinator once it is certain
//! that it is this job's.
//!
//! `job.json` says who runs the job. It may be out of date: written before a crash, copied with its
//! directory, read on another host; its pid and its port may be somebody else's by now. Nothing is
//! believed here that was not looked at. Not here: what the coordinator is asked.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use dmtcp_proto::{Dialect, UniquePid};
use thiserror::Error;

use super::{JobRecord, Outcome, Owner, SetRecord, StateError};
use crate::{
    coordinator::{Coordinator, Error as CoordinatorError},
    deadline::Deadline,
    identity,
    process::{self, ProcessError},
    set,
};

/// The job in a state directory, as it stood when it was looked at. Nothing of it is locked, and
/// looking at it changes nothing.
#[derive(Clone, Debug)]
pub struct Contact {
    directory: PathBuf,
    record: JobRecord,
    standing: Standing,
    outcome: Option<Outcome>,
    /// Looked for once it is asked for.
    last_set: OnceLock<Option<SetRecord>>,
}

/// Whether a job runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// This process of this host runs it.
    Running(Owner),
    /// This process of another host runs it, or did when that host was last heard of.
    Elsewhere(Owner),
    /// This process ran it and ended without a word. The next run goes on from the newest set.
    Lost(Owner),
    /// The directory is a copy. The process runs the job in the original; in the copy nothing runs.
    Copied(Owner),
    /// Nobody runs it: it has ended, by [`Contact::outcome`], or has never run.
    NotRunning,
}

impl Standing {
    /// Its name; does not change between releases.
    #[must_use]
    pub fn slug(&self) -> &'static str {
        match self {
            Self::Running(_) => "running",
            Self::Elsewhere(_) => "elsewhere",
            Self::Lost(_) => "lost",
            Self::Copied(_) => "copied",
            Self::NotRunning => "not-running",
        }
    }

    /// Who runs it, or did.
    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Running(owner)
            | Self::Elsewhere(owner)
            | Self::Lost(owner)
            | Self::Copied(owner) => Some(owner),
            Self::NotRunning => None,
        }
    }
}

/// Why there is no contact to a job. Nothing was done to anybody then.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ContactError {
    /// The caller: it is no state directory, or no job was ever begun in it.
    #[error("there is no job in {}", directory.display())]
    NoJob {
        /// The directory.
        directory: PathBuf,
    },
    /// A file of the state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// Nobody runs it.
    #[error("the job in {} does not run{}", directory.display(), ended(outcome))]
    NotRunning {
        /// Its state directory.
        directory: PathBuf,
        /// How it ended; `None`: it has never run.
        outcome: Option<Box<Outcome>>,
    },
    /// It runs on another host, where the question can be asked.
    #[error("{} runs on host {}, as pid {}: ask there", directory.display(), owner.host.to_string_lossy(), owner.pid)]
    Elsewhere {
        /// Its state directory.
        directory: PathBuf,
        /// Who runs it.
        owner: Box<Owner>,
    },
    /// The process that ran it has ended without a word. Its number may be another process's now.
    #[error(
        "pid {} of host {}, which ran the job in {}, has ended without a word",
        owner.pid, owner.host.to_string_lossy(), directory.display()
    )]
    Lost {
        /// Its state directory.
        directory: PathBuf,
        /// Who ran it.
        owner: Box<Owner>,
    },
    /// The directory is a copy, and what runs is the job in the original.
    #[error(
        "{} is a copy of the state of a job that pid {} runs; in the copy nothing runs",
        directory.display(), owner.pid
    )]
    Copied {
        /// The copy.
        directory: PathBuf,
        /// Who runs the original.
        owner: Box<Owner>,
    },
    /// It has no coordinator at the moment: it is being started, restarted or ended.
    #[error("the job of pid {pid} has no coordinator at the moment")]
    NoCoordinator {
        /// Who runs it.
        pid: i32,
    },
    /// Another process than the job's listens on the port of its coordinator.
    #[error(
        "pid {pid} runs the job, but at {address}, where its coordinator was, another process listens"
    )]
    NotItsPort {
        /// Who runs it.
        pid: i32,
        /// Where its coordinator is said to be.
        address: SocketAddr,
    },
    /// The coordinator has another computation than the job.
    #[error("the coordinator at {address} has computation {found}, and the job's is {recorded}")]
    OtherComputation {
        /// Where it is.
        address: SocketAddr,
        /// Of the job.
        recorded: UniquePid,
        /// Of the coordinator.
        found: UniquePid,
    },
    /// The coordinator does not answer.
    #[error(transparent)]
    Coordinator(#[from] CoordinatorError),
    /// The environment: the system does not tell about the process.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The environment: the system does not tell what the process has open; it may be another
    /// user's.
    #[error("cannot look into pid {pid}, which runs the job")]
    Look {
        /// Who runs it.
        pid: i32,
        /// What the system said.
        source: io::Error,
    },
    /// It still runs.
    #[error("the job in {} still runs after {limit:?}", directory.display())]
    TimedOut {
        /// Its state directory.
        directory: PathBuf,
        /// How long was waited.
        limit: Duration,
    },
}

impl Contact {
    /// Looks at the job in this directory.
    ///
    /// It runs if its owner is the recorded process, by its start time, of the recorded boot of this
    /// host, and holds the lock of this very directory, which tells a copy from the original. A host of
    /// this host's name in another boot is this one before it booted last.
    ///
    /// # Errors
    ///
    /// [`ContactError::NoJob`], [`ContactError::State`], [`ContactError::Process`],
    /// [`ContactError::Look`].
    pub fn open(directory: &Path) -> Result<Self, ContactError> {
        let mut record = read(directory)?;
        loop {
            let standing = stand(directory, record.owner.as_ref())?;
            let outcome = match standing {
                Standing::Running(_) | Standing::Elsewhere(_) => None,
                _ => Outcome::read(directory)?,
            };
            // It may have come to its end meanwhile, and then it is not lost.
            let now = read(directory)?;
            if now.owner == record.owner {
                return Ok(Self {
                    directory: directory.to_owned(),
                    record: now,
                    standing,
                    outcome,
                    last_set: OnceLock::new(),
                });
            }
            record = now;
        }
    }

    /// The state directory, as it was given.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What is recorded of the job.
    #[must_use]
    pub fn record(&self) -> &JobRecord {
        &self.record
    }

    /// The newest set that the job would go on from: of its record, or a newer one that is in its
    /// directory, as behind `unpack`. Only manifests are read, once and the first time this is asked;
    /// what cannot be read is passed over. It may say more than [`record`](Self::record), and what it
    /// says need not be whole.
    #[must_use]
    pub fn last_set(&self) -> Option<&SetRecord> {
        let last_set = self.last_set.get_or_init(|| {
            let recorded = self.record.last_set.clone();
            let known = recorded.as_ref().map_or(0, |set| set.sequence);
            let known = known.max(self.record.fresh_after);
            let newer = set::newest_above(&self.directory, known);
            let newer = newer.map(|set| SetRecord {
                sequence: set.sequence(),
                sealed_unix_ms: set.manifest().created_unix_ms,
                bytes: set.total_bytes(),
            });
            newer.or(recorded)
        });
        last_set.as_ref()
    }

    /// Whether it runs.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// How its last run ended; `None` while it runs, if it was lost, and if it has never run.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match self.standing {
            Standing::NotRunning => self.outcome.as_ref(),
            _ => None,
        }
    }

    /// A handle to the job's coordinator, which is looked at again for that: the job must be
    /// [running](Standing::Running), its process the only one that listens at the recorded address, and the
    /// computation of the coordinator the recorded one. Each question may take `limit`, those that
    /// are asked of the handle later, too.
    ///
    /// What another process could do is to take over the port of one that ends between this and a
    /// question; that it speaks the protocol, too, is not to be expected.
    ///
    /// # Errors
    ///
    /// [`ContactError`] says what is not as it should be. Nothing but a question for the list of
    /// workers was sent then, and that only to the right process.
    pub fn coordinator(&self, limit: Duration) -> Result<Coordinator, ContactError> {
        let directory = || self.directory.clone();
        let owner = match &self.standing {
            Standing::Running(owner) => owner,
            Standing::Elsewhere(owner) => {
                return Err(ContactError::Elsewhere {
                    directory: directory(),
                    owner: Box::new(owner.clone()),
                });
            }
            Standing::Lost(owner) => {
                return Err(ContactError::Lost {
                    directory: directory(),
                    owner: Box::new(owner.clone()),
                });
            }
            Standing::Copied(owner) => {
                return Err(ContactError::Copied {
                    directory: directory(),
                    owner: Box::new(owner.clone()),
                });
            }
            Standing::NotRunning => {
                return Err(ContactError::NotRunning {
                    directory: directory(),
                    outcome: self.outcome.clone().map(Box::new),
                });
            }
        };
        let pid = owner.pid;
        let recorded = self.record.coordinator.as_ref();
        let recorded = recorded.ok_or(ContactError::NoCoordinator { pid })?;
        let mut address = recorded.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        let listens = process::listens(pid, address);
        match listens.map_err(|source| ContactError::Look { pid, source })? {
            Some(true) => {}
            Some(false) => return Err(ContactError::NotItsPort { pid, address }),
            None => return Err(ContactError::NoCoordinator { pid }),
        }
        // Ours: it answers in every dialect.
        let coordinator = Coordinator::new(address, Dialect::V5).timeout(limit);
        let found = coordinator.computation()?;
        if let (Some(found), Some(recorded)) = (found, recorded.computation) {
            if !found.same_as(&recorded) {
                return Err(ContactError::OtherComputation {
                    address,
                    recorded,
                    found,
                });
            }
        }
        // Still the process that was looked at: what has answered was its coordinator.
        match stand(&self.directory, Some(owner))? {
            Standing::Running(_) => Ok(coordinator),
            _ => Err(ContactError::NoCoordinator { pid }),
        }
    }
}

/// Waits at most `limit` until the job in this directory has ended, on whatever host it runs, and
/// says how. One that does not run has ended.
///
/// # Errors
///
/// [`ContactError::TimedOut`], [`ContactError::Lost`], [`ContactError::Copied`],
/// [`ContactError::NotRunning`] if it has never run, and as [`Contact::open`].
pub fn wait_for_outcome(directory: &Path, limit: Duration) -> Result<Outcome, ContactError> {
    let deadline = Deadline::after(limit);
    let mut pause = SHORTEST_LOOK;
    loop {
        let contact = Contact::open(directory)?;
        match (contact.standing, contact.outcome) {
            (Standing::Running(_) | Standing::Elsewhere(_), _) => {}
            (Standing::NotRunning, Some(outcome)) => return Ok(outcome),
            (Standing::NotRunning, None) => {
                return Err(ContactError::NotRunning {
                    directory: contact.directory,
                    outcome: None,
                });
            }
            (Standing::Lost(owner), _) => {
                return Err(ContactError::Lost {
                    directory: contact.directory,
                    owner: Box::new(owner),
                });
            }
            (Standing::Copied(owner), _) => {
                return Err(ContactError::Copied {
                    directory: contact.directory,
                    owner: Box::new(owner),
                });
            }
        }
        if deadline.has_passed() {
            return Err(ContactError::TimedOut {
                directory: directory.to_owned(),
                limit,
            });
        }
        deadline.pause(pause);
        pause = (pause * 2).min(LONGEST_LOOK);
    }
}

fn read(directory: &Path) -> Result<JobRecord, ContactError> {
    JobRecord::read(directory)?.ok_or_else(|| ContactError::NoJob {
        directory: directory.to_owned(),
    })
}

fn stand(directory: &Path, owner: Option<&Owner>) -> Result<Standing, ContactError> {
    let Some(owner) = owner else {
        return Ok(Standing::NotRunning);
    };
    let pid = owner.pid;
    let holds = || {
        let held = process::has_open(pid, &directory.join(LOCK));
        held.map_err(|source| ContactError::Look { pid, source })
    };
    let is_named_so = identity::host_name().is_ok_and(|name| name == owner.host);
    let owner = owner.clone();
    // The first process of a container has no start time in its record.
    let alive = match pid {
        1 if owner.is_of_this_host() => Some(holds()?),
        _ => owner.is_alive()?,
    };
    Ok(match alive {
        Some(true) if holds()? => Standing::Running(owner),
        Some(true) => Standing::Copied(owner),
        // Another container of this machine sees other pids.
        Some(false) | None if !is_named_so => Standing::Elsewhere(owner),
        Some(false) | None => Standing::Lost(owner),
    })
}

fn ended(outcome: &Option<Box<Outcome>>) -> String {
    match outcome {
        Some(outcome) => format!("; its last run ended as {}", outcome.kind.slug()),
        None => String::new(),
    }
}

/// Held by the owner of a job for as long as it has it (see [`crate::set`]).
const LOCK: &str = "sets/.lock";
/// The system tells nobody of a file that another host changes: it is looked at again.
const SHORTEST_LOOK: Duration = Duration::from_millis(20);
const LONGEST_LOOK: Duration = Duration::from_millis(500);
