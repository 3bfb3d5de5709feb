//! What follows when the embedding program waits no longer for some workers.

use dmtcp_proto::{RoundError, Survivors, WorkerState};
use std::collections::BTreeSet;
use std::time::Duration;

use super::{Checker, Rule};

/// What the books said before it did.
#[derive(Clone, Debug)]
pub(super) struct GivenUp {
    survivors: Survivors,
    /// Workers that were there.
    all: BTreeSet<u64>,
    /// Who of them may be cut off, and who has to be.
    may: BTreeSet<u64>,
    must: BTreeSet<u64>,
    /// The round has images to come.
    is_open: bool,
    killed: BTreeSet<u64>,
    /// Of them, those beside one that died where no message frees them.
    beside: BTreeSet<u64>,
    /// Whom the failure of the round names.
    stalled: Option<BTreeSet<u64>>,
}

impl Checker {
    pub(crate) fn gives_up(
        &mut self,
        number: u64,
        workers: &[u64],
        after: Duration,
        survivors: Survivors,
    ) {
        // One that is only asked for has not been told of.
        let is_next = number == self.last_round + 1;
        let is_last = number == self.last_round;
        let applies = (is_last || is_next) && self.restarting.is_none();
        let now = self.now;
        let round = self.round.as_ref().filter(|round| round.number == number);
        let is_open = round.is_some_and(|round| !round.over && !round.sealing);
        let (mut all, mut may, mut must) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (&conn, peer) in self.peers.iter().filter(|(_, peer)| peer.accepted) {
            all.insert(conn);
            let is_named = workers.contains(&peer.number);
            if !applies || !is_named || peer.waiting || now - peer.since < after {
                continue;
            }
            may.insert(conn);
            let has_image = round.is_some_and(|round| round.images.contains_key(&conn));
            let is_inside = !matches!(
                peer.state,
                WorkerState::Unknown | WorkerState::Running | WorkerState::Restarting
            );
            if is_last && peer.told && is_inside && !(is_open && has_image) {
                must.insert(conn);
            }
        }
        self.given_up = Some(GivenUp {
            survivors,
            all,
            may,
            must,
            is_open,
            killed: BTreeSet::new(),
            beside: BTreeSet::new(),
            stalled: None,
        });
    }

    /// A worker gets SIGKILL; whether because it is given up on, or by what follows from that.
    pub(super) fn is_killed_for_it(&mut self, conn: u64) -> bool {
        let Some(given_up) = &mut self.given_up else {
            return false;
        };
        given_up.killed.insert(conn);
        if given_up.is_open && given_up.may.contains(&conn) {
            if let Some(round) = &mut self.round {
                round.given_up = true;
            }
        }
        let peer = self.peers.get(&conn);
        let stands = peer.filter(|peer| peer.state != WorkerState::Running);
        if stands.is_some_and(|peer| self.broken_hosts.contains(peer.host)) {
            given_up.beside.insert(conn);
        }
        true
    }

    /// Why the round failed.
    pub(super) fn failed_for(&mut self, reason: &RoundError) {
        if let (Some(given_up), RoundError::Stalled(late)) = (&mut self.given_up, reason) {
            let numbers: BTreeSet<u64> = late.iter().map(|worker| worker.number).collect();
            let with = |conn: &&u64| {
                let peer = self.peers.get(*conn);
                peer.is_some_and(|peer| numbers.contains(&peer.number))
            };
            given_up.stalled = Some(given_up.all.iter().filter(with).copied().collect());
        }
    }

    /// All that followed is told.
    pub(super) fn gave_up(&mut self) {
        let Some(given_up) = self.given_up.take() else {
            return;
        };
        let GivenUp {
            survivors,
            all,
            may,
            must,
            is_open,
            killed,
            beside,
            stalled,
        } = given_up;
        let late: BTreeSet<u64> = killed.intersection(&may).copied().collect();
        let allowed = |conn: &u64| match survivors {
            Survivors::Killed => all.contains(conn),
            Survivors::RunOn => may.contains(conn) || beside.contains(conn),
        };
        let wrongly: Vec<u64> = killed
            .iter()
            .filter(|conn| !allowed(conn))
            .copied()
            .collect();
        let nobody = |named: &BTreeSet<u64>| named.is_disjoint(&may);
        let without_cause =
            late.is_empty() && !killed.is_empty() || stalled.as_ref().is_some_and(nobody);
        let ends = match survivors {
            Survivors::Killed if !late.is_empty() => &all,
            _ => &must,
        };
        let kept: Vec<u64> = ends.difference(&killed).copied().collect();
        let open: Vec<u64> = killed
            .iter()
            .filter(|conn| self.peers.contains_key(conn))
            .copied()
            .collect();
        let names_them = match &stalled {
            // The others are killed for their sake.
            Some(named) if survivors == Survivors::Killed => {
                named.is_subset(&may) && must.is_subset(named)
            }
            // Those beside one of them may be among them.
            Some(named) => named.is_subset(&late) && must.is_subset(named),
            None => !is_open || late.is_empty(),
        };
        self.require(
            wrongly.is_empty() && !without_cause,
            Rule::CutOffWrongly,
            || format!("{killed:?} were killed; given up, and late, were {may:?}"),
        );
        self.require(
            kept.is_empty() && open.is_empty(),
            Rule::GivenUpKept,
            || format!("{kept:?} are not killed, or {open:?} not closed"),
        );
        self.require(names_them, Rule::GivenUpKept, || {
            format!("the round failed for {stalled:?}, and late were {may:?}")
        });
    }
}
