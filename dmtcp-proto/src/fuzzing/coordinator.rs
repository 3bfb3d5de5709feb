//! A script of what peers, the embedding program and the clock do to a coordinator.

use alloc::format;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

use super::input::Script;
use super::model::Model;
use super::wire::encoded;
use crate::command::{AfterCheckpoint, Command, Verb};
use crate::coordinator::{CoordinatorConfig, Survivors};
use crate::dialect::Dialect;
use crate::ids::UniquePid;
use crate::interval::Interval;
use crate::message::{
    Body, CheckpointFile, Hello, KeyValueOp, KeyValueRequest, Message, NameServiceOp,
    NameServiceRequest, UserCommand,
};
use crate::name::Name;
use crate::state::WorkerState;
use crate::text::Text;

/// What a stock worker says in a round.
#[derive(Clone, Copy)]
enum Step {
    Arrive(Name, WorkerState),
    Report(WorkerState),
    Resume,
}

/// What a stock worker says in a round, one after the other.
fn steps(dialect: Dialect) -> Vec<Step> {
    use WorkerState::{Checkpointed, Checkpointing, PreSuspend, Suspended};
    let barrier =
        |&(name, state): &(&str, _)| Step::Arrive(Name::from_field(name.as_bytes()), state);
    let barriers = [
        ("DMT:SUSPEND", PreSuspend),
        ("DMT:CHECKPOINT", Suspended),
        ("Socket::Ckpt", Checkpointing),
        ("DMT:WriteCkpt", Checkpointed),
    ];
    let phases = dialect.phases();
    let Some((_resume, phases)) = phases.split_last() else {
        let steps = barriers.iter().map(barrier);
        return steps
            .chain([Step::Report(Checkpointed), Step::Resume])
            .collect();
    };
    let mut steps = Vec::new();
    let mut before = WorkerState::Running;
    for &(_, state) in phases {
        if state == Checkpointed {
            steps.push(Step::Report(before));
        }
        steps.push(Step::Arrive(word(state), state));
        before = state;
    }
    steps.push(Step::Resume);
    steps
}

/// What a worker of 2.x that is in this state waits behind.
pub(super) fn word(state: WorkerState) -> Name {
    Name::from_field(format!("{state}").as_bytes())
}

const STATES: [WorkerState; 9] = [
    WorkerState::Unknown,
    WorkerState::Running,
    WorkerState::PreSuspend,
    WorkerState::Suspended,
    WorkerState::Checkpointing,
    WorkerState::Checkpointed,
    WorkerState::Restarting,
    WorkerState::Drained,
    WorkerState::Other(77),
];

const MAX_CONNECTIONS: usize = 48;
const MAX_OPERATIONS: usize = 400;

/// Whatever peers do, the core answers every request once, seals whole sets only, releases no
/// barrier early, and is idle when all have left.
pub fn coordinator(data: &[u8]) {
    let mut script = Script::new(data);
    let dialect = script.dialect();
    let mut config = CoordinatorConfig::default();
    config.identity.time = 1;
    config.max_store = 2048;
    config.kill_after_checkpoint = script.byte() % 8 == 7;
    config.stall_timeout = script.choose(&[None, Some(Duration::from_secs(30))]);
    let every = script.choose(&[Interval::Never, Interval::Every(Duration::from_secs(10))]);
    config.interval = every;
    if every == Interval::Never {
        config.settle_time = Duration::ZERO;
    }
    let mut world = World {
        model: Model::new(config),
        dialect,
        conns: Vec::new(),
    };
    for _ in 0..MAX_OPERATIONS {
        if script.is_over() {
            break;
        }
        world.operation(&mut script);
    }
    world.model.finish();
}

struct World {
    model: Model,
    /// What the workers speak.
    dialect: Dialect,
    conns: Vec<u64>,
}

