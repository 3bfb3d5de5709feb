//! Versions of the wire format, as data.
//!
//! Every difference between them stands in one static [`Spec`]; [`Dialect::spec`] is the only
//! `match` over dialects in the whole code base. Everything else asks the table.

mod detect;
mod spec;
mod v2_4;
mod v2_5;
mod v2_6;
mod v3;
mod v5;

pub use detect::Candidates;
pub(crate) use spec::{LAYOUT_136, LAYOUT_144, LAYOUT_208, Layout, MAGIC, Spec};

use crate::command::Verb;
use crate::kind::Kind;
use crate::phase::Phase;
use crate::state::WorkerState;

/// A version of the wire format. Never negotiated: known, or detected without harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Dialect {
    /// 2.4.0 to 2.5.0.
    V2_4,
    /// 2.5.1 and 2.5.2.
    V2_5,
    /// 2.6.0.
    V2_6,
    /// 3.0.0 to 4.2.0.
    V3,
    /// The development head, which calls itself 5.0.
    V5,
}

impl Dialect {
    /// All of them, oldest first.
    pub const ALL: &'static [Self] = &[Self::V2_4, Self::V2_5, Self::V2_6, Self::V3, Self::V5];

    /// The table of this dialect.
    pub(crate) fn spec(self) -> &'static Spec {
        match self {
            Self::V2_4 => &v2_4::SPEC,
            Self::V2_5 => &v2_5::SPEC,
            Self::V2_6 => &v2_6::SPEC,
            Self::V3 => &v3::SPEC,
            Self::V5 => &v5::SPEC,
        }
    }

    /// Length of the fixed header, in bytes.
    #[must_use]
    pub fn header_len(self) -> usize {
        self.spec().layout.len
    }

    /// The largest payload a stock peer of this dialect accepts; `None`: no limit.
    #[must_use]
    pub fn peer_payload_limit(self) -> Option<usize> {
        self.spec().peer_payload_limit
    }

    /// What the message number `number` means.
    #[must_use]
    pub fn kind(self, number: u32) -> Kind {
        usize::try_from(number)
            .ok()
            .and_then(|index| self.spec().kinds.get(index).copied())
            .unwrap_or(Kind::Unknown(number))
    }

    /// The number of a kind of message; `None` if this dialect has none.
    #[must_use]
    pub fn kind_number(self, kind: Kind) -> Option<u32> {
        number_of(self.spec().kinds, kind, |kind| match kind {
            Kind::Unknown(number) => Some(number),
            _ => None,
        })
    }

    /// What the state number `number` means.
    #[must_use]
    pub fn state(self, number: u32) -> WorkerState {
        usize::try_from(number)
            .ok()
            .and_then(|index| self.spec().states.get(index).copied())
            .unwrap_or(WorkerState::Other(number))
    }

    /// The number of a state; `None` if this dialect has none.
    #[must_use]
    pub fn state_number(self, state: WorkerState) -> Option<u32> {
        number_of(self.spec().states, state, |state| match state {
            WorkerState::Other(number) => Some(number),
            _ => None,
        })
    }

    /// What the user command number `number` means.
    #[must_use]
    pub fn verb(self, number: u32) -> Verb {
        let known = self.spec().verbs.iter().find(|&&(_, n)| n == number);
        known.map_or(Verb::Unknown(number), |&(verb, _)| verb)
    }

    /// The number of a user command; `None` if this dialect has none.
    #[must_use]
    pub fn verb_number(self, verb: Verb) -> Option<u32> {
        match verb {
            Verb::Unknown(number) => Some(number),
            _ => self
                .spec()
                .verbs
                .iter()
                .find(|&&(v, _)| v == verb)
                .map(|&(_, number)| number),
        }
    }

    /// The phases of a round in lockstep, each with the state in which workers answer it, in order;
    /// empty where rounds go through barriers (3.0.0 and later).
    #[must_use]
    pub fn phases(self) -> &'static [(Phase, WorkerState)] {
        self.spec().phases
    }

    /// Whether a coordinator's answer repeats the number of the command.
    #[must_use]
    pub fn reply_echoes_verb(self) -> bool {
        self.spec().reply_echoes_verb
    }
}

/// Position in a table whose index is the wire number, or the raw number of an open variant.
fn number_of<T: Copy + PartialEq>(
    table: &[T],
    wanted: T,
    raw: fn(T) -> Option<u32>,
) -> Option<u32> {
    raw(wanted).or_else(|| {
        let index = table.iter().position(|&entry| entry == wanted)?;
        u32::try_from(index).ok()
    })
}
