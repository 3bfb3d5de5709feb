//! Who holds a foreign coordinator's computation up, concluded from its worker lists.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use dmtcp_proto::WorkerInfo;

use super::{Coordinator, Error, Talk};
use crate::watch::{Stall, StallWatch, standing_of, unanswered};

impl Coordinator {
    /// What one list tells of a checkpoint in which nothing has moved for this long.
    ///
    /// `is_unanswered`: it was asked for, and nobody has been seen to begin. That all run is then no sign
    /// of its end.
    pub(crate) fn stall_of(
        &self,
        workers: &[WorkerInfo],
        quiet: Duration,
        is_unanswered: bool,
    ) -> Option<Box<Stall>> {
        let mut standing = standing_of(workers, quiet);
        if standing.is_none() && is_unanswered {
            standing = unanswered(workers, quiet);
        }
        let standing = standing?;
        let stall = StallWatch::new(Duration::ZERO).stall(standing, self.addr);
        stall.map(Box::new)
    }
}

impl Talk<'_> {
    /// The same, without holding up a task.
    pub(super) async fn stall_of(
        &self,
        workers: &[WorkerInfo],
        quiet: Duration,
        is_unanswered: bool,
    ) -> Option<Box<Stall>> {
        let (to, workers) = (self.to.clone(), workers.to_vec());
        let looked = move || to.stall_of(&workers, quiet, is_unanswered);
        self.driver.unblock(looked).await
    }
}

impl StallWatch {
    /// Who is late under a coordinator in another process now; `None`: nobody, or not for long
    /// enough. From 2.5 on: 2.4 tells no list.
    ///
    /// It tells no times either: they count from the look at which something was first seen, so look
    /// a few times within the time after which you want to be told. Looking at the processes takes
    /// milliseconds, and four seconds at most.
    ///
    /// # Errors
    /// As [`Coordinator::workers`].
    pub fn look_outside(&mut self, coordinator: &Coordinator) -> Result<Option<Stall>, Error> {
        let workers = coordinator.workers()?;
        Ok(self.look_at_list(&workers, coordinator.addr()))
    }

    /// As [`look_outside`](Self::look_outside), from what [`Coordinator::workers`] has just told.
    pub fn look_at_list(
        &mut self,
        workers: &[WorkerInfo],
        coordinator: SocketAddr,
    ) -> Option<Stall> {
        let standing = self.lists().see(workers, Instant::now())?;
        self.stall(standing, coordinator)
    }
}
