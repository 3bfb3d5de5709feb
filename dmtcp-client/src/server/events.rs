//! News of one computation, for any number of listeners in this process. Not here: how they are told
//! (`driver::feed`).

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::mpsc::{RecvTimeoutError, TryRecvError},
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use dmtcp_proto::{ConnId, Event, WorkerInfo};

use super::{NotKilled, PeerRefusal, SealedSet};
use crate::{
    driver::{Audience, Feed, News},
    watch::Stall,
};

/// Something that happened to a computation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ComputationEvent {
    /// What the coordinator itself tells.
    Coordinator(Event),
    /// The round's images became a set. [`Event::CheckpointComplete`] follows.
    SetSealed {
        /// Number of the round.
        round: u64,
        /// The set.
        set: SealedSet,
        /// How long sealing took.
        took: Duration,
    },
    /// A peer was cut off before anything of it was read: it may not connect.
    PeerRefused {
        /// Where it came from.
        peer: SocketAddr,
        /// Why.
        reason: PeerRefusal,
    },
    /// A peer did not read what it was sent, and was cut off.
    PeerNotReading {
        /// Its connection.
        conn: ConnId,
        /// Where it came from.
        peer: SocketAddr,
        /// Bytes that waited for it.
        queued: usize,
    },
    /// A worker that no message could free was sent SIGKILL.
    ProcessKilled(WorkerInfo),
    /// A worker that no message can free was left alone: it is not certain to be the process it
    /// says, or it is out of reach. Somebody who knows better has to end it.
    ProcessSpared {
        /// The worker.
        worker: WorkerInfo,
        /// Why it was left alone.
        reason: NotKilled,
    },
    /// New connections cannot be accepted for now, mostly because this process has no file
    /// descriptors left. They wait; existing ones are served; it is tried again ten times a
    /// second.
    AcceptPaused {
        /// What the system said.
        kind: io::ErrorKind,
        /// The same in words.
        reason: String,
    },
    /// New connections are accepted again.
    AcceptResumed,
    /// Workers hold a round or a restart up, by [`Attempts::on_stall`](crate::attempt::Attempts::on_stall)
    /// for longer than they should.
    Stalled(Box<Stall>),
    /// So many earlier events were dropped because this receiver did not read.
    Lagged(u64),
}

/// An event, its place among all of its computation, and when it was told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stamped {
    /// Rises by one with each event of the computation, for all receivers alike, from 1. Where one is
    /// missing, this receiver did not read in time: [`ComputationEvent::Lagged`] stands for those,
    /// with the number of the last of them.
    pub sequence: u64,
    /// The time of day then; a clock that is set back sets this back, too.
    pub time: SystemTime,
    /// What happened.
    pub event: ComputationEvent,
}

/// An owned receiver of a computation's news, from the moment of
/// [`Computation::events`](super::Computation::events) on.
///
/// As an iterator it waits without a deadline and ends with the computation.
#[derive(Debug)]
pub struct Events {
    feed: Feed<Stamped>,
}

impl Events {
    /// The next event, waiting for it at most `limit`.
    ///
    /// # Errors
    /// `Timeout`, and `Disconnected` once the computation has ended and everything was read.
    pub fn recv_timeout(&self, limit: Duration) -> Result<ComputationEvent, RecvTimeoutError> {
        self.recv_stamped(limit).map(|stamped| stamped.event)
    }

    /// The same with its number and time.
    ///
    /// # Errors
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn recv_stamped(&self, limit: Duration) -> Result<Stamped, RecvTimeoutError> {
        self.feed.recv_timeout(limit)
    }

    /// The next event, awaited on any runtime; `None` once the computation has ended and everything was
    /// read. Nothing is lost when the future is dropped.
    pub async fn recv(&self) -> Option<ComputationEvent> {
        self.recv_next().await.map(|stamped| stamped.event)
    }

