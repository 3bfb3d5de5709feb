//! The last checkpoint, asked for on a thread of its own: whoever waits for it must go on seeing
//! signals, events and the clock.

use std::{
    io,
    sync::mpsc::{self, TryRecvError},
    thread,
    time::Duration,
};

use crate::{
    deadline::Deadline,
    server::{Computation, Sealed, ServerError},
};

/// One that is under way.
#[derive(Debug)]
pub(super) struct LastCheckpoint {
    answer: mpsc::Receiver<Result<Sealed, ServerError>>,
}

impl LastCheckpoint {
    /// Asks for it, again while another one is under way or not all processes run, within `limit`.
    pub(super) fn ask(computation: Computation, limit: Duration) -> io::Result<Self> {
        let (answered, answer) = mpsc::channel();
        let ask = move || {
            let deadline = Deadline::after(limit);
            let outcome = loop {
                match computation.checkpoint_and_kill(deadline.left()) {
                    Err(ServerError::Busy { .. } | ServerError::NotRunning)
                        if !deadline.has_passed() =>
                    {
                        deadline.pause(RETRY);
                    }
                    outcome => break outcome,
                }
            };
            // Nobody listens once the job has ended otherwise.
            drop(answered.send(outcome));
        };
        thread::Builder::new()
            .name("last-checkpoint".to_owned())
            .spawn(ask)?;
        Ok(Self { answer })
    }

    /// What came of it; `None`: nothing yet.
    pub(super) fn answer(&self) -> Option<Result<Sealed, ServerError>> {
        match self.answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(ServerError::ServerGone)),
        }
    }
}

const RETRY: Duration = Duration::from_millis(20);
