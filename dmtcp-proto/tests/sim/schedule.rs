//! A random life of a world: everything takes its time, much goes wrong, and in the end all is
//! well again and has to work.

use dmtcp_proto::{
    AfterCheckpoint, Command, CoordinatorConfig, Dialect, Instant, Interval, Survivors,
};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::time::Duration;

use crate::checker::{Rule, Violation};
use crate::network::Owner;
use crate::process::Birth;
use crate::random::Random;
use crate::sabotage::Saboteur;
use crate::world::World;

const MICRO: Duration = Duration::from_micros(1);
const MILLI: Duration = Duration::from_millis(1);
const HOSTS: [&str; 2] = ["one", "two"];
const MAX_PROCESSES: usize = 24;
/// Far more than any run takes: one that takes more goes round in circles.
const MAX_EVENTS: u64 = 50_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Up(u64),
    Down(u64),
    Act(usize),
    Seal,
    Thaw(usize),
    GiveUp(usize),
    /// The embedding program acts on what it saw.
    CutOff(usize),
    Chaos,
}

/// Workers that were late when the embedding program looked.
#[derive(Clone, Debug)]
struct Look {
    round: u64,
    workers: Vec<u64>,
    after: Duration,
    survivors: Survivors,
}

/// One life, from its seed.
pub(crate) struct Life {
    pub(crate) world: World,
    random: Random,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    scheduled: BTreeSet<Event>,
    sequence: u64,
    /// In a hundred: how often something under way takes seconds.
    slow: u64,
    /// In a hundred: how often a driver or the sealer fails.
    failing: u64,
    /// Things that still go wrong, and the longest time between two.
    chaos: usize,
    pause: Duration,
    /// Nothing goes wrong any more.
    healing: bool,
    requests: Vec<u64>,
    /// What the embedding program saw, and for whom it will wait no longer.
    looks: Vec<Look>,
    pub(crate) happened: u64,
}

impl Life {
    pub(crate) fn new(dialect: Dialect, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut config = CoordinatorConfig::default();
        config.settle_time = random.choose(&[Duration::ZERO, 200 * MILLI]);
        config.stall_timeout = random
            .choose(&[None, None, None, Some(1), Some(30)])
            .map(Duration::from_secs);
        config.kill_after_checkpoint = random.percent(5);
        config.launches = random.choose(&[0, 0, 0, 2]);
        config.interval = random.choose(&[
            Interval::Never,
            Interval::Never,
            Interval::Every(Duration::from_secs(2)),
        ]);
        let slow = random.choose(&[0, 0, 1, 5]);
        let failing = random.choose(&[0, 0, 2, 10]);
        let chaos = random.below(60);
        let pause = random.choose(&[5 * MILLI, 40 * MILLI, 200 * MILLI, 4000 * MILLI]);
        Self {
            world: World::new(dialect, config, Saboteur::NONE),
            random,
            events: BinaryHeap::new(),
            scheduled: BTreeSet::new(),
            sequence: 0,
            slow,
            failing,
            chaos,
            pause,
            healing: false,
            requests: Vec::new(),
            looks: Vec::new(),
            happened: 0,
        }
    }