impl World {
    fn operation(&mut self, script: &mut Script<'_>) {
        match script.byte() % 25 {
            0 => drop(self.connect(self.dialect)),
            1 | 2 => self.join(script, WorkerState::Unknown),
            3 => self.join(script, WorkerState::Running),
            4 => self.restore(script),
            5 => self.side_channel(),
            6 | 7 => self.tool(script),
            8 => self.started(script),
            9 => self.step(script),
            10 | 11 => self.all_step(),
            12 => self.barrier(script),
            13 => self.report(script),
            14 => self.resume(script),
            15 => self.key_value(script),
            16 => {
                if let Some(conn) = self.conn(script) {
                    self.model.hang_up(conn);
                }
            }
            17 => self.request(script),
            18 => self.model.forget(),
            19 => self.model.sealed(!script.flag()),
            20 => self
                .model
                .wait(Duration::from_millis(1 << (script.byte() % 20))),
            21 => self.noise(script),
            22 => self.mutated(script),
            24 => self.give_up(script),
            _ => self.rest(script),
        }
    }

    fn connect(&mut self, dialect: Dialect) -> Option<u64> {
        (self.conns.len() < MAX_CONNECTIONS).then(|| {
            let conn = self.model.connect(dialect);
            self.conns.push(conn);
            conn
        })
    }

    fn conn(&self, script: &mut Script<'_>) -> Option<u64> {
        let index = usize::from(script.byte()) % self.conns.len().max(1);
        self.conns.get(index).copied()
    }

    fn id(conn: u64) -> UniquePid {
        UniquePid {
            host_id: 7,
            time: conn,
            pid: 1000,
            generation: 0,
        }
    }

    fn hello(script: &mut Script<'_>, peers: u32) -> Hello {
        Hello {
            host: Text::from(script.choose(&["one", "two"])),
            program: Text::from("program"),
            real_pid: 1000,
            virtual_pid: -1,
            peers,
            interval: script.choose(&[Interval::Unchanged, Interval::Unchanged, Interval::Never]),
        }
    }

    fn join(&mut self, script: &mut Script<'_>, state: WorkerState) {
        let Some(conn) = self.connect(self.dialect) else {
            return;
        };
        let hello = Self::hello(script, 0);
        let message = Message::new(Self::id(conn), Body::NewWorker(hello)).in_state(state);
        self.message(conn, &message);
        if state == WorkerState::Unknown && self.is_accepted(conn) && !script.flag() {
            self.exec(conn);
        }
    }

    fn restore(&mut self, script: &mut Script<'_>) {
        let Some(conn) = self.connect(self.dialect) else {
            return;
        };
        let peers = u32::from(script.byte() % 4);
        let hello = Self::hello(script, peers);
        let pid = i32::from(script.byte() % 8) * 1000 + 40_000;
        let group = UniquePid {
            host_id: 7,
            time: 1,
            pid: 40_000,
            generation: 3,
        };
        let from = UniquePid { pid, ..group };
        let message = Message::new(from, Body::RestartWorker(hello))
            .in_group(group)
            .in_state(WorkerState::Restarting);
        self.message(conn, &message);
        let reaches = |step: &Step| matches!(step, Step::Arrive(_, WorkerState::Checkpointed));
        let first = steps(self.dialect).iter().position(reaches);
        let is_lockstep = self.is_lockstep();
        let peer = self.model.peers.get_mut(&conn);
        if let Some(peer) = peer.filter(|_| is_lockstep) {
            peer.step = first.map_or(0, |first| first + 1);
        }
    }

    fn is_lockstep(&self) -> bool {
        !self.dialect.phases().is_empty()
    }

    fn side_channel(&mut self) {
        if let Some(conn) = self.connect(self.dialect) {
            let message = Message::new(Self::id(conn), Body::NameServiceWorker);
            self.message(conn, &message);
        }
    }

