//! A worker's way through a round, one step at a time: for drivers that record who was where when.

use super::{CoordinatorCore, Output};
use crate::name::Name;

/// What a worker got to, in a round or a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerStep {
    /// It is at a barrier. In 2.x that is the word of the state in which it is then.
    Barrier {
        /// The barrier.
        name: Name,
        /// Barriers that it has gone through before, in this round or restart. Another worker
        /// with the same number is at the same barrier; one that runs a new program begins at 0
        /// again.
        index: u32,
    },
    /// It has reported its image.
    ImageReported,
    /// Its program runs again.
    Running,
}

impl CoordinatorCore {
    /// Tells of a step, if the driver wants to know.
    pub(super) fn step(&mut self, worker: u64, step: WorkerStep) {
        if self.config.steps {
            self.outputs.push_back(Output::Step { worker, step });
        }
    }
}
