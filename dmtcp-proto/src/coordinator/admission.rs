//! Who may join: first messages of workers, and what they are told.

use alloc::boxed::Box;

use super::lockstep::last_to_join;
use super::roster::{Part, Worker};
use super::round::Round;
use super::worker::MAX_PATH;
use super::{CoordinatorCore, Restart, Role};
use crate::coordinator::event::Event;
use crate::dialect::{Candidates, Dialect};
use crate::error::DecodeError;
use crate::ids::{ConnId, UniquePid};
use crate::interval::Interval;
use crate::kind::Kind;
use crate::message::{Accept, Body, Hello, Message, Reject};
use crate::state::WorkerState;
use crate::text::Text;

/// What to do with a process that wants to start in, or be restored into, the computation.
enum Admission {
    Admit,
    /// Later, when the round is over.
    Park,
    Refuse(Reject),
}

impl CoordinatorCore {
    /// The first message of a connection.
    pub(super) fn hello(
        &mut self,
        conn: ConnId,
        dialect: Dialect,
        message: Message,
    ) -> Result<(), DecodeError> {
        match message.body {
            Body::NameServiceWorker => {
                self.set_role(conn, Role::NameService);
                Ok(())
            }
            Body::UserCommand(command) => {
                self.tool(conn, dialect, message.from, command);
                Ok(())
            }
            Body::NewWorker(_) | Body::RestartWorker(_) => self.process_hello(conn, message),
            Body::NameServiceRequest(request) => {
                self.name_request(conn, &request);
                self.close(conn);
                Ok(())
            }
            Body::SetGlobalCheckpointDir(dir) => {
                let is_set = self.set_global_dir(conn, &dir);
                self.send(conn, dialect, Body::GlobalCheckpointDirSet(is_set));
                self.close(conn);
                Ok(())
            }
            body => Err(DecodeError::Unexpected {
                kind: body.kind(),
                why: "not a first message",
            }),
        }
    }

    /// Where all workers of 2.x write their images from the next round on; not while one runs,
    /// and not by one of another release: orders of 2.4 carry no directory.
    fn set_global_dir(&mut self, conn: ConnId, dir: &Text) -> bool {
        let between_rounds = self.round.is_none() && self.restart.is_none() && !self.resuming;
        let can_be_one_of_them = !self.roster.is_empty() && !self.common_dialects(conn).is_empty();
        let is_set = between_rounds && can_be_one_of_them && dir.as_bytes().len() <= MAX_PATH;
        if is_set {
            // Own copy: a slice would keep the whole received buffer alive.
            self.global_checkpoint_dir = Text::new(dir.as_bytes().to_vec());
        }
        is_set
    }

    pub(super) fn set_role(&mut self, conn: ConnId, role: Role) {
        if let Some(entry) = self.conns.get_mut(&conn) {
            if matches!(role, Role::Worker | Role::NameService) {
                entry.decoder.set_limits(self.config.limits);
            }
            entry.role = role;
        }
    }

    fn process_hello(&mut self, conn: ConnId, message: Message) -> Result<(), DecodeError> {
        if self.kill.is_some() || self.stopping {
            // Without a certain dialect no message says "exit"; the end of the connection does.
            if let Some(dialect) = self.dialect_of(conn) {
                self.send(conn, dialect, Body::KillPeer);
            }
            self.close(conn);
            return Ok(());
        }
        // A computation never mixes dialects.
        if !self.roster.is_empty() && self.common_dialects(conn).is_empty() {
            self.refuse(conn, Reject::WrongComputation);
            return Ok(());
        }
        let admission = match &message.body {
            Body::RestartWorker(hello) => self.admit_restart(conn, &message, hello)?,
            Body::NewWorker(hello) => self.admit_new(&message, hello)?,
            _ => return Ok(()),
        };
        match admission {
            Admission::Admit => self.admit(conn, &message),
            Admission::Park => {
                self.set_role(conn, Role::Parked(Box::new(message)));
                self.parked.push_back(conn);
            }
            Admission::Refuse(reason) => self.refuse(conn, reason),
        }
        Ok(())
    }

    fn refuse(&mut self, conn: ConnId, reason: Reject) {
        let candidates = self.candidates(conn);
        let certain = candidates.only().or_else(|| self.assumed_of(candidates));
        let dialect = certain.or_else(|| candidates.iter().next());
        // These rejections have the same number in every dialect that is still possible; the
        // only one that has not is chosen where the dialect is certain or assumed.
        if let Some(dialect) = dialect {
            self.send(conn, dialect, Body::Reject(reason));
        }
        self.event(Event::Refused { conn, reason });
        self.close(conn);
    }

