//! What the coordinator does, and how the world is when nothing is under way.

use dmtcp_proto::{Event, Input, Output, RoundError};

use super::{Set, World};
use crate::checker::Rule;
use crate::network::{Owner, packets};

impl World {
    pub(super) fn tell(&mut self, input: Input<'_>) {
        self.checker.now = self.now;
        let outputs: Vec<Output> = self.core.handle(self.now, input).collect();
        let outputs = self.saboteur.bend(outputs, self.dialect);
        for output in outputs {
            self.output(output);
        }
        self.checker.settled();
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Transmit { conn, bytes } => self.transmitted(conn.0, &bytes),
            Output::TransmitAll { conns, bytes } => {
                for conn in conns {
                    self.transmitted(conn.0, &bytes);
                }
            }
            Output::Close { conn } => {
                self.note(|| format!("c{} is closed", conn.0));
                self.checker.closed(conn.0);
                if let Some(link) = self.links.get_mut(&conn.0) {
                    link.closed = true;
                }
                self.forget_link(conn.0);
            }
            Output::Reply { id, result } => {
                self.note(|| format!("request {} is answered: {result:?}", id.0));
                self.checker.replied(id.0, &result);
                self.replies.insert(id.0, result.is_ok());
            }
            Output::Seal {
                round,
                computation,
                images,
            } => {
                self.note(|| format!("round {round} is to be sealed: {} images", images.len()));
                self.checker.seal(round, computation, &images);
                let processes = images.iter().map(|image| image.worker.id).collect();
                let set = Set {
                    computation,
                    processes,
                };
                self.seals.push((round, set));
            }
            Output::KillProcess { conn, .. } => {
                self.note(|| format!("c{} gets SIGKILL", conn.0));
                self.checker.kill(conn.0);
                *self.record.counts.entry("processes killed").or_default() += 1;
                let owner = self.links.get(&conn.0).map(|link| link.owner);
                if let Some(Owner::Process(number)) = owner {
                    self.dies(number, true);
                }
            }
            Output::Event(event) => {
                self.note(|| described(&event));
                if let Some(kind) = kind(&event) {
                    *self.record.counts.entry(kind).or_default() += 1;
                }
                self.checker.event(&event);
            }
            Output::Step { worker, .. } => self.checker.broken(Rule::Protocol, || {
                format!("a step of {worker} is told that nobody asked for")
            }),
            Output::Stop => {
                self.note(|| "the coordinator stops".into());
                let twice = std::mem::replace(&mut self.stopped, true);
                if twice || !self.seals.is_empty() {
                    self.checker
                        .broken(Rule::Protocol, || format!("stops; twice: {twice}"));
                }
            }
        }
    }

    fn transmitted(&mut self, conn: u64, bytes: &[u8]) {
        let Some(link) = self.links.get(&conn) else {
            return self.checker.broken(Rule::Protocol, || {
                format!("sent to {conn}, which is no more")
            });
        };
        let Some(sent) = packets(link.dialect, bytes) else {
            let is_stranger = link.owner == Owner::Stranger;
            if !is_stranger {
                self.checker
                    .broken(Rule::Protocol, || format!("no message for {conn}"));
            }
            return;
        };
        for packet in &sent {
            if let Some(message) = &packet.message {
                self.note(|| format!("c{conn} <- {:?}", message.body));
                self.checker.said(conn, message);
            }
        }
        if let Some(link) = self.links.get_mut(&conn).filter(|link| !link.hung_up) {
            link.down.extend(sent);
        }
    }

    // How it is.

    /// Processes that live and were let in or may still be.
    pub(crate) fn living(&self) -> Vec<usize> {
        let alive = |&number: &usize| self.processes[number].alive;
        (0..self.processes.len()).filter(alive).collect()
    }

    /// Nothing is under way and nobody has anything to do: then nobody may be waiting.
    pub(crate) fn check_quiet(&mut self) {
        self.checker.quiet();
        for number in self.living() {
            let process = &self.processes[number];
            if !process.core.is_running() {
                let what = format!("p{number} is {}", process.core.state());
                self.checker.broken(Rule::WaitsForEver, || what);
            }
        }
    }

    /// Everybody has left: the core keeps nothing of them.
    pub(crate) fn check_empty(&mut self) {
        let status = self.core.status();
        let listed = self.core.workers().count();
        let due = self.core.next_timeout();
        let is_idle = status.peers == 0 && listed == 0 && due.is_none();
        if !is_idle || !self.core.computation().is_null() {
            self.checker.broken(Rule::NotEmpty, || {
                format!("{status:?}, {listed} listed, next time-out {due:?}")
            });
        }
        let inside = format!("{:?}", self.core);
        for table in EMPTY {
            if !inside.contains(table) {
                let what = format!("not {table:?} in {inside}");
                self.checker.broken(Rule::NotEmpty, || what);
            }
        }
    }
}

/// What is kept of peers that are there, as the core's `Debug` has it.
const EMPTY: [&str; 12] = [
    "outputs: []",
    "conns: {}",
    "hellos: []",
    "parked: []",
    "workers: {}",
    "taken: {}",
    "arrived: 0",
    "round: None",
    "restart: None",
    "kill: None",
    "kill_after_seal: []",
    "stuck: {}",
];

/// What is counted.
fn kind(event: &Event) -> Option<&'static str> {
    Some(match event {
        Event::CheckpointComplete { .. } => "sets",
        Event::CheckpointFailed { reason, .. } => match reason {
            RoundError::PeerLost(_) => "rounds failed by a loss",
            RoundError::Seal(_) => "rounds failed by the sealer",
            RoundError::Stalled(_) => "rounds stalled",
            RoundError::Killed => "rounds killed",
            _ => "rounds failed otherwise",
        },
        Event::RestartComplete { .. } => "restarts",
        Event::Refused { .. } => "peers refused",
        Event::PeerSilent { .. } => "silent peers",
        Event::PeerMisbehaved { .. } => "peers of noise",
        _ => return None,
    })
}

fn described(event: &Event) -> String {
    match event {
        Event::CheckpointComplete { round, images, .. } => {
            format!("* round {round} is complete: {} images", images.len())
        }
        Event::CheckpointFailed { round, reason, .. } => {
            format!("* round {round} failed: {reason}")
        }
        Event::WorkerJoined(info) => format!("* {} has joined", info.real_pid),
        Event::WorkerLeft(info) => format!("* {} has left while {}", info.real_pid, info.state),
        Event::WorkerUpdated(info) => format!("* {} told who it is", info.real_pid),
        other => format!("* {other:?}"),
    }
}
