//! What a core asks for, done: the one `match` over [`Output`] in this crate.
//!
//! Holds what outputs act on: sockets, listeners to events, waiting callers, the sealer and the
//! workers' processes. Never touches the core; what has to be told to it waits in
//! [`Driver::next_input`].

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use dmtcp_proto::{CommandError, ConnId, Event, Input, Instant, Output, Reply, RequestId};

use super::{
    ComputationEvent, SealRound, ServerError,
    connection::{Connection, Flush},
    events::Subscribers,
    observe::{Recorder, Tally},
    poll_loop::{Io, token_of},
    processes::Processes,
    rounds::{Answered, RoundLog},
    sealing::{SealOutcome, SealThread, SealWork},
};
use crate::driver::answer;

pub(super) type Caller = answer::Sender<Result<Answered, ServerError>>;

#[derive(Debug)]
pub(super) struct Driver {
    pub(super) connections: HashMap<ConnId, Connection>,
    pub(super) subscribers: Arc<Subscribers>,
    pub(super) processes: Processes,
    /// Gone once the computation is being closed; the thread itself may still be at work.
    pub(super) sealing: Option<SealThread>,
    pub(super) max_queued: usize,
    pub(super) recorder: Recorder,
    pub(super) tally: Tally,
    callers: HashMap<RequestId, Caller>,
    rounds: RoundLog,
    /// Connections with something new to send, each once, in the order in which they got it: those
    /// that stay,
    unsent: VecDeque<ConnId>,
    /// and those that have asked something, which do not wait behind a crowd of workers.
    unanswered: Vec<ConnId>,
    /// When to give up on those that are being closed; in order, since all have the same time.
    closing: VecDeque<(Instant, ConnId)>,
    /// Answers of this batch: they are given when its events are known.
    replies: Vec<(RequestId, Result<Reply, CommandError>)>,
    inputs: VecDeque<OwnInput>,
    stop: bool,
}

/// What the driver has to tell its core.
#[derive(Debug)]
enum OwnInput {
    Closed(ConnId),
    Vanished(ConnId),
    Sealed {
        round: u64,
        result: Result<(), String>,
    },
}

impl Driver {
    pub(super) fn new(
        subscribers: Arc<Subscribers>,
        processes: Processes,
        sealing: Option<SealThread>,
        max_queued: usize,
        recorder: Recorder,
    ) -> Self {
        Self {
            connections: HashMap::new(),
            subscribers,
            processes,
            sealing,
            max_queued,
            recorder,
            tally: Tally::default(),
            callers: HashMap::new(),
            rounds: RoundLog::default(),
            unsent: VecDeque::new(),
            unanswered: Vec::new(),
            closing: VecDeque::new(),
            replies: Vec::new(),
            inputs: VecDeque::new(),
            stop: false,
        }
    }

    /// Does one output.
    pub(super) fn act(&mut self, io: &mut Io, output: Output) {
        match output {
            Output::Transmit { conn, bytes } => self.push(io, conn, bytes),
            Output::TransmitAll { conns, bytes } => {
                for conn in conns {
                    self.push(io, conn, bytes.clone());
                }
            }
            Output::Close { conn } => self.close(io, conn),
            Output::Reply { id, result } => self.replies.push((id, result)),
            Output::Seal {
                round,
                computation,
                images,
            } => {
                self.recorder.sealing_began(io.now(), round);
                let started = self.rounds.started();
                let order = SealRound {
                    round,
                    computation,
                    started,
                    barriers: self.rounds.barriers().to_vec(),
                    images,
                };
                if !self.tell_sealer(SealWork::Seal(order)) {
                    let result = Err("the computation is being closed".to_owned());
                    self.inputs.push_back(OwnInput::Sealed { round, result });
                }
            }
            Output::KillProcess { conn, worker } => {
                let ends = self.connections.get(&conn).map(Connection::ends);
                let event = match self.processes.kill(&worker, ends) {
                    Ok(()) => ComputationEvent::ProcessKilled(worker),
                    Err(reason) => ComputationEvent::ProcessSpared { worker, reason },
                };
                self.tell(io, event);
            }
            Output::Step { worker, step } => self.recorder.step(io.now(), worker, step),
            Output::Event(event) => self.note(io, event),
            Output::Stop => self.stop = true,
        }
    }

