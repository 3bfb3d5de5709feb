//! Checkpoints that are answered when they are over.
//!
//! Where the coordinator answers at the end, that answer counts, and the worker list is watched
//! beside it: a stock coordinator forgets who waits when the computation dies or somebody else
//! asks. Where it does not, the list alone is watched, closely, and the answer says so.

use std::time::Duration;

use dmtcp_proto::{
    AfterCheckpoint, BlockingCheckpoint, Checkpointed, Command, CommandError, Reply, WorkerInfo,
    WorkerState,
};

use super::Coordinator;
use super::call::Call;
use super::error::Error;
use super::round_watch::{Ending, Progress, RoundWatch};
use super::talk::{Talk, tells_no_list};
use crate::deadline::Deadline;
use crate::driver::{Driver, block_on};

/// A checkpoint that is over, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointReport {
    /// Workers that were connected when it began or ended, whichever the coordinator tells.
    pub peers: u32,
    /// How its end is known.
    pub evidence: Evidence,
}

/// Who needs to know more of a checkpoint than its outcome.
pub(crate) trait Onlooker {
    /// All workers run, and the checkpoint is asked for next; `None` where the coordinator tells no
    /// list. Gives the deadline of all that follows, or `None` if nothing shall be asked for.
    fn asks(&mut self, workers: Option<&[WorkerInfo]>) -> Option<Deadline>;

    /// It was refused, and is asked for again when all workers run.
    fn refused(&mut self);

    /// One more list was seen.
    fn sees(&mut self, watch: &RoundWatch);

    /// Whether anybody still waits for the end.
    fn is_there(&self) -> bool;
}

/// The caller waits, and needs to know no more.
struct Nobody(Deadline);

impl Onlooker for Nobody {
    fn asks(&mut self, _: Option<&[WorkerInfo]>) -> Option<Deadline> {
        Some(self.0)
    }

    fn refused(&mut self) {}

    fn sees(&mut self, _: &RoundWatch) {}

    fn is_there(&self) -> bool {
        true
    }
}

/// Those that a checkpoint is about to stop.
pub(crate) enum Before {
    Listed(Vec<WorkerInfo>),
    /// The coordinator tells no list.
    Counted(u32),
}

/// How the end of a checkpoint is known. Neither says that the images are whole and on disk:
/// [`ForeignSets`](crate::foreign::ForeignSets) does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Evidence {
    /// The coordinator said that every worker has reported its image.
    CoordinatorReply,
    /// It did not say. Every worker was seen stopped for the checkpoint and then running again
    /// or, if it was to exit, seen with its image written and then gone.
    Observed {
        /// How many worker lists, or where there are none (2.4) status requests, this rests on.
        lists: u32,
    },
}

impl Before {
    pub(crate) fn listed(&self) -> Option<&[WorkerInfo]> {
        match self {
            Self::Listed(workers) => Some(workers),
            Self::Counted(_) => None,
        }
    }
}

impl Coordinator {
    /// Checkpoints the whole computation and waits for its end.
    ///
    /// What stands at the end, and what does not, is in [`Evidence`]. `limit` covers everything;
    /// the [timeout](Self::timeout) of the handle bounds the single questions within it.
    ///
    /// A computation that is starting, restarting or in another checkpoint is waited for, one
    /// without any worker for 5 s.
    ///
    /// 2.x and 3.0.0 never answer a checkpoint that they refuse, so they are asked only while all
    /// workers run. A checkpoint of somebody else that begins in the moment between is taken for this
    /// one.
    ///
    /// On the development head, two programs that ask for this at the same moment disturb each
    /// other: the second is refused and the first is forgotten. The state is looked at before
    /// asking, which leaves a window of a millisecond; whoever is forgotten nevertheless gets the
    /// answer, as [`Evidence::Observed`].
    ///
    /// # Errors
    ///
    /// [`Error::CheckpointTimedOut`]: the round goes on, and nothing can stop it.
    /// [`Error::WorkerLost`], [`Error::ComputationEnded`], [`Error::CheckpointFailed`]: there
    /// will be no complete set. [`Error::FewerPeers`], 2.4 only: there may be none. [`Error::Command`]: refused until `limit` was over, or no workers.
    pub fn checkpoint(&self, limit: Duration) -> Result<CheckpointReport, Error> {
        block_on(self.talk(&Driver::Blocking).checkpoint(limit))
    }

