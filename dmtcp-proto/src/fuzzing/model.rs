//! A coordinator core, and what somebody who watches all its wires knows about it.
//!
//! The books are kept from what goes in and comes out only; every output is checked against them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use super::coordinator::word;
use crate::command::{Command, Reply};
use crate::coordinator::{
    CoordinatorConfig, CoordinatorCore, Event, ImageReport, Input, Output, RoundError, Survivors,
};
use crate::dialect::Dialect;
use crate::error::CommandError;
use crate::ids::{ConnId, RequestId};
use crate::message::{Body, Message};
use crate::name::Name;
use crate::text::Text;
use crate::time::Instant;
use crate::wire::{Decoder, Frame, Limits};

/// One connection as its peer sees it.
pub(super) struct Peer {
    pub(super) dialect: Dialect,
    pub(super) open: bool,
    /// It has sent nothing but whole, valid messages of its dialect.
    pub(super) honest: bool,
    pub(super) accepted: bool,
    /// The barrier it waits at.
    pub(super) waiting: Option<Name>,
    /// In the running round: it was told; it reached a barrier; the image it named.
    pub(super) told: bool,
    pub(super) answered: bool,
    pub(super) image: Option<Text>,
    /// How far a stock worker in its place would be; see `coordinator.rs`.
    pub(super) step: usize,
    pub(super) then_exit: bool,
    decoder: Decoder,
    answers: usize,
    released_in: u64,
}

pub(super) struct Model {
    core: CoordinatorCore,
    pub(super) now: Instant,
    pub(super) peers: BTreeMap<u64, Peer>,
    pub(super) seals: Vec<u64>,
    requests: BTreeMap<u64, Command>,
    forgotten: BTreeSet<u64>,
    /// Rounds that have begun and have had no outcome.
    rounds: BTreeSet<u64>,
    last_round: u64,
    sealed_well: Option<u64>,
    inputs: u64,
    stopped: bool,
    next: u64,
    /// In the input under way: who was killed, and whether a round has stalled.
    killed: BTreeSet<u64>,
    has_stalled: bool,
}

impl Model {
    pub(super) fn new(config: CoordinatorConfig) -> Self {
        Self {
            core: CoordinatorCore::new(config, Instant::ZERO),
            now: Instant::ZERO,
            peers: BTreeMap::new(),
            seals: Vec::new(),
            requests: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            rounds: BTreeSet::new(),
            last_round: 0,
            sealed_well: None,
            inputs: 0,
            stopped: false,
            next: 0,
            killed: BTreeSet::new(),
            has_stalled: false,
        }
    }

    pub(super) fn connect(&mut self, dialect: Dialect) -> u64 {
        self.next += 1;
        let peer = Peer {
            dialect,
            open: true,
            honest: true,
            accepted: false,
            waiting: None,
            told: false,
            answered: false,
            image: None,
            step: 0,
            then_exit: false,
            decoder: Decoder::new(dialect, Limits::default()),
            answers: 0,
            released_in: 0,
        };
        self.peers.insert(self.next, peer);
        let conn = ConnId(self.next);
        let peer = ([127, 0, 0, 1], 9).into();
        self.input(Input::Opened { conn, peer });
        self.next
    }

    pub(super) fn send(&mut self, conn: u64, bytes: &[u8]) {
        // Drivers may still deliver what arrived before a close.
        let conn = ConnId(conn);
        self.input(Input::Received { conn, bytes });
    }

    pub(super) fn hang_up(&mut self, conn: u64) {
        if let Some(peer) = self.peers.get_mut(&conn).filter(|peer| peer.open) {
            peer.open = false;
            let conn = ConnId(conn);
            self.input(match conn.0 % 2 {
                0 => Input::Closed { conn },
                _ => Input::Vanished { conn },
            });
        }
    }

    pub(super) fn request(&mut self, command: Command) {
        self.next += 1;
        self.requests.insert(self.next, command);
        let id = RequestId(self.next);
        self.input(Input::Request { id, command });
    }

    pub(super) fn forget(&mut self) {
        if let Some((id, _)) = self.requests.pop_first() {
            self.forgotten.insert(id);
            let id = RequestId(id);
            self.input(Input::Forget { id });
        }
    }