    fn admit_new(&self, message: &Message, hello: &Hello) -> Result<Admission, DecodeError> {
        let kind = Kind::NewWorker;
        let forked = match message.state {
            WorkerState::Unknown => false,
            // The process that forks may already know of the next checkpoint: it tells its own
            // state in its child's name.
            WorkerState::Running | WorkerState::PreSuspend => true,
            _ => {
                return Err(DecodeError::Malformed {
                    kind,
                    field: "state",
                });
            }
        };
        if hello.virtual_pid != -1 {
            return Err(DecodeError::Malformed {
                kind,
                field: "virtual pid",
            });
        }
        if !message.group.is_null() {
            return Ok(Admission::Refuse(Reject::WrongComputation));
        }
        if let Some(restart) = &self.restart {
            // The parent of a forked child is held inside fork() until then. Before all processes are
            // there none of them runs, and none can fork.
            return Ok(if forked && self.roster.peers() >= restart.expected {
                Admission::Park
            } else {
                Admission::Refuse(Reject::NotRunning)
            });
        }
        let last_to_join = last_to_join(self.computation.dialects.only());
        Ok(match &self.round {
            // The parent is held inside fork() until its child is admitted, and the round waits
            // for the parent: the child takes part from the first barrier on. So it is in a failed
            // one, through which the others still go.
            Some(round)
                if forked && !round.is_sealing() && !self.barriers.has_released(last_to_join) =>
            {
                Admission::Admit
            }
            // Its order has not gone out, or all of its workers run again already: sealing is the
            // driver's work, and fork() must not wait for the disk.
            Some(round) if round.is_asked() => Admission::Admit,
            Some(_) if self.may_admit_between_rounds() => Admission::Admit,
            Some(_) => Admission::Park,
            None if self.resuming => Admission::Park,
            None => Admission::Admit,
        })
    }

    fn admit_restart(
        &mut self,
        conn: ConnId,
        message: &Message,
        hello: &Hello,
    ) -> Result<Admission, DecodeError> {
        if message.state != WorkerState::Restarting {
            return Err(DecodeError::Malformed {
                kind: Kind::RestartWorker,
                field: "state",
            });
        }
        if self.roster.is_empty() {
            // Somebody has to say what is restored.
            return match message.group.is_null() {
                true => Err(DecodeError::Malformed {
                    kind: Kind::RestartWorker,
                    field: "computation",
                }),
                false => Ok(Admission::Admit),
            };
        }
        let Some(restart) = &self.restart else {
            return Ok(Admission::Refuse(Reject::NotRestarting));
        };
        if !message.group.same_as(&self.computation.id) {
            return Ok(Admission::Refuse(Reject::WrongComputation));
        }
        if hello.peers.max(1) != restart.expected {
            let candidates = self.candidates(conn);
            let certain = candidates.only().or_else(|| self.assumed_of(candidates));
            let known = certain.and_then(|dialect| dialect.kind_number(Kind::RejectPeerMismatch));
            let reason = known.map_or(Reject::WrongComputation, |_| Reject::PeerMismatch);
            return Ok(Admission::Refuse(reason));
        }
        // A second restart of one of its processes would stand in for one that never comes. Numbers
        // near each other are those that the processes had when their images were written.
        let twice = self.roster.has_virtual_pid(message.from.pid);
        if twice || self.roster.peers() >= restart.expected {
            return Ok(Admission::Refuse(Reject::NotRestarting));
        }
        Ok(Admission::Admit)
    }

    /// Takes a process in whose admission has been decided.
    fn admit(&mut self, conn: ConnId, message: &Message) {
        let (Body::NewWorker(hello) | Body::RestartWorker(hello)) = &message.body else {
            return;
        };
        let restarts = matches!(message.body, Body::RestartWorker(_));
        let virtual_pid = if restarts {
            message.from.pid
        } else {
            match self.roster.free_virtual_pid() {
                Some(pid) => pid,
                None => {
                    let limit = Self::MOST_WORKERS;
                    self.event(Event::TooManyWorkers { conn, limit });
                    return self.refuse(conn, Reject::NotRunning);
                }
            }
        };
        if self.roster.is_empty() {
            self.begin_computation(message, hello, restarts, virtual_pid);
        }
        self.narrow_computation(self.candidates(conn));
        if hello.interval != Interval::Unchanged {
            self.set_interval(hello.interval);
        }
        self.joined += 1;
        if !restarts && !self.is_forked(conn, message) {
            self.launched = self.launched.saturating_add(1);
        }
        let state = match message.state {
            // Its parent's; a child begins by running.
            WorkerState::PreSuspend => WorkerState::Running,
            own => own,
        };
        let mut worker = Worker::new(self.joined, message.from, virtual_pid, hello, state);
        worker.stepped = self.now;
        worker.passed = self.barriers.count();
        if restarts {
            worker.passed = 0;
        } else if state == WorkerState::Running {
            worker.forked_at = Some(self.now);
        }
        let info = worker.info();
        self.set_role(conn, Role::Worker);
        self.roster.add(conn, worker);
        self.accept(conn, restarts, virtual_pid);
        self.event(Event::WorkerJoined(info));
        self.join_round(conn);
    }