    fn tool(&mut self, script: &mut Script<'_>) {
        let dialect = script.dialect();
        let Some(conn) = self.connect(dialect) else {
            return;
        };
        let verb = script.choose(&[
            Verb::Status,
            Verb::List,
            Verb::Checkpoint,
            Verb::BlockingPrefix,
            Verb::KillingPrefix,
            Verb::SetLogMask,
            Verb::GetCheckpointDir,
            Verb::BlockingCheckpoint,
            Verb::CheckpointAndKill,
            Verb::SetInterval,
            Verb::Kill,
            Verb::Help,
            Verb::Unknown(0xffff),
            Verb::Checkpoint,
            Verb::BlockingCheckpoint,
            Verb::Quit,
        ]);
        let interval = match verb {
            Verb::SetInterval => script.choose(&[
                Interval::Never,
                Interval::Every(Duration::from_secs(1)),
                Interval::Unchanged,
            ]),
            _ => Interval::Unchanged,
        };
        let from = Self::id(u64::from(script.byte() % 2));
        let command = Body::UserCommand(UserCommand {
            interval,
            ..UserCommand::new(verb)
        });
        self.message(conn, &Message::new(from, command));
    }

    fn is_accepted(&self, conn: u64) -> bool {
        let peer = self.model.peers.get(&conn);
        peer.is_some_and(|peer| peer.open && peer.accepted)
    }

    fn exec(&mut self, conn: u64) {
        let body = Body::ProcessAfterExec {
            real_pid: 1000,
            program: Text::from("other"),
        };
        let message = Message::new(Self::id(conn), body).in_state(WorkerState::Running);
        self.message(conn, &message);
        if self.is_lockstep() {
            let ok = Message::new(Self::id(conn), Body::Ok);
            self.message(conn, &ok.in_state(WorkerState::Running));
        }
    }

    fn resume(&mut self, script: &mut Script<'_>) {
        let body = match self.is_lockstep() {
            true => Body::Ok,
            false => Body::WorkerResuming,
        };
        self.say(script, body, WorkerState::Running);
    }

