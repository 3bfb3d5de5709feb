//! One checkpoint round: from the order to the sealed set, or to the reason why there is none.

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::commands::Asker;
use super::config::CoordinatorConfig;
use super::event::{Event, ImageReport, RoundError};
use super::roster::{Part, Worker};
use super::{CoordinatorCore, Output};
use crate::command::WorkerInfo;
use crate::ids::{ConnId, UniquePid};
use crate::state::WorkerState;
use crate::text::Text;
use crate::time::Instant;

/// How long a fork may hold up a round of 2.x.
const FORK_LIMIT: Duration = Duration::from_secs(5);

/// The running round.
#[derive(Clone, Debug)]
pub(super) struct Round {
    pub(super) number: u64,
    /// With the round's generation, which the computation takes on when the round begins.
    pub(super) computation: UniquePid,
    pub(super) then_exit: bool,
    pub(super) askers: Vec<Asker>,
    /// Of those who have reported, until all have.
    pub(super) reports: Vec<ImageReport>,
    /// All of them, once it is being sealed.
    images: Arc<[ImageReport]>,
    /// Workers that were told and have neither reported nor left.
    pub(super) missing: usize,
    phase: Phase,
    progress: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Asked for; the workers are told as soon as all of them have run for a moment.
    Asked,
    /// Workers are on their way to their images.
    Open,
    /// All have reported; the driver makes the set.
    Sealing,
    /// It will have no set; the survivors go through it so that they run again.
    Failed,
}

impl Round {
    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    pub(super) fn is_asked(&self) -> bool {
        self.phase == Phase::Asked
    }

    pub(super) fn is_sealing(&self) -> bool {
        self.phase == Phase::Sealing
    }

    /// It has no set and will have none.
    pub(super) fn is_failed(&self) -> bool {
        self.phase == Phase::Failed
    }

    pub(super) fn stall_deadline(&self, config: &CoordinatorConfig) -> Option<Instant> {
        config
            .stall_timeout
            .filter(|_| !self.is_sealing() && !self.is_asked())
            .map(|limit| self.progress + limit)
    }
}

impl CoordinatorCore {
    /// Whether a round can begin now.
    pub(super) fn can_start(&self) -> bool {
        self.all_running()
            && self.round.is_none()
            && !self.resuming
            && self.restart.is_none()
            && self.kill.is_none()
            && !self.stopping
            && self.computation_dialect().is_some()
    }

    /// Asks for a round; [`can_start`](Self::can_start) holds.
    pub(super) fn start_round(&mut self, then_exit: bool, asker: Option<Asker>) {
        self.rounds += 1;
        self.due = None;
        let generation = self.computation.id.generation.wrapping_add(1);
        self.round = Some(Round {
            number: self.rounds,
            computation: self.computation.id.with_generation(generation),
            then_exit,
            askers: asker.into_iter().collect(),
            reports: Vec::new(),
            images: Arc::default(),
            missing: 0,
            phase: Phase::Asked,
            progress: self.now,
        });
    }

    /// When the round that is asked for can begin, as far as that depends on time.
    pub(super) fn order_due(&self) -> Option<Instant> {
        let asked = self.round.as_ref().is_some_and(Round::is_asked);
        (asked && self.roster.all_running()).then(|| self.rested.max(self.forks_are_over()))
    }

    /// A process of 2.x that is ordered while it is being forked never answers: the order waits
    /// until its child has told who it is, though not for ever.
    fn forks_are_over(&self) -> Instant {
        // Asked at every turn: only where it counts are all workers looked at.
        if !self.waits_only_here() {
            return self.rested;
        }
        let forking = self
            .roster
            .iter()
            .filter_map(|(_, worker)| worker.forked_at);
        let last = forking.max();
        // Of the forks that begin meanwhile, none is waited for any longer.
        let asked = self.round.as_ref().map(|round| round.progress);
        let since = last.zip(asked).map(|(forked, asked)| forked.min(asked));
        since.map_or(self.rested, |since| since + FORK_LIMIT)
    }

