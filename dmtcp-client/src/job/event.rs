//! News of a job, for any number of listeners, and as lines of `execution.log`.

use std::{
    fmt,
    future::Future,
    net::SocketAddr,
    sync::mpsc::{RecvTimeoutError, TryRecvError},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use super::{Outcome, Reason, pace::CheckpointTime};
use crate::{
    driver::{Audience, Feed, News},
    server::SealedSet,
};

/// Something that happened to a job.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum JobEvent {
    /// This process has the job now.
    Began {
        /// Runs of it, with this one.
        run: u64,
        /// Whether the run before did not come to an end of its own.
        after_crash: bool,
    },
    /// The program was started afresh under a coordinator of its own.
    Started {
        /// Where that listens.
        address: SocketAddr,
    },
    /// All processes run again, from this set.
    Restarted {
        /// Where the new coordinator listens.
        address: SocketAddr,
        /// The set's number.
        set: u64,
        /// How long it took until all ran.
        took: Duration,
    },
    /// All processes that were started run.
    Running {
        /// How many.
        peers: u32,
    },
    /// A set was passed over, or a try at a restart failed; others follow.
    PassedOver {
        /// Which, and why.
        text: String,
    },
    /// What is planned now: when checkpoints are taken, and when it stops.
    Planned {
        /// In words.
        text: String,
    },
    /// A checkpoint began, whoever asked for it.
    CheckpointStarted {
        /// Processes that take part.
        processes: u32,
    },
    /// A checkpoint's set is complete and verified.
    Sealed {
        /// The set.
        set: SealedSet,
        /// How long it took.
        took: CheckpointTime,
    },
    /// A checkpoint ended without a set. Older ones are as they were.
    CheckpointFailed {
        /// Why.
        text: String,
    },
    /// Old sets were removed.
    Removed {
        /// Their numbers.
        sets: Vec<u64>,
    },
    /// It is about to stop: one last checkpoint, then the end.
    Stopping {
        /// Who wants that.
        reason: Reason,
        /// How long it may take.
        limit: Duration,
    },
    /// All processes are killed.
    Killing {
        /// Why.
        reason: Reason,
    },
    /// The attempt is over without an outcome; the next one begins after this time.
    Again {
        /// What happened.
        text: String,
        /// How long it is waited.
        delay: Duration,
    },
    /// Processes hold a checkpoint up.
    Stalled {
        /// Who, and what is known of them.
        text: String,
    },
    /// Something could not be done that the job can go on without.
    Trouble {
        /// What, and why.
        text: String,
    },
    /// It is over. The last event.
    Ended(Box<Outcome>),
    /// So many earlier events were dropped because this receiver did not read.
    Lagged(u64),
}

impl fmt::Display for JobEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Began { run, after_crash } => {
                let crash = match after_crash {
                    true => "; the one before was cut short",
                    false => "",
                };
                write!(f, "run {run} begins, process {}{crash}", std::process::id())
            }
            Self::Started { address } => write!(f, "started afresh, coordinator at {address}"),
            Self::Restarted { address, set, took } => write!(
                f,
                "restarted from set {set} in {}, coordinator at {address}",
                rounded(*took)
            ),
            Self::Running { peers } => write!(f, "running: {}", counted(*peers)),
            Self::PassedOver { text } => write!(f, "passed over: {text}"),
            Self::Planned { text } => f.write_str(text),
            Self::CheckpointStarted { processes } => {
                write!(f, "checkpoint of {}", counted(*processes))
            }
            Self::Sealed { set, took } => {
                let bytes = set.bytes.unwrap_or(0);
                let number = set.sequence;
                let (sealed, paused) = (rounded(took.sealed()), rounded(took.paused()));
                write!(
                    f,
                    "set {number} is sealed after {sealed}: {bytes} bytes; \
                     the processes stood still for {paused}"
                )
            }
            Self::CheckpointFailed { text } => write!(f, "checkpoint failed: {text}"),
            Self::Removed { sets } => write!(f, "removed old sets {sets:?}"),
            Self::Stopping { reason, limit } => write!(
                f,
                "stopping ({}): one last checkpoint within {limit:.1?}",
                reason.slug()
            ),
            Self::Killing { reason } => write!(f, "killing all processes ({})", reason.slug()),
            Self::Again { text, delay } => write!(f, "{text}; again in {delay:.1?}"),
            Self::Stalled { text } => write!(f, "stalled: {text}"),
            Self::Trouble { text } => write!(f, "trouble: {text}"),
            Self::Ended(outcome) => write!(
                f,
                "{} ({}), exit code {}: {}",
                outcome.kind.slug(),
                outcome.reason.slug(),
                outcome.code,
                outcome.text
            ),
            Self::Lagged(count) => write!(f, "{count} events were missed"),
        }
    }
}

