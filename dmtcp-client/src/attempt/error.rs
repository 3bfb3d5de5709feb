//! What can go wrong with an attempt.

use std::{
    ffi::{OsStr, OsString},
    fmt, io,
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use thiserror::Error;

use crate::with_causes;
use crate::{
    StartError, ToolsError, native,
    process::{Exit, ProcessError},
    remote::HostError,
    server::ServerError,
    set::{SealError, SetError},
    watch::Stall,
};

/// Why an attempt was not started, or not carried on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// The embedded coordinator.
    #[error(transparent)]
    Server(Box<ServerError>),
    /// The command line of `dmtcp_launch` or `dmtcp_restart`.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A native worker's command line or image.
    #[error(transparent)]
    Native(#[from] native::Error),
    /// A child process.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The DMTCP programs.
    #[error(transparent)]
    Tools(#[from] ToolsError),
    /// The caller: the set holds images of DMTCP, or the program needs it, and
    /// [`Attempts::tools`](super::Attempts::tools) names none.
    #[error("DMTCP's programs are needed and none were given")]
    NoTools,
    /// The caller: an attempt must have something to run.
    #[error("no program was given")]
    NoProgram,
    /// The caller: an earlier attempt of the same [`Attempts`](super::Attempts) still lives. Two
    /// at once would do everything twice.
    #[error("another attempt at this job still lives; stop, kill or drop it first")]
    StillRunning,
    /// The caller set the flag of [`Attempts::interrupted_by`](super::Attempts::interrupted_by).
    #[error("the restart was interrupted")]
    Interrupted,
    /// The programs ended before all of them were running. What they wrote to standard error says
    /// why; [`FAIL_CODE`](crate::process::FAIL_CODE) is a failure of DMTCP itself.
    #[error("the programs ended before all of them were running: {}", exits_text(.exits))]
    Ended {
        /// How, in the order in which they were started.
        exits: Vec<Exit>,
    },
    /// The programs held a checkpoint up and were killed for it, as [`StallPolicy::Restart`] asks for.
    /// The sets are there.
    ///
    /// [`StallPolicy::Restart`]: super::StallPolicy::Restart
    #[error("all processes were killed since they held a checkpoint up: {0}")]
    Stalled(Box<Stall>),
    /// The store of sets.
    #[error(transparent)]
    Set(#[from] SetError),
    /// A set's images could not be put where a restart finds them.
    #[error("set {sequence} cannot be laid out for a restart")]
    Stage {
        /// The set.
        sequence: u64,
        /// Why.
        source: SealError,
    },
    /// There is no set at all: nothing is lost by starting afresh.
    #[error("there is no checkpoint set yet")]
    NoSet,
    /// There are sets, and none of them can be restarted here and now: they are damaged, of another
    /// release of DMTCP, or of another kind of host. A fresh start in the same directory begins the
    /// work again, and retention then removes them in favour of new ones.
    #[error("there are checkpoint sets and none can be restarted here{}", refused_text(.refused))]
    NoUsableSet {
        /// What is wrong with each.
        refused: Vec<SetError>,
    },
    /// Sets were good and none of them could be restarted.
    #[error("no checkpoint set could be restarted{}{}", failed_text(.failed), refused_text(.refused))]
    NoRestart {
        /// Every try, in order.
        failed: Vec<FailedRestart>,
        /// What is wrong with the sets that were not tried.
        refused: Vec<SetError>,
    },
    /// A host cannot be used. Nothing was started there.
    #[error(transparent)]
    Host(#[from] HostTrouble),
    /// The caller: programs on other hosts cannot reach this address.
    #[error(
        "other hosts cannot reach the coordinator at {addr}: say with `listen` on which address of \
         this host it listens, or with `reached_at` where they find it"
    )]
    NotReachable {
        /// Where it listens.
        addr: SocketAddr,
    },
    /// Processes of an attempt may still run on these hosts. Nothing else is started before they
    /// are ended, since two of a kind would do everything twice.
    #[error(
        "processes may still run on other hosts{}; if they are gone for good, say so with `gone`",
        troubles_text(.troubles)
    )]
    HostsLeft {
        /// The hosts, and what keeps them from being cleaned.
        troubles: Vec<HostTrouble>,
    },
    /// The processes of an earlier attempt do not end.
    #[error("processes of an earlier attempt are still there")]
    Leftover {
        /// What keeps them.
        source: ProcessError,
    },
    /// The environment: a file or directory.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl From<ServerError> for AttemptError {
    fn from(error: ServerError) -> Self {
        Self::Server(Box::new(error))
    }
}

