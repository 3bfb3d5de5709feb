//! One computation on the server's thread: its core, its sockets, and what passes between.

use std::{
    collections::HashSet,
    net::SocketAddr,
    os::fd::AsRawFd as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dmtcp_proto::{
    Command, ConnId, CoordinatorConfig, CoordinatorCore, Input, Instant, KeyValues, RequestId,
    Standing, Survivors, WorkerInfo,
};
use mio::{Token, event::Event};

use super::{
    Access, ComputationEvent,
    access::Rights,
    connection::{Connection, Read},
    events::Subscribers,
    listener::{Accepted, Listener},
    observe::{Limits, Metrics, Recorder, RoundTimeline},
    open_files::make_room,
    outputs::{Caller, Driver},
    poll_loop::{Io, conn_of, token_of},
    processes::Processes,
    sealing::{SealOutcome, SealThread},
    task::{Key, Lifeline},
};
use crate::process::Identity;

/// What a computation is made of, before the server's thread takes it.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) key: Key,
    pub(super) listener: std::net::TcpListener,
    pub(super) coordinator: CoordinatorConfig,
    pub(super) subscribers: Arc<Subscribers>,
    pub(super) sealing: Option<SealThread>,
    pub(super) max_queued: usize,
    pub(super) access: Access,
    pub(super) silence_limit: Duration,
    pub(super) timelines: Limits,
    /// Name of this host.
    pub(super) host: String,
    pub(super) left: Left,
}

/// What a computation leaves behind, for its handles; empty until it is over.
pub(super) type Left = Arc<Mutex<KeyValues>>;

/// How a round stands, and whose processes those are that are late; in their order.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) standing: Standing,
    pub(super) processes: Vec<Option<Identity>>,
}

/// Workers that the embedding program waits for no longer.
#[derive(Debug)]
pub(super) struct GivenUp {
    pub(super) round: u64,
    pub(super) workers: Vec<u64>,
    pub(super) after: Duration,
    pub(super) survivors: Survivors,
}

#[derive(Debug)]
pub(super) struct Hosted {
    key: Key,
    addr: SocketAddr,
    core: CoordinatorCore,
    driver: Driver,
    /// `None`: it is being closed.
    listener: Option<Listener>,
    access: Access,
    sealer_at_work: bool,
    /// Of those who wait for the end.
    lifelines: Vec<Lifeline>,
    left: Left,
    /// What the loop has noted as the next timeout; the loop's own.
    pub(super) timer: Option<Instant>,
    /// The loop comes back to what was not sent yet; the loop's own.
    pub(super) is_sending: bool,
}

impl Hosted {
    pub(super) fn new(setup: Setup, io: &mut Io) -> std::io::Result<Self> {
        let addr = setup.listener.local_addr()?;
        let token = io.claim(setup.key);
        let listener = Listener::new(setup.listener, io.door(), token, setup.silence_limit)
            .inspect_err(|_| io.release(token))?;
        Ok(Self {
            key: setup.key,
            addr,
            core: CoordinatorCore::new(setup.coordinator, io.now()),
            sealer_at_work: setup.sealing.is_some(),
            driver: Driver::new(
                setup.subscribers,
                Processes::on(setup.host),
                setup.sealing,
                setup.max_queued,
                Recorder::new(setup.timelines),
            ),
            listener: Some(listener),
            access: setup.access,
            lifelines: Vec::new(),
            left: setup.left,
            timer: None,
            is_sending: false,
        })
    }

    /// One of its sockets may have something to say or room to be written to.
    ///
    /// `to_the_end`: the peer may have closed its side, so that a read that gets less than it
    /// could does not mean that nothing more comes.
    pub(super) fn ready(&mut self, io: &mut Io, buffer: &mut [u8], token: Token, ready: Ready) {
        if self.listener.as_ref().map(Listener::token) == Some(token) {
            return self.accept(io, buffer);
        }
        let conn = conn_of(token);
        if ready.write {
            self.driver.flush_one(io, conn);
        }
        if ready.read {
            self.read(io, buffer, conn, ready.to_the_end);
        }
    }

    pub(super) fn request(&mut self, io: &mut Io, id: RequestId, command: Command, caller: Caller) {
        self.driver.expect_answer(id, caller);
        self.feed(io, Input::Request { id, command });
    }

    pub(super) fn forget(&mut self, io: &mut Io, id: RequestId) {
        self.driver.forget_answer(id);
        self.feed(io, Input::Forget { id });
    }

