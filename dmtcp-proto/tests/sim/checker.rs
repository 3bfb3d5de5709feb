//! Books of what was said on all wires, kept without asking the core, and the rules that every
//! output is held against.

use dmtcp_proto::{
    AfterCheckpoint, Body, Command, CommandStatus, Dialect, Event, ImageReport, Message, Reply,
    UniquePid, Verb, WorkerState,
};
use std::collections::{BTreeMap, BTreeSet};

use crate::process::in_section;

/// What must never happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// A barrier is released before all of the round are there.
    ReleasedEarly,
    /// A set lacks an image of a worker of its round, or has one that is not of it.
    SetNotWhole,
    /// Somebody who asked is not answered when the answer is due, or his connection ends without.
    NotAnswered,
    /// Somebody is answered twice, or without having asked.
    AnsweredTwice,
    /// Somebody is told of a complete checkpoint that is not sealed, or of another one.
    AnsweredFalsely,
    /// A worker was lost with its image, and the round goes on as if it was not.
    LossForgotten,
    /// A worker that waits for a dead one inside its host is released, and not killed.
    Freed,
    /// A worker is killed, and nothing was wrong.
    KilledWithoutCause,
    /// A generation or the number of a round is used again, or is not the next one.
    Generation,
    /// Something waits for ever.
    WaitsForEver,
    /// The checkpoint of a healthy world fails.
    NextRoundFails,
    /// Everybody has left, and the core still keeps something.
    NotEmpty,
    /// A worker leaves because the coordinator broke the protocol, or something else is said that
    /// no coordinator says.
    Protocol,
}

/// A rule that was broken, and how.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) rule: Rule,
    pub(crate) what: String,
}

/// One connection, as its wire shows it.
#[derive(Clone, Debug, Default)]
struct Peer {
    host: &'static str,
    /// It was accepted as a worker.
    accepted: bool,
    state: WorkerState,
    /// In the round under way: it was told; at how many barriers it was; it waits at the last one.
    told: bool,
    arrived: usize,
    waiting: bool,
    /// Past the point of no return beside a dead one.
    unfreeable: bool,
    /// A tool's command, and whether it was given in the input under way.
    verb: Option<Verb>,
    fresh: bool,
    answered: bool,
}