    /// Begins the round that is asked for, if it can begin now.
    pub(super) fn order_if_due(&mut self) {
        if self.order_due().is_none_or(|due| due > self.now) {
            return;
        }
        let (missing, peers, now) = (self.roster.len(), self.roster.peers(), self.now);
        let Some(round) = &mut self.round else { return };
        round.phase = Phase::Open;
        round.missing = missing;
        round.progress = now;
        let (number, computation, then_exit) = (round.number, round.computation, round.then_exit);
        let generation = computation.generation;
        self.computation.id = computation;
        self.barriers.reset();
        for worker in self.roster.iter_mut() {
            worker.passed = 0;
            worker.waiting = false;
            worker.last_barrier = None;
            worker.part = Part::Told;
            // It gets no second order, however late it tells who it is.
            worker.forked_at = None;
            worker.stepped = now;
        }
        self.event(Event::CheckpointStarted {
            round: number,
            generation,
            workers: peers,
        });
        if let Some(dialect) = self.computation_dialect() {
            // What is answered to an order in it is in it.
            self.computation.dialects = dialect.into();
            self.broadcast(&self.order(dialect, then_exit));
        }
    }

    /// A worker reached its next step.
    pub(super) fn progress(&mut self) {
        let now = self.now;
        if let Some(round) = &mut self.round {
            round.progress = now;
        }
    }

    /// Hands the images over once every worker of the round has reported.
    pub(super) fn complete_if_reported(&mut self) {
        let Some(round) = &mut self.round else { return };
        if !round.is_open() || round.missing > 0 || round.reports.is_empty() {
            return;
        }
        round.phase = Phase::Sealing;
        let number = round.number;
        round.images = core::mem::take(&mut round.reports).into();
        let images = Arc::clone(&round.images);
        self.resuming = !self.roster.is_empty() && !self.roster.all_running();
        self.event(Event::ImagesReported { round: number });
        if self.config.seal {
            let computation = self.computation.id;
            self.outputs.push_back(Output::Seal {
                round: number,
                computation,
                images,
            });
        } else {
            self.sealed(number, Ok(()));
        }
    }

    /// The driver has made the set, or could not.
    pub(super) fn sealed(&mut self, number: u64, result: Result<(), String>) {
        let Some(round) = self
            .round
            .take_if(|round| round.number == number && round.is_sealing())
        else {
            return;
        };
        let Round {
            then_exit,
            askers,
            images,
            computation,
            ..
        } = round;
        let generation = computation.generation;
        let is_sealed = result.is_ok();
        match result {
            Ok(()) => {
                let peers = u32::try_from(images.len()).unwrap_or(u32::MAX);
                self.event(Event::CheckpointComplete {
                    round: number,
                    generation,
                    images,
                });
                self.answer_askers(askers, computation, &Ok((number, peers)));
            }
            Err(text) => {
                let reason = RoundError::Seal(text);
                let message = reason.to_string();
                self.event(Event::CheckpointFailed {
                    round: number,
                    generation,
                    reason,
                });
                self.answer_askers(askers, computation, &Err(message));
            }
        }
        // A restart may already have begun behind a round whose workers have all exited.
        let of_this_round = self
            .roster
            .iter()
            .any(|(_, worker)| worker.part == Part::Reported);
        for worker in self.roster.iter_mut() {
            worker.part = Part::None;
        }
        let killers = core::mem::take(&mut self.kill_after_seal);
        // Workers that leave by themselves are gone whatever became of their images.
        let leave = then_exit && (is_sealed || !self.waits_only_here());
        if leave && of_this_round || !killers.is_empty() {
            self.kill_now(killers.into_iter().flatten().collect());
        } else {
            self.release_if_met();
        }
        self.reset_due();
        self.stop_if_asked();
        self.settle();
        if self.roster.is_empty() {
            self.unpark();
        }
    }

    /// Ends the round without a set. Its survivors still go through its barriers.
    pub(super) fn fail_round(&mut self, reason: RoundError) {
        let unfinished = |round: &&mut Round| round.is_open() || round.is_asked();
        let Some(round) = self.round.as_mut().filter(unfinished) else {
            return;
        };
        round.phase = Phase::Failed;
        let (number, computation) = (round.number, round.computation);
        let generation = computation.generation;
        let askers = core::mem::take(&mut round.askers);
        round.reports = Vec::new();
        let message = reason.to_string();
        self.event(Event::CheckpointFailed {
            round: number,
            generation,
            reason,
        });
        self.answer_askers(askers, computation, &Err(message));
    }

