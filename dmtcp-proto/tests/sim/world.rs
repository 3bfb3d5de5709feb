//! One coordinator core, the processes, tools and sealer around it, and everything that can happen
//! to them, one thing at a time. Who acts when is somebody else's choice: a random schedule's
//! (`schedule.rs`) or a search's (`search.rs`).

use dmtcp_proto::{
    Body, Command, ConnId, CoordinatorConfig, CoordinatorCore, Dialect, Input, Instant, Message,
    RequestId, Survivors, UniquePid, WorkerExit, WorkerInput, WorkerState,
};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::checker::{Checker, Rule};
use crate::network::{Link, Owner, Packet};
use crate::process::{Birth, Effects, Process, in_section};
use crate::record::Record;
use crate::sabotage::Saboteur;

mod outputs;
mod tools;

use tools::Tool;

/// A sealed set, as much as a restart needs of it.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    pub(crate) computation: UniquePid,
    pub(crate) processes: Vec<UniquePid>,
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) dialect: Dialect,
    pub(crate) core: CoordinatorCore,
    pub(crate) now: Instant,
    pub(crate) links: BTreeMap<u64, Link>,
    pub(crate) processes: Vec<Process>,
    pub(crate) tools: Vec<Tool>,
    /// Rounds that the sealer is to make sets of.
    pub(crate) seals: Vec<(u64, Set)>,
    pub(crate) latest: Option<Set>,
    pub(crate) checker: Checker,
    pub(crate) saboteur: Saboteur,
    pub(crate) replies: BTreeMap<u64, bool>,
    pub(crate) stopped: bool,
    pub(crate) record: Record,
    next: u64,
}

impl World {
    pub(crate) fn new(dialect: Dialect, config: CoordinatorConfig, saboteur: Saboteur) -> Self {
        let identity = UniquePid {
            host_id: 1,
            time: 1,
            pid: 1,
            generation: 0,
        };
        let mut checker = Checker::new(dialect);
        checker.may_stall = config.stall_timeout.is_some();
        Self {
            dialect,
            core: CoordinatorCore::new(config.identity(identity), Instant::ZERO),
            now: Instant::ZERO,
            links: BTreeMap::new(),
            processes: Vec::new(),
            tools: Vec::new(),
            seals: Vec::new(),
            latest: None,
            checker,
            saboteur,
            replies: BTreeMap::new(),
            stopped: false,
            record: Record::default(),
            next: 0,
        }
    }

    pub(crate) fn note(&mut self, what: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(lines) = &mut self.record.timeline {
            lines.push(format!("{:>12?}  {}", now.since_start(), what()));
        }
    }

    // Who comes.

    fn connect(&mut self, owner: Owner, dialect: Dialect, host: &'static str) -> u64 {
        self.next += 1;
        let conn = self.next;
        self.links.insert(conn, Link::new(owner, dialect));
        self.checker.opened(conn, host);
        let peer = ([127, 0, 0, 1], 9).into();
        let conn_id = ConnId(conn);
        self.tell(Input::Opened {
            conn: conn_id,
            peer,
        });
        conn
    }

    /// A process that begins to join; its number.
    pub(crate) fn start(
        &mut self,
        host: &'static str,
        birth: Birth,
        restored: Option<(UniquePid, UniquePid, u32)>,
    ) -> usize {
        let number = self.processes.len();
        self.note(|| format!("p{number} on {host} is {birth:?}"));
        let conn = self.connect(Owner::Process(number), self.dialect, host);
        let process = Process::new(number, conn, host, self.dialect, birth, restored);
        self.processes.push(process);
        if let Birth::Forked(parent, _) = birth {
            self.processes[parent].forking.insert(number);
        }
        self.input(number, WorkerInput::Opened);
        number
    }

    pub(crate) fn fork(&mut self, parent: usize) {
        let process = &self.processes[parent];
        let announced = match process.core.state() {
            WorkerState::PreSuspend => WorkerState::PreSuspend,
            _ => WorkerState::Running,
        };
        self.start(process.host, Birth::Forked(parent, announced), None);
    }

