//! What comes out of the coordinator, and the rules that it is held against.

use dmtcp_proto::{
    AfterCheckpoint, Body, Command, CommandStatus, Event, ImageReport, Message, Reply, UniquePid,
    Verb, WorkerState,
};

use super::{Checker, Round, Rule, Violation};

impl Checker {
    /// A message to a peer.
    pub(crate) fn said(&mut self, conn: u64, message: &Message) {
        let Some(peer) = self.peers.get_mut(&conn) else {
            return self.broken(Rule::Protocol, || format!("sent to closed {conn}"));
        };
        let now = self.now;
        match &message.body {
            Body::Accept(_) => {
                let twice = std::mem::replace(&mut peer.accepted, true);
                peer.arrived = 0;
                peer.state = WorkerState::Running;
                peer.since = now;
                self.accepted_last = conn;
                self.require(!twice, Rule::Protocol, || format!("{conn} accepted twice"));
            }
            Body::DoCheckpoint(_) => self.ordered(conn, message.group),
            Body::Do(order) => match self.dialect.phases().first() {
                Some(&(first, _)) if order.phase == first => self.ordered(conn, message.group),
                _ => self.release(conn),
            },
            Body::BarrierReleased(_) => self.release(conn),
            Body::UserResult(result) => {
                let (verb, prefixed) = (peer.verb, peer.prefixed);
                let twice = std::mem::replace(&mut peer.answered, true);
                self.require(!twice && verb.is_some(), Rule::AnsweredTwice, || {
                    format!("the tool of connection {conn}")
                });
                let of_the_end = match verb {
                    Some(Verb::BlockingCheckpoint | Verb::CheckpointAndKill) => true,
                    Some(Verb::Checkpoint) => prefixed,
                    _ => false,
                };
                if verb == Some(Verb::Status) {
                    self.counted(result.peers, result.running);
                }
                if of_the_end && result.status == CommandStatus::Success {
                    self.answered_well(result.peers, None);
                }
            }
            _ => {}
        }
    }

    fn ordered(&mut self, conn: u64, group: UniquePid) {
        let generation = self.round.as_ref().map(|round| round.generation);
        let mut unborn = false;
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.told = true;
            unborn = peer.unborn;
        }
        // A child of 2.x would never answer.
        let matters = !self.has_local_barrier() && self.forks_are_short;
        self.require(!unborn || !matters, Rule::Protocol, || {
            format!("{conn} was ordered before it told who it is")
        });
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
        peer.since = self.now;
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
        match result {
            Ok(Reply::Checkpointed(done)) => self.answered_well(done.peers, done.round),
            Ok(Reply::Status(status)) => self.counted(status.peers, status.running),
            _ => {}
        }
    }

    /// Somebody was told how many there are.
    fn counted(&mut self, peers: u32, running: bool) {
        let count = self.peers.values().filter(|peer| peer.accepted).count();
        let all_run = self.all_run();
        self.require(peers as usize == count, Rule::AnsweredFalsely, || {
            format!("{peers} peers, of {count}")
        });
        self.require(all_run || !running, Rule::AnsweredFalsely, || {
            "all run, and one does not".into()
        });
    }

    fn all_run(&self) -> bool {
        let mut workers = self.peers.values().filter(|peer| peer.accepted);
        workers.all(|peer| peer.state == WorkerState::Running)
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
        let (generation, given_up) = (round.generation, round.given_up);
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
        self.require(!given_up, Rule::SetNotWhole, || {
            "somebody was given up on".into()
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
        let given_up = self.is_killed_for_it(conn);
        let cause = given_up || self.killing || beside_dead || self.may_stall;
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
            Event::CheckpointFailed { round, reason, .. } => {
                self.last_round = self.last_round.max(*round);
                self.failed_for(reason);
                self.ended(*round);
            }
            Event::WorkerJoined(info) => {
                if let Some(peer) = self.peers.get_mut(&self.accepted_last) {
                    peer.number = info.number;
                }
            }
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
            peer.since = self.now;
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
        let sealing = self
            .round
            .as_ref()
            .is_some_and(|round| round.sealing && !round.over);
        let too_soon = sealing || !self.all_run();
        for (conn, peer) in &mut self.peers {
            let fresh = std::mem::take(&mut peer.fresh);
            peer.excused |= fresh && too_soon;
            let at_once = fresh && !may_wait(peer.verb);
            let of_this_round = ended && !fresh && !std::mem::take(&mut peer.excused);
            if peer.verb.is_some() && !peer.answered && (at_once || of_this_round) {
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
        self.gave_up();
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
        self.may_be_inside(conn);
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
