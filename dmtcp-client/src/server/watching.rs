//! Who holds a computation up, asked of its coordinator, and giving up on them.

use std::time::Duration;

use dmtcp_proto::{Awaited as CoreAwaited, Survivors, WorkerInfo};

use super::{
    Computation, ComputationEvent, ServerError,
    asking::Asking,
    hosted::{Asked, GivenUp},
    task::Task,
};
use crate::driver::{Driver, block_on};
use crate::watch::{Awaited, Late, Stall, StallWatch, Standing};

impl Computation {
    /// Waits no longer for the laggards of a stall: they are cut off and killed, and the round, if
    /// it is not complete by then, ends as failed and [names them](dmtcp_proto::RoundError::Stalled).
    /// Says who was cut off: those that have got to their next step since they were looked at stay,
    /// and if that is all of them, nothing is done.
    ///
    /// - [`Survivors::RunOn`]: the others run on without them, and the next checkpoint works. Where a
    ///   laggard was stopped while DMTCP's processes of its host already wait for each other, no
    ///   message frees these: they are killed too.
    /// - [`Survivors::Killed`]: everybody is, at once. The sets remain.
    ///
    /// A process is killed only if it certainly is the worker; else, also on another host, it is cut
    /// off and left alone, which [events](Self::events) tell. A worker of DMTCP that finds itself cut
    /// off ends by itself, a stopped one when it goes on.
    ///
    /// A stall of a restart is not ended by this: kill the attempt.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub fn give_up(
        &self,
        stall: &Stall,
        survivors: Survivors,
    ) -> Result<Vec<WorkerInfo>, ServerError> {
        block_on(self.asking(&Driver::Blocking).give_up(stall, survivors))
    }

    /// Tells those who listen to [`events`](Self::events).
    pub(crate) fn tell_stall(&self, stall: Stall) {
        let event = ComputationEvent::Stalled(Box::new(stall));
        self.subscribers.publish(event);
    }

    /// Who is late at this moment, for an error that says why something took too long.
    pub(super) fn stall_now(&self) -> Option<Box<Stall>> {
        let stall = StallWatch::new(Duration::ZERO).look(self);
        stall.ok().flatten().map(Box::new)
    }
}

impl Asking<'_> {
    pub(crate) async fn give_up(
        &self,
        stall: &Stall,
        survivors: Survivors,
    ) -> Result<Vec<WorkerInfo>, ServerError> {
        let after = stall.laggards.iter().map(|laggard| laggard.since).min();
        let (Some(round), Some(after)) = (stall.round, after) else {
            return Ok(Vec::new());
        };
        let laggards = stall.laggards.iter();
        let given_up = GivenUp {
            round,
            workers: laggards.map(|laggard| laggard.worker.number).collect(),
            after,
            survivors,
        };
        self.ask("giving up on workers", |answer| Task::GiveUp {
            key: self.key,
            given_up,
            answer,
        })
        .await
    }
}

impl StallWatch {
    /// Who is late in a computation of this process now; `None`: nobody, or not for long enough.
    ///
    /// The coordinator knows since when, so one look is enough. Looking at the processes takes
    /// milliseconds, and four seconds at most.
    ///
    /// # Errors
    /// As [`Computation::status`].
    pub fn look(&mut self, computation: &Computation) -> Result<Option<Stall>, ServerError> {
        let asking = computation.asking(&Driver::Blocking);
        let asked = block_on(asking.ask("asking who is late", |answer| Task::Standing {
            key: computation.key,
            answer,
        }))?;
        Ok(asked.and_then(|asked| self.stall(standing(asked), computation.addr)))
    }
}

fn standing(asked: Asked) -> Standing {
    let Asked {
        standing,
        processes,
    } = asked;
    let late = standing.late.into_iter().zip(processes);
    Standing {
        round: standing.round,
        awaited: match standing.awaited {
            CoreAwaited::Running => Awaited::Running,
            CoreAwaited::Barrier(name) => Awaited::At(name.to_string()),
            CoreAwaited::Behind(name) => Awaited::Behind(name.to_string()),
            CoreAwaited::Resumed => Awaited::Resumed,
            // Nothing else comes before the first barrier.
            _ => Awaited::FirstStep,
        },
        peers: standing.peers,
        missing: standing.missing,
        quiet: standing.quiet,
        late: late
            .map(|(late, process)| Late {
                worker: late.worker,
                since: late.since,
                process,
            })
            .collect(),
    }
}
