//! The moving end of a file that is being written while it is read.
//!
//! Not here: who knows that its writer is done (`set`).

use std::io::{self, ErrorKind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Whether more may come. The one who reads waits at the end until it is told.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Growing,
    /// What is left is read until then.
    Complete(Instant),
    GivenUp,
}

impl Tail {
    /// Nobody writes the file any more; reading fails if it has not come to the end by `deadline`.
    pub(crate) fn complete(&self, deadline: Instant) {
        self.set(State::Complete(deadline));
    }

    /// Nobody wants to know any more: reading fails.
    pub(crate) fn give_up(&self) {
        self.set(State::GivenUp);
    }

    /// Whether the end of the file may not be its last; an error if reading shall end.
    pub(super) fn may_grow(&self) -> io::Result<bool> {
        match *self.lock() {
            State::Growing => Ok(true),
            State::Complete(deadline) if Instant::now() < deadline => Ok(false),
            State::Complete(_) => Err(ErrorKind::TimedOut.into()),
            State::GivenUp => Err(io::Error::other("nobody waits for it")),
        }
    }

    /// Waits for the file to grow, or for what is said of it.
    pub(super) fn wait(&self) {
        let state = self.lock();
        if *state == State::Growing {
            // Nobody tells that a file has grown.
            drop(self.changed.wait_timeout(state, LOOK));
        }
    }

    fn set(&self, to: State) {
        *self.lock() = to;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Between two looks at whether a file has grown.
const LOOK: Duration = Duration::from_millis(5);
