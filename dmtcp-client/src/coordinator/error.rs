//! Why a call to a coordinator failed.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use dmtcp_proto::{
    CommandError, Dialect, ExchangeError, Interval, Release, WorkerInfo, WorkerState,
};

use crate::watch::{Awaited, Stall};

/// Why a call to a coordinator failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The environment names no usable address.
    #[error("{variable}={value:?} is not {expected}")]
    Environment {
        /// The variable.
        variable: &'static str,
        /// Its value, or the default that stood in for it.
        value: String,
        /// What it should be.
        expected: &'static str,
        /// Why the host has no address, where it is a host.
        source: Option<io::Error>,
    },
    /// What the caller gave is no usable address.
    #[error("{value:?} is not {expected}")]
    Address {
        /// Which part of an address it was given as: `host` or `port`.
        part: &'static str,
        /// What was given.
        value: String,
        /// What it should be.
        expected: &'static str,
        /// Why the host has no address, where it is a host.
        source: Option<io::Error>,
    },
    /// Nobody listens there, or the host cannot be reached.
    #[error("cannot reach a coordinator at {addr}")]
    Connect {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The connection broke in a way that says nothing about the coordinator.
    #[error("the connection to the coordinator at {addr} failed")]
    Io {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The coordinator did not do its part in time.
    ///
    /// Stock coordinators serve nobody while one connection has sent less than a message; a
    /// coordinator that accepts and does not answer is most likely blocked by somebody else's.
    #[error("waited {limit:?} for {awaited} of the coordinator at {addr}{}", hint(.awaited))]
    TimedOut {
        /// Where.
        addr: SocketAddr,
        /// What was waited for.
        awaited: &'static str,
        /// How long this question was allowed to take: the handle's timeout, or what was left of
        /// the call's own limit.
        limit: Duration,
    },
    /// The coordinator understood, and did not carry it out.
    #[error("the coordinator at {addr} refused")]
    Command {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: CommandError,
    },
    /// What came back is no answer.
    #[error("no usable answer from {addr}")]
    Exchange {
        /// Where.
        addr: SocketAddr,
        /// What is wrong with it.
        source: ExchangeError,
    },
    /// The end of the checkpoint was not seen in time. The round goes on: the protocol cannot
    /// stop one.
    #[error("no end of the checkpoint within {limit:?}; {}{}", standing(.begun, .workers, .stall), late(.stall))]
    CheckpointTimedOut {
        /// Where.
        addr: SocketAddr,
        /// How long the whole call was allowed to take.
        limit: Duration,
        /// Whether the workers had been seen to begin.
        begun: bool,
        /// The workers when last listed.
        workers: Vec<WorkerInfo>,
        /// Who holds the checkpoint up, where that can be concluded, and what this host tells of
        /// them.
        stall: Option<Box<Stall>>,
    },
    /// The coordinator took the checkpoint on and gave it up.
    #[error("the coordinator at {addr} began the checkpoint and did not complete it")]
    CheckpointFailed {
        /// Where.
        addr: SocketAddr,
    },
    /// A worker vanished in the middle of the checkpoint. There is no complete set, and the
    /// other workers of its host may never run again: kill them by their pids.
    #[error(
        "lost {} (real pid {} on {}) while it was {}; the other workers may be stuck for good",
        .worker.program, .worker.real_pid, .worker.host, .worker.state
    )]
    WorkerLost {
        /// Where the coordinator is.
        addr: SocketAddr,
        /// The worker, as it was last seen.
        worker: Box<WorkerInfo>,
    },
    /// All workers vanished before the checkpoint was complete.
    #[error("the computation ended before its checkpoint was complete")]
    ComputationEnded {
        /// Where the coordinator is.
        addr: SocketAddr,
    },
    /// All workers are gone, as they should be, but not all of them were seen to have written
    /// their images. They may be there and whole: verify them before using or discarding them.
    #[error("the workers exited, but {}", unwritten(.unseen))]
    Unconfirmed {
        /// Where the coordinator is.
        addr: SocketAddr,
        /// Those not seen, as they were last seen; empty where the coordinator tells no names (2.4)
        /// and so none was seen.
        unseen: Vec<WorkerInfo>,
    },
    /// A checkpoint that was to kill the workers was refused, and a stock coordinator remembers
    /// the killing: the next checkpoint, whoever asks for it, will kill them.
    #[error(
        "the coordinator at {addr} refused, but will kill the workers behind the next checkpoint"
    )]
    RefusedButArmed {
        /// Where.
        addr: SocketAddr,
    },
    /// The coordinator said yes to an interval and did not take it: 3.1.1 to 4.2.0 never do.
    /// Set it when the coordinator or the program is started (`-i`).
    #[error(
        "the coordinator at {addr} ({}) ignored the interval: asked for {asked:?}, it has {found:?}; \
         start it, or the program, with that interval instead",
        speaker(.dialect, .release)
    )]
    IntervalIgnored {
        /// Where.
        addr: SocketAddr,
        /// What was spoken.
        dialect: Dialect,
        /// Its release, where the handle was told.
        release: Option<Release>,
        /// What was asked for.
        asked: Interval,
        /// What the coordinator says it has; `Unchanged`: it does not say (3.1.1).
        found: Interval,
    },
    /// Workers that should have exited are still there. A stock coordinator turns away every new
    /// one meanwhile: kill these by their pids.
    #[error("{} workers are still there: {}", .workers.len(), names(.workers))]
    WorkersRemain {
        /// Where the coordinator is.
        addr: SocketAddr,
        /// The workers.
        workers: Vec<WorkerInfo>,
    },
    /// Workers that should have exited are still there, and the coordinator tells no names (2.4). It
    /// turns away every new one meanwhile.
    #[error("{peers} workers are still there under the coordinator at {addr}")]
    PeersRemain {
        /// Where the coordinator is.
        addr: SocketAddr,
        /// How many.
        peers: u32,
    },
    /// The checkpoint is over, and fewer workers are there than when it began. The coordinator tells
    /// no names (2.4): whether those that are gone have left images, the images must show.
    #[error(
        "the checkpoint is over and {after} of {before} workers are left; the coordinator at {addr} \
         does not tell whether the others were part of it: look at the images"
    )]
    FewerPeers {
        /// Where the coordinator is.
        addr: SocketAddr,
        /// Workers when it began.
        before: u32,
        /// Workers at its end.
        after: u32,
    },
    /// The coordinator closed the connection as if it would end, and still listens: it most
    /// likely speaks another dialect.
    #[error("the coordinator at {addr} still listens after it was told to quit")]
    StillListening {
        /// Where.
        addr: SocketAddr,
    },
}

