//! Which dialect a peer speaks, from what it sent us.
//!
//! Sends nothing. The rules of `docs/PROTOCOL.md`, "Which dialect does a peer speak", follow from
//! the tables: a dialect stays possible while every message so far is one that a client of it
//! could have sent then, with a payload where it needs one and without where it has none.

use byteorder::{ByteOrder as _, LittleEndian as Le};

use super::{Dialect, Layout};
use crate::kind::Kind;
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
    #[must_use]
    pub fn narrow_by_first(self, frame: &Frame) -> Self {
        self.retain(|dialect| match dialect.kind(frame.header.kind) {
            Kind::NewWorker | Kind::RestartWorker | Kind::NameServiceWorker => true,
            Kind::UserCommand => frame.payload.is_empty(),
            _ => false,
        })
    }

    /// Those in which `frame` can be the second message of a worker: what it says before it has
    /// taken part in a checkpoint or restart. It decides, whatever it is.
    #[must_use]
    pub fn narrow_by_later(self, frame: &Frame) -> Self {
        let with_payload = !frame.payload.is_empty();
        self.retain(|dialect| match dialect.kind(frame.header.kind) {
            Kind::ProcessAfterExec | Kind::SetCheckpointDir | Kind::KeyValueRequest => with_payload,
            Kind::Barrier => !with_payload && frame.header.name[0] != 0,
            Kind::ProcessAfterFork | Kind::GetCheckpointDir | Kind::WorkerResuming => !with_payload,
            _ => false,
        })
    }

    /// Those whose header announces its own length in `bytes`; `None` until enough have arrived
    /// to ask all of them.
    pub(crate) fn narrow_by_header(self, bytes: &[u8]) -> Option<Self> {
        let layouts = || self.iter().map(|dialect| dialect.spec().layout);
        let needed = layouts().map(|layout: &Layout| layout.len_at + 4).max()?;
        (bytes.len() >= needed).then(|| {
            self.retain(|dialect| {
                let layout = dialect.spec().layout;
                Le::read_u32(&bytes[layout.len_at..]) as usize == layout.len
            })
        })
    }

    fn retain(self, possible: impl Fn(Dialect) -> bool) -> Self {
        self.iter().filter(|&dialect| possible(dialect)).collect()
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
