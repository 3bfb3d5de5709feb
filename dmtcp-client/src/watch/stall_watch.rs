//! Looking for stalls: asks how things stand, and the host about those that are late.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use dmtcp_proto::WorkerInfo;

use super::{Awaited, Laggard, Lists, Seen, Stall};
use crate::{
    deadline::Deadline,
    identity::host_name,
    process::{Identity, Situation},
};

/// How a round or restart stands, before anybody has looked at a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) round: Option<u64>,
    pub(crate) awaited: Awaited,
    pub(crate) peers: u32,
    /// Those of a restart that are not connected yet.
    pub(crate) missing: u32,
    pub(crate) quiet: Duration,
    pub(crate) late: Vec<Late>,
}

/// One that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Late {
    pub(crate) worker: WorkerInfo,
    pub(crate) since: Duration,
    /// Who had its real pid when it told it, where that is known.
    pub(crate) process: Option<Identity>,
}

/// Looks for stalls of one computation, again and again: a look remembers the one before.
#[derive(Debug)]
pub struct StallWatch {
    after: Duration,
    lists: Lists,
    /// What was told of those that were late at the last look, by their numbers.
    earlier: HashMap<u64, Situation>,
}

impl StallWatch {
    /// A watch that speaks of those for whom others wait this long or longer.
    #[must_use]
    pub fn new(after: Duration) -> Self {
        Self {
            after,
            lists: Lists::default(),
            earlier: HashMap::new(),
        }
    }

    /// What the worker lists have told so far.
    pub(crate) fn lists(&mut self) -> &mut Lists {
        &mut self.lists
    }

    /// The stall, if it is one: asks the host about those that are late.
    pub(crate) fn stall(&mut self, standing: Standing, coordinator: SocketAddr) -> Option<Stall> {
        let (peers, missing) = (standing.peers, standing.missing);
        let mut lagging = standing.late;
        let late = u32::try_from(lagging.len()).unwrap_or(u32::MAX);
        lagging.retain(|late| late.since >= self.after);
        if lagging.is_empty() && (missing == 0 || standing.quiet < self.after) {
            self.earlier.clear();
            return None;
        }
        let more = lagging.len().saturating_sub(MAX_LAGGARDS);
        lagging.truncate(MAX_LAGGARDS);
        let deadline = Deadline::after(LOOKS_LIMIT);
        let host = host_name().map(|name| name.to_string_lossy().into_owned());
        let mut earlier = std::mem::take(&mut self.earlier);
        let mut laggards = Vec::new();
        for late in lagging {
            let is_here = host.as_ref().is_ok_and(|host| *host == late.worker.host);
            let mut seen = match (is_here, deadline.has_passed()) {
                (false, _) => Seen::OtherHost,
                (true, true) => Seen::Unknown("looking at the others took too long".to_owned()),
                (true, false) => look_at(&late, coordinator),
            };
            if let Seen::Here(situation) = &mut seen {
                if let Some(before) = earlier.remove(&late.worker.number) {
                    situation.compare(&before);
                }
                self.earlier
                    .insert(late.worker.number, (**situation).clone());
            }
            laggards.push(Laggard {
                worker: late.worker,
                since: late.since,
                seen,
            });
        }
        Some(Stall {
            round: standing.round,
            awaited: standing.awaited,
            arrived: peers.saturating_sub(late).saturating_sub(missing),
            peers,
            missing,
            quiet: standing.quiet,
            laggards,
            more,
        })
    }
}

fn look_at(late: &Late, coordinator: SocketAddr) -> Seen {
    if late.worker.real_pid < 2 {
        return Seen::Untold;
    }
    let process = match late.process {
        Some(process) => Ok(Some(process)),
        None => Identity::of(late.worker.real_pid),
    };
    let looked = process.and_then(|process| match process {
        Some(process) => Situation::of_process(process, Some(coordinator)),
        None => Ok(None),
    });
    match looked {
        Ok(Some(situation)) if situation.coordinator.is_some() => Seen::Here(Box::new(situation)),
        Ok(Some(situation)) if situation.unseen.is_empty() => Seen::NotTheWorker,
        Ok(Some(situation)) => Seen::Unknown(format!("not seen: {}", situation.unseen.join(", "))),
        Ok(None) => Seen::Ended,
        Err(error) => Seen::Unknown(error.to_string()),
    }
}

const MAX_LAGGARDS: usize = 8;
/// Each look has a limit of its own, too.
const LOOKS_LIMIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests;