impl Error {
    pub(super) fn from_exchange(addr: SocketAddr, error: ExchangeError) -> Self {
        match error {
            ExchangeError::Command(CommandError::CheckpointFailed { .. }) => {
                Self::CheckpointFailed { addr }
            }
            ExchangeError::Command(source) => Self::Command { addr, source },
            source => Self::Exchange { addr, source },
        }
    }
}

fn speaker(dialect: &Dialect, release: &Option<Release>) -> String {
    match release {
        Some(release) => release.to_string(),
        None => format!("{dialect:?}"),
    }
}

fn unwritten(unseen: &[WorkerInfo]) -> String {
    match unseen.len() {
        0 => "this coordinator does not show whether they had written their images".to_owned(),
        len => format!("{len} of them were not seen to have written their images"),
    }
}

fn hint(awaited: &str) -> &'static str {
    match awaited {
        ANSWER => {
            ": it is blocked by somebody else's connection, or speaks another dialect than it was \
             asked in"
        }
        _ => "",
    }
}

/// What is waited for once a question was sent.
pub(super) const ANSWER: &str = "the answer";

fn standing(begun: &bool, workers: &[WorkerInfo], stall: &Option<Box<Stall>>) -> String {
    let is_unanswered = |stall: &Stall| stall.awaited == Awaited::FirstStep;
    let is_any = |state| workers.iter().any(|worker| worker.state == state);
    let in_round = |worker: &WorkerInfo| {
        use WorkerState::{Restarting, Running, Unknown};
        !matches!(worker.state, Restarting | Running | Unknown)
    };
    let begun = if *begun {
        "it goes on"
    } else if stall.as_deref().is_some_and(is_unanswered) {
        "it was asked for, and no process has answered yet"
    } else if is_any(WorkerState::Restarting) {
        "it was not asked for, since a restart is under way"
    } else if workers.iter().any(in_round) {
        "it was not asked for, since another checkpoint is under way"
    } else {
        "it was not seen to begin"
    };
    format!("{begun}; workers: {}", names(workers))
}

fn late(stall: &Option<Box<Stall>>) -> String {
    stall
        .as_ref()
        .map_or_else(String::new, |stall| format!("; {stall}"))
}

/// The first few workers, in words.
fn names(workers: &[WorkerInfo]) -> String {
    const SHOWN: usize = 5;
    if workers.is_empty() {
        return "none listed".to_owned();
    }
    let mut names: Vec<String> = workers
        .iter()
        .take(SHOWN)
        .map(|w| {
            format!(
                "{} (real pid {} on {}) {}",
                w.program, w.real_pid, w.host, w.state
            )
        })
        .collect();
    if workers.len() > SHOWN {
        names.push(format!("and {} more", workers.len() - SHOWN));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_checkpoint_from_being_asked_for_is_told() {
        let text = |states: &[&str]| {
            let rows = states.iter().enumerate().map(|(at, state)| {
                let number = at + 1;
                format!("{number}, x[{number}:{number}]@h, 1-{number}-3, WorkerState::{state}, \n")
            });
            let empty = dmtcp_proto::worker_list::write([]);
            let head = empty.trim_end_matches('\n');
            let rows: String = rows.collect();
            let workers = dmtcp_proto::worker_list::parse(&format!("{head}\n{rows}\n")).unwrap();
            let error = Error::CheckpointTimedOut {
                addr: (std::net::Ipv4Addr::LOCALHOST, 7779).into(),
                limit: Duration::from_secs(4),
                begun: false,
                workers,
                stall: None,
            };
            error.to_string()
        };
        let told = [
            (["RUNNING", "PRESUSPEND"], "another checkpoint is under way"),
            (["RUNNING", "RESTARTING"], "a restart is under way"),
            (["RUNNING", "UNKNOWN"], "it was not seen to begin"),
            (["RUNNING", "RUNNING"], "it was not seen to begin"),
        ];
        for (states, expected) in told {
            assert!(text(&states).contains(expected), "{}", text(&states));
        }
    }
}
