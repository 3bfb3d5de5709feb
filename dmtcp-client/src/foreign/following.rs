//! What is learnt of a round while it goes on: who is in it, where they write, who is missing.
//!
//! Not here: what is made of it (`round`).

use super::error::{ForeignError, Stage};
use super::files::{Before, Candidate, Images};
use super::places::Places;
use super::round::Round;
use super::search::Members;
use crate::coordinator::{Onlooker, RoundWatch};
use crate::deadline::Deadline;
use crate::set;
use dmtcp_proto::{WorkerInfo, WorkerState};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// What is known of the round while it goes on.
pub(super) struct Following<'a> {
    round: &'a Round,
    pub(super) places: Places,
    pub(super) before: Option<Before>,
    /// When it was asked for, and until when it is followed.
    pub(super) asked: Option<(SystemTime, Deadline)>,
    /// In the round for certain, or not.
    pub(super) members: Vec<(WorkerInfo, bool)>,
    pub(super) is_listed: bool,
    /// Who was there when the round was over, where that is known.
    pub(super) left: Option<Vec<WorkerInfo>>,
    /// Some are gone before they were seen to have written, and the others are as they were.
    pub(super) stuck: Option<Stuck>,
}

/// Under a coordinator that waits for somebody who is gone, nothing moves any more.
pub(super) struct Stuck {
    pub(super) gone: WorkerInfo,
    listed: Vec<WorkerInfo>,
    since: Instant,
}

impl Onlooker for Following<'_> {
    fn asks(&mut self, workers: Option<&[WorkerInfo]>) -> Option<Deadline> {
        let job = &self.round.job;
        self.is_listed = workers.is_some();
        let workers = workers.unwrap_or_default();
        job.set_workers(workers, false);
        self.members = workers.iter().map(|w| (w.clone(), false)).collect();
        self.places.ask(&self.round.coordinator);
        self.places.add_workers(workers);
        let port = self.round.coordinator.addr().port();
        self.places.read_scripts(None, port);
        self.wait_for_writers();
        self.before = Some(Before::take(self.places.dirs()));
        if self.round.ask_by.has_passed() || !job.enter_round() {
            return None;
        }
        let followed = Deadline::after(self.round.late);
        self.asked = Some((SystemTime::now(), followed));
        Some(followed)
    }

    fn refused(&mut self) {
        self.asked = None;
        self.round.job.set_stage(Stage::Waiting);
    }

    fn sees(&mut self, watch: &RoundWatch) {
        for (worker, stopped) in watch.members() {
            let same = |(member, _): &&mut (WorkerInfo, bool)| member.number == worker.number;
            match self.members.iter_mut().find(same) {
                Some(member) => *member = (worker.clone(), stopped),
                None => self.members.push((worker.clone(), stopped)),
            }
        }
        for (worker, stopped) in &self.members {
            if *stopped {
                self.places.add_open_images(worker);
            }
        }
        let job = &self.round.job;
        job.set_workers(watch.listed(), watch.has_begun());
        self.see_whether_stuck(watch.listed());
    }

    fn is_there(&self) -> bool {
        !self.round.job.is_abandoned() && !self.is_stuck()
    }
}

impl<'a> Following<'a> {
    pub(super) fn new(round: &'a Round) -> Self {
        Self {
            round,
            places: Places::new(&round.coordinator, &round.dirs),
            before: None,
            asked: None,
            members: Vec::new(),
            is_listed: true,
            left: None,
            stuck: None,
        }
    }

    /// Where workers exit behind their images, that one is gone does not say that it was lost.
    fn see_whether_stuck(&mut self, listed: &[WorkerInfo]) {
        let is_listed = |member: &WorkerInfo| listed.iter().any(|w| w.number == member.number);
        let mut gone = self.members.iter().filter(|(member, certain)| {
            *certain && member.state != WorkerState::Checkpointed && !is_listed(member)
        });
        let gone = gone.next().filter(|_| !listed.is_empty());
        let Some((gone, _)) = gone else {
            self.stuck = None;
            return;
        };
        if self
            .stuck
            .as_ref()
            .is_none_or(|stuck| stuck.listed != listed)
        {
            self.stuck = Some(Stuck {
                gone: gone.clone(),
                listed: listed.to_vec(),
                since: Instant::now(),
            });
        }
    }

    /// Some coordinators let the others go on when one is lost, and call the round complete.
    pub(super) fn who_is_lost(&self, error: &ForeignError) -> Option<ForeignError> {
        let left = self.left.as_ref()?;
        let without = match error {
            ForeignError::NoImage { worker, .. } => std::slice::from_ref(worker.as_ref()),
            ForeignError::Incomplete { without, .. } => without,
            _ => return None,
        };
        let is_gone = |member: &&WorkerInfo| left.iter().all(|w| w.number != member.number);
        let worker = without.iter().find(is_gone)?.clone();
        Some(ForeignError::PeerLost {
            worker: Box::new(worker),
        })
    }

    pub(super) fn is_stuck(&self) -> bool {
        let stuck = self.stuck.as_ref();
        stuck.is_some_and(|stuck| stuck.since.elapsed() >= NOTHING_COMES)
    }

    /// A forked checkpoint of before may still be written, and would come to pass for this one.
    fn wait_for_writers(&self) {
        while !self.round.ask_by.has_passed() && !self.round.job.is_abandoned() {
            let dirs = self.places.dirs().iter();
            let images = Images::list(dirs.map(PathBuf::as_path));
            if !is_written(&images.temps) {
                return;
            }
            self.round.ask_by.pause(LONGEST_PAUSE);
        }
    }

    pub(super) fn members(&self, named: Vec<PathBuf>) -> Members {
        if !self.is_listed {
            return Members::Named(named);
        }
        let of = |wanted: bool| {
            let members = self.members.iter();
            let members = members.filter(|(_, certain)| *certain == wanted);
            members.map(|(worker, _)| worker.clone()).collect()
        };
        Members::Listed {
            certain: of(true),
            possible: of(false),
        }
    }

    /// Adds who is there now, without knowing whether they were in the round.
    pub(super) fn add_possible(&mut self, workers: Vec<WorkerInfo>) {
        self.places.add_workers(&workers);
        for worker in workers {
            let known = |(member, _): &(WorkerInfo, bool)| member.number == worker.number;
            if !self.members.iter().any(known) {
                self.members.push((worker, false));
            }
        }
    }
}

/// Whether a process that may be looked into has one of these open for writing.
pub(super) fn is_written(files: &[Candidate]) -> bool {
    let files = files
        .iter()
        .map(|file| (file.stamp.file(), file.path.as_path()));
    set::is_written(files)
}

/// How long nothing may move before an image that lacks is given up. Longer than a process takes from
/// the end of its round to the first byte of a forked image.
pub(super) const NOTHING_COMES: Duration = Duration::from_secs(5);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(100);