    pub(super) fn standing(&self, io: &Io) -> Option<Asked> {
        let standing = self.core.standing(io.now())?;
        let process = |late: &dmtcp_proto::Late| self.driver.processes.seen(&late.worker);
        let processes = standing.late.iter().map(process).collect();
        Some(Asked {
            standing,
            processes,
        })
    }

    pub(super) fn key_values(&self) -> KeyValues {
        self.core.key_values().clone()
    }

    /// Those that were cut off for being late.
    pub(super) fn give_up(&mut self, io: &mut Io, given_up: &GivenUp) -> Vec<WorkerInfo> {
        let GivenUp {
            round,
            workers,
            after,
            survivors,
        } = given_up;
        let standing = self.core.standing(io.now());
        let late = standing.map(|standing| standing.late).unwrap_or_default();
        self.feed(
            io,
            Input::GiveUp {
                round: *round,
                workers,
                after: *after,
                survivors: *survivors,
            },
        );
        let left: HashSet<u64> = self.core.workers().map(|worker| worker.number).collect();
        late.into_iter()
            .map(|late| late.worker)
            .filter(|worker| workers.contains(&worker.number) && !left.contains(&worker.number))
            .collect()
    }

    pub(super) fn timelines(&self) -> Vec<Arc<RoundTimeline>> {
        self.driver.recorder.timelines()
    }

    pub(super) fn metrics(&self, io: &Io) -> Metrics {
        let (driver, core) = (&self.driver, &self.core);
        let connections = driver.connections.len();
        let events = driver.subscribers.latest();
        let tally = &driver.tally;
        tally.metrics(io.now(), self.addr, core, connections, events)
    }

    pub(super) fn sealed(&mut self, io: &Io, outcome: SealOutcome) {
        self.driver.sealed(io, outcome);
    }

    pub(super) fn sealer_ended(&mut self) {
        self.sealer_at_work = false;
    }

    /// A time came that [`next_timeout`](Self::next_timeout) told.
    pub(super) fn timeout(&mut self, io: &mut Io, buffer: &mut [u8]) {
        self.driver.expire(io);
        let retry = self.listener.as_ref().and_then(Listener::retry_at);
        if retry.is_some_and(|at| at <= io.now()) {
            self.accept(io, buffer);
        }
        self.feed(io, Input::Timeout);
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let retry = self.listener.as_ref().and_then(Listener::retry_at);
        let all = [self.core.next_timeout(), self.driver.next_timeout(), retry];
        all.into_iter().flatten().min()
    }

    /// Sends some of what [`settle`](Self::settle) has left.
    pub(super) fn send_some(&mut self, io: &mut Io) {
        self.driver.send_some(io);
    }

    /// Ends a turn: sends what is to be sent, and tells the core what became of it. Says whether
    /// there is more to be done, in another turn.
    pub(super) fn settle(&mut self, io: &mut Io) -> bool {
        loop {
            // Behind their orders, which are not to wait for it.
            let done = self.driver.flush(io) && self.driver.recorder.enroll(&self.core);
            if self.driver.take_stop() {
                self.close(io);
                continue;
            }
            match self.driver.next_input() {
                Some(input) => self.feed(io, input),
                None => return !done,
            }
        }
    }

    /// Listens no more and closes all connections once everything before is sent.
    pub(super) fn close(&mut self, io: &mut Io) {
        let Some(listener) = self.listener.take() else {
            return;
        };
        io.release(listener.token());
        listener.drop_from(io.door());
        // Its thread finishes the round it is at.
        self.driver.sealing = None;
        let mut all: Vec<ConnId> = self.driver.connections.keys().copied().collect();
        all.sort_unstable();
        for conn in all {
            self.driver.close(io, conn);
        }
    }

    /// Kept until the end.
    pub(super) fn hold(&mut self, lifeline: Lifeline) {
        self.lifelines.push(lifeline);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.listener.is_none()
    }

    /// Whether nothing of it is left: no socket, and no thread that writes a set.
    pub(super) fn is_over(&self) -> bool {
        self.is_closing() && self.driver.connections.is_empty() && !self.sealer_at_work
    }

    /// Ends it as it is. Those who wait are told that it is closed.
    pub(super) fn end(mut self) {
        // Before those who wait for the end learn of it.
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = self.core.into_key_values();
        self.driver.refuse_callers();
    }

