//! Messages of admitted workers, and their departure.

use alloc::boxed::Box;

use super::CoordinatorCore;
use super::barrier::Arrival;
use super::lockstep::reporting_state;
use super::roster::{Part, Worker};
use super::step::WorkerStep;
use crate::command::Reply;
use crate::coordinator::Output;
use crate::coordinator::event::{Event, ImageReport, RoundError};
use crate::dialect::Candidates;
use crate::error::DecodeError;
use crate::ids::ConnId;
use crate::kind::Kind;
use crate::message::{
    Body, CheckpointFile, KeyValueOp, KeyValueRequest, KeyValueResponse, Message,
    NameServiceRequest, Released,
};
use crate::name::Name;
use crate::state::WorkerState;
use crate::text::Text;

/// The longest path that Linux takes; a longer answer would not reach every peer.
pub(super) const MAX_PATH: usize = 4096;

impl CoordinatorCore {
    pub(super) fn worker_message(
        &mut self,
        conn: ConnId,
        message: Message,
    ) -> Result<(), DecodeError> {
        let kind = message.body.kind();
        match message.body {
            Body::ProcessAfterExec { real_pid, program } => {
                self.identify(conn, &message.from, real_pid, Some(program));
                self.told_state(conn, message.state);
                // One that is in the middle of the round is no new program.
                if matches!(message.state, WorkerState::Unknown | WorkerState::Running) {
                    self.restart_part(conn);
                }
                self.updated(conn);
            }
            Body::ProcessAfterFork { real_pid } => {
                self.identify(conn, &message.from, real_pid, None);
                self.told_state(conn, message.state);
                self.updated(conn);
            }
            Body::GetCheckpointDir => {
                let dir = self.checkpoint_dir.clone();
                self.answer(conn, Body::CheckpointDir(dir));
            }
            Body::SetCheckpointDir(dir) => {
                if dir.as_bytes().len() > MAX_PATH {
                    let field = "directory";
                    return Err(DecodeError::Malformed { kind, field });
                }
                // Own copy: a slice would keep the whole received buffer alive.
                self.checkpoint_dir = Text::new(dir.as_bytes().to_vec()).unwrap_or_default();
            }
            Body::Barrier(name) => {
                self.roster.set_state(conn, message.state);
                self.arrived(conn, name)?;
            }
            Body::Ok => self.phase_done(conn, message.state)?,
            Body::CheckpointFile(file) => {
                self.told_state(conn, message.state);
                self.reported(conn, file)?;
            }
            Body::WorkerResuming => self.resumed(conn),
            Body::KeyValueRequest(request) => self.key_value(conn, &request),
            Body::NameServiceRequest(request) => self.name_request(conn, &request),
            _ => {
                let why = "not a message of an admitted worker";
                return Err(DecodeError::Unexpected { kind, why });
            }
        }
        Ok(())
    }

    /// A side channel of a worker's user threads carries requests to the store and nothing else.
    pub(super) fn name_service(
        &mut self,
        conn: ConnId,
        message: Message,
    ) -> Result<(), DecodeError> {
        match message.body {
            Body::KeyValueRequest(request) => {
                self.key_value(conn, &request);
                Ok(())
            }
            Body::NameServiceRequest(request) => {
                self.name_request(conn, &request);
                Ok(())
            }
            body => {
                let why = "a name-service connection carries requests to the store only";
                Err(DecodeError::Unexpected {
                    kind: body.kind(),
                    why,
                })
            }
        }
    }

    /// A state in a message that is not about it. 2.x tells its state with [`Body::Ok`] only.
    fn told_state(&mut self, conn: ConnId, state: WorkerState) {
        if !self.waits_only_here() {
            self.roster.set_state(conn, state);
        }
    }

    pub(super) fn name_request(&mut self, conn: ConnId, request: &NameServiceRequest) {
        self.past.0.store_requests += 1;
        if let Some(answer) = self.name_service.request(request, self.config.max_store) {
            self.answer(conn, answer);
        }
    }

    fn identify(
        &mut self,
        conn: ConnId,
        from: &crate::UniquePid,
        real_pid: i32,
        program: Option<Text>,
    ) {
        let mut was_forked = false;
        if let Some(worker) = self.roster.get_mut(conn) {
            worker.id = *from;
            was_forked = worker.forked_at.take().is_some();
            // Stock workers leave it at -1 after an exec, which keeps the pid.
            if real_pid > 0 {
                worker.real_pid = real_pid;
            }
            if let Some(program) = program {
                worker.program = program;
            }
        }
        if was_forked {
            self.order_child(conn);
        }
    }

    /// The order of the round for a child that joined it while it was being forked.
    fn order_child(&mut self, conn: ConnId) {
        let under_way = |round: &&super::Round| !round.is_sealing() && !round.is_asked();
        let Some(round) = self.round.as_ref().filter(under_way) else {
            return;
        };
        let then_exit = round.then_exit;
        let is_told = |worker: &Worker| worker.part == Part::Told;
        if !self.waits_only_here() || !self.roster.get(conn).is_some_and(is_told) {
            return;
        }
        if let Some(dialect) = self.dialect_of(conn) {
            self.send(conn, dialect, self.order(dialect, then_exit));
        }
    }

