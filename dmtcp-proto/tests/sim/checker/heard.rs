//! What goes into the coordinator.

use dmtcp_proto::{Body, Command, Message, Verb, WorkerState};

use super::{Checker, Peer};
use crate::process::in_section;

impl Checker {
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
        let now = self.now;
        match &message.body {
            Body::UserCommand(command) => {
                peer.verb = Some(command.verb);
                peer.fresh = true;
                match command.verb {
                    Verb::BlockingPrefix | Verb::KillingPrefix => self.prefixes.push(message.from),
                    Verb::Checkpoint => {
                        let before = self.prefixes.len();
                        self.prefixes.retain(|from| !from.same_as(&message.from));
                        peer.prefixed = self.prefixes.len() < before;
                    }
                    _ => {}
                }
            }
            Body::NewWorker(_) => peer.unborn = message.state != WorkerState::Unknown,
            Body::ProcessAfterFork { .. } => peer.unborn = false,
            Body::Barrier(_) if is_worker => {
                peer.state = message.state;
                peer.arrived += 1;
                peer.waiting = true;
                peer.since = now;
            }
            Body::Ok if is_worker && message.state != WorkerState::Running => {
                peer.state = message.state;
                peer.arrived += 1;
                peer.waiting = true;
                peer.since = now;
                if message.state == WorkerState::Checkpointed {
                    self.passed_its_image(conn);
                }
            }
            Body::CheckpointFile(file) if is_worker => {
                peer.since = now;
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
                peer.since = now;
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

    /// The coordinator ends a connection: what is under way from there is never read, such as the
    /// word that it is where those of its host wait for each other.
    pub(super) fn may_be_inside(&mut self, conn: u64) {
        let Some(peer) = self.peers.get(&conn).filter(|peer| peer.told) else {
            return;
        };
        let was_let_go_on = peer.arrived > 0 && !peer.waiting;
        if peer.state == WorkerState::PreSuspend && was_let_go_on && !self.killing {
            self.broken_hosts.insert(peer.host);
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
}