/// A host, and what is wrong with it.
#[derive(Debug, Error)]
#[error("host {} cannot be used", .host.to_string_lossy())]
#[non_exhaustive]
pub struct HostTrouble {
    /// The name by which the launcher knows it.
    pub host: OsString,
    /// What is wrong.
    #[source]
    pub reason: HostError,
}

impl HostTrouble {
    pub(super) fn new(host: &OsStr, reason: HostError) -> Self {
        Self {
            host: host.to_owned(),
            reason,
        }
    }
}

/// One try at a restart that did not succeed.
#[derive(Debug)]
#[non_exhaustive]
pub struct FailedRestart {
    /// The set.
    pub sequence: u64,
    /// How long the try took, its processes' end included.
    pub took: Duration,
    /// Why.
    pub reason: RestartFailure,
    /// Where more is told of it: see [`Attempts::diagnostics`](super::Attempts::diagnostics).
    pub diagnostics: Option<PathBuf>,
}

/// Why a try at a restart did not succeed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RestartFailure {
    /// It could not even begin.
    #[error(transparent)]
    Start(Box<AttemptError>),
    /// Not all processes were running in time.
    #[error("after {waited:.1?} only {running} of {expected} ran{}", seen_text(.seen))]
    TimedOut {
        /// How long it was waited for: up to [`Attempts::restart_limit`], and no longer than ten
        /// seconds for each step once memory is read back.
        ///
        /// [`Attempts::restart_limit`]: super::Attempts::restart_limit
        waited: Duration,
        /// Processes that were running.
        running: usize,
        /// Processes of the set.
        expected: usize,
        /// What the coordinator saw of those that were connected.
        seen: Vec<String>,
    },
    /// A process ended before all were running, or was killed directly after.
    #[error("a process{} ended with {exit} before all were running, or directly after", on_text(.host))]
    Ended {
        /// How it ended; on another host, what the launcher made of it.
        exit: Exit,
        /// Where; `None` is this host.
        host: Option<OsString>,
    },
    /// The coordinator ended: somebody told it to quit.
    #[error("the coordinator was ended before all processes were running")]
    CoordinatorEnded,
}

fn exits_text(exits: &[Exit]) -> String {
    let texts: Vec<String> = exits.iter().map(Exit::to_string).collect();
    texts.join(", ")
}

fn refused_text(refused: &[SetError]) -> String {
    let text = |error: &SetError| format!("; {}", with_causes(error));
    refused.iter().map(text).collect()
}

fn failed_text(failed: &[FailedRestart]) -> String {
    let mut text = String::new();
    let mut failed = failed.iter().peekable();
    while let Some(first) = failed.next() {
        let what = with_causes(&first.reason);
        let mut tries = 1;
        let mut last = first;
        let is_same = |next: &&FailedRestart| {
            next.sequence == first.sequence && with_causes(&next.reason) == what
        };
        while let Some(next) = failed.next_if(is_same) {
            tries += 1;
            last = next;
        }
        text += &format!("; set {}: ", first.sequence);
        if tries > 1 {
            text += &format!("{tries} tries: ");
        }
        text += &what;
        if let Some(dir) = &last.diagnostics {
            text += &format!(" (more in {})", dir.display());
        }
    }
    text
}

fn troubles_text(troubles: &[HostTrouble]) -> String {
    let text = |trouble: &HostTrouble| {
        let host = trouble.host.to_string_lossy();
        format!("; {host}: {}", with_causes(&trouble.reason))
    };
    troubles.iter().map(text).collect()
}

fn on_text(host: &Option<OsString>) -> String {
    host.as_ref().map_or_else(String::new, |host| {
        format!(" on {}", host.to_string_lossy())
    })
}

fn seen_text(seen: &[String]) -> String {
    if seen.is_empty() {
        String::new()
    } else {
        format!("; {}", seen.join(", "))
    }
}

impl fmt::Display for FailedRestart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "set {}: {}", self.sequence, with_causes(&self.reason))
    }
}