    /// Whether a new process is the child of one that is here. Programs that 2.4 launches say that they
    /// run already, as children do in every release: but a child comes in its parent's name.
    fn is_forked(&self, conn: ConnId, message: &Message) -> bool {
        let is_2_4 = self.candidates(conn).only() == Some(Dialect::V2_4);
        message.state != WorkerState::Unknown
            && (!is_2_4 || self.roster.has_virtual_pid(message.from.pid))
    }

    fn accept(&mut self, conn: ConnId, restarts: bool, virtual_pid: i32) {
        let Some(entry) = self.conns.get(&conn) else {
            return;
        };
        let ip = match entry.peer.ip() {
            core::net::IpAddr::V4(ip) if !ip.is_loopback() => ip.octets(),
            _ => self.config.advertised_ip,
        };
        // The bytes are the same in every dialect that is still possible.
        let Some(dialect) = entry.candidates.iter().next() else {
            return;
        };
        let accept = Accept {
            virtual_pid: if restarts { -1 } else { virtual_pid },
            time_stamp: self.computation.time_stamp,
            ip,
        };
        self.send(conn, dialect, Body::Accept(accept));
    }

    fn begin_computation(
        &mut self,
        message: &Message,
        hello: &Hello,
        restarts: bool,
        virtual_pid: i32,
    ) {
        let since_start = self.now.since_start().as_nanos();
        let elapsed = u64::try_from(since_start).unwrap_or(u64::MAX);
        self.name_service.clear();
        self.checkpoint_dir = Text::default();
        self.global_checkpoint_dir = None;
        self.barriers.reset();
        self.resuming = false;
        self.computation.dialects = Candidates::all();
        self.computation.time_stamp = self.config.identity.time.wrapping_add(elapsed).max(1);
        self.computation.id = if restarts {
            message.group
        } else {
            UniquePid {
                pid: virtual_pid,
                generation: 0,
                ..message.from
            }
        };
        self.store.begin(self.computation.id);
        if restarts {
            let expected = hello.peers.max(1);
            self.restart = Some(Restart { expected, ended: 0 });
            let computation = self.computation.id;
            self.event(Event::RestartStarted {
                computation,
                expected,
            });
        }
        self.reset_due();
    }

    /// A worker that joined while a round is under way is told to take part. If the others have
    /// not been told yet, it is told with them.
    fn join_round(&mut self, conn: ConnId) {
        let under_way = |round: &&mut Round| !round.is_sealing() && !round.is_asked();
        let Some(round) = self.round.as_mut().filter(under_way) else {
            return;
        };
        let then_exit = round.then_exit;
        round.missing += 1;
        let waits_only_here = self.waits_only_here();
        if let Some(worker) = self.roster.get_mut(conn) {
            worker.part = Part::Told;
            worker.passed = 0;
            // It would never answer: it is ordered when it tells who it is.
            if waits_only_here && worker.forked_at.is_some() {
                return;
            }
        }
        if let Some(dialect) = self.dialect_of(conn) {
            self.send(conn, dialect, self.order(dialect, then_exit));
        }
    }

    fn may_admit_between_rounds(&self) -> bool {
        let all_running = self.roster.all_running();
        self.round
            .as_ref()
            .is_none_or(|round| round.is_sealing() && all_running)
    }

    /// Admits those who had to wait for the end of a round.
    pub(super) fn unpark(&mut self) {
        // Admitting one can end here again, as deep as there are parked ones.
        if core::mem::replace(&mut self.unparking, true) {
            return;
        }
        while self.may_admit_between_rounds()
            && self.restart.is_none()
            && !self.resuming
            && self.kill.is_none()
        {
            let Some(conn) = self.parked.pop_front() else {
                break;
            };
            let Some(entry) = self.conns.get_mut(&conn) else {
                continue;
            };
            let Role::Parked(message) = core::mem::replace(&mut entry.role, Role::Hello) else {
                continue;
            };
            if let Err(error) = self.process_hello(conn, *message) {
                self.event(Event::PeerMisbehaved { conn, error });
                self.close(conn);
            }
            // What it sent meanwhile.
            self.received(conn, &[]);
        }
        self.unparking = false;
    }
}