    /// Checkpoints the whole computation, lets the workers exit behind it, and waits until they
    /// are gone.
    ///
    /// This library's coordinator answers when the set is sealed. A stock one answers at once, so
    /// the evidence is [`Evidence::Observed`]. Waits like [`checkpoint`](Self::checkpoint) before
    /// it asks.
    ///
    /// # Errors
    ///
    /// As [`checkpoint`](Self::checkpoint), and: [`Error::Unconfirmed`], the workers are gone and
    /// their images may or may not be whole, which is all that 2.4 ever shows;
    /// [`Error::WorkersRemain`], [`Error::PeersRemain`], some did not exit;
    /// [`Error::RefusedButArmed`].
    pub fn checkpoint_and_kill(&self, limit: Duration) -> Result<CheckpointReport, Error> {
        block_on(self.talk(&Driver::Blocking).checkpoint_and_kill(limit))
    }
}

impl Talk<'_> {
    pub(crate) async fn checkpoint(&self, limit: Duration) -> Result<CheckpointReport, Error> {
        let deadline = Deadline::after(limit);
        self.checkpoint_with(deadline, &mut Nobody(deadline)).await
    }

    pub(crate) async fn checkpoint_and_kill(
        &self,
        limit: Duration,
    ) -> Result<CheckpointReport, Error> {
        let deadline = Deadline::after(limit);
        self.checkpoint_and_kill_with(deadline, &mut Nobody(deadline))
            .await
    }

    /// The deadline is that for asking, what follows has the onlooker's.
    pub(crate) async fn checkpoint_with(
        &self,
        deadline: Deadline,
        onlooker: &mut (dyn Onlooker + Send),
    ) -> Result<CheckpointReport, Error> {
        let mut refusal = None;
        loop {
            let before = match self.wait_until_running(deadline).await {
                Ok(before) => before,
                Err(error) if deadline.has_passed() => return Err(refusal.unwrap_or(error)),
                Err(error) => return Err(error),
            };
            let Some(end) = onlooker.asks(before.listed()) else {
                return Err(self.unasked(deadline, before));
            };
            let outcome = match before {
                Before::Counted(peers) => self.ask_and_count(end, peers).await,
                Before::Listed(workers) => {
                    let mut watch = RoundWatch::new(Ending::Resume, workers);
                    self.ask_and_watch(end, &mut watch, onlooker).await
                }
            };
            match outcome {
                Err(error) if is_refusal(&error) => {
                    onlooker.refused();
                    refusal = Some(error);
                    self.pause(deadline, RETRY).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// The deadline is that for asking, what follows has the onlooker's.
    pub(crate) async fn checkpoint_and_kill_with(
        &self,
        deadline: Deadline,
        onlooker: &mut (dyn Onlooker + Send),
    ) -> Result<CheckpointReport, Error> {
        let mut armed = false;
        loop {
            let before = match self.wait_until_running(deadline).await {
                Err(Error::CheckpointTimedOut { .. } | Error::TimedOut { .. }) if armed => {
                    return Err(Error::RefusedButArmed { addr: self.addr });
                }
                outcome => outcome?,
            };
            let Some(end) = onlooker.asks(before.listed()) else {
                return Err(match armed {
                    true => Error::RefusedButArmed { addr: self.addr },
                    false => self.unasked(deadline, before),
                });
            };
            let command = Command::Checkpoint(AfterCheckpoint::KillWorkers);
            let mut call = Call::new(self.addr, self.dialect, command, end, self.driver);
            match call.finish().await {
                Ok(Reply::Started { peers }) => {
                    return match before {
                        Before::Counted(_) => self.count_until_gone(end).await,
                        Before::Listed(workers) => {
                            let mut watch = RoundWatch::new(Ending::Exit, workers);
                            self.observe(end, peers, &mut watch, onlooker).await
                        }
                    };
                }
                Ok(Reply::Checkpointed(done)) => {
                    self.wait_until_gone(end).await?;
                    return Ok(CheckpointReport {
                        peers: done.peers,
                        evidence: Evidence::CoordinatorReply,
                    });
                }
                Ok(_) => return Err(self.wrong_reply()),
                Err(error) if is_refusal(&error) => {
                    // This library's coordinator, the one that names its computation, forgets it.
                    armed = call.computation().is_none();
                    onlooker.refused();
                    self.pause(deadline, RETRY).await;
                }
                Err(Error::TimedOut { .. }) if armed => {
                    return Err(Error::RefusedButArmed { addr: self.addr });
                }
                Err(Error::TimedOut { .. }) => {
                    let workers = match before {
                        Before::Listed(workers) => workers,
                        Before::Counted(_) => Vec::new(),
                    };
                    let watch = RoundWatch::new(Ending::Exit, workers);
                    return Err(self.out_of_time(end, &watch, Asked::Perhaps).await);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn wait_until_gone(&self, deadline: Deadline) -> Result<(), Error> {
        let addr = self.addr;
        let mut left = Vec::new();
        loop {
            left = match self.listed_or_gone(deadline).await {
                Ok(Some(workers)) if !workers.is_empty() => workers,
                Ok(_) => return Ok(()),
                // Who was left says more than which question the deadline cut off.
                Err(Error::TimedOut { .. }) if deadline.has_passed() && !left.is_empty() => {
                    return Err(Error::WorkersRemain {
                        addr,
                        workers: left,
                    });
                }
                Err(error) => return Err(error),
            };
            self.pause(deadline, RETRY).await;
        }
    }

    /// The workers, once there are some and all of them run.
    pub(crate) async fn wait_until_running(&self, deadline: Deadline) -> Result<Before, Error> {
        let start_grace = deadline.at_most(START_GRACE);
        let mut known = None;
        loop {
            let status = match (self.ask_status(deadline).await, known) {
                (Ok(status), _) => status,
                // What is known says more than that the last look came too late.
                (Err(Error::TimedOut { .. }), Some(peers)) if deadline.has_passed() => {
                    return Err(self.not_ready(deadline, peers).await);
                }
                (Err(error), _) => return Err(error),
            };
            known = Some(status.peers);
            if status.running {
                let all_run = |workers: &[WorkerInfo]| {
                    let mut states = workers.iter().map(|worker| worker.state);
                    states.all(|state| state == WorkerState::Running)
                };
                match self.ask_workers(deadline).await {
                    Ok((workers, _)) if all_run(&workers) => return Ok(Before::Listed(workers)),
                    // Somebody else's checkpoint has just begun.
                    Ok(_) => {}
                    Err(error) if tells_no_list(&error) => {
                        return Ok(Before::Counted(status.peers));
                    }
                    Err(error) => return Err(error),
                }
            }
            // Another look would come too late to be answered.
            let last = deadline.remaining().is_none_or(|left| left <= RETRY);
            if last || (status.peers == 0 && start_grace.has_passed()) {
                return Err(self.not_ready(deadline, status.peers).await);
            }
            self.pause(deadline, RETRY).await;
        }
    }

    async fn not_ready(&self, deadline: Deadline, peers: u32) -> Error {
        let addr = self.addr;
        if peers == 0 {
            let source = CommandError::NotRunning;
            return Error::Command { addr, source };
        }
        // The limit is over; what the list adds is worth a moment more.
        let listed = self.ask_workers(Deadline::after(RETRY)).await;
        let workers = listed.map(|(workers, _)| workers).unwrap_or_default();
        Error::CheckpointTimedOut {
            addr,
            limit: deadline.limit(),
            begun: false,
            stall: self.stall_of(&workers, deadline.elapsed(), false).await,
            workers,
        }
    }

    /// The onlooker did not want it any more.
    fn unasked(&self, deadline: Deadline, before: Before) -> Error {
        Error::CheckpointTimedOut {
            addr: self.addr,
            limit: deadline.limit(),
            begun: false,
            workers: match before {
                Before::Listed(workers) => workers,
                Before::Counted(_) => Vec::new(),
            },
            // They all run.
            stall: None,
        }
    }

    /// Asks for a checkpoint with its answer at the end, and watches the workers meanwhile.
    async fn ask_and_watch(
        &self,
        deadline: Deadline,
        watch: &mut RoundWatch,
        onlooker: &mut (dyn Onlooker + Send),
    ) -> Result<CheckpointReport, Error> {
        let blocking = self.quirks().map(|quirks| quirks.blocking);
        let command = Command::Checkpoint(match blocking {
            // It would be refused first, and begin then.
            Some(BlockingCheckpoint::No) => AfterCheckpoint::ReplyAtOnce,
            _ => AfterCheckpoint::ReplyWhenDone,
        });
        let mut call = Call::new(self.addr, self.dialect, command, deadline, self.driver);
        // What was seen, and until when an answer may still overrule it.
        let mut seen: Option<(Progress, Deadline)> = None;
        let asked = Deadline::after(deadline.limit());
        loop {
            let pace = asked.elapsed() / 10;
            let pace = pace.clamp(Duration::from_millis(10), Duration::from_millis(500));
            let advanced = match call.advance(deadline.at_most(pace)).await {
                // Cut off before it was sent: the workers are known all the same.
                Err(Error::TimedOut { .. }) if deadline.has_passed() => {
                    return Err(self.out_of_time(deadline, watch, Asked::Perhaps).await);
                }
                advanced => advanced?,
            };
            match advanced {
                None => {}
                Some(Ok(Reply::Checkpointed(done))) => {
                    return self.confirm(deadline, done, watch, onlooker).await;
                }
                Some(Ok(Reply::Started { peers })) => {
                    return self.observe(deadline, peers, watch, onlooker).await;
                }
                Some(Ok(_)) => return Err(self.wrong_reply()),
                Some(Err(error)) => {
                    let error = Error::from_exchange(self.addr, error);
                    // What was seen says more, unless another checkpoint was in the way.
                    if let Some((progress, _)) = seen.filter(|_| !is_refusal(&error)) {
                        self.verdict(progress, 0, watch)?;
                    }
                    return Err(error);
                }
            }
            if deadline.has_passed() || !onlooker.is_there() {
                return Err(self.out_of_time(deadline, watch, Asked::Surely).await);
            }
            match seen.take() {
                Some((progress, grace)) if grace.has_passed() => {
                    let peers = u32::try_from(watch.stopped()).unwrap_or(u32::MAX);
                    return self.verdict(progress, peers, watch);
                }
                Some(waiting) => seen = Some(waiting),
                None => {
                    // If the coordinator is gone, the connection that waits will tell.
                    let listed = self.ask_workers(deadline.at_most(WATCH_LIMIT)).await;
                    if let Ok((workers, computation)) = listed {
                        // This library's coordinator, the one that names it, always answers.
                        let answers_always = computation.is_some();
                        let progress = watch.see(workers);
                        onlooker.sees(watch);
                        seen = overrules(progress, answers_always)
                            .map(|progress| (progress, deadline.at_most(ANSWER_GRACE)));
                    }
                }
            }
        }
    }

    /// Whether the coordinator's answer can be true.
    async fn confirm(
        &self,
        deadline: Deadline,
        done: Checkpointed,
        watch: &mut RoundWatch,
        onlooker: &mut (dyn Onlooker + Send),
    ) -> Result<CheckpointReport, Error> {
        let stopped = u32::try_from(watch.stopped()).unwrap_or(u32::MAX);
        let entered = u32::try_from(watch.entered()).unwrap_or(u32::MAX);
        // Stock coordinators release the others when a worker dies at a barrier, and call the
        // checkpoint complete. 2.x and 3.0.0 do not tell how many there were.
        if done.peers < stopped {
            let listed = self.listed_or_gone(deadline).await?;
            let workers = listed.unwrap_or_default();
            watch.see(workers);
            onlooker.sees(watch);
            if let Some(worker) = watch.missing() {
                return Err(self.lost(worker.clone()));
            }
        }
        Ok(CheckpointReport {
            peers: if done.peers == 0 { entered } else { done.peers },
            evidence: Evidence::CoordinatorReply,
        })
    }

    /// Watches a round that has begun until it is over.
    async fn observe(
        &self,
        deadline: Deadline,
        peers: u32,
        watch: &mut RoundWatch,
        onlooker: &mut (dyn Onlooker + Send),
    ) -> Result<CheckpointReport, Error> {
        let begun = Deadline::after(deadline.limit());
        loop {
            let workers = match self.listed_or_gone(deadline).await {
                Ok(workers) => workers,
                // Somebody else's connection blocks it; the round goes on all the same.
                Err(Error::TimedOut { .. }) if !deadline.has_passed() && onlooker.is_there() => {
                    continue;
                }
                Err(error) if !deadline.has_passed() => return Err(error),
                Err(_) => None,
            };
            if deadline.has_passed() || !onlooker.is_there() {
                return Err(self.out_of_time(deadline, watch, Asked::Surely).await);
            }
            let progress = watch.see(workers.unwrap_or_default());
            onlooker.sees(watch);
            match progress {
                Progress::Waiting => self.pause(deadline, pace(begun.elapsed(), watch)).await,
                progress => return self.verdict(progress, peers, watch),
            }
        }
    }

    fn verdict(
        &self,
        progress: Progress,
        peers: u32,
        watch: &RoundWatch,
    ) -> Result<CheckpointReport, Error> {
        let addr = self.addr;
        match progress {
            Progress::Complete => Ok(CheckpointReport {
                peers,
                evidence: Evidence::Observed {
                    lists: watch.lists(),
                },
            }),
            Progress::Lost(worker) => Err(self.lost(worker)),
            Progress::Ended | Progress::Waiting => Err(Error::ComputationEnded { addr }),
            Progress::Unseen(unseen) => Err(Error::Unconfirmed { addr, unseen }),
            Progress::Survived(workers) => Err(Error::WorkersRemain { addr, workers }),
        }
    }

    fn lost(&self, worker: WorkerInfo) -> Error {
        Error::WorkerLost {
            addr: self.addr,
            worker: Box::new(worker),
        }
    }

    async fn out_of_time(&self, deadline: Deadline, watch: &RoundWatch, asked: Asked) -> Error {
        let is_unanswered = asked == Asked::Surely && !watch.has_begun();
        Error::CheckpointTimedOut {
            addr: self.addr,
            limit: deadline.limit(),
            begun: watch.has_begun(),
            workers: watch.listed().to_vec(),
            stall: self
                .stall_of(watch.listed(), watch.quiet(), is_unanswered)
                .await,
        }
    }
}

/// Whether the coordinator has the command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Perhaps,
    Surely,
}

/// What ends the wait for an answer if none comes soon.
///
/// A stock coordinator answers before the workers run again, so when they do, nobody will. This
/// library's coordinator, the one that names the computation, answers when the set is sealed,
/// and in every other case too.
fn overrules(progress: Progress, answers_always: bool) -> Option<Progress> {
    match progress {
        Progress::Waiting => None,
        Progress::Complete if answers_always => None,
        other => Some(other),
    }
}

/// Time between two lists, when nothing else tells of the end. Short while it matters: under a
/// stock coordinator a worker exits about 40 ms behind the last image, under ours about 1 ms.
fn pace(elapsed: Duration, watch: &RoundWatch) -> Duration {
    let longest = if watch.is_urgent() { 10 } else { 100 };
    (elapsed / 20).clamp(Duration::from_millis(2), Duration::from_millis(longest))
}

fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::Command {
            source: CommandError::NotRunning,
            ..
        }
    )
}

/// How long a coordinator without any worker is given to get one.
const START_GRACE: Duration = Duration::from_secs(5);
/// Between two looks at a computation that is not ready.
const RETRY: Duration = Duration::from_millis(20);
/// The longest a question beside a waiting one may take.
const WATCH_LIMIT: Duration = Duration::from_secs(2);
/// How long an answer that was sent before we looked may take to reach us.
const ANSWER_GRACE: Duration = Duration::from_secs(1);
