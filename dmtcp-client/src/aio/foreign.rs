//! Sets out of a coordinator that somebody else runs.

use std::time::Duration;

use super::Runtime;
use crate::{
    driver::Driver,
    foreign::{self, Behind, ForeignError},
    set::CheckpointSet,
};

/// [`foreign::ForeignSets`], awaited. Dropping a future is as the end of its limit: once the round has
/// begun it goes on, and [`finish`](Self::finish) gives its outcome.
#[derive(Debug)]
pub struct ForeignSets {
    sets: foreign::ForeignSets,
    driver: Driver,
}

#[cfg(feature = "tokio")]
impl From<foreign::ForeignSets> for ForeignSets {
    fn from(sets: foreign::ForeignSets) -> Self {
        Self::on(super::Tokio, sets)
    }
}

impl ForeignSets {
    /// The same handle on a runtime.
    #[must_use]
    pub fn on(runtime: impl Runtime, sets: foreign::ForeignSets) -> Self {
        let driver = Driver::on(runtime);
        Self { sets, driver }
    }

    /// The blocking handle.
    #[must_use]
    pub fn handle(&self) -> &foreign::ForeignSets {
        &self.sets
    }

    /// As [`foreign::ForeignSets::checkpoint`].
    ///
    /// # Errors
    /// [`ForeignError`].
    pub async fn checkpoint(&self, limit: Duration) -> Result<CheckpointSet, ForeignError> {
        self.sets.begin(&self.driver, Behind::GoOn, limit).await
    }

    /// As [`foreign::ForeignSets::checkpoint_and_kill`].
    ///
    /// # Errors
    /// [`ForeignError`].
    pub async fn checkpoint_and_kill(
        &self,
        limit: Duration,
    ) -> Result<CheckpointSet, ForeignError> {
        self.sets.begin(&self.driver, Behind::Exit, limit).await
    }

    /// As [`foreign::ForeignSets::finish`].
    ///
    /// # Errors
    /// [`ForeignError`].
    pub async fn finish(&self, limit: Duration) -> Result<CheckpointSet, ForeignError> {
        self.sets.finish_with(&self.driver, limit).await
    }
}
