//! Which dialect a peer speaks, from what it sent us.
//!
//! Sends nothing. The rules of `docs/PROTOCOL.md`, "Which dialect does a peer speak", follow from
//! the tables: a dialect stays possible while every message so far is one that a client of it
//! could have sent then, with a payload where it needs one and without where it has none.

use byteorder::{ByteOrder as _, LittleEndian as Le};

use super::{Dialect, Layout};
use crate::kind::Kind;
use crate::state::WorkerState;
use crate::wire::Frame;

/// The dialects a peer can still be speaking.
///
/// ```
/// use dmtcp_proto::{Candidates, Dialect};
/// assert_eq!(Candidates::from(Dialect::V3).only(), Some(Dialect::V3));
/// assert_eq!(Candidates::all().only(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidates(u8);

impl Candidates {
    /// Every dialect.
    #[must_use]
    pub fn all() -> Self {
        Dialect::ALL.iter().copied().collect()
    }

    /// Whether this dialect is possible.
    #[must_use]
    pub fn contains(self, dialect: Dialect) -> bool {
        Dialect::ALL
            .iter()
            .position(|&d| d == dialect)
            .is_some_and(|index| self.0 & (1 << index) != 0)
    }

    /// Those that are possible here and there.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether no dialect is possible.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The possible ones, oldest first.
    pub fn iter(self) -> impl Iterator<Item = Dialect> {
        Dialect::ALL
            .iter()
            .copied()
            .filter(move |&dialect| self.contains(dialect))
    }

    /// The dialect, if only one is possible.
    #[must_use]
    pub fn only(self) -> Option<Dialect> {
        if self.0.count_ones() == 1 {
            self.iter().next()
        } else {
            None
        }
    }

    /// Those in which `frame` can be the first message of a client.
    ///
    /// A restarting process's state has its own number in some dialects and tells them apart. A
    /// state that is none of them leaves all open: whoever admits the process refuses it by name.
    #[must_use]
    pub fn narrow_by_first(self, frame: &Frame) -> Self {
        let with_payload = !frame.payload.is_empty();
        let possible = self.retain(|dialect| match dialect.kind(frame.header.kind) {
            Kind::NewWorker | Kind::NameServiceWorker | Kind::RestartWorker => true,
            Kind::UserCommand => !with_payload,
            Kind::SetGlobalCheckpointDir => with_payload,
            kind => is_name_service_request(kind, frame),
        });
        let told = possible.retain(|dialect| {
            dialect.kind(frame.header.kind) != Kind::RestartWorker
                || dialect.state(frame.header.state) == WorkerState::Restarting
        });
        if told.is_empty() { possible } else { told }
    }

    /// Those in which `frame` can be a later message of a worker that has not taken part in a
    /// checkpoint or restart yet.
    ///
    /// Where several remain, the frame means the same in all of them.
    #[must_use]
    pub fn narrow_by_later(self, frame: &Frame) -> Self {
        let with_payload = !frame.payload.is_empty();
        self.retain(|dialect| match dialect.kind(frame.header.kind) {
            Kind::ProcessAfterExec | Kind::SetCheckpointDir | Kind::KeyValueRequest => with_payload,
            Kind::Barrier => !with_payload && frame.header.name[0] != 0,
            Kind::ProcessAfterFork | Kind::GetCheckpointDir | Kind::WorkerResuming | Kind::Ok => {
                !with_payload
            }
            kind => is_name_service_request(kind, frame),
        })
    }

    /// Those whose header announces its own length in `bytes`; `None` until enough have arrived
    /// to ask all of them.
    ///
    /// A longer header wins: where it has its length, a shorter one has a printable name, but
    /// where that one has its length, the longer one may carry anything (a status request that
    /// coordinators of both kinds understand does).
    pub(crate) fn narrow_by_header(self, bytes: &[u8]) -> Option<Self> {
        let layouts = || self.iter().map(|dialect| dialect.spec().layout);
        let needed = layouts().map(|layout: &Layout| layout.len_at + 4).max()?;
        let announces_itself =
            |layout: &&Layout| Le::read_u32(&bytes[layout.len_at..]) as usize == layout.len;
        (bytes.len() >= needed).then(|| {
            let longest = layouts()
                .filter(announces_itself)
                .map(|layout| layout.len)
                .max();
            self.retain(|dialect| Some(dialect.header_len()) == longest)
        })
    }

    fn retain(self, possible: impl Fn(Dialect) -> bool) -> Self {
        self.iter().filter(|&dialect| possible(dialect)).collect()
    }
}

/// The lengths in the header tell apart kinds that have the same number in 2.5 and 2.6.
fn is_name_service_request(kind: Kind, frame: &Frame) -> bool {
    let (key, value) = (frame.header.key_len, frame.header.value_len);
    let is_payload = |len: u64| u64::try_from(frame.payload.len()).is_ok_and(|whole| whole == len);
    let fits = match kind {
        Kind::NameServiceRegister | Kind::NameServiceRegisterSync => {
            value > 0 && is_payload(u64::from(key) + u64::from(value))
        }
        Kind::NameServiceQuery => value == 0 && is_payload(u64::from(key)),
        Kind::NameServiceUniqueIdQuery => value > 0 && is_payload(u64::from(key)),
        _ => false,
    };
    fits && key > 0
}

impl Default for Candidates {
    /// [`Candidates::all`].
    fn default() -> Self {
        Self::all()
    }
}

impl From<Dialect> for Candidates {
    fn from(dialect: Dialect) -> Self {
        core::iter::once(dialect).collect()
    }
}

impl FromIterator<Dialect> for Candidates {
    fn from_iter<I: IntoIterator<Item = Dialect>>(dialects: I) -> Self {
        let bits = dialects.into_iter().fold(0, |bits, dialect| {
            let index = Dialect::ALL.iter().position(|&d| d == dialect);
            bits | index.map_or(0, |index| 1 << index)
        });
        Self(bits)
    }
}