    /// A program that reads a message reads it to its end before it becomes another one.
    pub(crate) fn can_exec(&self, number: usize) -> bool {
        let process = &self.processes[number];
        let next = self.links.get(&process.conn).map(|link| link.down.front());
        let is_whole = |next: &Packet| next.message.is_some();
        process.can_exec() && next.is_some_and(|next| next.is_none_or(is_whole))
    }

    pub(crate) fn exec(&mut self, number: usize) {
        self.note(|| format!("p{number} executes another program"));
        let effects = self.processes[number].exec(number);
        self.effects(number, effects);
    }

    pub(crate) fn request(&mut self, command: Command) -> u64 {
        self.next += 1;
        let id = self.next;
        self.note(|| format!("request {id}: {command:?}"));
        self.checker.asked(id, command);
        let id = RequestId(id);
        self.tell(Input::Request { id, command });
        id.0
    }

    pub(crate) fn forget(&mut self, id: u64) {
        self.note(|| format!("request {id} is forgotten"));
        self.checker.forgot(id);
        self.tell(Input::Forget { id: RequestId(id) });
    }

    /// The embedding program waits no longer for these workers.
    pub(crate) fn give_up(
        &mut self,
        round: u64,
        workers: &[u64],
        after: Duration,
        survivors: Survivors,
    ) {
        self.note(|| {
            format!("given up, round {round}: {workers:?} after {after:?}, {survivors:?}")
        });
        self.checker.now = self.now;
        self.checker.gives_up(round, workers, after, survivors);
        let before = self.living().len();
        let current = self.core.standing(self.now).and_then(|now| now.round);
        let round = self.saboteur.gives_up(round, current.unwrap_or(round));
        self.tell(Input::GiveUp {
            round,
            workers,
            after,
            survivors,
        });
        let kind = match (self.living().len() < before, survivors) {
            (false, _) => "give-ups for nothing",
            (true, Survivors::RunOn) => "give-ups, run on",
            (true, Survivors::Killed) => "give-ups, all killed",
        };
        *self.record.counts.entry(kind).or_default() += 1;
    }

    /// Somebody who connects and says this, which may be nothing.
    pub(crate) fn stranger(&mut self, noise: Vec<u8>) -> u64 {
        self.note(|| format!("a stranger with {} bytes", noise.len()));
        let conn = self.connect(Owner::Stranger, self.dialect, "elsewhere");
        if let Some(link) = self.links.get_mut(&conn).filter(|_| !noise.is_empty()) {
            let (bytes, message) = (noise.into(), None);
            link.up.push_back(Packet { bytes, message });
        }
        conn
    }

    // What is under way arrives.

    /// So many bytes at most, at least one message if `None`; behind the last ones the end.
    pub(crate) fn deliver_up(&mut self, conn: u64, count: Option<usize>) {
        let Some(link) = self.links.get_mut(&conn).filter(|link| link.has_up()) else {
            return;
        };
        if link.up.is_empty() {
            link.closed = true;
            self.note(|| format!("c{conn} has ended"));
            self.checker.gone(conn);
            if !self.saboteur.swallows_end(conn) {
                self.tell(Input::Closed { conn: ConnId(conn) });
            }
            return self.forget_link(conn);
        }
        let first = link.up[0].bytes.len() - link.fed;
        let mut left = count.unwrap_or(first);
        let (mut bytes, mut heard) = (Vec::new(), Vec::new());
        while left > 0 {
            let Some(packet) = link.up.front() else { break };
            let is_exec = |message: &Message| matches!(message.body, Body::ProcessAfterExec { .. });
            // The books are kept by input: what a new program says is one of its own.
            // One that became another program can get to two barriers that others have passed.
            let is_barrier = |message: &Message| matches!(message.body, Body::Barrier(_));
            let next = packet.message.as_ref();
            let again = next.is_some_and(is_barrier) && heard.iter().any(is_barrier);
            if !heard.is_empty() && next.is_some_and(is_exec) || again {
                break;
            }
            let rest = packet.bytes.len() - link.fed;
            let taken = rest.min(left);
            bytes.extend_from_slice(&packet.bytes[link.fed..link.fed + taken]);
            link.fed += taken;
            left -= taken;
            if taken == rest {
                link.fed = 0;
                let packet = link.up.pop_front();
                heard.extend(packet.and_then(|packet| packet.message));
            }
        }
        self.checker.now = self.now;
        for message in heard {
            if let Some(link) = self.links.get_mut(&conn) {
                link.state = message.state;
            }
            self.note(|| format!("c{conn} -> {:?} in {}", message.body, message.state));
            self.checker.heard(conn, &message);
        }
        let bytes = &bytes;
        self.tell(Input::Received {
            conn: ConnId(conn),
            bytes,
        });
        self.forget_link(conn);
    }

