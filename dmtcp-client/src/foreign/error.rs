//! Why there is no set out of a foreign coordinator.

use crate::coordinator;
use crate::image::ImageError;
use crate::set::SealError;
use crate::watch::{Awaited, Stall};
use dmtcp_proto::{UniquePid, WorkerInfo};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Why there is no set. Those before are as they were.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForeignError {
    /// The caller: a checkpoint of this handle is under way, be it one that a call gave up on. Wait
    /// with [`ForeignSets::finish`](super::ForeignSets::finish).
    #[error("a checkpoint of this handle is under way: finish it first")]
    Busy,
    /// The caller: no checkpoint of this handle is under way.
    #[error("no checkpoint of this handle is under way")]
    Idle,
    /// The limit passed. From [`Stage::Round`] on nothing can stop the checkpoint: it goes on, and
    /// [`ForeignSets::finish`](super::ForeignSets::finish) gives its set when there is one.
    #[error("no set within {limit:?}: {}", standing(.stage, .workers, .stall))]
    TimedOut {
        /// How long the call was allowed to take.
        limit: Duration,
        /// How far it had come.
        stage: Stage,
        /// The workers as they were last listed; empty where none are told.
        workers: Vec<WorkerInfo>,
        /// Who holds the checkpoint up, where that can be concluded, and what this host tells of
        /// them.
        stall: Option<Box<Stall>>,
    },
    /// A process of the computation vanished in the middle of the round. There is no complete set, and
    /// the other processes may never run again: kill them by their pids.
    #[error(
        "lost {} (real pid {} on {}) in the middle of the checkpoint, while it was {}",
        .worker.program, .worker.real_pid, .worker.host, .worker.state
    )]
    PeerLost {
        /// The process, as it was last seen.
        worker: Box<WorkerInfo>,
    },
    /// All processes vanished before the checkpoint was complete.
    #[error("the computation under {addr} ended before its checkpoint was complete")]
    ComputationEnded {
        /// Where the coordinator is.
        addr: SocketAddr,
    },
    /// The coordinator: it cannot be reached, did not answer in time, refused, or let workers live
    /// that it should have killed.
    #[error("the coordinator gave no checkpoint")]
    Coordinator(#[source] Box<coordinator::Error>),
    /// The round is over, and there is no image of a process that was in it.
    #[error(
        "no image of {} (real pid {} on {}) after the round; {}",
        .worker.program, .worker.real_pid, .worker.host, looked(.refused, .looked_in)
    )]
    NoImage {
        /// The process.
        worker: Box<WorkerInfo>,
        /// Files that might have been its image, and why they are not.
        refused: Vec<Refused>,
        /// Where it was looked for. Name others with
        /// [`ForeignSets::image_dir`](super::ForeignSets::image_dir).
        looked_in: Vec<PathBuf>,
    },
    /// The round is over; processes ran on another host, and their images are not to be found from
    /// this one.
    #[error(
        "{} processes ran on {host} and their images cannot be seen from here; {}: checkpoint into \
         a shared directory, or run this there",
        .workers.len(), looked(&[], .looked_in)
    )]
    Elsewhere {
        /// The host.
        host: String,
        /// The processes.
        workers: Vec<WorkerInfo>,
        /// Where they were looked for.
        looked_in: Vec<PathBuf>,
    },
    /// The round had another number of processes than there are images of it.
    #[error(
        "the round had {expected} processes and there are images of {found}; {}",
        looked(&[], .looked_in)
    )]
    Incomplete {
        /// What the images say.
        expected: u32,
        /// Images of that round.
        found: u32,
        /// Processes without one that were listed about that time; some of them may not have been in
        /// the round.
        without: Vec<WorkerInfo>,
        /// Where they were looked for.
        looked_in: Vec<PathBuf>,
    },
    /// The coordinator lists no workers (2.4), and no restart script of this round was found that
    /// says which images belong to it.
    #[error(
        "the coordinator at {addr} lists no workers, and no restart script tells which images are \
         of this checkpoint; {}",
        looked(&[], .looked_in)
    )]
    Unlisted {
        /// Where the coordinator is.
        addr: SocketAddr,
        /// Where the script was looked for.
        looked_in: Vec<PathBuf>,
    },
    /// The images were found and could not be made a set.
    #[error("the images of the checkpoint did not become a set")]
    Seal(#[source] Box<SealError>),
    /// The environment: no thread.
    #[error("cannot start a thread for the checkpoint")]
    Thread(#[source] io::Error),
    /// The handle was dropped meanwhile.
    #[error("the checkpoint was abandoned")]
    Abandoned,
}

/// How far a checkpoint under a foreign coordinator has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Nothing has been asked for yet: the computation is starting, restarting, in somebody else's
    /// checkpoint, or not there.
    Waiting,
    /// The round was asked for.
    Round,
    /// The round is over; its images are waited for, checked and sealed.
    Sealing,
}

/// A file that is not the image it might have been.
#[derive(Debug)]
#[non_exhaustive]
pub struct Refused {
    /// The file.
    pub path: PathBuf,
    /// Why it is not.
    pub why: Refusal,
}

/// Why a file is not the image that is looked for.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// It was there before the checkpoint was asked for.
    Older,
    /// It has not got its final name, and nobody writes it.
    Unfinished,
    /// It holds another process than its name says.
    OtherProcess(UniquePid),
    /// It is of another computation or another round than the other images.
    OtherRound(UniquePid),
    /// It cannot be read.
    Unreadable(ImageError),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.why {
            Refusal::Older => write!(f, "{path} is from before"),
            Refusal::Unfinished => write!(f, "{path} was left unfinished"),
            Refusal::OtherProcess(found) => write!(f, "{path} holds {found}"),
            Refusal::OtherRound(found) => {
                write!(f, "{path} is of {found} generation {}", found.generation)
            }
            Refusal::Unreadable(error) => write!(f, "{error}"),
        }
    }
}

fn standing(stage: &Stage, workers: &[WorkerInfo], stall: &Option<Box<Stall>>) -> String {
    let is_unanswered = |stall: &Stall| stall.awaited == Awaited::FirstStep;
    let what = match stage {
        Stage::Waiting => "the workers did not all run, so nothing was asked for",
        Stage::Round if stall.as_deref().is_some_and(is_unanswered) => {
            "the round was asked for, and no process has answered yet"
        }
        Stage::Round => "the round goes on",
        Stage::Sealing => "the round is over, and its images are still being checked and sealed",
    };
    if workers.is_empty() {
        return what.to_owned();
    }
    let states = workers.iter().take(SHOWN).map(|worker| {
        let (program, pid, host) = (&worker.program, worker.real_pid, &worker.host);
        format!("{program} (real pid {pid} on {host}) {}", worker.state)
    });
    let stall = stall.as_ref().map(|stall| format!("; {stall}"));
    let (states, stall) = (joined(states), stall.unwrap_or_default());
    format!("{what}; {states}{}{stall}", more(workers.len()))
}

fn looked(refused: &[Refused], places: &[PathBuf]) -> String {
    let mut text = match places {
        [] => "there was nowhere to look for them".to_owned(),
        places => {
            let shown = places.iter().take(SHOWN);
            let shown = joined(shown.map(|place| place.display().to_string()));
            format!("looked in {shown}{}", more(places.len()))
        }
    };
    for refused in refused.iter().take(SHOWN) {
        text.push_str("; ");
        text.push_str(&refused.to_string());
    }
    text
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn more(len: usize) -> String {
    match len.checked_sub(SHOWN) {
        None | Some(0) => String::new(),
        Some(more) => format!(" and {more} more"),
    }
}

const SHOWN: usize = 5;
