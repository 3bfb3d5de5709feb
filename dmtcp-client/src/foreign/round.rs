//! The thread of one checkpoint: it asks, follows the round, finds the images and seals them.

use super::error::{ForeignError, Stage};
use super::files::Before;
use super::following::{Following, LONGEST_PAUSE, NOTHING_COMES, is_written};
use super::job::{Job, Outcome};
use super::search::{Found, Look, Search};
use super::sets::Behind;
use crate::coordinator::{Coordinator, Error};
use crate::deadline::Deadline;
use crate::driver::{Driver, block_on};
use crate::set::{Phase, SealError, SealRequest, SetStore};
use dmtcp_proto::{UniquePid, WorkerInfo, WorkerState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// What the thread needs.
pub(super) struct Round {
    pub(super) coordinator: Coordinator,
    pub(super) store: Arc<SetStore>,
    pub(super) dirs: Vec<PathBuf>,
    pub(super) behind: Behind,
    pub(super) ask_by: Deadline,
    pub(super) late: Duration,
    pub(super) job: Arc<Job>,
}

/// Runs the checkpoint; its outcome is the job's.
pub(super) fn run(round: Round) {
    // Nobody waits for a thread that is gone.
    let _last_word = LastWord(Arc::clone(&round.job));
    let job = Arc::clone(&round.job);
    let outcome = round.follow();
    // The store is free when the caller has the outcome.
    job.finish(outcome);
}

struct LastWord(Arc<Job>);

impl Drop for LastWord {
    fn drop(&mut self) {
        self.0.finish(Err(ForeignError::Abandoned));
    }
}

impl Round {
    fn follow(self) -> Outcome {
        let mut following = Following::new(&self);
        let waited = Instant::now();
        let talk = self.coordinator.talk(&Driver::Blocking);
        let ended = match self.behind {
            Behind::GoOn => block_on(talk.checkpoint_with(self.ask_by, &mut following)),
            Behind::Exit => block_on(talk.checkpoint_and_kill_with(self.ask_by, &mut following)),
        };
        // What is to be said if the images do not prove the contrary.
        let mut doubt = None;
        match ended {
            Ok(_) => {}
            // They may have written all the same.
            Err(Error::Unconfirmed { .. } | Error::FewerPeers { .. }) => {}
            Err(error) => doubt = Some(self.failed(error, &following)),
        }
        let (Some((started, followed)), Some(before)) = (following.asked, following.before.take())
        else {
            return Err(doubt.unwrap_or(ForeignError::Abandoned));
        };
        let mut search = Search::default();
        if let Some(error) = doubt.take() {
            if !self.came_through(&error, &mut following, &mut search, &before, followed) {
                return Err(error);
            }
            doubt = Some(error);
        }
        self.job.set_stage(Stage::Sealing);
        let phases = vec![
            Phase::new("wait", waited.elapsed().saturating_sub(followed.elapsed())),
            Phase::new("round", followed.elapsed()),
        ];
        if self.behind == Behind::GoOn && following.is_listed {
            // One that joined in the round and was too quick to be seen.
            if let Ok(workers) = self.coordinator.workers() {
                following.left = Some(workers.clone());
                following.add_possible(workers);
            }
        }
        let sealed = self.find_and_seal(&mut following, search, &before, started, followed, phases);
        match (sealed, doubt) {
            (Err(ForeignError::Seal(_)), Some(doubt)) => Err(doubt),
            (sealed, _) => sealed,
        }
    }

    /// Whether all have written their images, although one or all of them vanished: a process may
    /// end by itself as soon as it goes on.
    fn came_through(
        &self,
        error: &ForeignError,
        following: &mut Following<'_>,
        search: &mut Search,
        before: &Before,
        followed: Deadline,
    ) -> bool {
        let grace = match error {
            ForeignError::PeerLost { .. } => followed.at_most(GOES_ON),
            ForeignError::ComputationEnded { .. } => followed.at_most(Duration::ZERO),
            _ => return false,
        };
        loop {
            if let Look::Complete(_) = self.look(following, search, before) {
                return true;
            }
            // Nobody goes on before all have written.
            let writes = |worker: &WorkerInfo| !has_written(worker.state);
            let listed = self.coordinator.workers().unwrap_or_default();
            if listed.iter().any(writes) || grace.has_passed() || self.job.is_abandoned() {
                return false;
            }
            grace.pause(LONGEST_PAUSE);
        }
    }

    fn look(&self, following: &mut Following<'_>, search: &mut Search, before: &Before) -> Look {
        let addr = self.coordinator.addr();
        let named = following.places.read_scripts(Some(before), addr.port());
        let members = following.members(named);
        search.look(addr, &following.places, before, &members)
    }

    /// Finds the images and seals them; those of a later round where one has replaced some.
    fn find_and_seal(
        &self,
        following: &mut Following<'_>,
        mut search: Search,
        before: &Before,
        started: SystemTime,
        followed: Deadline,
        phases: Vec<Phase>,
    ) -> Outcome {
        let mut replaced: Option<(UniquePid, ForeignError)> = None;
        loop {
            let finding = Instant::now();
            let found = self.find(following, &mut search, before, followed)?;
            if let Some((computation, error)) = replaced.take() {
                // Not by a later round, then.
                if found.computation == computation {
                    return Err(error);
                }
            }
            let mut phases = phases.clone();
            phases.push(Phase::new("find", finding.elapsed()));
            let request = self.request(found, started, followed, phases);
            match self.store.seal(&request) {
                Ok(set) => return Ok(set),
                Err(SealError::Abandoned) => return Err(ForeignError::Abandoned),
                Err(SealError::TimedOut { .. }) if followed.has_passed() => {
                    return Err(self.timed_out(Stage::Sealing, followed, following));
                }
                Err(error) if self.behind == Behind::GoOn && is_replaced(&error) => {
                    replaced = Some((request.computation, ForeignError::Seal(Box::new(error))));
                    self.wait_for_later_round(following, followed)?;
                }
                Err(error) => return Err(ForeignError::Seal(Box::new(error))),
            }
        }
    }

    /// All images, of the latest round if there has been another.
    fn find(
        &self,
        following: &mut Following<'_>,
        search: &mut Search,
        before: &Before,
        followed: Deadline,
    ) -> Result<Found, ForeignError> {
        let mut pause = FIRST_PAUSE;
        let mut last = None;
        let mut moved = Instant::now();
        let mut was_silent = false;
        loop {
            if self.job.is_abandoned() {
                return Err(ForeignError::Abandoned);
            }
            let look = self.look(following, search, before);
            let (error, unfinished, is_mixed, seen) = match look {
                Look::Complete(found) => return Ok(found),
                Look::Lacking {
                    error,
                    unfinished,
                    is_mixed,
                    seen,
                } => (error, unfinished, is_mixed, seen),
            };
            if last.as_ref() != Some(&seen) {
                moved = Instant::now();
                last = Some(seen);
                was_silent = false;
            }
            if followed.has_passed() {
                return Err(self.timed_out(Stage::Sealing, followed, following));
            }
            let lost = following.who_is_lost(&error);
            let patience = match lost {
                Some(_) => GOES_ON,
                None => NOTHING_COMES,
            };
            let is_silent = moved.elapsed() >= patience && !is_written(&unfinished);
            // One that was renamed behind the look has no writer under its old name.
            if is_silent && was_silent {
                return Err(lost.unwrap_or(error));
            }
            was_silent = is_silent;
            if is_mixed && self.behind == Behind::GoOn {
                self.wait_for_later_round(following, followed)?;
            }
            followed.pause(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits until all workers run again, and takes them for those of the round that is over now.
    fn wait_for_later_round(
        &self,
        following: &mut Following<'_>,
        followed: Deadline,
    ) -> Result<(), ForeignError> {
        let before = loop {
            if self.job.is_abandoned() {
                return Err(ForeignError::Abandoned);
            }
            let talk = self.coordinator.talk(&Driver::Blocking);
            match block_on(talk.wait_until_running(followed.at_most(LOOK))) {
                Ok(before) => break before,
                Err(Error::CheckpointTimedOut { .. } | Error::TimedOut { .. })
                    if !followed.has_passed() => {}
                Err(error) => return Err(self.failed(error, following)),
            }
        };
        if let Some(workers) = before.listed() {
            following.members.clear();
            following.left = None;
            following.add_possible(workers.to_vec());
        }
        Ok(())
    }

    fn request(
        &self,
        found: Found,
        started: SystemTime,
        followed: Deadline,
        phases: Vec<Phase>,
    ) -> SealRequest {
        let number = u64::from(found.computation.generation);
        let deadline = Instant::now() + followed.left();
        let mut request = SealRequest::new(found.computation, number, found.reports, deadline);
        request.started = started;
        request.phases = phases;
        request.dmtcp = self
            .coordinator
            .release()
            .map(|release| release.text.clone());
        request.abandoned = self.job.abandoned();
        request
    }

    /// What the coordinator's answer means for the set.
    fn failed(&self, error: Error, following: &Following<'_>) -> ForeignError {
        match error {
            Error::WorkerLost { worker, .. } => ForeignError::PeerLost { worker },
            Error::ComputationEnded { addr } => ForeignError::ComputationEnded { addr },
            Error::CheckpointFailed { .. } => self.who_is_lost(error, following),
            Error::CheckpointTimedOut {
                limit,
                workers,
                stall,
                ..
            } => {
                if let Some(stuck) = following.stuck.as_ref().filter(|_| following.is_stuck()) {
                    let worker = Box::new(stuck.gone.clone());
                    return ForeignError::PeerLost { worker };
                }
                let stage = match following.asked {
                    Some(_) => Stage::Round,
                    None => Stage::Waiting,
                };
                ForeignError::TimedOut {
                    limit,
                    stage,
                    workers,
                    stall,
                }
            }
            error => ForeignError::Coordinator(Box::new(error)),
        }
    }

    /// This library's coordinator gives a round up when it loses a worker, and does not say whom.
    fn who_is_lost(&self, error: Error, following: &Following<'_>) -> ForeignError {
        let Ok(workers) = self.coordinator.workers() else {
            return ForeignError::Coordinator(Box::new(error));
        };
        if workers.is_empty() {
            let addr = self.coordinator.addr();
            return ForeignError::ComputationEnded { addr };
        }
        let is_gone = |member: &WorkerInfo| workers.iter().all(|w| w.number != member.number);
        let mut members = following.members.iter().map(|(worker, _)| worker);
        match members.find(|member| is_gone(member)) {
            Some(worker) => ForeignError::PeerLost {
                worker: Box::new(worker.clone()),
            },
            None => ForeignError::Coordinator(Box::new(error)),
        }
    }

    fn timed_out(&self, stage: Stage, limit: Deadline, following: &Following<'_>) -> ForeignError {
        let workers = following.members.iter().map(|(worker, _)| worker.clone());
        ForeignError::TimedOut {
            limit: limit.limit(),
            stage,
            workers: workers.collect(),
            // Its images are: they say more.
            stall: None,
        }
    }
}

/// Whether a worker in this state has its image written.
fn has_written(state: WorkerState) -> bool {
    matches!(
        state,
        WorkerState::Checkpointed
            | WorkerState::NameServiceDataRegistered
            | WorkerState::DoneQuerying
            | WorkerState::Refilled
            | WorkerState::Running
    )
}

fn is_replaced(error: &SealError) -> bool {
    matches!(
        error,
        SealError::Changed { .. }
            | SealError::NoImage { .. }
            | SealError::OtherProcess { .. }
            | SealError::OtherRound { .. }
    )
}

/// How long the others take to go on behind one that has gone on and ended.
const GOES_ON: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// Between two looks whether anybody still waits.
const LOOK: Duration = Duration::from_secs(2);