    /// So many bytes at most; behind the last ones the end.
    pub(crate) fn deliver_down(&mut self, conn: u64, count: usize) {
        let Some(link) = self.links.get_mut(&conn).filter(|link| link.has_down()) else {
            return;
        };
        let mut bytes = Vec::new();
        while let Some(packet) = link.down.front_mut() {
            let taken = packet.bytes.len().min(count - bytes.len());
            bytes.extend_from_slice(&packet.bytes.split_to(taken));
            if !packet.bytes.is_empty() {
                // No longer whole.
                packet.message = packet.message.take_if(|_| taken == 0);
                break;
            }
            link.down.pop_front();
        }
        let ended = link.closed && link.down.is_empty();
        match link.owner {
            Owner::Process(number) => {
                if !bytes.is_empty() {
                    self.input(number, WorkerInput::Received(&bytes));
                }
                if ended && self.processes[number].alive {
                    self.input(number, WorkerInput::Closed);
                }
            }
            Owner::Tool(number) => {
                let exchange = &mut self.tools[number].exchange;
                exchange.received(&bytes);
                if ended {
                    exchange.closed();
                }
                self.pump(number);
            }
            Owner::Stranger => {}
        }
        if ended {
            self.hang_up(conn);
        }
    }

    /// A peer ends its connection behind what it has sent.
    pub(crate) fn hang_up(&mut self, conn: u64) {
        if let Some(link) = self.links.get_mut(&conn) {
            link.hung_up = true;
            link.down.clear();
        }
        self.forget_link(conn);
    }

    fn forget_link(&mut self, conn: u64) {
        // What is still under way may arrive behind the end, as drivers have it.
        let over = |link: &Link| link.closed && link.hung_up && link.up.is_empty();
        if self.links.get(&conn).is_some_and(over) {
            self.links.remove(&conn);
        }
    }

    /// The connection breaks: both sides see its end behind what has arrived.
    pub(crate) fn cut(&mut self, conn: u64) {
        self.note(|| format!("c{conn} breaks"));
        let Some(link) = self.links.get_mut(&conn) else {
            return;
        };
        link.up.clear();
        link.down.clear();
        let owner = link.owner;
        link.hung_up = true;
        match owner {
            Owner::Process(number) => self.input(number, WorkerInput::Closed),
            Owner::Tool(number) => {
                self.tools[number].exchange.closed();
                self.tools[number].is_done = true;
            }
            Owner::Stranger => {}
        }
    }

    // What processes do.

    pub(crate) fn act(&mut self, number: usize) {
        let stage = self.processes[number].stage;
        self.note(|| format!("p{number} has done {stage:?}"));
        let effects = self.processes[number].act();
        self.effects(number, effects);
    }

    /// Its driver cannot do what it was asked for: the worker leaves.
    pub(crate) fn fail(&mut self, number: usize) {
        let stage = self.processes[number].stage.take();
        self.note(|| format!("p{number} cannot do {stage:?}"));
        let finished = dmtcp_proto::Finished::Failed;
        self.input(number, WorkerInput::Finished(finished));
    }