    pub(super) fn updated(&mut self, conn: ConnId) {
        if let Some(worker) = self.roster.get(conn) {
            let info = worker.info();
            self.event(Event::WorkerUpdated(info));
        }
        self.settle();
    }

    /// A new program knows nothing of the round that its predecessor was in: it is told again,
    /// and goes through the barriers from the first one on.
    fn restart_part(&mut self, conn: ConnId) {
        let Some(round) = self.round.as_ref().filter(|round| !round.is_sealing()) else {
            return;
        };
        let then_exit = round.then_exit;
        // A worker of 2.x that gets its order twice exits.
        if self.waits_only_here() {
            return;
        }
        let Some(worker) = self.roster.get_mut(conn) else {
            return;
        };
        if !matches!(worker.part, Part::Told | Part::Answered) {
            return;
        }
        self.barriers.leave(worker);
        worker.waiting = false;
        worker.passed = 0;
        worker.part = Part::Told;
        if let Some(dialect) = self.dialect_of(conn) {
            self.send(conn, dialect, self.order(dialect, then_exit));
        }
    }

    fn answer(&mut self, conn: ConnId, body: Body) {
        if let Some(dialect) = self.dialect_of(conn) {
            self.send(conn, dialect, body);
        }
    }

    fn key_value(&mut self, conn: ConnId, request: &KeyValueRequest) {
        self.past.0.store_requests += 1;
        let mut response = self.store.request(request, self.config.max_store);
        let Some(dialect) = self.dialect_of(conn) else {
            return;
        };
        if let (KeyValueResponse::Value(value), Some(max)) =
            (&response, dialect.peer_payload_limit())
        {
            if value.as_bytes().len() >= max {
                // The peer would exit. An old value is never used by stock workers.
                response = match request.op {
                    KeyValueOp::Get => KeyValueResponse::NoKey,
                    _ => KeyValueResponse::Value(Text::from("0")),
                };
            }
        }
        self.send(conn, dialect, Body::KeyValueResponse(response));
    }

    pub(super) fn arrived(&mut self, conn: ConnId, name: Name) -> Result<(), DecodeError> {
        let unexpected = |why| {
            Err(DecodeError::Unexpected {
                kind: Kind::Barrier,
                why,
            })
        };
        let Some(worker) = self.roster.get_mut(conn) else {
            return Ok(());
        };
        let number = worker.number;
        let index = u32::try_from(worker.passed).unwrap_or(u32::MAX);
        match self.barriers.arrive(worker, name) {
            Arrival::Repeated => return Ok(()),
            Arrival::Elsewhere => return unexpected("the other workers are at another barrier"),
            Arrival::TooMany => return unexpected("too many barriers in one round"),
            Arrival::Waits | Arrival::CatchesUp if worker.part == Part::Told => {
                worker.part = Part::Answered;
            }
            Arrival::Waits | Arrival::CatchesUp => {}
        }
        worker.last_barrier = Some(name);
        worker.stepped = self.now;
        let waits = worker.waiting;
        self.progress();
        self.step(number, WorkerStep::Barrier { name, index });
        if waits {
            self.release_if_met();
        } else {
            if let Some(dialect) = self.dialect_of(conn) {
                self.send(conn, dialect, self.release_of(dialect, name));
            }
        }
        Ok(())
    }

    pub(super) fn released(&self, name: Name) -> Released {
        let then_exit = self.round.as_ref().is_some_and(|round| round.then_exit);
        Released {
            name,
            peers: self.roster.peers(),
            then_exit,
        }
    }

    pub(super) fn release_if_met(&mut self) {
        let complete = self
            .restart
            .as_ref()
            .is_none_or(|restart| self.roster.peers() == restart.expected);
        let Some(name) = self.barriers.met(self.roster.len()) else {
            return;
        };
        let Some(dialect) = self.computation.dialects.only() else {
            return;
        };
        if !complete || self.cutting_off || self.kill.is_some() || self.holds_for_seal(name) {
            return;
        }
        self.barriers.release(self.roster.iter_mut(), self.now);
        self.before_release(name);
        self.broadcast(&self.release_of(dialect, name));
        let peers = self.roster.peers();
        self.event(Event::BarrierReleased { name, peers });
    }

    fn reported(&mut self, conn: ConnId, file: CheckpointFile) -> Result<(), DecodeError> {
        let kind = Kind::CheckpointFile;
        let state = self.dialect_of(conn).map(reporting_state);
        let Some(worker) = self.roster.get_mut(conn) else {
            return Ok(());
        };
        if worker.part != Part::Answered || Some(worker.state()) != state {
            let why = "no image is expected of this worker";
            return Err(DecodeError::Unexpected { kind, why });
        }
        worker.part = Part::Reported;
        worker.stepped = self.now;
        let report = ImageReport {
            path: file.path,
            unique: file.unique,
            worker: worker.info(),
        };
        let number = worker.number;
        if let Some(round) = &mut self.round {
            round.missing = round.missing.saturating_sub(1);
            if round.is_open() {
                round.reports.push(report);
            }
        }
        self.progress();
        self.step(number, WorkerStep::ImageReported);
        self.complete_if_reported();
        Ok(())
    }