    /// What the departure of a worker means for the running round.
    pub(super) fn lost_in_round(&mut self, worker: &Worker, info: WorkerInfo, vanished: bool) {
        let Some(round) = &mut self.round else { return };
        let state = worker.state();
        match worker.part {
            Part::None if round.is_asked() && (vanished || self.roster.is_empty()) => {
                self.fail_round(RoundError::PeerLost(Box::new(info)));
            }
            Part::None => {}
            // It may well go on where nobody sees it: a set without it would be none.
            Part::Told if round.is_open() && vanished => {
                round.missing = round.missing.saturating_sub(1);
                let reason = match self.kill {
                    Some(_) => RoundError::Killed,
                    None => RoundError::PeerLost(Box::new(info)),
                };
                self.fail_round(reason);
            }
            // It ended before it could answer, as short-lived processes do: the checkpoint is of
            // the computation without it.
            Part::Told if round.is_open() => {
                round.missing = round.missing.saturating_sub(1);
                if self.roster.is_empty() && round.reports.is_empty() {
                    self.fail_round(RoundError::PeerLost(Box::new(info)));
                } else {
                    self.complete_if_reported();
                }
            }
            Part::Answered => {
                if round.is_open() {
                    round.missing = round.missing.saturating_sub(1);
                }
                let reason = if self.kill.is_some() {
                    RoundError::Killed
                } else {
                    RoundError::PeerLost(Box::new(info))
                };
                self.fail_round(reason);
                // From here on stock workers of one host wait for each other in a barrier of
                // their own, sized for the lost one: no message frees them, also if the round had
                // failed before. Those that were told to exit have their own deadline.
                if self.kill.is_some() || self.waits_only_here() {
                    return;
                }
                if state != WorkerState::PreSuspend {
                    self.kill_stuck(&worker.host);
                } else if vanished && worker.passed > 0 && !worker.waiting {
                    // It may have got there, and its word of that was not read any more.
                    self.may_be_stuck(&worker.host);
                }
            }
            // Its image is there, so the set can be complete; but those of its host that have not
            // resumed may wait for it inside DMTCP.
            Part::Reported
                if !round.then_exit
                    && state != WorkerState::Running
                    && self.kill.is_none()
                    && !self.waits_only_here() =>
            {
                self.may_be_stuck(&worker.host);
            }
            Part::Told | Part::Reported => {}
        }
    }

    /// Gives those of a host some time to come to run; who does not waits for the lost one.
    fn may_be_stuck(&mut self, host: &Text) {
        let deadline = self.now + self.config.kill_timeout;
        self.stuck.entry(host.clone()).or_insert(deadline);
    }

    /// Kills the processes of a host that are not running.
    fn kill_stuck(&mut self, host: &Text) {
        let stuck: Vec<ConnId> = self
            .roster
            .iter()
            .filter(|(_, worker)| worker.host == *host && worker.state() != WorkerState::Running)
            .map(|(conn, _)| conn)
            .collect();
        self.cut_off(&stuck);
    }

    pub(super) fn check_stall(&mut self) {
        let now = self.now;
        let due = |(_, deadline): &(&Text, &Instant)| **deadline <= now;
        while let Some(host) = self.stuck.iter().find(due).map(|(host, _)| host.clone()) {
            self.stuck.remove(&host);
            self.kill_stuck(&host);
        }
        let deadline = self
            .round
            .as_ref()
            .and_then(|round| round.stall_deadline(&self.config));
        if deadline.is_none_or(|deadline| deadline > self.now) {
            return;
        }
        let late: Vec<ConnId> = self
            .roster
            .iter()
            .filter(|(_, worker)| !worker.waiting && worker.part != Part::Reported)
            .map(|(conn, _)| conn)
            .collect();
        let waiting_for = late
            .iter()
            .filter_map(|&conn| self.roster.get(conn))
            .map(Worker::info)
            .collect();
        self.fail_round(RoundError::Stalled(waiting_for));
        let all: Vec<ConnId> = self.roster.iter().map(|(conn, _)| conn).collect();
        self.cut_off(&all);
    }
}