/// In as many digits as say something: `442ms`, `3.2s`.
pub(super) fn rounded(time: Duration) -> String {
    let ms = time.as_millis();
    match ms {
        0 => format!("{time:.0?}"),
        1..1000 => format!("{ms}ms"),
        _ => format!("{time:.1?}"),
    }
}

fn counted(processes: u32) -> String {
    match processes {
        1 => "1 process".to_owned(),
        more => format!("{more} processes"),
    }
}

/// An owned receiver of a job's news, from its [`subscribe`](super::JobControl::subscribe) on.
///
/// As an iterator it waits without a deadline and ends with the job.
#[derive(Debug)]
pub struct JobEvents {
    feed: Feed<Told>,
}

impl JobEvents {
    /// The next event with the time of day at which it was told, waiting for it at most `limit`.
    ///
    /// # Errors
    /// `Timeout`, and `Disconnected` once the job has ended and everything was read.
    pub fn recv_timeout(
        &self,
        limit: Duration,
    ) -> Result<(SystemTime, JobEvent), RecvTimeoutError> {
        self.feed.recv_timeout(limit)
    }

    /// The next event, awaited on any runtime; `None` once the job has ended and everything was read.
    /// Nothing is lost when the future is dropped.
    pub fn recv(&self) -> impl Future<Output = Option<(SystemTime, JobEvent)>> + Send + '_ {
        self.feed.recv()
    }

    /// The same as one poll, of which streams are made. One task at a time: it is woken for the next
    /// event.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<(SystemTime, JobEvent)>> {
        self.feed.poll_recv(cx)
    }

    /// The next event, if there is one now.
    ///
    /// # Errors
    /// `Empty`, and `Disconnected` once the job has ended and everything was read.
    pub fn try_recv(&self) -> Result<(SystemTime, JobEvent), TryRecvError> {
        self.feed.try_recv()
    }
}

impl Iterator for JobEvents {
    type Item = (SystemTime, JobEvent);

    fn next(&mut self) -> Option<Self::Item> {
        self.recv_timeout(Duration::MAX).ok()
    }
}

type Told = (SystemTime, JobEvent);

impl News for Told {
    fn lost(count: u64, _: &Self) -> Self {
        (SystemTime::now(), JobEvent::Lagged(count))
    }
}

/// Those who listen.
#[derive(Debug)]
pub(super) struct Listeners(Audience<Told>);

impl Default for Listeners {
    fn default() -> Self {
        Self(Audience::new(MOST))
    }
}

impl Listeners {
    pub(super) fn subscribe(&self) -> JobEvents {
        JobEvents {
            feed: self.0.join(),
        }
    }

    pub(super) fn tell(&self, time: SystemTime, event: &JobEvent) {
        self.0.tell(|_| (time, event.clone()));
    }

    pub(super) fn end(&self) {
        self.0.end();
    }
}

/// That wait for one listener.
const MOST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_no_digits_that_say_nothing() {
        for (us, shown) in [(442_000, "442ms"), (3_249_000, "3.2s"), (250, "250µs")] {
            assert_eq!(rounded(Duration::from_micros(us)), shown);
        }
    }

    fn tell(listeners: &Listeners, times: u32) {
        for peers in 0..times {
            listeners.tell(SystemTime::now(), &JobEvent::Running { peers });
        }
    }

    #[test]
    fn one_that_does_not_read_loses_the_oldest_and_is_told() {
        let listeners = Listeners::default();
        let slow = listeners.subscribe();
        tell(&listeners, MOST as u32 + 2);
        let next = slow.try_recv().unwrap().1;
        assert!(matches!(next, JobEvent::Lagged(2)), "{next}");
        let next = slow.try_recv().unwrap().1;
        assert!(matches!(next, JobEvent::Running { peers: 2 }), "{next}");
    }

    #[test]
    fn what_came_before_the_end_can_still_be_read() {
        let listeners = Listeners::default();
        let events = listeners.subscribe();
        tell(&listeners, 3);
        listeners.end();
        tell(&listeners, 1);
        assert_eq!(events.count(), 3);
        assert_eq!(listeners.subscribe().count(), 0);
    }
}