    pub(super) fn resumed(&mut self, conn: ConnId) {
        self.roster.set_state(conn, WorkerState::Running);
        let Some(worker) = self.roster.get_mut(conn) else {
            return;
        };
        worker.last_barrier = None;
        worker.stepped = self.now;
        let number = worker.number;
        if let Some(entry) = self.conns.get_mut(&conn) {
            entry.rests = true;
        }
        self.step(number, WorkerStep::Running);
        self.should_have_reported(conn);
        self.progress();
        self.settle();
    }

    /// A worker is where its image has been reported: without one the round has no set.
    pub(super) fn should_have_reported(&mut self, conn: ConnId) {
        let is_late = |worker: &&mut Worker| worker.part == Part::Answered;
        let Some(worker) = self.roster.get_mut(conn).filter(is_late) else {
            return;
        };
        worker.part = Part::None;
        let info = worker.info();
        if let Some(round) = &mut self.round {
            round.missing = round.missing.saturating_sub(1);
        }
        self.fail_round(RoundError::NoImage(Box::new(info)));
    }

    /// What follows when the last worker has come to run.
    pub(super) fn settle(&mut self) {
        if !self.roster.all_running() {
            return;
        }
        self.stuck.clear();
        self.complete_restart();
        if self.resuming {
            self.resuming = false;
            self.rested = self.now + self.config.settle_time;
            self.reset_due();
            self.event(Event::Resumed);
        }
        // Who was told and runs may not have seen the order yet: it still goes through the round.
        let is_through =
            |(_, worker): (ConnId, &Worker)| !matches!(worker.part, Part::Told | Part::Answered);
        if self.round.as_ref().is_some_and(super::Round::is_failed)
            && self.roster.iter().all(is_through)
        {
            self.round = None;
            // The next round, which may be asked for before it is ordered, owes nothing to this one.
            for worker in self.roster.iter_mut() {
                worker.part = Part::None;
            }
            self.rested = self.now + self.config.settle_time;
            self.reset_due();
            self.event(Event::Resumed);
        }
        self.unpark();
    }

    /// All processes that are left run.
    fn complete_restart(&mut self) {
        let peers = self.roster.peers();
        let complete = |restart: &mut super::Restart| restart.expected == peers + restart.ended;
        if let Some(restart) = self.restart.take_if(complete) {
            let peers = restart.expected;
            self.rested = self.now + self.config.settle_time;
            self.reset_due();
            self.event(Event::RestartComplete { peers });
        }
    }

    /// A worker's connection is gone, whoever ended it.
    ///
    /// `vanished`: nothing says that it has ended.
    pub(super) fn worker_left(&mut self, conn: ConnId, vanished: bool) {
        let Some(worker) = self.roster.remove(conn) else {
            return;
        };
        self.barriers.leave(&worker);
        let info = worker.info();
        self.event(Event::WorkerLeft(info.clone()));
        self.lost_in_round(&worker, info, vanished);
        if let Some(restart) = &mut self.restart {
            // Restored ones run only behind the restart's last barrier, so it did its part.
            restart.ended += u32::from(!vanished && worker.state() == WorkerState::Running);
        }
        if !self.roster.is_empty() {
            self.release_if_met();
            self.settle();
        } else if !self.computation.id.is_null() {
            // Null: its departure cut the last others off, and the end has been told already.
            self.computation_ended();
        }
    }

    fn computation_ended(&mut self) {
        let computation = self.computation.id;
        // A round whose images are being sealed outlives its workers.
        if self.round.as_ref().is_some_and(super::Round::is_failed) {
            self.round = None;
        }
        self.restart = None;
        self.resuming = false;
        self.rested = self.now;
        self.stuck.clear();
        self.barriers.reset();
        self.computation.id = crate::UniquePid::NULL;
        self.computation.dialects = Candidates::all();
        self.due = None;
        self.event(Event::ComputationEnded { computation });
        for id in self.kill.take().map(|kill| kill.askers).unwrap_or_default() {
            self.outputs.push_back(Output::Reply {
                id,
                result: Ok(Reply::Done),
            });
        }
        self.stop_if_asked();
        self.unpark();
    }

    /// Cuts workers off that no message can reach, and has their processes killed. No barrier is
    /// released meanwhile: the end of one would let the next go on that is about to be killed.
    pub(super) fn cut_off(&mut self, conns: &[ConnId]) {
        let is_inner = core::mem::replace(&mut self.cutting_off, true);
        for &conn in conns {
            if let Some(worker) = self.roster.get(conn) {
                let worker = worker.info();
                self.outputs.push_back(Output::KillProcess { conn, worker });
            }
            self.close(conn);
        }
        self.cutting_off = is_inner;
        if !is_inner {
            self.release_if_met();
            self.settle();
        }
    }
}
