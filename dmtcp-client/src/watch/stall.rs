//! A stall as a value, and in words.

use std::{fmt, time::Duration};

use dmtcp_proto::WorkerInfo;
use serde::{Deserialize, Serialize};

use crate::process::Situation;

/// Workers that hold a round or a restart up.
///
/// `Display` is one line, `{:#}` adds what is known of each laggard's threads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stall {
    /// Number of the round; `None`: it is a restart, or the coordinator does not tell.
    pub round: Option<u64>,
    /// What is waited for.
    pub awaited: Awaited,
    /// How many are there already, or have done their part.
    pub arrived: u32,
    /// How many there are, or in a restart will be.
    pub peers: u32,
    /// Processes of a restart that have not joined.
    pub missing: u32,
    /// How long ago a worker got to its next step for the last time.
    pub quiet: Duration,
    /// Those that are waited for, at most 8, in the order in which they joined.
    pub laggards: Vec<Laggard>,
    /// How many more there are.
    pub more: usize,
}

/// What a round or a restart waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Awaited {
    /// That all workers run, so that they can be told to checkpoint.
    Running,
    /// That all workers are at this barrier, or in 2.x in this state, as some are.
    At(String),
    /// That one gets further than this barrier or state, which all have passed.
    Behind(String),
    /// That one answers the order to checkpoint.
    FirstStep,
    /// That all workers run again behind their images.
    Resumed,
}

/// A worker that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Laggard {
    /// The worker, as its coordinator knows it.
    pub worker: WorkerInfo,
    /// For how long it is waited for.
    pub since: Duration,
    /// What its host tells.
    pub seen: Seen,
}

/// What could be seen of a worker's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Seen {
    /// It is on this host and holds a connection to the coordinator.
    Here(Box<Situation>),
    /// It is on another host; only somebody there can look.
    OtherHost,
    /// It has not told its real pid.
    Untold,
    /// The process has ended, though its connection has not.
    Ended,
    /// The process that has its number here holds no connection to the coordinator: the number is of
    /// another container, or somebody else's by now.
    NotTheWorker,
    /// Whether it is the worker may not be seen, or it took too long to look; why, in words.
    Unknown(String),
}

impl Stall {
    /// Whether a laggard may be on its way: it has an image open, and that has grown since the look
    /// before, or there was none before. On other hosts that is not known, and taken for no.
    #[must_use]
    pub fn may_progress(&self) -> bool {
        let grows = |laggard: &Laggard| match &laggard.seen {
            Seen::Here(situation) => {
                let mut images = situation.images.iter();
                images.any(|image| image.grown != Some(0))
            }
            _ => false,
        };
        self.laggards.iter().any(grows)
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (arrived, peers) = (self.arrived, self.peers);
        match &self.awaited {
            Awaited::Running => write!(f, "{arrived} of {peers} run")?,
            Awaited::At(step) => write!(f, "{arrived} of {peers} at {step}")?,
            Awaited::Behind(step) => write!(f, "{arrived} of {peers} past {step}")?,
            Awaited::FirstStep => write!(f, "{arrived} of {peers} have answered")?,
            Awaited::Resumed => write!(f, "{arrived} of {peers} run again")?,
        }
        write!(f, " for {}", Seconds(self.quiet))?;
        for (index, laggard) in self.laggards.iter().enumerate() {
            f.write_str(if index == 0 {
                "; waiting for "
            } else {
                "; and for "
            })?;
            laggard.fmt(f)?;
        }
        match self.more {
            0 => {}
            more => write!(f, "; and for {more} more")?,
        }
        match self.missing {
            0 => Ok(()),
            missing => write!(f, "; {missing} have not joined"),
        }
    }
}

impl fmt::Display for Laggard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let worker = &self.worker;
        write!(
            f,
            "{} (pid {} on {}), ",
            worker.program, worker.real_pid, worker.host
        )?;
        match &self.seen {
            Seen::Here(situation) => situation.fmt(f),
            Seen::OtherHost => f.write_str("which only its own host can look into"),
            Seen::Untold => f.write_str("which has not told its real pid"),
            Seen::Ended => f.write_str("whose process has ended"),
            Seen::NotTheWorker => {
                f.write_str("but the process of that pid here is not connected to the coordinator")
            }
            Seen::Unknown(why) => write!(f, "which could not be looked into: {why}"),
        }
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let precision = usize::from(self.0 < Duration::from_secs(10));
        write!(f, "{:.precision$} s", self.0.as_secs_f64())
    }
}