    /// Dies; of what it has sent, so many messages still arrive.
    pub(crate) fn crash(&mut self, number: usize, kept: usize) {
        let process = &self.processes[number];
        if !process.alive {
            return;
        }
        let conn = process.conn;
        self.note(|| format!("p{number} dies; {kept} messages of it arrive"));
        if let Some(link) = self.links.get_mut(&conn) {
            link.up.truncate(kept.max(usize::from(link.fed > 0)));
        }
        self.dies(number, true);
    }

    fn dies(&mut self, number: usize, suddenly: bool) {
        let process = &mut self.processes[number];
        if !std::mem::replace(&mut process.alive, false) {
            return;
        }
        process.stage = None;
        let (conn, host) = (process.conn, process.host);
        let children = std::mem::take(&mut process.forking);
        self.fork_is_over(number);
        let state = self.links.get(&conn).map(Link::sent_state);
        let has_local_barrier = self.dialect.phases().is_empty();
        if suddenly && has_local_barrier && state.is_some_and(in_section) {
            self.doom(host);
        }
        self.hang_up(conn);
        // Until a child is admitted, its parent has its connection.
        for child in children {
            self.dies(child, false);
        }
    }

    fn fork_is_over(&mut self, child: usize) {
        if let Birth::Forked(parent, _) = self.processes[child].birth {
            self.processes[parent].forking.remove(&child);
        }
    }

    /// Those of a host that are beside a dead one.
    fn doom(&mut self, host: &'static str) {
        let links = &self.links;
        for process in &mut self.processes {
            let released = links
                .get(&process.conn)
                .is_some_and(|link| !link.down.is_empty());
            let in_round = match process.core.state() {
                WorkerState::PreSuspend => process.stage.is_some() || released,
                state => in_section(state),
            };
            process.doomed |= process.alive && process.host == host && in_round;
        }
    }

    fn input(&mut self, number: usize, input: WorkerInput<'_>) {
        let effects = self.processes[number].input(input);
        self.effects(number, effects);
    }

    fn effects(&mut self, number: usize, effects: Effects) {
        let process = &self.processes[number];
        let (conn, confused) = (process.conn, process.is_confused());
        if effects.accepted {
            self.fork_is_over(number);
        }
        if let Some(link) = self.links.get_mut(&conn).filter(|link| !link.hung_up) {
            link.up.extend(effects.sent);
        }
        let Some(reason) = effects.exit else {
            if effects.rejected {
                self.note(|| format!("p{number} was not let in"));
                self.dies(number, false);
            }
            return;
        };
        self.note(|| format!("p{number} exits: {reason}"));
        let is_wrong = match &reason {
            WorkerExit::Protocol(_) => !confused,
            WorkerExit::Unsendable(_) | WorkerExit::Misdriven { .. } => true,
            _ => false,
        };
        if is_wrong {
            self.checker
                .broken(Rule::Protocol, || format!("p{number}: {reason:?}"));
        }
        let told = matches!(reason, WorkerExit::Killed | WorkerExit::Checkpointed);
        self.dies(number, !told);
    }

    // What the coordinator does.

    pub(crate) fn seal(&mut self, index: usize, well: bool) {
        let (round, set) = self.seals.remove(index);
        self.note(|| format!("round {round} is sealed: {well}"));
        if well {
            self.latest = Some(set);
        }
        self.checker.sealed(round, well);
        let result = if well { Ok(()) } else { Err("full".into()) };
        self.tell(Input::Sealed { round, result });
    }

    /// Time goes on to when the core wants to be woken.
    pub(crate) fn wake(&mut self) {
        if let Some(due) = self.core.next_timeout() {
            self.now = self.now.max(due);
            self.note(|| "the core is woken".into());
            self.tell(Input::Timeout);
            let again = self.core.next_timeout().filter(|&due| due < self.now);
            if let Some(due) = again {
                self.checker.broken(Rule::WaitsForEver, || {
                    format!("a time-out in the past: {due:?}")
                });
            }
        }
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        self.tell(Input::Timeout);
    }
}