    /// The first rule that is broken, if one is.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        for _ in 0..1 + self.random.below(4) {
            self.launch();
        }
        self.at(MILLI, Event::Chaos);
        while self.scheduled.contains(&Event::Chaos) {
            self.step()?;
        }
        self.heal()?;
        self.all_leave()
    }

    fn launch(&mut self) {
        if self.world.living().len() < MAX_PROCESSES {
            let host = self.random.choose(&HOSTS);
            self.world.start(host, Birth::Launched, None);
        }
    }

    // Time.

    fn at(&mut self, after: Duration, event: Event) {
        if self.scheduled.insert(event) {
            self.sequence += 1;
            let due = self.world.now + after;
            self.events.push(Reverse((due, self.sequence, event)));
        }
    }

    fn delay(&mut self) -> Duration {
        if self.random.percent(self.slow) {
            let from = 100 * MILLI;
            return self.random.between(from, Duration::from_secs(12));
        }
        self.random.between(20 * MICRO, 5 * MILLI)
    }

    /// Everything that has become possible gets its time.
    fn schedule(&mut self) {
        let mut ready: Vec<Event> = Vec::new();
        for (&conn, link) in &self.world.links {
            if link.has_up() {
                ready.push(Event::Up(conn));
            }
            let reads = match link.owner {
                Owner::Process(number) => self.world.processes[number].can_read(),
                _ => true,
            };
            if reads && link.has_down() {
                ready.push(Event::Down(conn));
            }
        }
        for number in self.world.living() {
            if self.world.processes[number].can_act() {
                ready.push(Event::Act(number));
            }
        }
        if !self.world.seals.is_empty() {
            ready.push(Event::Seal);
        }
        for event in ready {
            if !self.scheduled.contains(&event) {
                let mut after = self.delay();
                if event == Event::Seal && !self.healing {
                    // Disks are slower than wires.
                    after += self.random.between(MICRO, 200 * MILLI);
                }
                self.at(after, event);
            }
        }
    }

    /// Lets everything happen until nothing is left to do.
    fn settle(&mut self) -> Result<(), Violation> {
        while self.step()? {}
        Ok(())
    }

    /// The next thing happens, if there is one.
    fn step(&mut self) -> Result<bool, Violation> {
        self.happened += 1;
        if self.healing && self.world.core.status().interval != Interval::Never {
            // Also if a tool's command to the contrary comes late.
            self.world.request(Command::SetInterval(Interval::Never));
        }
        self.schedule();
        let next = self.events.peek().map(|Reverse((due, ..))| *due);
        let timeout = self.world.core.next_timeout();
        let wakes = match (next, timeout) {
            (None, None) => return Ok(false),
            (next, Some(timeout)) => next.is_none_or(|next| timeout <= next),
            (Some(_), None) => false,
        };
        if wakes {
            self.world.wake();
        } else if let Some(Reverse((due, _, event))) = self.events.pop() {
            self.scheduled.remove(&event);
            self.world.now = self.world.now.max(due);
            self.happens(event);
        }
        if self.happened > MAX_EVENTS {
            self.world
                .checker
                .broken(Rule::WaitsForEver, || "there is no end to it".into());
        }
        self.check().map(|()| true)
    }

    fn check(&self) -> Result<(), Violation> {
        self.world.checker.violation.clone().map_or(Ok(()), Err)
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Up(conn) => {
                let count = self.portion();
                self.world.deliver_up(conn, count);
            }
            Event::Down(conn) => {
                let link = self.world.links.get(&conn);
                let reads = link.is_some_and(|link| match link.owner {
                    Owner::Process(number) => self.world.processes[number].can_read(),
                    _ => true,
                });
                if reads {
                    let count = self.portion().unwrap_or(usize::MAX);
                    self.world.deliver_down(conn, count);
                }
            }
            Event::Act(number) => {
                if self.world.processes[number].can_act() {
                    if self.random.percent(self.failing) {
                        self.world.fail(number);
                    } else {
                        self.world.act(number);
                    }
                }
            }
            Event::Seal => {
                if !self.world.seals.is_empty() {
                    let index = self.random.below(self.world.seals.len());
                    let well = !self.random.percent(2 * self.failing);
                    self.world.seal(index, well);
                }
            }
            Event::Thaw(number) => {
                self.world.note(|| format!("p{number} thaws"));
                self.world.processes[number].frozen = false;
            }
            Event::GiveUp(tool) => {
                if !self.world.tools[tool].is_done {
                    self.world.note(|| format!("t{tool} gives up"));
                    self.world.tools[tool].is_done = true;
                    let conn = self.world.tools[tool].conn.unwrap_or_default();
                    self.world.hang_up(conn);
                }
            }
            Event::CutOff(look) => {
                let look = self.looks[look].clone();
                self.world
                    .give_up(look.round, &look.workers, look.after, look.survivors);
            }
            Event::Chaos if self.chaos > 0 => {
                self.chaos -= 1;
                self.chaos();
                let after = self.random.between(MICRO, self.pause);
                self.at(after, Event::Chaos);
            }
            Event::Chaos => {}
        }
    }

    /// How many bytes arrive at once; `None`: one message.
    fn portion(&mut self) -> Option<usize> {
        match self.random.below(10) {
            0 => Some(1 + self.random.below(300)),
            1 => Some(usize::MAX),
            _ => None,
        }
    }

    // What goes wrong.

    fn process(&mut self, wanted: impl Fn(&World, usize) -> bool) -> Option<usize> {
        let mut living = self.world.living();
        living.retain(|&number| wanted(&self.world, number));
        (!living.is_empty()).then(|| living[self.random.below(living.len())])
    }

    fn chaos(&mut self) {
        match self.random.below(24) {
            0 | 1 => self.launch(),
            2 => self.crash(),
            3 => {
                if let Some(number) = self.process(|_, _| true) {
                    let conn = self.world.processes[number].conn;
                    self.world.cut(conn);
                }
            }
            4 | 5 => {
                if let Some(number) = self.process(|w, n| w.processes[n].can_fork()) {
                    if self.world.living().len() < MAX_PROCESSES {
                        self.world.fork(number);
                    }
                }
            }
            6 => {
                if let Some(number) = self.process(World::can_exec) {
                    self.world.exec(number);
                }
            }
            7 => {
                if let Some(number) = self.process(|w, n| !w.processes[n].frozen) {
                    self.world.note(|| format!("p{number} freezes"));
                    self.world.processes[number].frozen = true;
                    let time = self.random.between(MILLI, Duration::from_secs(60));
                    self.at(time, Event::Thaw(number));
                }
            }
            8..=11 => self.tool(),
            12..=14 => {
                let command = self.command();
                let id = self.world.request(command);
                self.requests.push(id);
            }
            15 => {
                if let Some(id) = self.requests.pop() {
                    if !self.world.replies.contains_key(&id) {
                        self.world.forget(id);
                    }
                }
            }
            16 => {
                let length = self.random.choose(&[0, 0, 5, 400]);
                let noise = (0..length).map(|_| self.random.next() as u8).collect();
                self.world.stranger(noise);
            }
            17 => self.duplicate(),
            18 => self.restore(),
            20..=23 => self.look(),
            _ => {
                let time = self.random.between(MILLI, Duration::from_secs(3));
                self.world.wait(time);
            }
        }
    }

    fn crash(&mut self) {
        if let Some(number) = self.process(|_, _| true) {
            let conn = self.world.processes[number].conn;
            let sent = self.world.links.get(&conn).map_or(0, |link| link.up.len());
            let kept = self.random.below(sent + 1);
            self.world.crash(number, kept);
        }
    }

    fn command(&mut self) -> Command {
        self.random.choose(&[
            Command::Checkpoint(AfterCheckpoint::ReplyWhenDone),
            Command::Checkpoint(AfterCheckpoint::ReplyWhenDone),
            Command::Checkpoint(AfterCheckpoint::ReplyWhenDone),
            Command::Checkpoint(AfterCheckpoint::ReplyAtOnce),
            Command::Checkpoint(AfterCheckpoint::KillWorkers),
            Command::Status,
            Command::List,
            Command::SetInterval(Interval::Every(Duration::from_secs(1))),
            Command::SetInterval(Interval::Never),
            Command::Kill,
        ])
    }

    /// The embedding program looks who is late, and a moment later gives up on some of them; now and
    /// then it has the wrong round, or names others, too.
    fn look(&mut self) {
        let Some(standing) = self.world.core.standing(self.world.now) else {
            return;
        };
        let all: Vec<u64> = match self.random.percent(10) {
            true => self.world.core.workers().map(|w| w.number).collect(),
            false => standing
                .late
                .iter()
                .map(|late| late.worker.number)
                .collect(),
        };
        let share = self.random.choose(&[30, 60, 100]);
        let workers: Vec<u64> = all
            .into_iter()
            .filter(|_| self.random.percent(share))
            .collect();
        let round = standing.round.unwrap_or(self.world.checker.last_round);
        let wrong = [
            round,
            round,
            round,
            round,
            round,
            round - round.min(1),
            round + 1,
        ];
        let look = Look {
            round: self.random.choose(&wrong),
            workers,
            after: self.random.choose(&[Duration::ZERO, MILLI, 30 * MILLI]),
            survivors: self
                .random
                .choose(&[Survivors::RunOn, Survivors::RunOn, Survivors::Killed]),
        };
        self.looks.push(look);
        let wait = self.random.choose(&[Duration::ZERO, 10 * MICRO, 2 * MILLI]);
        self.at(wait, Event::CutOff(self.looks.len() - 1));
    }

    fn tool(&mut self) {
        let own = self.world.dialect;
        let dialect = match self.random.percent(20) {
            true => self.random.choose(Dialect::ALL),
            false => own,
        };
        let command = self.command();
        let number = self.world.tool(dialect, command);
        if self.random.percent(20) {
            let time = self.random.between(MILLI, 100 * MILLI);
            self.at(time, Event::GiveUp(number));
        }
    }

    /// Somebody who claims to be one that is there, or was.
    fn duplicate(&mut self) {
        let all = self.world.processes.len();
        if all == 0 || self.world.living().len() >= MAX_PROCESSES {
            return;
        }
        let number = self.random.below(all);
        let core = &self.world.processes[number].core;
        let (id, computation) = (core.identity(), core.computation());
        if !computation.is_null() {
            let peers = 1 + self.random.below(3) as u32;
            let restored = Some((id, computation, peers));
            self.world.start("one", Birth::Restored, restored);
        }
    }

    /// The latest set is restored, if nobody is there; one of its processes may not come.
    fn restore(&mut self) {
        let Some(set) = self.world.latest.clone() else {
            return;
        };
        if !self.world.living().is_empty() {
            return;
        }
        let peers = set.processes.len();
        let come = peers - usize::from(self.random.percent(10));
        for &process in &set.processes[..come] {
            let restored = Some((process, set.computation, peers as u32));
            let host = self.random.choose(&HOSTS);
            self.world.start(host, Birth::Restored, restored);
        }
    }

    // The end.

    fn done(&mut self, command: Command) -> Result<bool, Violation> {
        let id = self.world.request(command);
        self.settle()?;
        self.world.check_quiet();
        self.check()?;
        Ok(self.world.replies.get(&id).copied().unwrap_or_default())
    }

    /// Nothing goes wrong any more. What is under way comes to its end, and then a checkpoint works.
    fn heal(&mut self) -> Result<(), Violation> {
        self.world.note(|| "nothing goes wrong any more".into());
        (self.slow, self.failing) = (0, 0);
        for number in self.world.living() {
            self.world.processes[number].frozen = false;
        }
        self.healing = true;
        self.settle()?;
        let waits_for_others = self.world.checker.restarting.is_some();
        if waits_for_others {
            // Processes of a restart that never come are the embedding program's to give up on.
            self.world.request(Command::Kill);
            self.settle()?;
        }
        self.world.check_quiet();
        self.check()?;
        // Programs that are waited for before any round may not have come.
        while self.world.living().len() < 2 || !self.world.core.status().running {
            self.launch();
            self.settle()?;
            self.world.check_quiet();
            self.check()?;
        }
        let peers = self.world.living().len();
        let done = self.done(Command::Checkpoint(AfterCheckpoint::ReplyWhenDone))?;
        let images = self.world.checker.images();
        if !done || images != peers {
            self.world.checker.broken(Rule::NextRoundFails, || {
                format!("{images} images of {peers}; done: {done}")
            });
        }
        self.check()
    }

    /// All processes end, or the coordinator is told to end them; then nothing is left of anybody.
    fn all_leave(&mut self) -> Result<(), Violation> {
        let quits = self.random.percent(50);
        if quits {
            self.done(Command::Quit)?;
            let left = self.world.living();
            if !left.is_empty() || !self.world.stopped {
                let stopped = self.world.stopped;
                self.world.checker.broken(Rule::WaitsForEver, || {
                    format!("after a quit, stopped: {stopped}, left: {left:?}")
                });
            }
        }
        for number in self.world.living() {
            self.world.crash(number, 0);
        }
        let conns: Vec<u64> = self.world.links.keys().copied().collect();
        for conn in conns {
            self.world.hang_up(conn);
        }
        self.settle()?;
        self.world.check_quiet();
        self.world.check_empty();
        self.check()
    }
}
