//! The coordinator as a pure function of its inputs.
//!
//! One [`CoordinatorCore`] serves one computation: it admits workers, runs checkpoints through
//! their barriers, brings restarts together, keeps the key-value store and answers tools. It has
//! no socket, no clock and no file: the driver hands it bytes, time and requests
//! ([`Input`]) and acts on what comes out ([`Output`]).
//!
//! It does not know how images become a set: it asks for that ([`Output::Seal`]) and waits for
//! the answer ([`Input::Sealed`]).

mod admission;
mod barrier;
mod commands;
mod config;
mod event;
mod hints;
mod interface;
mod key_values;
mod lockstep;
mod name_service;
mod roster;
mod round;
mod sending;
mod standing;
mod step;
mod store;
mod traffic;
mod virtual_pids;
mod worker;

pub use config::CoordinatorConfig;
pub use event::{Event, ImageReport, RoundError};
pub use interface::{Input, Output, Outputs};
pub use key_values::KeyValues;
pub use standing::{Awaited, Late, Standing, Survivors};
pub use step::WorkerStep;
pub use traffic::Traffic;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;

use self::barrier::Barriers;
use self::commands::{Held, Prefixes};
use self::name_service::NameService;
use self::roster::Roster;
use self::round::Round;
use self::store::Store;
use self::traffic::Past;
use crate::command::{Status, WorkerInfo};
use crate::dialect::{Candidates, Dialect};
use crate::error::DecodeError;
use crate::ids::{ConnId, RequestId, UniquePid};
use crate::interval::Interval;
use crate::kind::Kind;
use crate::message::Message;
use crate::state::WorkerState;
use crate::text::Text;
use crate::time::Instant;
use crate::wire::{Decoder, Frame};

/// The coordinator's side of the protocol for one computation.
///
/// ```
/// use dmtcp_proto::{Command, CoordinatorConfig, CoordinatorCore, Input, Instant, Output, RequestId};
/// let mut core = CoordinatorCore::new(CoordinatorConfig::default(), Instant::ZERO);
/// let request = Input::Request { id: RequestId(1), command: Command::Status };
/// for output in core.handle(Instant::ZERO, request) {
///     assert!(matches!(output, Output::Reply { result: Ok(_), .. }));
/// }
/// ```
#[derive(Clone, Debug)]
pub struct CoordinatorCore {
    config: CoordinatorConfig,
    now: Instant,
    outputs: VecDeque<Output>,
    conns: BTreeMap<ConnId, Conn>,
    /// Connections that have not said what they are, oldest first.
    hellos: VecDeque<(Instant, ConnId)>,
    /// Workers that wait until the round is over before they are admitted, oldest first.
    parked: VecDeque<ConnId>,
    /// They are being admitted right now; what that sets off must not begin it again.
    unparking: bool,
    /// Workers are being cut off right now; their ends must release no barrier.
    cutting_off: bool,
    roster: Roster,
    joined: u64,
    /// Of them, programs that were launched.
    launched: u32,
    computation: Computation,
    barriers: Barriers,
    rounds: u64,
    round: Option<Round>,
    /// The round is over and its workers are on their way back to their programs.
    resuming: bool,
    restart: Option<Restart>,
    /// Until when the workers shall run undisturbed.
    rested: Instant,
    kill: Option<Kill>,
    /// Kills that wait for a seal, and who asked for them.
    kill_after_seal: Vec<Option<RequestId>>,
    /// Hosts on which a peer died, and when those beside it that do not resume are killed.
    stuck: BTreeMap<Text, Instant>,
    stopping: bool,
    stopped: bool,
    interval: Interval,
    /// When the next periodic checkpoint is due, even if it cannot begin then.
    due: Option<Instant>,
    store: Store,
    name_service: NameService,
    checkpoint_dir: Text,
    /// 2.x: where all workers write their images, if a plugin has said so.
    global_checkpoint_dir: Option<Text>,
    prefixes: Prefixes,
    held: VecDeque<Held>,
    past: Past,
}

/// What distinguishes one computation from the next on the same coordinator.
#[derive(Clone, Debug, Default)]
struct Computation {
    id: UniquePid,
    time_stamp: u64,
    /// What all its workers can still be speaking; one, as soon as one of them has told.
    dialects: Candidates,
}

