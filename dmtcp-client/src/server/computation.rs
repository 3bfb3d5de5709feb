//! The handle to one computation of a server.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use dmtcp_proto::{Interval, KeyValues, Status, WorkerInfo};

use super::{
    Events, Sealed, ServerError,
    asking::Asking,
    events::Subscribers,
    hosted::Left,
    task::{Key, Link},
};
use crate::driver::{Driver, block_on};

/// A computation whose coordinator runs in this process. Dropping it changes nothing: it lives
/// until it is closed, told to quit, or its [`Server`](super::Server) is dropped.
///
/// Cheap to clone; every clone speaks to the same computation, from any thread. Every call ends
/// in time: those without a limit of their own take at most [`ANSWER_LIMIT`](Self::ANSWER_LIMIT),
/// and mostly microseconds.
#[derive(Clone, Debug)]
pub struct Computation {
    pub(super) key: Key,
    pub(super) addr: SocketAddr,
    pub(super) link: Arc<Link>,
    pub(super) subscribers: Arc<Subscribers>,
    pub(super) left: Left,
}

impl Computation {
    /// How long calls wait that need nobody but the server's own thread. It never blocks, so
    /// only a machine that is overloaded beyond use gets there.
    pub const ANSWER_LIMIT: Duration = Duration::from_secs(10);

    /// Where it listens, with the port that was chosen.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The port on which it listens: what `dmtcp_launch --coord-port` needs.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// News from now on. Receivers are independent of each other and of the calls.
    #[must_use]
    pub fn events(&self) -> Events {
        self.subscribers.subscribe()
    }

    /// Number of peers, running or not, interval.
    ///
    /// # Errors
    /// [`Closed`](ServerError::Closed), [`ServerGone`](ServerError::ServerGone),
    /// [`TimedOut`](ServerError::TimedOut).
    pub fn status(&self) -> Result<Status, ServerError> {
        block_on(self.asking(&Driver::Blocking).status())
    }

