//! How much was asked of a coordinator so far.

use core::fmt;

use super::CoordinatorCore;

/// What a coordinator has read since its start. Only rises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Whole messages, of workers, tools and strangers.
    pub messages: u64,
    /// Requests to the key-value store, and in 2.x to the name service.
    pub store_requests: u64,
    /// Commands of tools.
    pub commands: u64,
}

/// The past, which decides nothing: cores that differ in nothing else are in the same state, and
/// print alike.
#[derive(Clone, Default)]
pub(super) struct Past(pub(super) Traffic);

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Past")
    }
}

impl CoordinatorCore {
    /// What was read so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.past.0
    }
}
