//! Checkpoints and kills under a coordinator that lists no workers: 2.4 shows its list on its own
//! terminal only. What its status counts has to do.

use std::time::Duration;

use dmtcp_proto::{AfterCheckpoint, Command, Reply, Status};

use super::call::Call;
use super::checkpoint::{CheckpointReport, Evidence};
use super::error::Error;
use super::talk::{POLL, Talk};
use crate::deadline::Deadline;

impl Talk<'_> {
    /// Asks for a checkpoint with its answer at the end, which such a coordinator gives, and counts
    /// the workers meanwhile: it forgets who waits when the last one is gone.
    pub(super) async fn ask_and_count(
        &self,
        deadline: Deadline,
        before: u32,
    ) -> Result<CheckpointReport, Error> {
        let command = Command::Checkpoint(AfterCheckpoint::ReplyWhenDone);
        let mut call = Call::new(self.addr, self.dialect, command, deadline, self.driver);
        let asked = Deadline::after(deadline.limit());
        let mut begun = false;
        // Until when an answer may still come, once nobody is left.
        let mut ended: Option<Deadline> = None;
        loop {
            let pace = asked.elapsed() / 10;
            let pace = pace.clamp(Duration::from_millis(10), Duration::from_millis(500));
            match call.advance(deadline.at_most(pace)).await? {
                None => {}
                Some(Ok(Reply::Checkpointed(_))) => {
                    return self.count_again(deadline, before).await;
                }
                // Somebody else's round has used the prefix up, so ours has only begun.
                Some(Ok(Reply::Started { .. })) => {
                    return self.count_through(deadline, before, begun).await;
                }
                Some(Ok(_)) => return Err(self.wrong_reply()),
                Some(Err(error)) => return Err(Error::from_exchange(self.addr, error)),
            }
            if deadline.has_passed() {
                return Err(self.uncounted(deadline, begun));
            }
            match ended {
                Some(grace) if grace.has_passed() => {
                    return Err(Error::ComputationEnded { addr: self.addr });
                }
                Some(_) => {}
                None => {
                    let status = self.status_or_gone(deadline).await?;
                    begun |= status.as_ref().is_none_or(|status| !status.running);
                    if status.is_none_or(|status| status.peers == 0) {
                        ended = Some(deadline.at_most(ANSWER_GRACE));
                    }
                }
            }
        }
    }

    /// Watches a round that has begun, and behind which the workers go on.
    async fn count_through(
        &self,
        deadline: Deadline,
        before: u32,
        mut begun: bool,
    ) -> Result<CheckpointReport, Error> {
        let mut looks = 0;
        loop {
            let status = self.look(deadline, begun).await?;
            looks += 1;
            match status {
                Some(status) if status.running && begun => {
                    let report = self.count_again(deadline, before).await?;
                    let evidence = Evidence::Observed { lists: looks };
                    return Ok(CheckpointReport { evidence, ..report });
                }
                Some(status) if status.peers > 0 => begun |= !status.running,
                _ => return Err(Error::ComputationEnded { addr: self.addr }),
            }
            self.pause(deadline, POLL).await;
        }
    }

    /// Watches a round that has begun, and behind which the workers are killed. That they are gone is
    /// all that can be seen.
    pub(super) async fn count_until_gone(
        &self,
        deadline: Deadline,
    ) -> Result<CheckpointReport, Error> {
        let addr = self.addr;
        let mut begun = false;
        loop {
            match self.look(deadline, begun).await? {
                Some(status) if status.peers == 0 => break,
                None => break,
                Some(status) if status.running && begun => {
                    let peers = status.peers;
                    return Err(Error::PeersRemain { addr, peers });
                }
                Some(status) => begun |= !status.running,
            }
            self.pause(deadline, POLL).await;
        }
        if begun {
            let unseen = Vec::new();
            Err(Error::Unconfirmed { addr, unseen })
        } else {
            Err(Error::ComputationEnded { addr })
        }
    }

    /// Waits until no worker is left after a kill.
    pub(super) async fn wait_until_none(&self, deadline: Deadline) -> Result<(), Error> {
        let mut peers = 0;
        loop {
            match self.status_or_gone(deadline).await {
                Ok(Some(status)) if status.peers > 0 => peers = status.peers,
                Ok(_) => return Ok(()),
                Err(error) if !deadline.has_passed() || peers == 0 => return Err(error),
                Err(_) => {}
            }
            if deadline.has_passed() {
                let addr = self.addr;
                return Err(Error::PeersRemain { addr, peers });
            }
            self.pause(deadline, POLL).await;
        }
    }

    /// A look at the status in a round, or the end of the time for it.
    async fn look(&self, deadline: Deadline, begun: bool) -> Result<Option<Status>, Error> {
        match self.status_or_gone(deadline).await {
            _ if deadline.has_passed() => Err(self.uncounted(deadline, begun)),
            looked => looked,
        }
    }

    /// A round that has come to its end: whether the workers are still as many.
    async fn count_again(
        &self,
        deadline: Deadline,
        before: u32,
    ) -> Result<CheckpointReport, Error> {
        // The limit may just be over; what comes out of it is worth a moment more.
        let deadline = match deadline.remaining() {
            Some(left) if left > ANSWER_GRACE => deadline,
            _ => Deadline::after(ANSWER_GRACE),
        };
        let status = self.status_or_gone(deadline).await?;
        let after = status.map_or(0, |status| status.peers);
        if after < before {
            let addr = self.addr;
            return Err(Error::FewerPeers {
                addr,
                before,
                after,
            });
        }
        Ok(CheckpointReport {
            peers: before,
            evidence: Evidence::CoordinatorReply,
        })
    }

    fn uncounted(&self, deadline: Deadline, begun: bool) -> Error {
        Error::CheckpointTimedOut {
            addr: self.addr,
            limit: deadline.limit(),
            begun,
            workers: Vec::new(),
            stall: None,
        }
    }
}

/// How long an answer that was sent before we looked may take to reach us.
const ANSWER_GRACE: Duration = Duration::from_secs(1);