    fn started(&mut self, script: &mut Script<'_>) {
        let Some(conn) = self.conn(script) else {
            return;
        };
        if script.flag() {
            self.exec(conn);
        } else {
            let body = Body::ProcessAfterFork { real_pid: 1001 };
            let message = Message::new(Self::id(conn), body).in_state(WorkerState::Running);
            self.message(conn, &message);
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        if let Some(conn) = self.conn(script) {
            self.next_step(conn);
        }
    }

    fn all_step(&mut self) {
        for conn in self.conns.clone() {
            self.next_step(conn);
        }
    }

    /// What a stock worker would say now.
    fn next_step(&mut self, conn: u64) {
        let Some(peer) = self.model.peers.get_mut(&conn) else {
            return;
        };
        if !peer.open || !peer.accepted || peer.waiting.is_some() {
            return;
        }
        let from = Self::id(conn);
        let Some(index) = peer.step.checked_sub(1) else {
            return;
        };
        match steps(peer.dialect).get(index) {
            None => {}
            Some(&Step::Report(state)) => {
                let step = peer.step;
                self.image(conn, state, false);
                let peer = self.model.peers.get_mut(&conn);
                if let Some(peer) = peer.filter(|peer| peer.step == step) {
                    peer.step += 1;
                }
            }
            Some(Step::Resume) => {
                peer.step = 0;
                if peer.then_exit {
                    return self.model.hang_up(conn);
                }
                let body = match self.is_lockstep() {
                    true => Body::Ok,
                    false => Body::WorkerResuming,
                };
                let resuming = Message::new(from, body);
                self.message(conn, &resuming.in_state(WorkerState::Running));
            }
            Some(&Step::Arrive(name, state)) => self.arrive(conn, name, state),
        }
    }

    fn arrive(&mut self, conn: u64, name: Name, state: WorkerState) {
        if self.dialect.state_number(state).is_none() {
            return;
        }
        let before = match self.model.peers.get_mut(&conn) {
            // One that waits for its admission says one thing at most.
            Some(peer) if peer.open && (peer.accepted || peer.waiting.is_none()) => {
                peer.waiting.replace(name)
            }
            _ => return,
        };
        let body = match self.is_lockstep() {
            true => Body::Ok,
            false => Body::Barrier(name),
        };
        let message = Message::new(Self::id(conn), body).in_state(state);
        self.message(conn, &message);
        if let Some(peer) = self.model.peers.get_mut(&conn).filter(|peer| peer.open) {
            peer.answered |= peer.accepted;
            let same = before.is_none_or(|before| before == name);
            assert!(same || !peer.accepted || !peer.honest, "at two barriers");
        }
    }

    fn barrier(&mut self, script: &mut Script<'_>) {
        let Some(conn) = self.conn(script) else {
            return;
        };
        let any = script.choose(&STATES);
        if let Step::Arrive(name, state) = script.choose(&steps(self.dialect)) {
            let state = if self.is_lockstep() { state } else { any };
            self.arrive(conn, name, state);
        }
    }

    fn report(&mut self, script: &mut Script<'_>) {
        if let Some(conn) = self.conn(script) {
            let state = script.choose(&[self.reporting_state(), WorkerState::Suspended]);
            self.image(conn, state, script.flag());
        }
    }

    fn reporting_state(&self) -> WorkerState {
        let state = steps(self.dialect).into_iter().find_map(|step| match step {
            Step::Report(state) => Some(state),
            _ => None,
        });
        state.unwrap_or_default()
    }

    fn image(&mut self, conn: u64, state: WorkerState, unique: bool) {
        let path = Text::from(format!("/d/ckpt_{conn}_{}", self.model.seals.len()));
        let file = CheckpointFile {
            path: path.clone(),
            shell: Some(Text::default()),
            host: Text::from("one"),
            unique,
        };
        let reporting = self.reporting_state();
        let steps = steps(self.dialect);
        let is_lockstep = self.is_lockstep();
        // Before it is sent: the last report seals at once.
        if let Some(peer) = self.model.peers.get_mut(&conn) {
            let expected = peer.open && peer.told && peer.answered && peer.image.is_none();
            // In 2.x the state counts in which the worker said that it had done the last phase.
            let is_due = match is_lockstep {
                true => matches!(steps.get(peer.step.wrapping_sub(1)), Some(Step::Report(_))),
                false => state == reporting,
            };
            if expected && is_due {
                peer.image = Some(path);
            }
        }
        let message = Message::new(Self::id(conn), Body::CheckpointFile(file)).in_state(state);
        self.message(conn, &message);
    }

    fn say(&mut self, script: &mut Script<'_>, body: Body, state: WorkerState) {
        if let Some(conn) = self.conn(script) {
            let message = Message::new(Self::id(conn), body).in_state(state);
            self.message(conn, &message);
        }
    }

    fn key_value(&mut self, script: &mut Script<'_>) {
        if self.is_lockstep() {
            return self.name_service(script);
        }
        let request = KeyValueRequest {
            database: Name::from_field(&[b'a' + script.byte() % 26]),
            op: script.choose(&[
                KeyValueOp::Get,
                KeyValueOp::Set,
                KeyValueOp::IncrementBy,
                KeyValueOp::Min,
                KeyValueOp::Unknown(99),
            ]),
            key: Text::from(script.choose(&["k", "l", "long key"])),
            value: Text::from(script.choose(&["", "1", "0x10", "-07", "text"])),
        };
        self.say(script, Body::KeyValueRequest(request), WorkerState::Running);
    }

    fn name_service(&mut self, script: &mut Script<'_>) {
        let value = Bytes::from_static(script.choose(&[&b"1"[..], b"\0long value"]));
        // Without any, 2.5 would say what is a query in 2.6.
        let len = u32::from(script.byte()) + 1;
        let request = NameServiceRequest {
            database: [script.byte() % 26, 0, 0, 0, 0, 0, 0, 0],
            key: Bytes::from_static(script.choose(&[&b"k"[..], b"\0", b"long key"])),
            op: match script.byte() % 4 {
                0 => NameServiceOp::Query,
                1 => NameServiceOp::UniqueId { len, offset: 3 },
                kind => NameServiceOp::Register {
                    value,
                    sync: kind == 2,
                },
            },
        };
        let body = Body::NameServiceRequest(request);
        self.say(script, body, WorkerState::Running);
    }

    fn rest(&mut self, script: &mut Script<'_>) {
        let Some(conn) = self.conn(script) else {
            return;
        };
        let dir = Text::from("/d");
        let body = match script.byte() % 4 {
            0 => Body::GetCheckpointDir,
            1 => Body::SetCheckpointDir(dir),
            2 => Body::SetGlobalCheckpointDir(dir),
            _ => {
                // What no peer may send; its number means something else in another dialect.
                self.dirty(conn);
                Body::CheckpointDir(dir)
            }
        };
        let message = Message::new(Self::id(conn), body).in_state(WorkerState::Running);
        self.message(conn, &message);
    }

    fn request(&mut self, script: &mut Script<'_>) {
        self.model.request(script.choose(&[
            Command::Status,
            Command::List,
            Command::Checkpoint(AfterCheckpoint::ReplyAtOnce),
            Command::Checkpoint(AfterCheckpoint::ReplyWhenDone),
            Command::Checkpoint(AfterCheckpoint::ReplyWhenDone),
            Command::Checkpoint(AfterCheckpoint::KillWorkers),
            Command::SetInterval(Interval::Never),
            Command::SetInterval(Interval::Every(Duration::from_millis(500))),
            Command::Kill,
            Command::Checkpoint(AfterCheckpoint::ReplyWhenDone),
            Command::Quit,
        ]));
    }

    /// The embedding program gives up on some of those that are late, or on anybody.
    fn give_up(&mut self, script: &mut Script<'_>) {
        let (whom, late_only) = (script.byte(), !script.flag());
        let wrong_round = script.choose(&[0, 0, 0, 0, 0, 0, 1, u64::MAX]);
        let after = script.choose(&[Duration::ZERO, Duration::from_secs(1)]);
        let survivors = script.choose(&[Survivors::RunOn, Survivors::Killed]);
        self.model
            .give_up(whom, late_only, wrong_round, after, survivors);
    }

    /// Bytes straight from the fuzzer.
    fn noise(&mut self, script: &mut Script<'_>) {
        let Some(conn) = self.conn(script) else {
            return;
        };
        self.dirty(conn);
        let wanted = usize::from(script.byte());
        self.model.send(conn, script.bytes(wanted));
    }

    /// A valid message with one byte changed.
    fn mutated(&mut self, script: &mut Script<'_>) {
        let Some(conn) = self.conn(script) else {
            return;
        };
        self.dirty(conn);
        let kind = script.byte() % 6;
        let body = match kind {
            0 => Body::NewWorker(Self::hello(script, 0)),
            1 => Body::RestartWorker(Self::hello(script, 2)),
            2 => Body::Barrier(Name::from_field(b"DMT:SUSPEND")),
            3 if self.is_lockstep() => Body::Ok,
            3 => Body::WorkerResuming,
            4 => Body::DoCheckpoint(crate::message::DoCheckpoint {
                peers: 1,
                then_exit: false,
            }),
            _ => Body::ProcessAfterFork { real_pid: 1 },
        };
        let message = Message::new(Self::id(conn), body).in_state(script.choose(&STATES));
        if let Some(bytes) = encoded(self.dialect, &message) {
            let mut bytes = bytes.to_vec();
            let at = usize::from(script.byte()) % bytes.len();
            bytes[at] ^= script.byte();
            self.model.send(conn, &bytes);
        }
    }

    fn dirty(&mut self, conn: u64) {
        if let Some(peer) = self.model.peers.get_mut(&conn) {
            peer.honest = false;
        }
    }

    /// In two pieces, so that the core never relies on whole ones.
    fn message(&mut self, conn: u64, message: &Message) {
        let dialect = match self.model.peers.get(&conn) {
            Some(peer) => peer.dialect,
            None => return,
        };
        if let Some(bytes) = encoded(dialect, message) {
            let (head, tail) = bytes.split_at(bytes.len() / 2);
            self.model.send(conn, head);
            self.model.send(conn, tail);
        }
    }
}
