//! What a handle asks, and how it waits: once for threads and for tasks.

use std::collections::BTreeSet;
use std::future::Future;
use std::io::ErrorKind;
use std::ops::Deref;
use std::time::Duration;

use dmtcp_proto::{
    AfterCheckpoint, Command, ExchangeError, Interval, Reply, Status, Text, UniquePid, WorkerInfo,
};

use super::Coordinator;
use super::call::Call;
use super::error::Error;
use crate::deadline::Deadline;
use crate::driver::Driver;

/// A handle, and what waits for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Talk<'a> {
    pub(super) to: &'a Coordinator,
    pub(super) driver: &'a Driver,
}

impl Deref for Talk<'_> {
    type Target = Coordinator;

    fn deref(&self) -> &Coordinator {
        self.to
    }
}

impl Talk<'_> {
    pub(crate) async fn status(&self) -> Result<Status, Error> {
        self.ask_status(self.default_deadline()).await
    }

    pub(crate) async fn workers(&self) -> Result<Vec<WorkerInfo>, Error> {
        let (workers, _) = self.ask_workers(self.default_deadline()).await?;
        Ok(workers)
    }

    pub(crate) async fn computation(&self) -> Result<Option<UniquePid>, Error> {
        let (_, computation) = self.ask_workers(self.default_deadline()).await?;
        Ok(computation)
    }

    pub(crate) async fn request_checkpoint(&self) -> Result<u32, Error> {
        let command = Command::Checkpoint(AfterCheckpoint::ReplyAtOnce);
        match self.ask(command, self.default_deadline()).await? {
            Reply::Started { peers } => Ok(peers),
            _ => Err(self.wrong_reply()),
        }
    }

    pub(crate) async fn set_interval(&self, interval: Interval) -> Result<(), Error> {
        if interval == Interval::Unchanged {
            return Ok(());
        }
        let deadline = self.default_deadline();
        self.ask(Command::SetInterval(interval), deadline).await?;
        let found = self.ask_status(deadline).await?.interval;
        if found.to_wire() == interval.to_wire() {
            Ok(())
        } else {
            Err(Error::IntervalIgnored {
                addr: self.addr,
                dialect: self.dialect,
                release: self.release.clone(),
                asked: interval,
                found,
            })
        }
    }

    pub(crate) async fn checkpoint_dir(&self) -> Result<Text, Error> {
        match self
            .ask(Command::CheckpointDir, self.default_deadline())
            .await?
        {
            Reply::CheckpointDir(dir) => Ok(dir),
            _ => Err(self.wrong_reply()),
        }
    }

    pub(crate) async fn set_log_mask(&self, mask: u32) -> Result<(), Error> {
        self.ask(Command::SetLogMask(mask), self.default_deadline())
            .await?;
        Ok(())
    }

    pub(crate) async fn kill_workers(&self) -> Result<(), Error> {
        let deadline = self.default_deadline();
        self.ask(Command::Kill, deadline).await?;
        // Until these are gone, no other can join.
        let mut left = match self.listed_or_gone(deadline).await {
            Err(error) if tells_no_list(&error) => return self.wait_until_none(deadline).await,
            listed => listed?.unwrap_or_default(),
        };
        while !left.is_empty() {
            self.pause(deadline, POLL).await;
            let listed = match self.listed_or_gone(deadline).await {
                // Who was left says more than which question the deadline cut off.
                Err(Error::TimedOut { .. }) if deadline.has_passed() => {
                    return Err(Error::WorkersRemain {
                        addr: self.addr,
                        workers: left,
                    });
                }
                listed => listed?.unwrap_or_default(),
            };
            let listed: BTreeSet<u64> = listed.iter().map(|worker| worker.number).collect();
            left.retain(|worker| listed.contains(&worker.number));
        }
        Ok(())
    }

    pub(crate) async fn quit(&self) -> Result<(), Error> {
        let deadline = self.default_deadline();
        self.ask(Command::Quit, deadline).await?;
        while !deadline.has_passed() {
            // Any other outcome: it is about to end, or of another dialect.
            if let Err(Error::Connect { addr, source }) = self.ask_status(deadline).await {
                match source.kind() {
                    ErrorKind::ConnectionRefused => return Ok(()),
                    // Caught in the backlog of a listener that is closing.
                    ErrorKind::ConnectionReset => {}
                    _ => return Err(Error::Connect { addr, source }),
                }
            }
            self.pause(deadline, POLL).await;
        }
        Err(Error::StillListening { addr: self.addr })
    }

    fn default_deadline(&self) -> Deadline {
        Deadline::after(self.timeout)
    }

    /// One question, within the handle's timeout too.
    pub(crate) async fn ask(&self, command: Command, deadline: Deadline) -> Result<Reply, Error> {
        self.call(command, deadline).finish().await
    }

    fn call(&self, command: Command, deadline: Deadline) -> Call {
        let deadline = deadline.at_most(self.timeout);
        Call::new(self.addr, self.dialect, command, deadline, self.driver)
    }

    pub(crate) async fn ask_status(&self, deadline: Deadline) -> Result<Status, Error> {
        match self.ask(Command::Status, deadline).await? {
            Reply::Status(status) => Ok(status),
            _ => Err(self.wrong_reply()),
        }
    }

    /// The workers, and the computation where the coordinator names it.
    pub(crate) async fn ask_workers(
        &self,
        deadline: Deadline,
    ) -> Result<(Vec<WorkerInfo>, Option<UniquePid>), Error> {
        let mut call = self.call(Command::List, deadline);
        match call.finish().await? {
            Reply::Workers(workers) => Ok((workers, call.computation())),
            _ => Err(self.wrong_reply()),
        }
    }

    /// The workers; `None` when nobody listens any more, as when a coordinator ends with its last
    /// worker.
    pub(crate) async fn listed_or_gone(
        &self,
        deadline: Deadline,
    ) -> Result<Option<Vec<WorkerInfo>>, Error> {
        let listed = self
            .unless_gone(deadline, || self.ask_workers(deadline))
            .await?;
        Ok(listed.map(|(workers, _)| workers))
    }

    /// The status; `None` when nobody listens any more.
    pub(crate) async fn status_or_gone(&self, deadline: Deadline) -> Result<Option<Status>, Error> {
        self.unless_gone(deadline, || self.ask_status(deadline))
            .await
    }

    async fn unless_gone<T, F: Future<Output = Result<T, Error>>>(
        &self,
        deadline: Deadline,
        ask: impl Fn() -> F,
    ) -> Result<Option<T>, Error> {
        let mut asked = ask().await;
        if let Err(Error::Exchange {
            source: ExchangeError::NoReply { .. },
            ..
        }) = asked
        {
            // Caught in the middle of its end; or it dislikes us, and does so again.
            self.pause(deadline, POLL).await;
            asked = ask().await;
        }
        match asked {
            Ok(answer) => Ok(Some(answer)),
            Err(Error::Connect { source, .. }) if source.kind() == ErrorKind::ConnectionRefused => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn pause(&self, deadline: Deadline, time: Duration) {
        self.driver.pause(deadline, time).await;
    }
}

/// Whether that is why there is no list.
pub(super) fn tells_no_list(error: &Error) -> bool {
    matches!(
        error,
        Error::Exchange {
            source: ExchangeError::NoList { .. },
            ..
        }
    )
}

/// Between two looks at something that is about to end.
pub(super) const POLL: Duration = Duration::from_millis(20);