#[derive(Clone, Debug)]
struct Restart {
    expected: u32,
    /// Processes that came to run and ended before the last one came to run.
    ended: u32,
}

/// Workers have been told to exit.
#[derive(Clone, Debug, Default)]
struct Kill {
    deadline: Option<Instant>,
    askers: Vec<RequestId>,
}

/// One connection.
#[derive(Clone, Debug)]
struct Conn {
    decoder: Decoder,
    candidates: Candidates,
    peer: SocketAddr,
    role: Role,
    /// Its commands are taken, not only its questions.
    may_command: bool,
    /// The last that it said is that it runs again, behind a round or a restart.
    rests: bool,
}

#[derive(Clone, Debug)]
enum Role {
    /// Has not said anything yet.
    Hello,
    /// A worker that will be admitted when the round is over.
    Parked(Box<Message>),
    Worker,
    NameService,
    /// A tool that waits for its answer.
    Tool(Dialect),
}

impl CoordinatorCore {
    /// Workers that a computation can have at the same time: 32,768.
    ///
    /// The stock workers' own limit for each host, see `docs/PROTOCOL.md`: their tables hold no more
    /// virtual pids. One more is refused, with [`Event::TooManyWorkers`].
    pub const MOST_WORKERS: u32 = virtual_pids::MOST.unsigned_abs();

    /// A coordinator without workers.
    #[must_use]
    pub fn new(config: CoordinatorConfig, now: Instant) -> Self {
        let interval = match config.interval {
            Interval::Unchanged => Interval::Never,
            interval => interval,
        };
        Self {
            config,
            now,
            outputs: VecDeque::new(),
            conns: BTreeMap::new(),
            hellos: VecDeque::new(),
            parked: VecDeque::new(),
            unparking: false,
            cutting_off: false,
            roster: Roster::default(),
            joined: 0,
            launched: 0,
            computation: Computation::default(),
            barriers: Barriers::default(),
            rounds: 0,
            round: None,
            resuming: false,
            restart: None,
            rested: now,
            kill: None,
            kill_after_seal: Vec::new(),
            stuck: BTreeMap::new(),
            stopping: false,
            stopped: false,
            interval,
            due: None,
            store: Store::default(),
            name_service: NameService::default(),
            checkpoint_dir: Text::default(),
            global_checkpoint_dir: None,
            prefixes: Prefixes::default(),
            held: VecDeque::new(),
            past: Past::default(),
        }
    }