    /// Every worker with state, barrier and pids, in the order in which they joined.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub fn workers(&self) -> Result<Vec<WorkerInfo>, ServerError> {
        block_on(self.asking(&Driver::Blocking).workers())
    }

    /// All that its workers have put into the key-value store (3.0 and later). Also of a computation
    /// that is closed; what it had at its end is kept for as long as there is a handle to it.
    ///
    /// # Errors
    /// [`ServerGone`](ServerError::ServerGone), unless it was closed before;
    /// [`TimedOut`](ServerError::TimedOut).
    pub fn key_values(&self) -> Result<KeyValues, ServerError> {
        block_on(self.asking(&Driver::Blocking).key_values())
    }

    /// Starts a checkpoint, and says with how many workers. Its outcome is told by event.
    ///
    /// # Errors
    /// [`Busy`](ServerError::Busy) and [`NotRunning`](ServerError::NotRunning); nothing was
    /// started then. Else as [`status`](Self::status).
    pub fn request_checkpoint(&self) -> Result<u32, ServerError> {
        block_on(self.asking(&Driver::Blocking).request_checkpoint())
    }

    /// Makes a checkpoint and waits until its set is complete and sealed; the workers then go on.
    ///
    /// # Errors
    /// - [`TimedOut`](ServerError::TimedOut): the protocol cannot take a checkpoint back, so it
    ///   goes on; its outcome is told by event. The error names those that are late, and what this
    ///   host tells of them; finding that out takes milliseconds more, and four seconds at most.
    /// - [`CheckpointFailed`](ServerError::CheckpointFailed) with the reason.
    /// - [`Busy`](ServerError::Busy) and [`NotRunning`](ServerError::NotRunning); nothing was
    ///   started then.
    /// - [`Closed`](ServerError::Closed), [`ServerGone`](ServerError::ServerGone).
    pub fn checkpoint(&self, limit: Duration) -> Result<Sealed, ServerError> {
        block_on(self.asking(&Driver::Blocking).checkpoint(limit))
    }

    /// The same, and the workers exit behind it instead of going on.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint).
    pub fn checkpoint_and_kill(&self, limit: Duration) -> Result<Sealed, ServerError> {
        block_on(self.asking(&Driver::Blocking).checkpoint_and_kill(limit))
    }

    /// Changes how often it is checkpointed without being asked.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub fn set_interval(&self, interval: Interval) -> Result<(), ServerError> {
        block_on(self.asking(&Driver::Blocking).set_interval(interval))
    }

    /// Tells all workers to exit, without a checkpoint, and waits until they are gone. If a
    /// round's images are being sealed, they are told once that is done. A worker that does not
    /// go is cut off after [`CoordinatorConfig::kill_timeout`](dmtcp_proto::CoordinatorConfig).
    ///
    /// # Errors
    /// [`TimedOut`](ServerError::TimedOut), [`Closed`](ServerError::Closed),
    /// [`ServerGone`](ServerError::ServerGone).
    pub fn kill_workers(&self, limit: Duration) -> Result<(), ServerError> {
        block_on(self.asking(&Driver::Blocking).kill_workers(limit))
    }

    /// Waits until all workers run, and are `peers` if that is given.
    ///
    /// # Errors
    /// [`TimedOut`](ServerError::TimedOut), [`Closed`](ServerError::Closed),
    /// [`ServerGone`](ServerError::ServerGone).
    pub fn wait_until_running(
        &self,
        peers: Option<u32>,
        limit: Duration,
    ) -> Result<Status, ServerError> {
        block_on(
            self.asking(&Driver::Blocking)
                .wait_until_running(peers, limit),
        )
    }

    /// Kills all workers and ends the computation, as `dmtcp_command --quit` does. Returns when
    /// nothing of it is left, the sealer included.
    ///
    /// # Errors
    /// [`TimedOut`](ServerError::TimedOut), [`ServerGone`](ServerError::ServerGone).
    pub fn quit(&self, limit: Duration) -> Result<(), ServerError> {
        block_on(self.asking(&Driver::Blocking).quit(limit))
    }

    /// Ends the computation **and with it its workers**: they exit (code 99) when they lose
    /// their coordinator, without a checkpoint. Stops listening at once; returns when nothing
    /// of it is left, the sealer included, which may finish the set it is at. Peers that do not
    /// close their side are given two seconds. Closing what is closed is no error.
    ///
    /// # Errors
    /// [`TimedOut`](ServerError::TimedOut): mostly the sealer; it goes on.
    /// [`ServerGone`](ServerError::ServerGone).
    pub fn close(&self, limit: Duration) -> Result<(), ServerError> {
        block_on(self.asking(&Driver::Blocking).close(limit))
    }

    /// Asks with this driver.
    pub(crate) fn asking<'a>(&'a self, driver: &'a Driver) -> Asking<'a> {
        Asking {
            computation: self,
            driver,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use crate::deadline::Deadline;
    use crate::server::{ComputationConfig, ComputationEvent, Server};

    use super::*;

    #[test]
    fn news_without_end_do_not_keep_a_wait_from_ending() {
        let server = Server::start().unwrap();
        let computation = server.open(ComputationConfig::default()).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let news = scope.spawn(|| {
                // End by themselves, so that a wait that does not end is seen as one.
                let end = Deadline::after(Duration::from_secs(60));
                while !done.load(Ordering::Relaxed) && !end.has_passed() {
                    let event = ComputationEvent::AcceptResumed;
                    computation.subscribers.publish(event);
                }
                done.load(Ordering::Relaxed)
            });
            let limit = Duration::from_millis(50);
            let waited = computation.wait_until_running(Some(1), limit);
            done.store(true, Ordering::Relaxed);
            assert!(matches!(waited, Err(ServerError::TimedOut { .. })));
            assert!(news.join().unwrap(), "they ended first");
        });
    }
}
