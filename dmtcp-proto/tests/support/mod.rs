//! A world without sockets: one coordinator core, any number of peers, a clock that tests turn.

#![allow(unreachable_pub, reason = "shared by several test crates")]
#![allow(dead_code, reason = "each test file uses its own part of this")]

use bytes::{Bytes, BytesMut};
use dmtcp_proto::{
    Body, Command, CommandError, ConnId, CoordinatorConfig, CoordinatorCore, Decoder, Dialect,
    DoCheckpoint, Event, Hello, Input, Instant, Interval, Limits, Message, Name, Output, Phase,
    Released, Reply, RequestId, Text, UniquePid, UserCommand, UserResult, Verb, WorkerInfo,
    WorkerState, WorkerStep, encode,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Runs a test once for every dialect.
pub fn for_each_dialect(test: impl Fn(Dialect)) {
    for &dialect in Dialect::ALL {
        eprintln!("--- {dialect:?}");
        test(dialect);
    }
}

/// Runs a test once for every dialect whose rounds go through barriers.
pub fn for_each_barrier_dialect(test: impl Fn(Dialect)) {
    for_each_dialect(|dialect| {
        if dialect.phases().is_empty() {
            test(dialect);
        }
    });
}

/// Runs a test once for every dialect whose rounds go in lockstep.
pub fn for_each_lockstep_dialect(test: impl Fn(Dialect)) {
    for_each_dialect(|dialect| {
        if !dialect.phases().is_empty() {
            test(dialect);
        }
    });
}

pub struct World {
    pub core: CoordinatorCore,
    pub now: Instant,
    pub events: Vec<Event>,
    pub steps: Vec<(u64, WorkerStep)>,
    pub replies: BTreeMap<u64, Result<Reply, CommandError>>,
    pub seals: Vec<(u64, UniquePid, Arc<[dmtcp_proto::ImageReport]>)>,
    pub killed: Vec<WorkerInfo>,
    pub stopped: bool,
    /// All that was ever transmitted, one message each.
    pub sent: Vec<Bytes>,
    inboxes: BTreeMap<ConnId, BytesMut>,
    closed: Vec<ConnId>,
    next: u64,
}

impl World {
    /// A world in which no round waits for the one before to settle.
    pub fn new(config: CoordinatorConfig) -> Self {
        Self::with(config.settle_time(Duration::ZERO))
    }

    /// A world with exactly this configuration.
    pub fn with(config: CoordinatorConfig) -> Self {
        let identity = UniquePid {
            host_id: 1,
            time: 1_000,
            pid: 77,
            generation: 0,
        };
        Self {
            core: CoordinatorCore::new(config.identity(identity), Instant::ZERO),
            now: Instant::ZERO,
            events: Vec::new(),
            steps: Vec::new(),
            replies: BTreeMap::new(),
            seals: Vec::new(),
            killed: Vec::new(),
            stopped: false,
            sent: Vec::new(),
            inboxes: BTreeMap::new(),
            closed: Vec::new(),
            next: 0,
        }
    }

    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub fn input(&mut self, input: Input<'_>) {
        let outputs: Vec<Output> = self.core.handle(self.now, input).collect();
        for output in outputs {
            match output {
                Output::Transmit { conn, bytes } => self.transmitted(conn, bytes),
                Output::TransmitAll { conns, bytes } => {
                    for conn in conns {
                        self.transmitted(conn, bytes.clone());
                    }
                }
                Output::Close { conn } => {
                    assert!(!self.closed.contains(&conn), "closed twice");
                    self.closed.push(conn);
                }
                Output::Reply { id, result } => {
                    assert!(
                        self.replies.insert(id.0, result).is_none(),
                        "answered twice"
                    );
                }
                Output::Seal {
                    round,
                    computation,
                    images,
                } => {
                    self.seals.push((round, computation, images));
                }
                Output::KillProcess { conn, worker } => {
                    assert!(!self.closed.contains(&conn), "killed behind its end");
                    self.killed.push(worker);
                }
                Output::Event(event) => self.events.push(event),
                Output::Step { worker, step } => self.steps.push((worker, step)),
                Output::Stop => self.stopped = true,
            }
        }
    }

    fn transmitted(&mut self, conn: ConnId, bytes: Bytes) {
        assert!(!self.closed.contains(&conn), "sent to a closed connection");
        let inbox = self.inboxes.entry(conn).or_default();
        inbox.extend_from_slice(&bytes);
        self.sent.push(bytes);
    }

    /// Turns the clock, waking the core whenever it asked to be woken.
    pub fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.core.next_timeout().filter(|&due| due <= end) {
            assert!(due >= self.now, "a time-out in the past");
            let before = self.now;
            self.now = self.now.max(due);
            self.input(Input::Timeout);
            let stuck = self.core.next_timeout() == Some(due) && before == self.now;
            assert!(!stuck, "the same time-out for ever");
        }
        self.now = end;
        self.input(Input::Timeout);
    }

    pub fn request(&mut self, command: Command) -> u64 {
        let id = self.number();
        self.input(Input::Request {
            id: RequestId(id),
            command,
        });
        id
    }

    pub fn reply(&mut self, id: u64) -> Option<Result<Reply, CommandError>> {
        self.replies.get(&id).cloned()
    }

    pub fn seal(&mut self, result: Result<(), String>) {
        let (round, ..) = self.seals.last().expect("nothing to seal").clone();
        self.input(Input::Sealed { round, result });
    }

    pub fn connect(&mut self) -> ConnId {
        let conn = ConnId(self.number());
        self.input(Input::Opened {
            conn,
            peer: "127.0.0.1:9".parse().unwrap(),
        });
        conn
    }

    pub fn bytes(&mut self, conn: ConnId, bytes: &[u8]) {
        self.input(Input::Received { conn, bytes });
    }

    pub fn hang_up(&mut self, conn: ConnId) {
        if !self.is_closed(conn) {
            self.input(Input::Closed { conn });
            self.closed.push(conn);
        }
    }

    pub fn vanish(&mut self, conn: ConnId) {
        self.input(Input::Vanished { conn });
        self.closed.push(conn);
    }

    pub fn is_closed(&self, conn: ConnId) -> bool {
        self.closed.contains(&conn)
    }

    /// What the peer has been sent since the last look.
    pub fn inbox(&mut self, conn: ConnId, dialect: Dialect) -> Vec<Message> {
        let bytes = self.inboxes.remove(&conn).unwrap_or_default();
        let mut decoder = Decoder::new(dialect, Limits::default());
        decoder.feed(&bytes);
        let mut messages = Vec::new();
        while let Some(frame) = decoder.next_frame().unwrap() {
            messages.push(Message::parse(dialect, &frame).unwrap());
        }
        assert_eq!(decoder.pending(), 0, "half a message was sent");
        messages
    }

    /// A tool's command, and the answer if there is one yet.
    pub fn tool(
        &mut self,
        dialect: Dialect,
        from: UniquePid,
        verb: Verb,
        interval: Interval,
    ) -> ConnId {
        let conn = self.connect();
        let command = Body::UserCommand(UserCommand {
            interval,
            ..UserCommand::new(verb)
        });
        let message = Message::new(from, command);
        self.bytes(conn, &encoded(dialect, &message));
        conn
    }

    pub fn answer(&mut self, conn: ConnId, dialect: Dialect) -> Option<UserResult> {
        match self.inbox(conn, dialect).pop().map(|message| message.body) {
            None => None,
            Some(Body::UserResult(result)) => {
                assert!(self.is_closed(conn), "answered and left open");
                Some(result)
            }
            other => panic!("not an answer: {other:?}"),
        }
    }

    pub fn has_event(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(wanted)
    }
}