    /// The same with its number and time.
    pub fn recv_next(&self) -> impl Future<Output = Option<Stamped>> + Send + '_ {
        self.feed.recv()
    }

    /// The same as one poll, of which streams are made. One task at a time: it is woken for the next
    /// event.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<Stamped>> {
        self.feed.poll_recv(cx)
    }

    /// The next event, if there is one now.
    ///
    /// # Errors
    /// `Empty`, and `Disconnected` once the computation has ended and everything was read.
    pub fn try_recv(&self) -> Result<ComputationEvent, TryRecvError> {
        self.feed.try_recv().map(|stamped| stamped.event)
    }
}

impl Iterator for Events {
    type Item = ComputationEvent;

    fn next(&mut self) -> Option<ComputationEvent> {
        self.recv_timeout(Duration::MAX).ok()
    }
}

impl News for Stamped {
    fn lost(count: u64, last: &Self) -> Self {
        Self {
            sequence: last.sequence,
            time: SystemTime::now(),
            event: ComputationEvent::Lagged(count),
        }
    }
}

/// Those who listen to one computation.
#[derive(Debug)]
pub(super) struct Subscribers(Audience<Stamped>);

impl Subscribers {
    pub(super) fn new(capacity: usize) -> Self {
        Self(Audience::new(capacity))
    }

    pub(super) fn subscribe(&self) -> Events {
        Events {
            feed: self.0.join(),
        }
    }

    pub(super) fn publish(&self, event: ComputationEvent) {
        self.0.tell(|sequence| Stamped {
            sequence,
            time: SystemTime::now(),
            event,
        });
    }

    /// Number of the latest event.
    pub(super) fn latest(&self) -> u64 {
        self.0.told()
    }

    pub(super) fn end(&self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn resumed(subscribers: &Subscribers, times: u32) {
        for _ in 0..times {
            subscribers.publish(ComputationEvent::AcceptResumed);
        }
    }

    #[test]
    fn one_that_does_not_read_loses_the_oldest_and_is_told() {
        let subscribers = Subscribers::new(3);
        let slow = subscribers.subscribe();
        resumed(&subscribers, 5);
        let late = subscribers.subscribe();
        subscribers.publish(ComputationEvent::Coordinator(Event::Resumed));
        assert!(matches!(slow.try_recv(), Ok(ComputationEvent::Lagged(3))));
        for _ in 0..2 {
            assert!(matches!(
                slow.try_recv(),
                Ok(ComputationEvent::AcceptResumed)
            ));
        }
        for events in [&slow, &late] {
            let event = events.recv_timeout(Duration::ZERO);
            assert!(matches!(
                event,
                Ok(ComputationEvent::Coordinator(Event::Resumed))
            ));
            assert_eq!(events.try_recv().unwrap_err(), TryRecvError::Empty);
        }
    }

    #[test]
    fn numbers_rise_by_one_for_all_and_show_what_was_lost() {
        let subscribers = Subscribers::new(3);
        resumed(&subscribers, 2);
        let slow = subscribers.subscribe();
        resumed(&subscribers, 4);
        let late = subscribers.subscribe();
        resumed(&subscribers, 1);
        let numbers = |events: &Events| {
            let next = || events.recv_stamped(Duration::ZERO).ok();
            std::iter::from_fn(next)
                .map(|stamped| stamped.sequence)
                .collect::<Vec<_>>()
        };
        assert_eq!(numbers(&late), [7]);
        // 3 and 4 were lost.
        assert_eq!(numbers(&slow), [4, 5, 6, 7]);
    }

    #[test]
    fn what_came_before_the_end_can_still_be_read() {
        let subscribers = Arc::new(Subscribers::new(8));
        let events = subscribers.subscribe();
        let publisher = Arc::clone(&subscribers);
        let thread = std::thread::spawn(move || {
            resumed(&publisher, 2);
            publisher.end();
            resumed(&publisher, 1);
        });
        assert_eq!(events.count(), 2);
        thread.join().unwrap();
        assert_eq!(subscribers.subscribe().count(), 0);
    }
}
