//! What other threads tell the server's thread, and the channel on which they do.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
};

use dmtcp_proto::{Command, KeyValues, RequestId, WorkerInfo};
use mio::Waker;

use super::{
    ServerError,
    hosted::{Asked, GivenUp, Setup},
    observe::{Metrics, RoundTimeline},
    rounds::Answered,
    sealing::SealOutcome,
};
use crate::driver::answer;

/// A computation of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(u64);

/// Kept open by the server's thread for as long as something lives; nothing is ever sent. The
/// other end learns of the end by the channel's.
pub(super) type Lifeline = answer::Sender<std::convert::Infallible>;

#[derive(Debug)]
pub(super) enum Task {
    Open {
        setup: Box<Setup>,
        opened: answer::Sender<io::Result<()>>,
    },
    Request {
        key: Key,
        id: RequestId,
        command: Command,
        answer: answer::Sender<Result<Answered, ServerError>>,
    },
    /// Nobody waits for the answer any more.
    Forget {
        key: Key,
        id: RequestId,
    },
    /// Who is waited for?
    Standing {
        key: Key,
        answer: answer::Sender<Result<Option<Asked>, ServerError>>,
    },
    KeyValues {
        key: Key,
        answer: answer::Sender<Option<KeyValues>>,
    },
    GiveUp {
        key: Key,
        given_up: GivenUp,
        answer: answer::Sender<Result<Vec<WorkerInfo>, ServerError>>,
    },
    Sealed {
        key: Key,
        outcome: SealOutcome,
    },
    /// How did the last rounds go?
    Timelines {
        key: Key,
        answer: answer::Sender<Result<Vec<Arc<RoundTimeline>>, ServerError>>,
    },
    /// What was counted?
    Metrics {
        key: Key,
        answer: answer::Sender<Result<Metrics, ServerError>>,
    },
    /// The sealer's thread has nothing more to do and touches no disk.
    SealerEnded {
        key: Key,
    },
    Close {
        key: Key,
        closed: Lifeline,
    },
    /// Close all, and end when they have ended.
    CloseAll {
        closed: Lifeline,
    },
    /// End now.
    End,
}

/// The way to the server's thread.
#[derive(Debug)]
pub(super) struct Link {
    tasks: mpsc::Sender<Task>,
    waker: Waker,
    numbers: AtomicU64,
}

impl Link {
    pub(super) fn new(waker: Waker) -> (Arc<Self>, mpsc::Receiver<Task>) {
        let (tasks, queue) = mpsc::channel();
        let link = Self {
            tasks,
            waker,
            numbers: AtomicU64::new(1),
        };
        (Arc::new(link), queue)
    }

    pub(super) fn send(&self, task: Task) -> Result<(), ServerError> {
        let sent = self.tasks.send(task);
        sent.map_err(|_| ServerError::ServerGone)?;
        self.waker.wake().map_err(|_| ServerError::ServerGone)
    }

    pub(super) fn new_key(&self) -> Key {
        Key(self.number())
    }

    pub(super) fn new_request(&self) -> RequestId {
        RequestId(self.number())
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }
}