pub fn encoded(dialect: Dialect, message: &Message) -> BytesMut {
    let mut bytes = BytesMut::new();
    encode(dialect, &message.to_frame(dialect).unwrap(), &mut bytes).unwrap();
    bytes
}

pub fn tool_id(pid: i32) -> UniquePid {
    UniquePid {
        host_id: 1,
        time: 5,
        pid,
        generation: 0,
    }
}

/// A worker as a stock process behaves, one step at a time.
#[derive(Clone)]
pub struct Worker {
    pub conn: ConnId,
    pub dialect: Dialect,
    pub id: UniquePid,
    pub group: UniquePid,
    pub host: &'static str,
    pub state: WorkerState,
}

impl Worker {
    fn hello(host: &'static str, real_pid: i32) -> Hello {
        Hello {
            host: Text::from(host),
            program: Text::from("./counter"),
            real_pid,
            virtual_pid: -1,
            peers: 0,
            interval: Interval::Unchanged,
        }
    }

    /// Sends NEW_WORKER; nothing else.
    pub fn knock(
        world: &mut World,
        dialect: Dialect,
        host: &'static str,
        state: WorkerState,
    ) -> Self {
        let conn = world.connect();
        let id = UniquePid {
            host_id: 7,
            time: conn.0,
            pid: 10_000 + i32::try_from(conn.0).unwrap(),
            generation: 0,
        };
        Self::knock_as(world, dialect, host, state, conn, id)
    }