#[derive(Clone, Debug, Default)]
struct Round {
    number: u64,
    generation: u32,
    /// By connection, also of those that left.
    images: BTreeMap<u64, String>,
    /// Why it can have no set.
    lost: Option<String>,
    over: bool,
    sealing: bool,
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(crate) struct Checker {
    dialect: Dialect,
    peers: BTreeMap<u64, Peer>,
    round: Option<Round>,
    last_round: u64,
    /// Barriers of this round or restart that all have gone through; and behind this input.
    released: usize,
    releasing: usize,
    /// Generations that have sets, of each computation.
    sets: BTreeMap<(u64, u64, i32), u32>,
    requests: BTreeMap<u64, Command>,
    fresh_requests: BTreeSet<u64>,
    forgotten: BTreeSet<u64>,
    sealed_now: Option<(u64, bool)>,
    round_ended_now: bool,
    pub(crate) killing: bool,
    pub(crate) may_stall: bool,
    pub(crate) restarting: Option<u32>,
    broken_hosts: BTreeSet<&'static str>,
    pub(crate) violation: Option<Violation>,
}

impl Checker {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            peers: BTreeMap::new(),
            round: None,
            last_round: 0,
            released: 0,
            releasing: 0,
            sets: BTreeMap::new(),
            requests: BTreeMap::new(),
            fresh_requests: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            sealed_now: None,
            round_ended_now: false,
            killing: false,
            may_stall: false,
            restarting: None,
            broken_hosts: BTreeSet::new(),
            violation: None,
        }
    }

    /// Notes the first rule that is broken.
    pub(crate) fn broken(&mut self, rule: Rule, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let what = what();
            self.violation = Some(Violation { rule, what });
        }
    }

    fn require(&mut self, holds: bool, rule: Rule, what: impl FnOnce() -> String) {
        if !holds {
            self.broken(rule, what);
        }
    }

    fn has_local_barrier(&self) -> bool {
        self.dialect.phases().is_empty()
    }

    // What goes in.

    pub(crate) fn opened(&mut self, conn: u64, host: &'static str) {
        let peer = Peer {
            host,
            ..Peer::default()
        };
        self.peers.insert(conn, peer);
    }

    pub(crate) fn asked(&mut self, id: u64, command: Command) {
        self.requests.insert(id, command);
        self.fresh_requests.insert(id);
    }

    pub(crate) fn forgot(&mut self, id: u64) {
        if self.requests.remove(&id).is_some() {
            self.forgotten.insert(id);
        }
    }

    pub(crate) fn sealed(&mut self, round: u64, well: bool) {
        self.sealed_now = Some((round, well));
    }

    /// A message reached the coordinator.
    pub(crate) fn heard(&mut self, conn: u64, message: &Message) {
        let barriers = self.has_local_barrier();
        let Some(peer) = self.peers.get_mut(&conn) else {
            return;
        };
        let is_worker = peer.accepted;
        match &message.body {
            Body::UserCommand(command) => {
                peer.verb = Some(command.verb);
                peer.fresh = true;
            }
            Body::Barrier(_) if is_worker => {
                peer.state = message.state;
                peer.arrived += 1;
                peer.waiting = true;
            }
            Body::Ok if is_worker && message.state != WorkerState::Running => {
                peer.state = message.state;
                peer.arrived += 1;
                peer.waiting = true;
                if message.state == WorkerState::Checkpointed {
                    self.passed_its_image(conn);
                }
            }
            Body::CheckpointFile(file) if is_worker => {
                if barriers {
                    peer.state = message.state;
                }
                let path = file.path.to_string();
                if let Some(round) = &mut self.round {
                    round.images.insert(conn, path);
                }
            }
            Body::Ok | Body::WorkerResuming if is_worker => {
                peer.state = message.state;
                peer.waiting = false;
                if peer.arrived > 0 {
                    self.passed_its_image(conn);
                }
            }
            Body::ProcessAfterExec { .. } if is_worker && barriers => {
                peer.state = message.state;
                // A new program: it goes through the round from the first barrier on.
                peer.arrived = 0;
                peer.waiting = false;
            }
            _ => {}
        }
    }

    fn passed_its_image(&mut self, conn: u64) {
        let told = self.peers.get(&conn).is_some_and(|peer| peer.told);
        if let Some(round) = self.round.as_mut().filter(|_| told) {
            if !round.images.contains_key(&conn) {
                let lost = || format!("the worker of connection {conn} named no image");
                round.lost.get_or_insert_with(lost);
            }
        }
    }

    /// The coordinator knows that a connection has ended, or has ended it.
    pub(crate) fn gone(&mut self, conn: u64) {
        let Some(peer) = self.peers.remove(&conn) else {
            return;
        };
        if !peer.accepted {
            return;
        }
        let Some(round) = &mut self.round else { return };
        let has_image = round.images.contains_key(&conn);
        if peer.told && peer.arrived > 0 && !has_image {
            let lost = || format!("the worker of connection {conn} was lost");
            round.lost.get_or_insert_with(lost);
        }
        let inside = in_section(peer.state) && peer.told && self.dialect.phases().is_empty();
        if inside && !self.killing {
            self.broken_hosts.insert(peer.host);
            // Those that are on their way to the exit leave by themselves.
            if !has_image {
                let beside = |other: &&mut Peer| other.accepted && other.host == peer.host;
                for other in self.peers.values_mut().filter(beside) {
                    other.unfreeable |= in_section(other.state);
                }
            }
        }
    }

    // What comes out.

    /// A message to a peer.
    pub(crate) fn said(&mut self, conn: u64, message: &Message) {
        let Some(peer) = self.peers.get_mut(&conn) else {
            return self.broken(Rule::Protocol, || format!("sent to closed {conn}"));
        };
        match &message.body {
            Body::Accept(_) => {
                let twice = std::mem::replace(&mut peer.accepted, true);
                peer.arrived = 0;
                peer.state = WorkerState::Running;
                self.require(!twice, Rule::Protocol, || format!("{conn} accepted twice"));
            }
            Body::DoCheckpoint(_) => self.ordered(conn, message.group),
            Body::Do(order) => match self.dialect.phases().first() {
                Some(&(first, _)) if order.phase == first => self.ordered(conn, message.group),
                _ => self.release(conn),
            },
            Body::BarrierReleased(_) => self.release(conn),
            Body::UserResult(result) => {
                let (verb, fresh) = (peer.verb, peer.fresh);
                let twice = std::mem::replace(&mut peer.answered, true);
                self.require(!twice && verb.is_some(), Rule::AnsweredTwice, || {
                    format!("the tool of connection {conn}")
                });
                let of_the_end = match verb {
                    Some(Verb::BlockingCheckpoint | Verb::CheckpointAndKill) => true,
                    Some(Verb::Checkpoint) => !fresh,
                    _ => false,
                };
                if of_the_end && result.status == CommandStatus::Success {
                    self.answered_well(result.peers, None);
                }
            }
            _ => {}
        }
    }

    fn ordered(&mut self, conn: u64, group: UniquePid) {
        let generation = self.round.as_ref().map(|round| round.generation);
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.told = true;
        }
        self.require(
            generation == Some(group.generation),
            Rule::Generation,
            || {
                format!(
                    "{conn} was given generation {} in {generation:?}",
                    group.generation
                )
            },
        );
    }

    fn release(&mut self, conn: u64) {
        let Some(peer) = self.peers.get_mut(&conn) else {
            return;
        };
        let (waiting, arrived, unfreeable) = (peer.waiting, peer.arrived, peer.unfreeable);
        peer.waiting = false;
        self.require(!unfreeable, Rule::Freed, || {
            format!("{conn} waits for a dead one and was released")
        });
        self.require(waiting, Rule::ReleasedEarly, || {
            format!("{conn} was released and waited nowhere")
        });
        if arrived <= self.released {
            return;
        }
        self.releasing = self.releasing.max(arrived);
        let workers = self.peers.iter().filter(|(_, peer)| peer.accepted);
        let late: Vec<u64> = workers
            .clone()
            .filter(|(_, other)| other.arrived < arrived)
            .map(|(&conn, _)| conn)
            .collect();
        let count = workers.count();
        let missing = self
            .restarting
            .is_some_and(|expected| count < expected as usize);
        self.require(late.is_empty() && !missing, Rule::ReleasedEarly, || {
            format!("{conn} left its barrier {arrived}, and {late:?} were not there")
        });
    }

    pub(crate) fn replied(&mut self, id: u64, result: &Result<Reply, dmtcp_proto::CommandError>) {
        if self.forgotten.remove(&id) {
            return;
        }
        let Some(_command) = self.requests.remove(&id) else {
            return self.broken(Rule::AnsweredTwice, || format!("request {id}"));
        };
        if let Ok(Reply::Checkpointed(done)) = result {
            self.answered_well(done.peers, done.round);
        }
    }

    /// Somebody was told of a complete checkpoint.
    fn answered_well(&mut self, peers: u32, number: Option<u64>) {
        let round = self.round.as_ref();
        let images = round.map_or(0, |round| round.images.len());
        let sealed = match (self.sealed_now, round) {
            (Some((sealed, true)), Some(round)) => {
                sealed == round.number && number.is_none_or(|number| number == sealed)
            }
            _ => false,
        };
        let now = self.sealed_now;
        self.require(sealed, Rule::AnsweredFalsely, || {
            format!("complete, when the sealer had said {now:?}")
        });
        self.require(peers as usize == images, Rule::AnsweredFalsely, || {
            format!("{peers} peers, of {images} images")
        });
    }

    pub(crate) fn seal(&mut self, number: u64, computation: UniquePid, images: &[ImageReport]) {
        let Some(round) = &mut self.round else {
            return self.broken(Rule::SetNotWhole, || "a set of no round".into());
        };
        round.sealing = true;
        let (is_this, lost) = (round.number == number, round.lost.clone());
        let generation = round.generation;
        let mut wanted: Vec<String> = round.images.values().cloned().collect();
        let mut named: Vec<String> = images.iter().map(|image| image.path.to_string()).collect();
        let workers = self.peers.iter().filter(|(_, peer)| peer.accepted);
        let without: Vec<u64> = workers
            .map(|(&conn, _)| conn)
            .filter(|conn| !round.images.contains_key(conn))
            .collect();
        wanted.sort();
        named.sort();
        let of_this = format!("_{generation}.dmtcp");
        let foreign = named.iter().find(|path| !path.ends_with(&of_this)).cloned();
        self.require(
            is_this && computation.generation == generation,
            Rule::Generation,
            || format!("a set of round {number}, {}", computation.generation),
        );
        self.require(foreign.is_none(), Rule::SetNotWhole, || {
            format!("{foreign:?} is not of generation {generation}")
        });
        self.require(
            wanted == named && !named.is_empty(),
            Rule::SetNotWhole,
            || format!("images {named:?}, of {wanted:?}"),
        );
        self.require(without.is_empty(), Rule::SetNotWhole, || {
            format!("{without:?} live and have no image")
        });
        self.require(lost.is_none(), Rule::SetNotWhole, || format!("{lost:?}"));
        let name = (computation.host_id, computation.time, computation.pid);
        let before = self.sets.insert(name, generation);
        self.require(
            before.is_none_or(|before| before < generation),
            Rule::Generation,
            || format!("generation {generation} behind {before:?}"),
        );
    }

    pub(crate) fn kill(&mut self, conn: u64) {
        let host = self.peers.get(&conn).map(|peer| peer.host);
        let beside_dead = host.is_some_and(|host| self.broken_hosts.contains(host));
        let cause = self.killing || beside_dead || self.may_stall;
        self.require(cause, Rule::KilledWithoutCause, || format!("{conn}"));
    }

    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::CheckpointStarted {
                round, generation, ..
            } => self.started(*round, *generation),
            Event::CheckpointComplete { round, .. } => {
                let now = self.sealed_now;
                self.require(now == Some((*round, true)), Rule::AnsweredFalsely, || {
                    format!("round {round} complete, when the sealer had said {now:?}")
                });
                self.ended(*round);
            }
            Event::CheckpointFailed { round, .. } => self.ended(*round),
            Event::Killing { .. } => self.killing = true,
            Event::RestartStarted {
                expected,
                computation,
            } => {
                self.restarting = Some(*expected);
                // Back to an earlier state, from which generations are counted again.
                let name = (computation.host_id, computation.time, computation.pid);
                self.sets.insert(name, computation.generation);
                (self.released, self.releasing) = (0, 0);
            }
            Event::RestartComplete { .. } => self.restarting = None,
            Event::ComputationEnded { .. } => {
                self.killing = false;
                self.restarting = None;
                (self.released, self.releasing) = (0, 0);
            }
            _ => {}
        }
    }

    fn started(&mut self, number: u64, generation: u32) {
        let open = self.round.as_ref().is_some_and(|round| !round.over);
        self.require(!open, Rule::Generation, || "two rounds at once".into());
        let last = std::mem::replace(&mut self.last_round, number);
        self.require(number > last, Rule::Generation, || {
            format!("round {number} behind {last}")
        });
        self.round = Some(Round {
            number,
            generation,
            ..Round::default()
        });
        (self.released, self.releasing) = (0, 0);
        self.broken_hosts.clear();
        for peer in self.peers.values_mut() {
            (peer.told, peer.arrived, peer.waiting) = (false, 0, false);
            peer.unfreeable = false;
        }
    }

    fn ended(&mut self, number: u64) {
        self.round_ended_now = true;
        if let Some(round) = self.round.as_mut().filter(|round| round.number == number) {
            let twice = std::mem::replace(&mut round.over, true);
            self.require(!twice, Rule::Generation, || {
                format!("round {number} ended twice")
            });
        }
    }

    /// All outputs of an input are told.
    pub(crate) fn settled(&mut self) {
        self.released = self.released.max(std::mem::take(&mut self.releasing));
        let lost = self.round.as_ref().filter(|round| !round.over);
        if let Some(lost) = lost.and_then(|round| round.lost.clone()) {
            self.broken(Rule::LossForgotten, || lost);
        }
        let ended = std::mem::take(&mut self.round_ended_now);
        for (conn, peer) in &mut self.peers {
            let fresh = std::mem::take(&mut peer.fresh);
            let at_once = fresh && !may_wait(peer.verb);
            if peer.verb.is_some() && !peer.answered && (at_once || ended && !fresh) {
                let rule = Rule::NotAnswered;
                let what = format!("{:?} of connection {conn}", peer.verb);
                self.violation.get_or_insert(Violation { rule, what });
            }
        }
        let fresh = std::mem::take(&mut self.fresh_requests);
        for (id, command) in &self.requests {
            let kills = matches!(command, Command::Kill | Command::Quit);
            let blocks = is_blocking(*command);
            let at_once = fresh.contains(id) && !kills && !blocks;
            if at_once || blocks && ended && !fresh.contains(id) {
                let rule = Rule::NotAnswered;
                let what = format!("request {id}: {command:?}");
                self.violation.get_or_insert(Violation { rule, what });
            }
        }
        self.sealed_now = None;
    }

    /// The coordinator has closed a connection.
    pub(crate) fn closed(&mut self, conn: u64) {
        let unanswered = self
            .peers
            .get(&conn)
            .filter(|peer| peer.verb.is_some() && !peer.answered && peer.verb != Some(Verb::Quit))
            .map(|peer| peer.verb);
        self.require(unanswered.is_none(), Rule::NotAnswered, || {
            format!("{unanswered:?} of connection {conn}, which was closed")
        });
        self.gone(conn);
    }

    /// Nothing is under way, and no time will pass.
    pub(crate) fn quiet(&mut self) {
        let asked: Vec<u64> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.verb.is_some())
            .map(|(&conn, _)| conn)
            .collect();
        let requests = self.requests.clone();
        let round = self.round.as_ref().filter(|round| !round.over);
        let number = round.map(|round| round.number);
        let inside: Vec<u64> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.unfreeable && peer.state != WorkerState::Running)
            .map(|(&conn, _)| conn)
            .collect();
        self.require(
            asked.is_empty() && requests.is_empty(),
            Rule::WaitsForEver,
            || format!("tools {asked:?} and requests {requests:?}"),
        );
        self.require(number.is_none(), Rule::WaitsForEver, || {
            format!("round {number:?}")
        });
        self.require(inside.is_empty(), Rule::WaitsForEver, || {
            format!("{inside:?} behind a dead one")
        });
    }

    /// Images of the last round.
    pub(crate) fn images(&self) -> usize {
        self.round.as_ref().map_or(0, |round| round.images.len())
    }
}

fn may_wait(verb: Option<Verb>) -> bool {
    use Verb::{BlockingCheckpoint, Checkpoint, CheckpointAndKill, Quit};
    matches!(
        verb,
        Some(Checkpoint | BlockingCheckpoint | CheckpointAndKill | Quit)
    )
}

fn is_blocking(command: Command) -> bool {
    use AfterCheckpoint::{KillWorkers, ReplyWhenDone};
    matches!(command, Command::Checkpoint(KillWorkers | ReplyWhenDone))
}
