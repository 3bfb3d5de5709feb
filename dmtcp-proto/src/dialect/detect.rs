//! Which dialect a peer speaks, from what it sent us. Sends nothing, decides nothing else.

use crate::dialect::Dialect;

/// The dialects a peer can still be speaking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidates(u8);

impl Candidates {
    /// Every dialect.
    #[must_use]
    pub fn all() -> Self {
        Self((1 << Dialect::ALL.len()) - 1)
    }
}