    /// What a process does that is about to fork: connects in its own name.
    pub fn knock_for_child(&self, world: &mut World) -> Self {
        let conn = world.connect();
        Self::knock_as(world, self.dialect, self.host, self.state, conn, self.id)
    }

    fn knock_as(
        world: &mut World,
        dialect: Dialect,
        host: &'static str,
        state: WorkerState,
        conn: ConnId,
        id: UniquePid,
    ) -> Self {
        let this = Self {
            conn,
            dialect,
            id,
            group: UniquePid::NULL,
            host,
            state,
        };
        let real_pid = 10_000 + i32::try_from(conn.0).unwrap();
        this.say(world, Body::NewWorker(Self::hello(host, real_pid)));
        this
    }

    /// Joins and runs.
    pub fn launch(world: &mut World, dialect: Dialect) -> Self {
        Self::launch_on(world, dialect, "here")
    }

    pub fn launch_on(world: &mut World, dialect: Dialect, host: &'static str) -> Self {
        let mut this = Self::knock(world, dialect, host, WorkerState::Unknown);
        this.start(world);
        this
    }

    /// Takes ACCEPT and starts its program.
    pub fn start(&mut self, world: &mut World) {
        let accept = world.inbox(self.conn, self.dialect).remove(0);
        let Body::Accept(body) = accept.body else {
            panic!("not accepted: {accept:?}")
        };
        self.group = accept.group;
        self.id = UniquePid {
            pid: body.virtual_pid,
            ..self.id
        };
        self.state = WorkerState::Running;
        let real_pid = 10_000 + i32::try_from(self.conn.0).unwrap();
        self.say(
            world,
            Body::ProcessAfterExec {
                real_pid,
                program: Text::from("counter"),
            },
        );
        if self.is_lockstep() {
            self.say(world, Body::Ok);
        }
    }

    pub fn is_lockstep(&self) -> bool {
        !self.dialect.phases().is_empty()
    }

    /// What this worker goes through between its order and its report.
    pub fn steps(&self) -> Vec<(String, WorkerState)> {
        if self.is_lockstep() {
            let phases = self.dialect.phases().iter();
            return phases
                .map(|&(_, state)| (state.to_string(), state))
                .take_while(|&(_, state)| state != WorkerState::Checkpointed)
                .collect();
        }
        let barriers = CHECKPOINT_BARRIERS.iter();
        barriers
            .map(|&(barrier, state)| (barrier.to_string(), state))
            .collect()
    }

    /// Reaches the end of one of its [`steps`](Self::steps).
    pub fn reach(&mut self, world: &mut World, step: usize) {
        let (barrier, state) = self.steps().swap_remove(step);
        self.arrive(world, state, &barrier);
    }

    /// Reaches the point where a restart waits for all.
    pub fn reach_restart(&mut self, world: &mut World) {
        let state = match self.is_lockstep() {
            true => WorkerState::Checkpointed,
            false => WorkerState::Restarting,
        };
        self.arrive(world, state, "DMT:Restart");
    }

    /// Sends RESTART_WORKER; nothing else.
    pub fn restore(
        world: &mut World,
        dialect: Dialect,
        id: UniquePid,
        group: UniquePid,
        peers: u32,
    ) -> Self {
        let conn = world.connect();
        let state = WorkerState::Restarting;
        let this = Self {
            conn,
            dialect,
            id,
            group,
            host: "here",
            state,
        };
        let hello = Hello {
            peers,
            ..Self::hello("here", 20_000 + i32::try_from(conn.0).unwrap())
        };
        this.say(world, Body::RestartWorker(hello));
        this
    }

    pub fn say(&self, world: &mut World, body: Body) {
        let group = match body {
            Body::RestartWorker(_) => self.group,
            _ => UniquePid::NULL,
        };
        let message = Message {
            from: self.id,
            group,
            state: self.state,
            body,
        };
        world.bytes(self.conn, &encoded(self.dialect, &message));
    }

    pub fn take(&self, world: &mut World) -> Vec<Message> {
        world.inbox(self.conn, self.dialect)
    }

