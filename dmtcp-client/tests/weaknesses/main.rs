//! Weaknesses of stock coordinators that show on a socket, each by its number in
//! `docs/PROTOCOL.md`, against the embedded coordinator in this very process: what ended it would
//! end these tests. Those that need no socket are in `dmtcp-proto/tests/weaknesses.rs`; some stand
//! where their neighbours do. `../docs.rs` checks that none is missing.

mod contents;
mod departures;
mod frames;
mod hostile;
mod messages;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../server/peer.rs"]
mod peer;
mod slow;
mod standalone;
#[path = "../server/store.rs"]
mod store;
mod tools;
mod values;

use std::thread;
use std::time::{Duration, Instant};

use dmtcp_client::server::{Computation, ComputationConfig, ComputationEvent, Events, Server};
use dmtcp_proto::{Dialect, Event, UserResult, Verb};

use peer::{Worker, ask, take_part};

/// Longer than anything here takes unless it hangs.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) fn for_each_dialect(test: impl Fn(Dialect)) {
    for &dialect in Dialect::ALL {
        eprintln!("--- {dialect:?}");
        test(dialect);
    }
}

/// A computation of honest workers, and what bad peers must not cost them.
pub(crate) struct Scene {
    pub(crate) computation: Computation,
    pub(crate) events: Events,
    pub(crate) honest: Vec<Worker>,
    pub(crate) dialect: Dialect,
    _server: Server,
}

impl Scene {
    pub(crate) fn open(dialect: Dialect, honest: u32) -> Self {
        Self::with(dialect, honest, ComputationConfig::default())
    }

    pub(crate) fn with(dialect: Dialect, honest: u32, mut config: ComputationConfig) -> Self {
        // Nobody is cut off only because the machine is busy.
        config.coordinator.hello_timeout = 10 * LONG;
        config.coordinator.kill_timeout = 10 * LONG;
        // These workers are as quick as they say.
        config.coordinator.settle_time = Duration::ZERO;
        let server = Server::start().unwrap();
        let computation = server.open(config).unwrap();
        let events = computation.events();
        let join = |_| Worker::join(computation.addr(), dialect);
        let honest: Vec<Worker> = (0..honest).map(join).collect();
        let scene = Self {
            computation,
            events,
            honest,
            dialect,
            _server: server,
        };
        if !scene.honest.is_empty() {
            let count = Some(scene.honest.len() as u32);
            scene.computation.wait_until_running(count, LONG).unwrap();
        }
        scene
    }

    pub(crate) fn ask(&self, verb: Verb) -> UserResult {
        ask(self.computation.addr(), self.dialect, verb)
    }

    pub(crate) fn peers(&self) -> usize {
        self.computation.status().unwrap().peers as usize
    }

    /// Waits until only the honest workers are left.
    pub(crate) fn settle(&self) {
        while self.peers() != self.honest.len() {
            self.events.recv_timeout(LONG).unwrap();
        }
    }

    /// A tool is answered, and the honest workers can be checkpointed.
    pub(crate) fn goes_on(&mut self) {
        self.settle();
        self.ask(Verb::Status);
        if self.honest.is_empty() {
            return;
        }
        // Somebody who has hung up may not have been read to the end yet.
        while self.computation.request_checkpoint().is_err() {
            self.events.recv_timeout(LONG).unwrap();
        }
        take_part(&mut self.honest);
        let images = self.until(|event| match event {
            Event::CheckpointComplete { images, .. } => Some(images.len()),
            Event::CheckpointFailed { reason, .. } => panic!("{reason}"),
            _ => None,
        });
        assert_eq!(images, self.honest.len());
        self.computation.wait_until_running(None, LONG).unwrap();
    }

    /// Waits until nobody is left but the honest workers, of those that left no trace either.
    pub(crate) fn empties(&self) {
        let end = Instant::now() + LONG;
        while self.computation.metrics().unwrap().connections != self.honest.len() as u64 {
            assert!(Instant::now() < end, "connections are left");
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn until<T>(&self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        loop {
            if let ComputationEvent::Coordinator(event) = self.events.recv_timeout(LONG).unwrap() {
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        }
    }
}
