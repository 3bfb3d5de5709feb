//! The handle to one computation of a server.

use std::{
    net::SocketAddr,
    sync::{
        Arc, PoisonError,
        mpsc::{self, RecvTimeoutError},
    },
    time::Duration,
};

use dmtcp_proto::{AfterCheckpoint, Command, Interval, KeyValues, Reply, Status, WorkerInfo};

use super::{
    Events, Sealed, ServerError,
    events::Subscribers,
    hosted::Left,
    rounds::Answered,
    task::{Key, Lifeline, Link, Task},
};
use crate::deadline::Deadline;

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
        self.status_within(Self::ANSWER_LIMIT)
    }

    /// Every worker with state, barrier and pids, in the order in which they joined.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub fn workers(&self) -> Result<Vec<WorkerInfo>, ServerError> {
        const WHAT: &str = "listing the workers";
        match self.call(WHAT, Command::List, Self::ANSWER_LIMIT)? {
            Answered::Reply(Reply::Workers(workers)) => Ok(workers),
            _ => Err(ServerError::Mismatch { what: WHAT }),
        }
    }

    /// All that its workers have put into the key-value store (3.0 and later). Also of a computation
    /// that is closed; what it had at its end is kept for as long as there is a handle to it.
    ///
    /// # Errors
    /// [`ServerGone`](ServerError::ServerGone), unless it was closed before;
    /// [`TimedOut`](ServerError::TimedOut).
    pub fn key_values(&self) -> Result<KeyValues, ServerError> {
        let (answer, answers) = mpsc::channel();
        let key = self.key;
        let sent = self.link.send(Task::KeyValues { key, answer });
        match sent.map(|()| answers.recv_timeout(Self::ANSWER_LIMIT)) {
            Ok(Ok(Some(values))) => Ok(values),
            Ok(Err(RecvTimeoutError::Timeout)) => Err(ServerError::TimedOut {
                what: "reading the key-value store",
                limit: Self::ANSWER_LIMIT,
                stall: None,
            }),
            Ok(Ok(None)) => Ok(self.left_behind()),
            Err(_) | Ok(Err(RecvTimeoutError::Disconnected)) => {
                let left = self.left_behind();
                // It may have ended with its server, which asked nobody then.
                let is_known = left != KeyValues::default();
                is_known.then_some(left).ok_or(ServerError::ServerGone)
            }
        }
    }

    fn left_behind(&self) -> KeyValues {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.clone()
    }

    /// Starts a checkpoint, and says with how many workers. Its outcome is told by event.
    ///
    /// # Errors
    /// [`Busy`](ServerError::Busy) and [`NotRunning`](ServerError::NotRunning); nothing was
    /// started then. Else as [`status`](Self::status).
    pub fn request_checkpoint(&self) -> Result<u32, ServerError> {
        const WHAT: &str = "starting a checkpoint";
        let command = Command::Checkpoint(AfterCheckpoint::ReplyAtOnce);
        match self.call(WHAT, command, Self::ANSWER_LIMIT)? {
            Answered::Reply(Reply::Started { peers }) => Ok(peers),
            _ => Err(ServerError::Mismatch { what: WHAT }),
        }
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
        self.checkpoint_then(AfterCheckpoint::ReplyWhenDone, limit)
    }

    /// The same, and the workers exit behind it instead of going on.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint).
    pub fn checkpoint_and_kill(&self, limit: Duration) -> Result<Sealed, ServerError> {
        self.checkpoint_then(AfterCheckpoint::KillWorkers, limit)
    }

    /// Changes how often it is checkpointed without being asked.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub fn set_interval(&self, interval: Interval) -> Result<(), ServerError> {
        let command = Command::SetInterval(interval);
        self.done("setting the interval", command, Self::ANSWER_LIMIT)
    }

    /// Tells all workers to exit, without a checkpoint, and waits until they are gone. If a
    /// round's images are being sealed, they are told once that is done. A worker that does not
    /// go is cut off after [`CoordinatorConfig::kill_timeout`](dmtcp_proto::CoordinatorConfig).
    ///
    /// # Errors
    /// [`TimedOut`](ServerError::TimedOut), [`Closed`](ServerError::Closed),
    /// [`ServerGone`](ServerError::ServerGone).
    pub fn kill_workers(&self, limit: Duration) -> Result<(), ServerError> {
        self.done("killing the workers", Command::Kill, limit)
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
        const WHAT: &str = "waiting for all workers to run";
        let deadline = Deadline::after(limit);
        let events = self.events();
        loop {
            let status = self.status_within(Self::ANSWER_LIMIT)?;
            if status.running && peers.is_none_or(|peers| peers == status.peers) {
                return Ok(status);
            }
            // Here, since there may be news without end.
            if deadline.has_passed() {
                return Err(ServerError::TimedOut {
                    what: WHAT,
                    limit,
                    stall: self.stall_now(),
                });
            }
            // All that has happened by now is in the next status, also that it is closed.
            if events.recv_timeout(deadline.left()).is_ok() {
                while !deadline.has_passed() && events.try_recv().is_ok() {}
            }
        }
    }

    /// Kills all workers and ends the computation, as `dmtcp_command --quit` does. Returns when
    /// nothing of it is left, the sealer included.
    ///
    /// # Errors
    /// [`TimedOut`](ServerError::TimedOut), [`ServerGone`](ServerError::ServerGone).
    pub fn quit(&self, limit: Duration) -> Result<(), ServerError> {
        let deadline = Deadline::after(limit);
        const WHAT: &str = "quitting";
        match self.call(WHAT, Command::Quit, deadline.left()) {
            Ok(_) | Err(ServerError::Closed) => {}
            Err(ServerError::TimedOut { what, .. }) => {
                return Err(ServerError::TimedOut {
                    what,
                    limit,
                    stall: None,
                });
            }
            Err(error) => return Err(error),
        }
        self.closed(WHAT, deadline)
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
        self.closed("closing", Deadline::after(limit))
    }

    fn status_within(&self, limit: Duration) -> Result<Status, ServerError> {
        const WHAT: &str = "asking for the status";
        match self.call(WHAT, Command::Status, limit)? {
            Answered::Reply(Reply::Status(status)) => Ok(status),
            _ => Err(ServerError::Mismatch { what: WHAT }),
        }
    }

    fn checkpoint_then(
        &self,
        after: AfterCheckpoint,
        limit: Duration,
    ) -> Result<Sealed, ServerError> {
        const WHAT: &str = "the checkpoint";
        match self.call(WHAT, Command::Checkpoint(after), limit) {
            Ok(Answered::Sealed(sealed)) => Ok(sealed),
            Ok(Answered::Reply(_)) => Err(ServerError::Mismatch { what: WHAT }),
            Err(ServerError::TimedOut { what, limit, .. }) => Err(ServerError::TimedOut {
                what,
                limit,
                stall: self.stall_now(),
            }),
            Err(error) => Err(error),
        }
    }

    fn done(
        &self,
        what: &'static str,
        command: Command,
        limit: Duration,
    ) -> Result<(), ServerError> {
        match self.call(what, command, limit)? {
            Answered::Reply(Reply::Done) => Ok(()),
            _ => Err(ServerError::Mismatch { what }),
        }
    }

    fn call(
        &self,
        what: &'static str,
        command: Command,
        limit: Duration,
    ) -> Result<Answered, ServerError> {
        let (answer, answers) = mpsc::channel();
        let (key, id) = (self.key, self.link.new_request());
        self.link.send(Task::Request {
            key,
            id,
            command,
            answer,
        })?;
        match answers.recv_timeout(limit) {
            Ok(result) => result,
            Err(RecvTimeoutError::Disconnected) => Err(ServerError::ServerGone),
            Err(RecvTimeoutError::Timeout) => {
                self.link.send(Task::Forget { key, id })?;
                // It may have come in the last moment.
                answers.try_recv().unwrap_or(Err(ServerError::TimedOut {
                    what,
                    limit,
                    stall: None,
                }))
            }
        }
    }

    fn closed(&self, what: &'static str, deadline: Deadline) -> Result<(), ServerError> {
        let (closed, ended): (Lifeline, _) = mpsc::channel();
        self.link.send(Task::Close {
            key: self.key,
            closed,
        })?;
        match ended.recv_timeout(deadline.left()) {
            Err(RecvTimeoutError::Disconnected) => Ok(()),
            Err(RecvTimeoutError::Timeout) => Err(ServerError::TimedOut {
                what,
                limit: deadline.limit(),
                stall: None,
            }),
            Ok(never) => match never {},
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

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
