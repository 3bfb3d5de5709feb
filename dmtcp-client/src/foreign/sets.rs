//! The handle: sets of one coordinator's computation.

use super::error::{ForeignError, Stage};
use super::job::{Job, Outcome};
use super::round::{self, Round};
use crate::coordinator::Coordinator;
use crate::deadline::Deadline;
use crate::driver::{Driver, block_on};
use crate::set::{CheckpointSet, SetStore};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// Makes checkpoint sets of the computation under any coordinator, stock ones included.
///
/// ```no_run
/// use dmtcp_client::coordinator::{Coordinator, DetectOptions};
/// use dmtcp_client::foreign::{ForeignError, ForeignSets};
/// use dmtcp_client::set::SetStore;
/// use std::time::Duration;
///
/// let coordinator = Coordinator::detect("127.0.0.1:7779".parse()?, &DetectOptions::default())?;
/// let sets = ForeignSets::new(coordinator, SetStore::open("state".as_ref())?);
/// let set = match sets.checkpoint(Duration::from_secs(60)) {
///     // The round goes on, since nothing can stop it; so does this.
///     Err(ForeignError::TimedOut { .. }) => sets.finish(Duration::from_secs(600))?,
///     other => other?,
/// };
/// println!("{}: {} images, {} bytes", set.dir().display(), set.images().len(), set.total_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// What a set rests on, and for which releases that is less, is said in [the module](super).
///
/// One checkpoint at a time for each handle; another program, or another handle, may ask the same
/// coordinator meanwhile. Both then get a set of a round that began after they asked, perhaps the same
/// round, or an error.
///
/// Each checkpoint runs on a thread of its own, so that a limit is kept whatever hangs. Dropping the
/// handle lets the thread end by itself, after the question or the file it is at; until then the
/// store stays open.
#[derive(Debug)]
pub struct ForeignSets {
    coordinator: Coordinator,
    store: Arc<SetStore>,
    dirs: Vec<PathBuf>,
    late: Duration,
    job: Mutex<Option<Arc<Job>>>,
}

/// What the processes do behind the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behind {
    GoOn,
    Exit,
}

impl ForeignSets {
    /// Sets of the computation under this coordinator, in this store. Nothing is sent.
    ///
    /// A store that others use too is given as an `Arc`.
    #[must_use]
    pub fn new(coordinator: Coordinator, store: impl Into<Arc<SetStore>>) -> Self {
        Self {
            coordinator,
            store: store.into(),
            dirs: Vec::new(),
            late: LATE,
            job: Mutex::new(None),
        }
    }

    /// Another directory in which images or the coordinator's restart script may be; may be called
    /// several times. A relative one is so to this program's working directory.
    #[must_use]
    pub fn image_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dirs.push(dir.into());
        self
    }

    /// How long a checkpoint is followed that has outlived the limit of its call; counted from when
    /// it was asked for. Default: one hour.
    #[must_use]
    pub fn follow_for(mut self, limit: Duration) -> Self {
        self.late = limit;
        self
    }

    /// The coordinator that is asked.
    #[must_use]
    pub fn coordinator(&self) -> &Coordinator {
        &self.coordinator
    }

    /// Where the sets are.
    #[must_use]
    pub fn store(&self) -> &Arc<SetStore> {
        &self.store
    }

    /// Checkpoints the whole computation, and gives a complete, durable set of its images.
    ///
    /// `limit` covers everything: waiting until all workers run and nobody else's checkpoint is in the
    /// way, the round, and sealing. The outcome of a checkpoint that an earlier call gave up on, and
    /// that came since, is forgotten; its set is in the store.
    ///
    /// # Errors
    ///
    /// See [`ForeignError`]. [`Busy`](ForeignError::Busy) is at once;
    /// [`TimedOut`](ForeignError::TimedOut) says whether the round goes on.
    pub fn checkpoint(&self, limit: Duration) -> Result<CheckpointSet, ForeignError> {
        block_on(self.begin(&Driver::Blocking, Behind::GoOn, limit))
    }

    /// The same, and the processes exit behind their images.
    ///
    /// The images of processes that are gone are judged like all others; where their exits came too
    /// fast to be followed, they alone tell.
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](Self::checkpoint). [`Coordinator`](ForeignError::Coordinator) with
    /// [`WorkersRemain`](crate::coordinator::Error::WorkersRemain): there is no set, and processes
    /// run on.
    pub fn checkpoint_and_kill(&self, limit: Duration) -> Result<CheckpointSet, ForeignError> {
        block_on(self.begin(&Driver::Blocking, Behind::Exit, limit))
    }

    /// Waits on for the checkpoint that an earlier call gave up on, and gives its outcome, once.
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](Self::checkpoint); [`TimedOut`](ForeignError::TimedOut) again if it is not
    /// over then either; [`Idle`](ForeignError::Idle).
    pub fn finish(&self, limit: Duration) -> Result<CheckpointSet, ForeignError> {
        block_on(self.finish_with(&Driver::Blocking, limit))
    }

    pub(crate) async fn finish_with(&self, driver: &Driver, limit: Duration) -> Outcome {
        let deadline = Deadline::after(limit);
        let job = self.lock().clone();
        let job = job.filter(|job| !job.is_abandoned());
        self.wait(driver, job.as_ref().ok_or(ForeignError::Idle)?, deadline)
            .await
    }

    pub(crate) async fn begin(&self, driver: &Driver, behind: Behind, limit: Duration) -> Outcome {
        let deadline = Deadline::after(limit);
        let job = {
            let mut current = self.lock();
            if current.as_ref().is_some_and(|job| job.is_under_way()) {
                return Err(ForeignError::Busy);
            }
            let job = Arc::new(Job::new());
            let round = Round {
                coordinator: self.coordinator.clone(),
                store: Arc::clone(&self.store),
                dirs: self.dirs.clone(),
                behind,
                ask_by: deadline,
                late: self.late.max(limit),
                job: Arc::clone(&job),
            };
            thread::Builder::new()
                .name("foreign checkpoint".to_owned())
                .spawn(move || round::run(round))
                .map_err(ForeignError::Thread)?;
            *current = Some(Arc::clone(&job));
            job
        };
        self.wait(driver, &job, deadline).await
    }

    async fn wait(&self, driver: &Driver, job: &Arc<Job>, deadline: Deadline) -> Outcome {
        let mut outcome = job.wait(driver, deadline).await;
        if let Err(ForeignError::TimedOut {
            stage: Stage::Round,
            workers,
            stall,
            ..
        }) = &mut outcome
        {
            let (quiet, workers, is_unanswered) = (job.quiet(), workers.clone(), !job.has_begun());
            let coordinator = self.coordinator.clone();
            let looked = move || coordinator.stall_of(&workers, quiet, is_unanswered);
            if stall.is_none() {
                *stall = driver.unblock(looked).await;
            }
        }
        let goes_on = matches!(outcome, Err(ForeignError::TimedOut { .. })) && job.is_under_way();
        if !goes_on {
            let mut current = self.lock();
            current.take_if(|current| Arc::ptr_eq(current, job));
        }
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Job>>> {
        self.job.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Drop for ForeignSets {
    fn drop(&mut self) {
        if let Some(job) = self.lock().take() {
            job.abandon();
        }
    }
}

const LATE: Duration = Duration::from_secs(3600);