    /// Takes one input. Cannot fail: a bad peer is closed and reported, the others go on.
    ///
    /// Time never runs backwards: an earlier `now` counts as the latest one seen.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) -> Outputs<'_> {
        self.now = self.now.max(now);
        match input {
            Input::Opened { conn, peer } => self.opened(conn, peer),
            Input::Restrict { conn } => {
                if let Some(entry) = self.conns.get_mut(&conn) {
                    entry.may_command = false;
                }
            }
            Input::Received { conn, bytes } => self.received(conn, bytes),
            Input::Closed { conn } => self.closed(conn, false),
            Input::Vanished { conn } => self.closed(conn, true),
            Input::Request { id, command } => self.request(id, command),
            Input::Forget { id } => self.forget(id),
            Input::Sealed { round, result } => self.sealed(round, result),
            Input::GiveUp {
                round,
                workers,
                after,
                survivors,
            } => self.give_up(round, workers, after, survivors),
            Input::Timeout => {}
        }
        self.check_time();
        Outputs::new(&mut self.outputs)
    }

    /// When [`Input::Timeout`] is due; `None`: not before another input.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let hello = self.hellos.front().map(|&(deadline, _)| deadline);
        let kill = self.kill.as_ref().and_then(|kill| kill.deadline);
        let stall = self
            .round
            .as_ref()
            .and_then(|round| round.stall_deadline(&self.config));
        let stuck = self.stuck.values().min().copied();
        let order = self.order_due();
        let periodic = self.due.filter(|_| self.can_start());
        let held = self.held.front().map(|held| held.deadline);
        [hello, kill, stall, stuck, order, periodic, held]
            .into_iter()
            .flatten()
            .min()
    }

    /// Peers, running or not, interval.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::new(self.roster.peers(), self.all_running(), self.interval)
    }

    /// All workers run, and none is still on its way here.
    fn all_running(&self) -> bool {
        self.roster.all_running() && self.launched >= self.config.launches
    }

    /// Every worker, in the order in which they joined.
    pub fn workers(&self) -> impl Iterator<Item = WorkerInfo> + '_ {
        self.roster.iter().map(|(_, worker)| worker.info())
    }

    /// Those behind this connection in the same order, each with its own: a crowd can be looked at
    /// by parts.
    pub fn workers_behind(
        &self,
        conn: Option<ConnId>,
    ) -> impl Iterator<Item = (ConnId, WorkerInfo)> + '_ {
        let behind = self.roster.behind(conn);
        behind.map(|(conn, worker)| (conn, worker.info()))
    }

    /// Every worker's state, in the same order; costs less than [`workers`](Self::workers).
    pub fn states(&self) -> impl Iterator<Item = WorkerState> + '_ {
        self.roster.iter().map(|(_, worker)| worker.state())
    }

    /// The computation, with its generation; null before the first worker.
    #[must_use]
    pub fn computation(&self) -> UniquePid {
        self.computation.id
    }

    /// What workers keep in the key-value store. It stays when its computation has ended, until
    /// the next one begins.
    #[must_use]
    pub fn key_values(&self) -> &KeyValues {
        &self.store.values
    }

    /// The same when nothing else is wanted any more; copies nothing.
    #[must_use]
    pub fn into_key_values(self) -> KeyValues {
        self.store.values
    }

    fn check_time(&mut self) {
        while let Some(&(deadline, conn)) = self.hellos.front() {
            let waiting = self
                .conns
                .get(&conn)
                .is_some_and(|conn| matches!(conn.role, Role::Hello));
            if waiting && deadline > self.now {
                break;
            }
            self.hellos.pop_front();
            if waiting {
                self.event(Event::PeerSilent { conn });
                self.close(conn);
            }
        }
        self.check_stall();
        self.check_kill();
        self.start_held();
        if self.due.is_some_and(|due| due <= self.now) && self.can_start() {
            self.start_round(self.config.kill_after_checkpoint, None);
        }
        self.order_if_due();
    }

    fn opened(&mut self, conn: ConnId, peer: SocketAddr) {
        if self.conns.len() >= self.config.max_connections || self.stopping {
            self.outputs.push_back(Output::Close { conn });
            return;
        }
        let candidates = Candidates::all();
        // Strangers may not make us hold much.
        let max_payload = self.config.limits.max_payload.min(MAX_HELLO);
        let decoder = Decoder::detecting(self.config.limits.max_payload(max_payload));
        self.conns.insert(
            conn,
            Conn {
                decoder,
                candidates,
                peer,
                role: Role::Hello,
                may_command: true,
                rests: false,
            },
        );
        self.hellos
            .push_back((self.now + self.config.hello_timeout, conn));
    }

    fn received(&mut self, conn: ConnId, mut bytes: &[u8]) {
        // A message may close the connection: it is looked up anew each time.
        while let Some(entry) = self.conns.get_mut(&conn) {
            // What a parked worker sends waits with it; stock ones wait for the answer first.
            if matches!(entry.role, Role::Parked(_)) {
                entry.decoder.feed(core::mem::take(&mut bytes));
                if entry.decoder.pending() <= MAX_PARKED_BYTES {
                    return;
                }
            }
            let outcome = match &entry.decoder.next_frame_from(&mut bytes) {
                Ok(None) => return,
                Ok(Some(frame)) => self.frame(conn, frame),
                Err(error) => Err(error.clone()),
            };
            if let Err(error) = outcome {
                self.event(Event::PeerMisbehaved { conn, error });
                self.close(conn);
            }
        }
    }

    fn frame(&mut self, conn: ConnId, frame: &Frame) -> Result<(), DecodeError> {
        let Some(entry) = self.conns.get_mut(&conn) else {
            return Ok(());
        };
        let layout_fits = entry.decoder.candidates();
        let candidates = match entry.role {
            Role::Hello => layout_fits.narrow_by_first(frame),
            Role::Tool(_) => return Ok(()),
            _ if entry.candidates.only().is_none() => entry.candidates.narrow_by_later(frame),
            _ => entry.candidates,
        };
        let Some(dialect) = candidates.iter().next() else {
            let kind = layout_fits
                .iter()
                .next()
                .map_or(Kind::Null, |d| d.kind(frame.header.kind));
            return Err(DecodeError::Unexpected {
                kind,
                why: "no dialect has it at this point",
            });
        };
        entry.candidates = candidates;
        // Where several dialects remain, this message has the same bytes in all of them.
        let message = Message::parse(dialect, frame)?;
        self.past.0.messages += 1;
        entry.rests = false;
        match entry.role {
            Role::Hello => self.hello(conn, dialect, message),
            Role::NameService => self.name_service(conn, message),
            Role::Worker => {
                let before = self.computation.dialects;
                if !self.narrow_computation(candidates) {
                    let why = "the computation speaks another dialect";
                    return Err(DecodeError::Unexpected {
                        kind: message.body.kind(),
                        why,
                    });
                }
                let outcome = self.worker_message(conn, message);
                if outcome.is_err() {
                    // What somebody speaks who breaks the protocol says nothing about the others.
                    self.computation.dialects = before;
                }
                outcome
            }
            Role::Parked(_) | Role::Tool(_) => {
                let why = "it has not been answered yet";
                Err(DecodeError::Unexpected {
                    kind: message.body.kind(),
                    why,
                })
            }
        }
    }

    fn closed(&mut self, conn: ConnId, vanished: bool) {
        let Some(entry) = self.conns.remove(&conn) else {
            return;
        };
        match entry.role {
            Role::Worker => self.worker_left(conn, vanished),
            // Now and then is enough, and costs no more than the connections did.
            Role::Parked(_) if self.parked.len() > 2 * self.conns.len() => {
                let conns = &self.conns;
                self.parked.retain(|conn| conns.contains_key(conn));
            }
            _ => {}
        }
    }

    /// Ends a connection from our side. That says nothing about the process at its other end, which
    /// may well go on.
    fn close(&mut self, conn: ConnId) {
        if self.conns.contains_key(&conn) {
            self.outputs.push_back(Output::Close { conn });
            self.closed(conn, true);
        }
    }

    /// Whether one of these can be the computation's dialect; a computation never mixes them.
    fn narrow_computation(&mut self, candidates: Candidates) -> bool {
        let common = self.computation.dialects.intersection(candidates);
        if !common.is_empty() {
            self.computation.dialects = common;
        }
        !common.is_empty()
    }

    /// Those that this peer and the computation can both be speaking.
    fn common_dialects(&self, conn: ConnId) -> Candidates {
        self.candidates(conn)
            .intersection(self.computation.dialects)
    }

    /// The dialects that this peer can still be speaking.
    fn candidates(&self, conn: ConnId) -> Candidates {
        let entry = self.conns.get(&conn);
        entry.map_or_else(Candidates::all, |entry| entry.candidates)
    }

    /// What can be sent to this connection: its own dialect, or the computation's if it can be
    /// its own.
    fn dialect_of(&self, conn: ConnId) -> Option<Dialect> {
        let own = self.candidates(conn).only();
        own.or_else(|| self.common_dialects(conn).only())
            .or_else(|| self.assumed_of(self.common_dialects(conn)))
    }

    /// What the computation speaks, as far as it is known or assumed.
    fn computation_dialect(&self) -> Option<Dialect> {
        let dialects = self.computation.dialects;
        dialects.only().or_else(|| self.assumed_of(dialects))
    }

    /// The configured assumption, if it can be right.
    fn assumed_of(&self, candidates: Candidates) -> Option<Dialect> {
        self.config
            .assumed
            .filter(|&dialect| candidates.contains(dialect))
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

/// What a worker may send ahead of its admission.
const MAX_PARKED_BYTES: usize = 64 << 10;

/// The largest payload of a first message: host and program name.
const MAX_HELLO: usize = 64 << 10;