    pub(super) fn sealed(&mut self, well: bool) {
        let Some(round) = self.seals.pop() else {
            return;
        };
        self.sealed_well = well.then_some(round);
        let result = if well { Ok(()) } else { Err("full".into()) };
        self.input(Input::Sealed { round, result });
        self.sealed_well = None;
    }

    /// Turns the clock, waking the core whenever it asked to be woken.
    pub(super) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        let mut wakes = 0;
        while let Some(due) = self.core.next_timeout().filter(|&due| due <= end) {
            let before = self.now;
            self.now = self.now.max(due);
            self.input(Input::Timeout);
            wakes = if self.now > before { 0 } else { wakes + 1 };
            assert!(wakes < 3, "woken for ever at {:?}", self.now);
        }
        self.now = end;
        self.input(Input::Timeout);
    }

    fn input(&mut self, input: Input<'_>) {
        self.inputs += 1;
        self.killed.clear();
        self.has_stalled = false;
        let outputs: Vec<Output> = self.core.handle(self.now, input).collect();
        let mut closed_rounds = BTreeSet::new();
        for output in outputs {
            match output {
                Output::Transmit { conn, bytes } => self.transmitted(conn, &bytes),
                Output::TransmitAll { conns, bytes } => {
                    for conn in conns {
                        self.transmitted(conn, &bytes);
                    }
                }
                Output::Close { conn } => {
                    let peer = self.peers.get_mut(&conn.0).expect("a stranger is closed");
                    assert!(peer.open, "closed twice");
                    peer.open = false;
                }
                Output::Reply { id, result } => self.replied(id, &result, &closed_rounds),
                Output::Seal { round, images, .. } => self.seal(round, &images),
                Output::KillProcess { conn, .. } => {
                    let open = self.peers.get(&conn.0).is_some_and(|peer| peer.open);
                    assert!(open, "killed without its connection");
                    self.killed.insert(conn.0);
                }
                Output::Step { .. } => panic!("a step is told that nobody asked for"),
                Output::Event(event) => self.event(event, &mut closed_rounds),
                Output::Stop => {
                    assert!(!self.stopped, "stopped twice");
                    self.stopped = true;
                    assert_eq!(self.accepted(), 0, "stopped over running workers");
                }
            }
        }
        let status = self.core.status();
        assert_eq!(status.peers as usize, self.accepted(), "peers");
        assert_eq!(self.core.workers().count(), self.accepted(), "the list");
        assert!(!status.running || status.peers > 0, "nobody runs");
        if let Some(due) = self.core.next_timeout() {
            assert!(due >= self.now, "a time-out in the past");
        }
    }

    fn accepted(&self) -> usize {
        let counts = |peer: &&Peer| peer.open && peer.accepted;
        self.peers.values().filter(counts).count()
    }

    fn transmitted(&mut self, conn: ConnId, bytes: &[u8]) {
        let batch = self.inputs;
        let all_honest = self.peers.values().all(|peer| peer.honest);
        let peer = self.peers.get_mut(&conn.0).expect("sent to a stranger");
        assert!(peer.open, "sent to a closed connection");
        if !peer.honest {
            // It is answered in what it pretends to speak.
            peer.decoder = Decoder::detecting(Limits::default());
        }
        peer.decoder.feed(bytes);
        while let Some(frame) = peer.decoder.next_frame().expect("not a frame") {
            peer.received(&frame, batch, all_honest);
        }
        assert_eq!(peer.decoder.pending(), 0, "half a message");
    }

    fn replied(
        &mut self,
        id: RequestId,
        result: &Result<Reply, CommandError>,
        completed: &BTreeSet<u64>,
    ) {
        if self.forgotten.remove(&id.0) {
            return;
        }
        let command = self.requests.remove(&id.0).expect("answered twice");
        match (result, command) {
            (Ok(Reply::Checkpointed(done)), Command::Checkpoint(_)) => {
                let round = done.round.expect("our own round");
                assert!(completed.contains(&round), "complete before the seal");
                assert!(done.peers > 0, "a set of nothing");
            }
            (Ok(Reply::Status(_)), Command::Status)
            | (Ok(Reply::Workers(_)), Command::List)
            | (Ok(Reply::Started { .. }) | Err(_), Command::Checkpoint(_)) => {}
            (Ok(Reply::Done), Command::Kill | Command::Quit) => {
                let alive = self
                    .peers
                    .values()
                    .filter(|peer| peer.open && peer.accepted);
                // Somebody may have joined the next computation meanwhile.
                for peer in alive {
                    assert!(!peer.told, "a kill is over and its worker is still there");
                }
            }
            (Ok(Reply::Done), Command::SetInterval(_)) => {}
            other => panic!("not an answer: {other:?}"),
        }
    }

    /// A set holds an image of every worker that was told and lives, and none that was not sent.
    fn seal(&mut self, round: u64, images: &[ImageReport]) {
        assert!(self.rounds.contains(&round), "a set of no round");
        assert!(!self.seals.contains(&round), "sealed twice");
        self.seals.push(round);
        assert!(!images.is_empty(), "a set of nothing");
        let mut numbers = BTreeSet::new();
        for image in images {
            assert!(numbers.insert(image.worker.number), "a worker twice");
        }
        if self.peers.values().any(|peer| !peer.honest) {
            return;
        }
        let wanted: Vec<&Text> = self
            .peers
            .values()
            .filter_map(|p| p.image.as_ref())
            .collect();
        for image in images {
            assert!(wanted.contains(&&image.path), "an image nobody wrote");
        }
        assert_eq!(images.len(), wanted.len(), "an image is missing");
        for peer in self.peers.values().filter(|peer| peer.told) {
            assert!(peer.image.is_some() || !peer.open, "half a set");
            assert!(
                peer.image.is_some() || !peer.answered,
                "a lost worker is forgotten"
            );
        }
    }

    fn event(&mut self, event: Event, completed: &mut BTreeSet<u64>) {
        match event {
            Event::CheckpointStarted { round, workers, .. } => {
                assert_eq!(round, self.last_round + 1, "rounds count up by one");
                assert!(self.rounds.is_empty(), "two rounds at once");
                assert_eq!(workers as usize, self.accepted());
                self.last_round = round;
                self.rounds.insert(round);
                for peer in self.peers.values_mut() {
                    (peer.told, peer.answered, peer.image) = (false, false, None);
                    peer.waiting = None;
                }
            }
            Event::CheckpointComplete { round, images, .. } => {
                assert!(self.rounds.remove(&round), "complete twice");
                assert!(!images.is_empty(), "a set of nothing");
                assert_eq!(self.sealed_well, Some(round), "complete before the seal");
                completed.insert(round);
            }
            Event::CheckpointFailed { round, reason, .. } => {
                self.has_stalled |= matches!(reason, RoundError::Stalled(_));
                if !self.rounds.remove(&round) {
                    // It failed before its workers were told.
                    assert_eq!(round, self.last_round + 1, "failed twice");
                    self.last_round = round;
                }
                assert_ne!(self.sealed_well, Some(round), "failed in spite of the seal");
            }
            Event::BarrierReleased { name, peers } => {
                assert_eq!(peers as usize, self.accepted(), "peers at {name}");
                let all = self
                    .peers
                    .values()
                    .filter(|peer| peer.open && peer.accepted);
                for peer in all.filter(|peer| peer.honest) {
                    assert_eq!(
                        peer.released_in, self.inputs,
                        "{name} before all were there"
                    );
                }
            }
            Event::ComputationEnded { computation } => {
                assert!(!computation.is_null(), "the end of no computation");
            }
            // Some may have ended behind it.
            Event::RestartComplete { peers } => assert!(peers as usize >= self.accepted()),
            _ => {}
        }
    }

    /// Gives up on the workers whose bits are set, of those that are late or of all.
    pub(super) fn give_up(
        &mut self,
        whom: u8,
        late_only: bool,
        wrong_round: u64,
        after: Duration,
        survivors: Survivors,
    ) {
        let standing = self.core.standing(self.now);
        let is_late = |number: u64| {
            let late = standing.iter().flat_map(|standing| &standing.late);
            late.filter(|late| late.since >= after)
                .any(|late| late.worker.number == number)
        };
        let workers: Vec<u64> = self
            .core
            .workers()
            .map(|worker| worker.number)
            .filter(|&number| whom & (1 << (number % 8)) != 0)
            .filter(|&number| !late_only || is_late(number))
            .collect();
        let open = |peer: &&Peer| peer.open && peer.accepted;
        let before: Vec<u64> = self
            .peers
            .iter()
            .filter_map(|(&conn, peer)| open(&peer).then_some(conn))
            .collect();
        let waiting: BTreeSet<u64> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.honest && peer.waiting.is_some())
            .map(|(&conn, _)| conn)
            .collect();
        let current = standing.as_ref().and_then(|standing| standing.round);
        let round = current.unwrap_or(self.last_round).wrapping_add(wrong_round);
        let applies = current == Some(round) && workers.iter().any(|&number| is_late(number));
        self.input(Input::GiveUp {
            round,
            workers: &workers,
            after,
            survivors,
        });
        assert_eq!(
            !self.killed.is_empty(),
            applies,
            "who is late, and only who is, is cut off"
        );
        assert!(applies || !self.has_stalled, "nobody was late");
        for conn in &self.killed {
            assert!(!self.peers[conn].open, "killed and not cut off");
        }
        if applies && survivors == Survivors::Killed {
            assert!(
                before.iter().all(|conn| self.killed.contains(conn)),
                "one of them lives"
            );
        }
        let workers = || self.peers.values().filter(|peer| peer.accepted);
        let lockstep = workers().all(|peer| !peer.dialect.phases().is_empty());
        if survivors == Survivors::RunOn && lockstep && self.peers.values().all(|peer| peer.honest)
        {
            assert!(
                self.killed.is_disjoint(&waiting),
                "one that waits for them is killed"
            );
        }
        if self.has_stalled {
            assert!(self.rounds.is_empty(), "it has failed and goes on");
        }
    }

    /// Everybody leaves; nothing may be left open then.
    pub(super) fn finish(mut self) {
        let conns: Vec<u64> = self.peers.keys().copied().collect();
        for conn in conns {
            self.hang_up(conn);
        }
        self.sealed(true);
        self.wait(Duration::from_secs(3600));
        assert!(
            self.requests.is_empty(),
            "never answered: {:?}",
            self.requests
        );
        assert!(self.rounds.is_empty(), "rounds without an outcome");
        assert_eq!(self.core.next_timeout(), None, "waits for nobody");
        assert!(self.core.computation().is_null());
        self.request(Command::Quit);
        assert!(self.requests.is_empty() && self.stopped, "does not stop");
    }
}

