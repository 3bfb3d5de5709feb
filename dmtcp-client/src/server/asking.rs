//! What a handle to a computation asks, and how it waits: once for threads and for tasks.

use std::{ops::Deref, sync::PoisonError, time::Duration};

use dmtcp_proto::{AfterCheckpoint, Command, Interval, KeyValues, Reply, Status, WorkerInfo};

use super::{
    Computation, Sealed, ServerError,
    rounds::Answered,
    task::{Lifeline, Link, Task},
};
use crate::{
    deadline::Deadline,
    driver::{Driver, answer},
    watch::Stall,
};

/// A handle, and what waits for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    pub(super) computation: &'a Computation,
    pub(super) driver: &'a Driver,
}

impl Deref for Asking<'_> {
    type Target = Computation;

    fn deref(&self) -> &Computation {
        self.computation
    }
}

impl Asking<'_> {
    pub(crate) async fn status(&self) -> Result<Status, ServerError> {
        self.status_within(Computation::ANSWER_LIMIT).await
    }

    pub(crate) async fn workers(&self) -> Result<Vec<WorkerInfo>, ServerError> {
        const WHAT: &str = "listing the workers";
        match self
            .call(WHAT, Command::List, Computation::ANSWER_LIMIT)
            .await?
        {
            Answered::Reply(Reply::Workers(workers)) => Ok(workers),
            _ => Err(ServerError::Mismatch { what: WHAT }),
        }
    }

    pub(crate) async fn key_values(&self) -> Result<KeyValues, ServerError> {
        let (answer, answers) = answer::channel();
        let key = self.key;
        let deadline = Deadline::after(Computation::ANSWER_LIMIT);
        let asked = match self.link.send(Task::KeyValues { key, answer }) {
            Ok(()) => self.driver.within(answers, deadline).await,
            Err(_) => Some(None),
        };
        match asked {
            Some(Some(Some(values))) => Ok(values),
            None => Err(ServerError::TimedOut {
                what: "reading the key-value store",
                limit: Computation::ANSWER_LIMIT,
                stall: None,
            }),
            Some(Some(None)) => Ok(self.left_behind()),
            Some(None) => {
                let left = self.left_behind();
                // It may have ended with its server, which asked nobody then.
                let is_known = left != KeyValues::default();
                is_known.then_some(left).ok_or(ServerError::ServerGone)
            }
        }
    }

    pub(crate) async fn request_checkpoint(&self) -> Result<u32, ServerError> {
        const WHAT: &str = "starting a checkpoint";
        let command = Command::Checkpoint(AfterCheckpoint::ReplyAtOnce);
        match self.call(WHAT, command, Computation::ANSWER_LIMIT).await? {
            Answered::Reply(Reply::Started { peers }) => Ok(peers),
            _ => Err(ServerError::Mismatch { what: WHAT }),
        }
    }

    pub(crate) async fn checkpoint(&self, limit: Duration) -> Result<Sealed, ServerError> {
        self.checkpoint_then(AfterCheckpoint::ReplyWhenDone, limit)
            .await
    }

    pub(crate) async fn checkpoint_and_kill(&self, limit: Duration) -> Result<Sealed, ServerError> {
        self.checkpoint_then(AfterCheckpoint::KillWorkers, limit)
            .await
    }

    pub(crate) async fn set_interval(&self, interval: Interval) -> Result<(), ServerError> {
        let command = Command::SetInterval(interval);
        self.done("setting the interval", command, Computation::ANSWER_LIMIT)
            .await
    }

    pub(crate) async fn kill_workers(&self, limit: Duration) -> Result<(), ServerError> {
        self.done("killing the workers", Command::Kill, limit).await
    }

    pub(crate) async fn wait_until_running(
        &self,
        peers: Option<u32>,
        limit: Duration,
    ) -> Result<Status, ServerError> {
        const WHAT: &str = "waiting for all workers to run";
        let deadline = Deadline::after(limit);
        let events = self.events();
        loop {
            let status = self.status_within(Computation::ANSWER_LIMIT).await?;
            if status.running && peers.is_none_or(|peers| peers == status.peers) {
                return Ok(status);
            }
            // Here, since there may be news without end.
            if deadline.has_passed() {
                return Err(ServerError::TimedOut {
                    what: WHAT,
                    limit,
                    stall: self.stall_now().await,
                });
            }
            // All that has happened by now is in the next status, also that it is closed.
            let told = self.driver.within(events.recv(), deadline).await;
            if told.flatten().is_some() {
                while !deadline.has_passed() && events.try_recv().is_ok() {}
            }
        }
    }

    pub(crate) async fn quit(&self, limit: Duration) -> Result<(), ServerError> {
        let deadline = Deadline::after(limit);
        const WHAT: &str = "quitting";
        match self.call(WHAT, Command::Quit, deadline.left()).await {
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
        self.closed(WHAT, deadline).await
    }

    pub(crate) async fn close(&self, limit: Duration) -> Result<(), ServerError> {
        self.closed("closing", Deadline::after(limit)).await
    }

    fn left_behind(&self) -> KeyValues {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.clone()
    }

    async fn status_within(&self, limit: Duration) -> Result<Status, ServerError> {
        const WHAT: &str = "asking for the status";
        match self.call(WHAT, Command::Status, limit).await? {
            Answered::Reply(Reply::Status(status)) => Ok(status),
            _ => Err(ServerError::Mismatch { what: WHAT }),
        }
    }

    async fn checkpoint_then(
        &self,
        after: AfterCheckpoint,
        limit: Duration,
    ) -> Result<Sealed, ServerError> {
        const WHAT: &str = "the checkpoint";
        match self.call(WHAT, Command::Checkpoint(after), limit).await {
            Ok(Answered::Sealed(sealed)) => Ok(sealed),
            Ok(Answered::Reply(_)) => Err(ServerError::Mismatch { what: WHAT }),
            Err(ServerError::TimedOut { what, limit, .. }) => Err(ServerError::TimedOut {
                what,
                limit,
                stall: self.stall_now().await,
            }),
            Err(error) => Err(error),
        }
    }

    async fn done(
        &self,
        what: &'static str,
        command: Command,
        limit: Duration,
    ) -> Result<(), ServerError> {
        match self.call(what, command, limit).await? {
            Answered::Reply(Reply::Done) => Ok(()),
            _ => Err(ServerError::Mismatch { what }),
        }
    }

    /// Where nobody waits for it any more, the answer is not kept.
    async fn call(
        &self,
        what: &'static str,
        command: Command,
        limit: Duration,
    ) -> Result<Answered, ServerError> {
        let (answer, mut answers) = answer::channel();
        let (key, id) = (self.key, self.link.new_request());
        self.link.send(Task::Request {
            key,
            id,
            command,
            answer,
        })?;
        let forgotten = Forgotten(&self.link, Some(Task::Forget { key, id }));
        let deadline = Deadline::after(limit);
        if let Some(answered) = self.driver.within(&mut answers, deadline).await {
            forgotten.not();
            return answered.unwrap_or(Err(ServerError::ServerGone));
        }
        drop(forgotten);
        // It may have come in the last moment.
        answers.take().unwrap_or(Err(ServerError::TimedOut {
            what,
            limit,
            stall: None,
        }))
    }

    pub(super) async fn ask<T>(
        &self,
        what: &'static str,
        task: impl FnOnce(answer::Sender<Result<T, ServerError>>) -> Task,
    ) -> Result<T, ServerError> {
        let (answer, answers) = answer::channel();
        let limit = Computation::ANSWER_LIMIT;
        self.link.send(task(answer))?;
        match self.driver.within(answers, Deadline::after(limit)).await {
            Some(answered) => answered.unwrap_or(Err(ServerError::ServerGone)),
            None => Err(ServerError::TimedOut {
                what,
                limit,
                stall: None,
            }),
        }
    }

    async fn closed(&self, what: &'static str, deadline: Deadline) -> Result<(), ServerError> {
        let (closed, ended): (Lifeline, _) = answer::channel();
        let key = self.key;
        self.link.send(Task::Close { key, closed })?;
        match self.driver.within(ended, deadline).await {
            Some(None) => Ok(()),
            Some(Some(never)) => match never {},
            None => Err(ServerError::TimedOut {
                what,
                limit: deadline.limit(),
                stall: None,
            }),
        }
    }

    async fn stall_now(&self) -> Option<Box<Stall>> {
        let computation = self.computation.clone();
        let looked = move || computation.stall_now();
        self.driver.unblock(looked).await
    }
}

/// What the server is told unless the question has come to its end, be it that nobody waits any more.
pub(super) struct Forgotten<'a>(pub(super) &'a Link, pub(super) Option<Task>);

impl Forgotten<'_> {
    pub(super) fn not(mut self) {
        self.1 = None;
    }
}

impl Drop for Forgotten<'_> {
    fn drop(&mut self) {
        if let Some(task) = self.1.take() {
            // A server that is gone has nothing to forget.
            let _ = self.0.send(task);
        }
    }
}