    /// After the outputs of one input: answers those that are to be answered.
    pub(super) fn finish_batch(&mut self) {
        for (id, result) in self.replies.drain(..) {
            if let Some(caller) = self.callers.remove(&id) {
                caller.send(self.rounds.answer(result));
            }
        }
    }

    /// Sends what waits to be sent, but what goes to a crowd of workers; says whether that was all.
    pub(super) fn flush(&mut self, io: &mut Io) -> bool {
        for conn in std::mem::take(&mut self.unanswered) {
            self.flush_listed(io, conn);
        }
        if self.unsent.len() <= CROWD {
            self.send_some(io);
        }
        self.unsent.is_empty()
    }

    /// Sends what waits for some of those that stay.
    pub(super) fn send_some(&mut self, io: &mut Io) {
        let some = CROWD.min(self.unsent.len());
        for conn in self.unsent.drain(..some).collect::<Vec<_>>() {
            self.flush_listed(io, conn);
        }
    }

    /// Sends this soon.
    fn push(&mut self, io: &mut Io, conn: ConnId, bytes: Bytes) {
        let waits = self.connections.get(&conn).map_or(0, Connection::queued);
        if waits > self.max_queued {
            self.relieve(io, conn);
        }
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.push(bytes);
            list(connection, conn, &mut self.unsent, &mut self.unanswered);
        }
    }

    fn flush_listed(&mut self, io: &mut Io, conn: ConnId) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.is_listed = false;
        }
        self.flush_one(io, conn);
    }

    /// The peer is a worker now.
    pub(super) fn stay(&mut self, io: &mut Io, conn: ConnId) {
        let connection = self.connections.get_mut(&conn);
        let moved =
            connection.map(|connection| connection.stay(io.door(), io.staying(), token_of(conn)));
        if matches!(moved, Some(Err(_))) {
            // Nothing is heard of it any more, but it may well go on.
            self.give_up(io, conn);
        }
    }

    /// The peer is heard of from now on.
    pub(super) fn watch(&mut self, io: &mut Io, conn: ConnId) {
        let connection = self.connections.get_mut(&conn);
        let connection = connection.filter(|connection| !connection.is_watched());
        let watched =
            connection.map(|connection| connection.watch(io.door(), io.staying(), token_of(conn)));
        if matches!(watched, Some(Err(_))) {
            self.give_up(io, conn);
        }
    }

    /// The next thing the core has to be told.
    pub(super) fn next_input(&mut self) -> Option<Input<'static>> {
        self.inputs.pop_front().map(|input| match input {
            OwnInput::Closed(conn) => Input::Closed { conn },
            OwnInput::Vanished(conn) => Input::Vanished { conn },
            OwnInput::Sealed { round, result } => Input::Sealed { round, result },
        })
    }

    /// Whether the core has asked to stop; says so once.
    pub(super) fn take_stop(&mut self) -> bool {
        std::mem::take(&mut self.stop)
    }

    pub(super) fn expect_answer(&mut self, id: RequestId, caller: Caller) {
        self.callers.insert(id, caller);
    }

    pub(super) fn forget_answer(&mut self, id: RequestId) {
        self.callers.remove(&id);
    }

    pub(super) fn sealed(&mut self, io: &Io, outcome: SealOutcome) {
        let SealOutcome {
            round,
            result,
            took,
        } = outcome;
        self.recorder.sealing_ended(io.now(), round);
        self.tally.sealed(took);
        let result = result.map(|set| {
            self.rounds.sealed(round, set.clone(), took);
            self.tell(io, ComputationEvent::SetSealed { round, set, took });
        });
        self.inputs.push_back(OwnInput::Sealed { round, result });
    }

    /// Closes a connection once everything before is sent, which has some time.
    pub(super) fn close(&mut self, io: &Io, conn: ConnId) {
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.start_closing();
            list(connection, conn, &mut self.unsent, &mut self.unanswered);
            self.closing.push_back((io.now() + CLOSE_LIMIT, conn));
        }
    }

    /// The peer has closed its side, and everything it sent was read.
    pub(super) fn peer_closed(&mut self, io: &mut Io, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        if !connection.is_closing() {
            self.lost(io, conn);
        } else if connection.flush() != Flush::Blocked {
            // It may still read. If it does not take all of it now, the time limit ends it.
            self.remove(io, conn);
        }
    }

    /// The connection is of no use any more.
    pub(super) fn lost(&mut self, io: &mut Io, conn: ConnId) {
        let connection = self.connections.get(&conn);
        if connection.is_some_and(Connection::has_vanished) {
            return self.give_up(io, conn);
        }
        if let Some(closing) = self.remove(io, conn) {
            if !closing {
                self.inputs.push_back(OwnInput::Closed(conn));
            }
        }
    }

    /// The same, of a peer that may well go on.
    fn give_up(&mut self, io: &mut Io, conn: ConnId) {
        if let Some(closing) = self.remove(io, conn) {
            if !closing {
                self.inputs.push_back(OwnInput::Vanished(conn));
            }
        }
    }

    /// When something here has to be looked at without any input.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.closing.front().map(|&(end, _)| end)
    }

    /// Ends what was being closed for too long.
    pub(super) fn expire(&mut self, io: &mut Io) {
        let now = io.now();
        while let Some(&(_, conn)) = self.closing.front().filter(|&&(end, _)| end <= now) {
            self.closing.pop_front();
            self.remove(io, conn);
        }
    }

    pub(super) fn flush_one(&mut self, io: &mut Io, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        match (connection.flush(), connection.is_closing()) {
            (Flush::Blocked, _) | (Flush::Done, false) => {}
            (Flush::Done, true) => {
                if !connection.shut() {
                    self.remove(io, conn);
                }
            }
            // What it sent before it went is read first, and then its end is seen.
            (Flush::Lost, false) => io.read_again(conn),
            (Flush::Lost, true) => {
                self.remove(io, conn);
            }
        }
    }

    /// Answers those who still wait when the computation ends.
    pub(super) fn refuse_callers(&mut self) {
        for (_, caller) in self.callers.drain() {
            caller.send(Err(ServerError::Closed));
        }
    }

    /// Tells those who listen.
    pub(super) fn tell(&mut self, io: &Io, event: ComputationEvent) {
        self.tally.note(io.now(), &event);
        self.subscribers.publish(event);
    }

    fn note(&mut self, io: &Io, event: Event) {
        self.recorder.note(io.now(), &event);
        match &event {
            Event::WorkerJoined(worker) | Event::WorkerUpdated(worker) => {
                self.processes.saw(worker);
            }
            Event::WorkerLeft(worker) => self.processes.forget(worker.number),
            _ => {
                match &event {
                    Event::CheckpointStarted { .. } => self.tell_sealer(SealWork::Begins),
                    Event::CheckpointFailed { .. } => self.tell_sealer(SealWork::Failed),
                    _ => true,
                };
                self.rounds.note(&event);
            }
        }
        self.tell(io, ComputationEvent::Coordinator(event));
    }

    /// False: there is none any more.
    fn tell_sealer(&self, work: SealWork) -> bool {
        let sealing = self.sealing.as_ref();
        sealing.is_some_and(|thread| thread.tell(work))
    }

    /// Too much waits for a peer: it takes it now or is cut off.
    fn relieve(&mut self, io: &mut Io, conn: ConnId) {
        self.flush_one(io, conn);
        if let Some(connection) = self.connections.get(&conn) {
            let queued = connection.queued();
            if queued > self.max_queued {
                let (_, peer) = connection.ends();
                self.tell(io, ComputationEvent::PeerNotReading { conn, peer, queued });
                self.give_up(io, conn);
            }
        }
    }

    /// Says whether it was being closed; `None`: it was gone already.
    fn remove(&mut self, io: &mut Io, conn: ConnId) -> Option<bool> {
        let connection = self.connections.remove(&conn)?;
        let closing = connection.is_closing();
        connection.drop_from(io.door(), io.staying());
        io.release(token_of(conn));
        // Nothing is to be waited for on behalf of those that are gone.
        while let Some((_, first)) = self.closing.front() {
            if self.connections.contains_key(first) {
                break;
            }
            self.closing.pop_front();
        }
        Some(closing)
    }
}

/// Has something to send, or is to be closed once it has sent it.
fn list(
    connection: &mut Connection,
    conn: ConnId,
    staying: &mut VecDeque<ConnId>,
    asking: &mut Vec<ConnId>,
) {
    if !std::mem::replace(&mut connection.is_listed, true) {
        match connection.stays() {
            true => staying.push_back(conn),
            false => asking.push(conn),
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.subscribers.end();
    }
}

/// What is sent to more than so many workers is sent in several turns: each takes about half a
/// millisecond.
const CROWD: usize = 64;
/// What was sent last has this long to reach a peer before its socket is closed anyway.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