impl Peer {
    fn received(&mut self, frame: &Frame, batch: u64, all_honest: bool) {
        const ACCEPT: u32 = 4;
        if frame.header.kind == ACCEPT {
            assert!(!self.accepted, "accepted twice");
            self.accepted = true;
        }
        if !self.honest {
            return;
        }
        let body = match Message::parse(self.dialect, frame) {
            Ok(message) => message.body,
            Err(_) => Body::Unknown(frame.clone()),
        };
        match body {
            Body::DoCheckpoint(order) => {
                assert!(self.accepted, "an order to a stranger");
                self.told = true;
                self.answered = false;
                self.waiting = None;
                self.then_exit = order.then_exit;
                self.step = 1;
            }
            Body::BarrierReleased(released) => {
                assert_eq!(self.waiting.take(), Some(released.name), "not there");
                self.released_in = batch;
                self.step += 1;
            }
            Body::Do(order) => {
                let phases = self.dialect.phases();
                let index = phases.iter().position(|&(phase, _)| phase == order.phase);
                match index.and_then(|index| index.checked_sub(1)) {
                    None => {
                        assert!(self.accepted, "an order to a stranger");
                        assert!(!self.told || self.step == 0, "ordered twice");
                        (self.told, self.answered, self.then_exit) = (true, false, false);
                        self.waiting = None;
                        self.step = 1;
                    }
                    Some(before) => {
                        let done = word(phases[before].1);
                        assert_eq!(self.waiting.take(), Some(done), "not there");
                        self.released_in = batch;
                        self.step += 1;
                    }
                }
            }
            Body::UserResult(_) => {
                self.answers += 1;
                assert_eq!(self.answers, 1, "a tool is answered twice");
            }
            Body::Accept(accept) => {
                assert_ne!(accept.time_stamp, 0, "the shared area has no name");
            }
            Body::Reject(_)
            | Body::KillPeer
            | Body::CheckpointDir(_)
            | Body::UpdateLogging { .. }
            | Body::GlobalCheckpointDirSet(_)
            | Body::NameServiceRegistered
            | Body::NameServiceAnswer(_)
            | Body::NameServiceUniqueId(_)
            | Body::KeyValueResponse(_) => {}
            other => {
                // One that lies about its dialect pins it for those that have not shown theirs.
                assert!(!all_honest, "no coordinator says {other:?}");
                self.honest = false;
            }
        }
    }
}
