//! Making a set of a round's images, on a thread of its own.
//!
//! What a set is on disk is the [`Sealer`]'s business. Sealing copies, checks and syncs
//! gigabytes, so it never happens on the server's thread: that one goes on serving meanwhile.

use crate::with_causes;
use std::{
    error::Error,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, SystemTime},
};

use dmtcp_proto::{ImageReport, Name, UniquePid};

use super::{
    clock::timed,
    task::{Key, Link, Task},
};

/// A round whose images are all reported and wait to become a set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealRound {
    /// Number of the round; rises by one with each.
    pub round: u64,
    /// The computation, with the round's generation.
    pub computation: UniquePid,
    /// When the round began.
    pub started: SystemTime,
    /// The barriers that were released since, and how long each took.
    pub barriers: Vec<(Name, Duration)>,
    /// One report for each worker of the round.
    pub images: Arc<[ImageReport]>,
}

/// A set that is complete and durable.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealedSet {
    /// Its number in its store; only rises.
    pub sequence: u64,
    /// Where it is.
    pub directory: PathBuf,
    /// Its size; `None`: its sealer does not say.
    pub bytes: Option<u64>,
}

impl SealedSet {
    /// The set with this number in this directory.
    #[must_use]
    pub fn new(sequence: u64, directory: impl Into<PathBuf>) -> Self {
        Self {
            sequence,
            directory: directory.into(),
            bytes: None,
        }
    }

    /// The same with this size.
    #[must_use]
    pub fn bytes(self, bytes: u64) -> Self {
        Self {
            bytes: Some(bytes),
            ..self
        }
    }
}

/// Why images did not become a set. Told to whoever asked for the checkpoint, as text, with its
/// sources behind it.
pub type SealError = Box<dyn Error + Send + Sync>;

/// Makes sets of images. Closures of this form are sealers.
///
/// Called for one round at a time, on a thread of its own; it may take as long as it needs. The
/// answer to whoever asked for the checkpoint, the next checkpoint and any kill wait for it. A
/// panic counts as an error, for this and all later rounds.
pub trait Sealer: Send {
    /// Makes a complete, durable set of these images.
    ///
    /// # Errors
    /// When one is missing, not whole or still being written, or the disk fails. The round has
    /// then failed.
    fn seal(&mut self, round: &SealRound) -> Result<SealedSet, SealError>;

    /// A round has begun: images will be written from now on. Does nothing by default.
    fn round_begins(&mut self) {}

    /// The round has failed, and nothing is to be made of its images. Does nothing by default.
    fn round_failed(&mut self) {}
}

impl<F> Sealer for F
where
    F: FnMut(&SealRound) -> Result<SealedSet, SealError> + Send,
{
    fn seal(&mut self, round: &SealRound) -> Result<SealedSet, SealError> {
        self(round)
    }
}

/// The thread of one computation's sealer. Ends when this is dropped and its round is done,
/// and says so ([`Task::SealerEnded`]).
#[derive(Debug)]
pub(super) struct SealThread {
    work: mpsc::Sender<SealWork>,
}

/// What a sealer is told.
#[derive(Debug)]
pub(super) enum SealWork {
    Begins,
    Failed,
    Seal(SealRound),
}

impl SealThread {
    pub(super) fn spawn(sealer: Box<dyn Sealer>, key: Key, link: Arc<Link>) -> io::Result<Self> {
        let (work, queue) = mpsc::channel();
        thread::Builder::new()
            .name("dmtcp-seal".to_owned())
            .spawn(move || {
                serve(sealer, &queue, key, &link);
                // Nobody is there to be told if the server is gone.
                let _ = link.send(Task::SealerEnded { key });
            })?;
        Ok(Self { work })
    }

    /// False: the thread has ended, which it does only with its server.
    pub(super) fn tell(&self, work: SealWork) -> bool {
        self.work.send(work).is_ok()
    }
}

/// Goes on behind a panic, so that every round is answered; the sealer itself is not called
/// again.
fn serve(sealer: Box<dyn Sealer>, work: &mpsc::Receiver<SealWork>, key: Key, link: &Link) {
    let mut sealer = Some(sealer);
    for work in work {
        let round = match work {
            SealWork::Begins => {
                unless_it_panics(&mut sealer, |sealer| sealer.round_begins());
                continue;
            }
            SealWork::Failed => {
                unless_it_panics(&mut sealer, |sealer| sealer.round_failed());
                continue;
            }
            SealWork::Seal(round) => round,
        };
        let (took, result) = timed(|| unless_it_panics(&mut sealer, |sealer| sealer.seal(&round)));
        let outcome = SealOutcome {
            round: round.round,
            result: match result {
                Some(result) => result.map_err(|error| with_causes(error.as_ref())),
                None => Err("the sealer panicked".to_owned()),
            },
            took,
        };
        if link.send(Task::Sealed { key, outcome }).is_err() {
            return;
        }
    }
}

/// `None` if it panics, now or once before.
fn unless_it_panics<T>(
    sealer: &mut Option<Box<dyn Sealer>>,
    call: impl FnOnce(&mut dyn Sealer) -> T,
) -> Option<T> {
    let called = sealer.as_deref_mut()?;
    let result = catch_unwind(AssertUnwindSafe(|| call(called))).ok();
    if result.is_none() {
        *sealer = None;
    }
    result
}

/// What came of sealing one round.
#[derive(Debug)]
pub(super) struct SealOutcome {
    pub(super) round: u64,
    pub(super) result: Result<SealedSet, String>,
    pub(super) took: Duration,
}