    fn feed(&mut self, io: &mut Io, input: Input<'_>) {
        for output in self.core.handle(io.now(), input) {
            self.driver.act(io, output);
        }
        self.driver.finish_batch();
    }

    fn read(&mut self, io: &mut Io, buffer: &mut [u8], conn: ConnId, to_the_end: bool) {
        for _ in 0..READS_PER_TURN {
            let Some(connection) = self.driver.connections.get_mut(&conn) else {
                return;
            };
            match connection.read(buffer) {
                Read::Bytes(len) => {
                    let (closing, stayed) = (connection.is_closing(), connection.stays());
                    let got = buffer.get(..len).unwrap_or_default();
                    if !closing {
                        self.feed(io, Input::Received { conn, bytes: got });
                    }
                    if !stayed && self.core.stays(conn) {
                        self.driver.stay(io, conn);
                    }
                    // The socket is empty, and news of anything later comes by itself.
                    if len < buffer.len() && !to_the_end {
                        return self.acknowledge(conn);
                    }
                }
                Read::Blocked => return self.acknowledge(conn),
                Read::End => return self.driver.peer_closed(io, conn),
                Read::Lost => return self.driver.lost(io, conn),
            }
        }
        // Others have their turn before the rest.
        io.read_again(conn);
    }

    fn acknowledge(&self, conn: ConnId) {
        let connection = self.driver.connections.get(&conn);
        // An answer that waits to be sent acknowledges by itself.
        let connection = connection.filter(|connection| connection.is_flushed());
        if let Some(connection) = connection.filter(|_| self.core.may_hold_back(conn)) {
            connection.acknowledge();
        }
    }

    fn accept(&mut self, io: &mut Io, buffer: &mut [u8]) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(listener) = &mut self.listener else {
                return;
            };
            let paused = listener.retry_at().is_some();
            let (accepted, resumed) = listener.accept(io.now());
            if resumed {
                self.driver.tell(io, ComputationEvent::AcceptResumed);
            }
            match accepted {
                Accepted::Peer(stream, peer) => {
                    make_room(stream.as_raw_fd());
                    let token = io.claim(self.key);
                    let conn = conn_of(token);
                    match Connection::new(stream, (self.addr, peer)) {
                        Ok(connection) => {
                            self.admit(io, conn, peer, connection);
                            // A tool has sent what it asks by now, and is answered before it
                            // costs anything more, and before others are accepted.
                            self.read(io, buffer, conn, false);
                            self.driver.flush(io);
                            self.driver.watch(io, conn);
                        }
                        // It went away again.
                        Err(_) => io.release(token_of(conn)),
                    }
                }
                Accepted::Blocked => return,
                Accepted::Paused(error) => {
                    if !paused {
                        let event = ComputationEvent::AcceptPaused {
                            kind: error.kind(),
                            reason: error.to_string(),
                        };
                        self.driver.tell(io, event);
                    }
                    return;
                }
            }
        }
        if let Some(listener) = &self.listener {
            io.again(listener.token());
        }
    }

    fn admit(&mut self, io: &mut Io, conn: ConnId, peer: SocketAddr, connection: Connection) {
        let (ours, theirs) = connection.ends();
        self.driver.tally.peers.accepted += 1;
        match self.access.check(io.owners(), ours, theirs) {
            Ok(rights) => {
                self.driver.connections.insert(conn, connection);
                self.feed(io, Input::Opened { conn, peer });
                if rights == Rights::Ask {
                    self.feed(io, Input::Restrict { conn });
                }
            }
            Err(reason) => {
                io.release(token_of(conn));
                self.driver
                    .tell(io, ComputationEvent::PeerRefused { peer, reason });
            }
        }
    }
}

/// What a socket may be ready for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) to_the_end: bool,
}

impl Ready {
    pub(super) fn of(event: &Event) -> Self {
        Self {
            read: event.is_readable() || event.is_read_closed() || event.is_error(),
            write: event.is_writable(),
            to_the_end: event.is_read_closed() || event.is_error(),
        }
    }

    /// Left over from an earlier turn.
    pub(super) const AGAIN: Self = Self {
        read: true,
        write: false,
        to_the_end: true,
    };
}

/// With the shared buffer of 64 KiB: at most 1 MiB of one peer before others have their turn.
const READS_PER_TURN: u32 = 16;
const ACCEPTS_PER_TURN: u32 = 64;