    pub fn order(&self, world: &mut World) -> DoCheckpoint {
        match self.take(world).pop().expect("no order").body {
            Body::DoCheckpoint(order) => order,
            Body::Do(order) => {
                assert_eq!(order.phase, self.dialect.phases()[0].0);
                DoCheckpoint {
                    peers: world.core.status().peers,
                    then_exit: false,
                }
            }
            other => panic!("not an order: {other:?}"),
        }
    }

    pub fn arrive(&mut self, world: &mut World, state: WorkerState, barrier: &str) {
        self.state = state;
        let body = match self.is_lockstep() {
            true => Body::Ok,
            false => Body::Barrier(Name::new(barrier).unwrap()),
        };
        self.say(world, body);
    }

    pub fn released(&self, world: &mut World) -> Option<Released> {
        match self.take(world).pop()?.body {
            Body::BarrierReleased(released) => Some(released),
            Body::Do(order) => {
                let mut phases = self.dialect.phases().iter();
                let done = phases.find(|&&(_, end)| end == self.state).unwrap();
                assert_eq!(phases.next().unwrap().0, order.phase, "behind {done:?}");
                let peers = world.core.status().peers;
                if order.phase == Phase::FdLeaderElection {
                    assert_eq!(order.peers, peers);
                }
                let name = Name::new(&self.state.to_string()).unwrap();
                let then_exit = false;
                Some(Released {
                    name,
                    peers,
                    then_exit,
                })
            }
            other => panic!("not a release: {other:?}"),
        }
    }

    pub fn report(&mut self, world: &mut World) {
        if !self.is_lockstep() {
            self.state = WorkerState::Checkpointed;
        }
        let file = dmtcp_proto::CheckpointFile {
            path: Text::from(format!("/d/ckpt_counter_{}.dmtcp", self.id)),
            shell: Some(Text::default()),
            host: Text::from(self.host),
            unique: false,
        };
        self.say(world, Body::CheckpointFile(file));
    }

    pub fn resume(&mut self, world: &mut World) {
        self.state = WorkerState::Running;
        self.say(world, Body::WorkerResuming);
    }
}

/// The barriers of a checkpoint, with the state in which a stock worker reaches each.
pub const CHECKPOINT_BARRIERS: [(&str, WorkerState); 4] = [
    ("DMT:SUSPEND", WorkerState::PreSuspend),
    ("DMT:CHECKPOINT", WorkerState::Suspended),
    (
        "Socket::Ckpt_Register_Peer_Info",
        WorkerState::Checkpointing,
    ),
    ("DMT:WriteCkpt", WorkerState::Checkpointed),
];

/// Takes the workers through all barriers in front of their report.
pub fn through_all_barriers(world: &mut World, workers: &mut [Worker]) {
    through_barriers(world, workers, workers[0].steps().len());
}

/// Takes the workers through the first `count` barriers; checks that nobody is released early.
pub fn through_barriers(world: &mut World, workers: &mut [Worker], count: usize) {
    for (barrier, state) in &workers[0].steps()[..count] {
        let last = workers.len() - 1;
        for (index, worker) in workers.iter_mut().enumerate() {
            worker.arrive(world, *state, barrier);
            if index < last {
                assert_eq!(worker.released(world), None, "{barrier} released early");
            }
        }
        for worker in workers.iter() {
            let released = worker.released(world).expect("not released");
            assert_eq!(released.name.to_string(), *barrier);
            assert_eq!(released.peers as usize, workers.len());
        }
    }
}

/// Takes the workers from the order to their reports.
pub fn write_images(world: &mut World, workers: &mut [Worker]) {
    for worker in workers.iter() {
        worker.order(world);
    }
    through_all_barriers(world, workers);
    for worker in workers.iter_mut() {
        worker.report(world);
    }
}

/// Takes all workers of the computation from their reports, or from the first barrier of their
/// restart, back to their programs.
pub fn resume_all(world: &mut World, workers: &mut [Worker]) {
    let state = workers[0].state;
    let mut phases = workers[0].dialect.phases().iter();
    let _done = phases.find(|&&(_, end)| end == state);
    for &(_, state) in phases {
        for worker in workers.iter_mut() {
            worker.arrive(world, state, "");
        }
        for worker in workers.iter().filter(|_| state != WorkerState::Running) {
            assert!(worker.released(world).is_some(), "held behind {state}");
        }
    }
    for worker in workers.iter_mut().filter(|worker| !worker.is_lockstep()) {
        worker.resume(world);
    }
}
