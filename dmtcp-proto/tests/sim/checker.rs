//! Books of what was said on all wires, kept without asking the core, and the rules that every
//! output is held against.

use dmtcp_proto::{Command, Dialect, Instant, UniquePid, Verb, WorkerState};
use std::collections::{BTreeMap, BTreeSet};

mod given_up;
mod heard;
mod said;

/// What must never happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// A barrier is released before all of the round are there.
    ReleasedEarly,
    /// A set lacks an image of a worker of its round, or has one that is not of it.
    SetNotWhole,
    /// Somebody who asked is not answered when the answer is due, or his connection ends without.
    NotAnswered,
    /// Somebody is answered twice, or without having asked.
    AnsweredTwice,
    /// Somebody is told of a complete checkpoint that is not sealed, or of another one.
    AnsweredFalsely,
    /// A worker was lost with its image, and the round goes on as if it was not.
    LossForgotten,
    /// A worker that waits for a dead one inside its host is released, and not killed.
    Freed,
    /// A worker is killed, and nothing was wrong.
    KilledWithoutCause,
    /// Somebody is cut off because the embedding program gave up on others, on one that has got on
    /// since, or in another round.
    CutOffWrongly,
    /// Somebody who is given up on stays, or his round goes on.
    GivenUpKept,
    /// A generation or the number of a round is used again, or is not the next one.
    Generation,
    /// Something waits for ever.
    WaitsForEver,
    /// The checkpoint of a healthy world fails.
    NextRoundFails,
    /// Everybody has left, and the core still keeps something.
    NotEmpty,
    /// A worker leaves because the coordinator broke the protocol, or something else is said that
    /// no coordinator says.
    Protocol,
}

/// A rule that was broken, and how.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) rule: Rule,
    pub(crate) what: String,
}

/// One connection, as its wire shows it.
#[derive(Clone, Debug, Default)]
struct Peer {
    host: &'static str,
    /// It was accepted as a worker.
    accepted: bool,
    /// By which the embedding program knows it.
    number: u64,
    /// When it got to its latest step, or was let go on from there.
    since: Instant,
    state: WorkerState,
    /// In the round under way: it was told; at how many barriers it was; it waits at the last one.
    told: bool,
    arrived: usize,
    waiting: bool,
    /// It is being forked, and has not told who it is.
    unborn: bool,
    /// Past the point of no return beside a dead one.
    unfreeable: bool,
    /// A tool's command, and whether it was given in the input under way.
    verb: Option<Verb>,
    fresh: bool,
    answered: bool,
    /// A prefix makes it wait for the end of the round.
    prefixed: bool,
    /// It came a moment too soon for a checkpoint; the end of the round before has not come since.
    excused: bool,
}

#[derive(Clone, Debug, Default)]
struct Round {
    number: u64,
    generation: u32,
    /// By connection, also of those that left.
    images: BTreeMap<u64, String>,
    /// Why it can have no set.
    lost: Option<String>,
    over: bool,
    sealing: bool,
    /// Somebody was given up on before all images were there.
    given_up: bool,
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(crate) struct Checker {
    dialect: Dialect,
    peers: BTreeMap<u64, Peer>,
    round: Option<Round>,
    pub(crate) last_round: u64,
    /// Barriers of this round or restart that all have gone through; and behind this input.
    released: usize,
    releasing: usize,
    /// Generations that have sets, of each computation.
    sets: BTreeMap<(u64, u64, i32), u32>,
    requests: BTreeMap<u64, Command>,
    fresh_requests: BTreeSet<u64>,
    forgotten: BTreeSet<u64>,
    /// Tools that have sent one, as often as they have.
    prefixes: Vec<UniquePid>,
    sealed_now: Option<(u64, bool)>,
    round_ended_now: bool,
    /// The one who was accepted last.
    accepted_last: u64,
    given_up: Option<given_up::GivenUp>,
    pub(crate) now: Instant,
    pub(crate) killing: bool,
    pub(crate) may_stall: bool,
    /// No fork takes so long that a round of 2.x stops waiting for it.
    pub(crate) forks_are_short: bool,
    pub(crate) restarting: Option<u32>,
    broken_hosts: BTreeSet<&'static str>,
    pub(crate) violation: Option<Violation>,
}

impl Checker {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            peers: BTreeMap::new(),
            round: None,
            last_round: 0,
            released: 0,
            releasing: 0,
            sets: BTreeMap::new(),
            requests: BTreeMap::new(),
            fresh_requests: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            prefixes: Vec::new(),
            sealed_now: None,
            round_ended_now: false,
            accepted_last: 0,
            given_up: None,
            now: Instant::ZERO,
            killing: false,
            may_stall: false,
            forks_are_short: false,
            restarting: None,
            broken_hosts: BTreeSet::new(),
            violation: None,
        }
    }

    /// Notes the first rule that is broken.
    pub(crate) fn broken(&mut self, rule: Rule, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let what = what();
            self.violation = Some(Violation { rule, what });
        }
    }

    fn require(&mut self, holds: bool, rule: Rule, what: impl FnOnce() -> String) {
        if !holds {
            self.broken(rule, what);
        }
    }

    fn has_local_barrier(&self) -> bool {
        self.dialect.phases().is_empty()
    }
}
