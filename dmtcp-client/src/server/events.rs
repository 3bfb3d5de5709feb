//! News of one computation, for any number of listeners in this process.
//!
//! Each listener has a bounded queue of its own: one that does not read loses the oldest news
//! and is told how many, and nobody waits for it.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        mpsc::{RecvTimeoutError, TryRecvError},
    },
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use dmtcp_proto::{ConnId, Event, WorkerInfo};

use super::{NotKilled, PeerRefusal, SealedSet};
use crate::{
    deadline::Deadline,
    driver::{Watched, block_until},
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
    queue: Arc<Watched<QueueState>>,
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
        match block_until(self.recv_next(), Deadline::after(limit)) {
            Some(stamped) => stamped.ok_or(RecvTimeoutError::Disconnected),
            None => Err(RecvTimeoutError::Timeout),
        }
    }

    /// The next event, awaited on any runtime; `None` once the computation has ended and everything was
    /// read. Nothing is lost when the future is dropped.
    pub fn recv(&self) -> impl Future<Output = Option<ComputationEvent>> + Send + '_ {
        async { self.recv_next().await.map(|stamped| stamped.event) }
    }

    /// The same with its number and time.
    pub fn recv_next(&self) -> impl Future<Output = Option<Stamped>> + Send + '_ {
        self.queue.until(QueueState::next)
    }

    /// The same as one poll, of which streams are made. One task at a time: it is woken for the next
    /// event.
    pub fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<Stamped>> {
        self.queue.poll_until(cx, QueueState::next)
    }

    /// The next event, if there is one now.
    ///
    /// # Errors
    /// `Empty`, and `Disconnected` once the computation has ended and everything was read.
    pub fn try_recv(&self) -> Result<ComputationEvent, TryRecvError> {
        let taken = self.queue.look(QueueState::take);
        taken.map(|stamped| stamped.event)
    }
}

impl Iterator for Events {
    type Item = ComputationEvent;

    fn next(&mut self) -> Option<ComputationEvent> {
        self.recv_timeout(Duration::MAX).ok()
    }
}

/// Those who listen to one computation.
#[derive(Debug)]
pub(super) struct Subscribers {
    capacity: usize,
    /// `None`: the computation has ended.
    queues: Mutex<Option<Queues>>,
}

#[derive(Debug, Default)]
struct Queues {
    all: Vec<Weak<Watched<QueueState>>>,
    /// Of the latest event.
    sequence: u64,
}

impl Subscribers {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            queues: Mutex::new(Some(Queues::default())),
        }
    }

    pub(super) fn subscribe(&self) -> Events {
        let queue = Arc::<Watched<QueueState>>::default();
        match &mut *lock(&self.queues) {
            Some(queues) => queues.all.push(Arc::downgrade(&queue)),
            None => queue.change(|state| state.ended = true),
        }
        Events { queue }
    }

    pub(super) fn publish(&self, event: ComputationEvent) {
        let mut queues = lock(&self.queues);
        let Some(queues) = &mut *queues else { return };
        queues.sequence += 1;
        let stamped = Stamped {
            sequence: queues.sequence,
            time: SystemTime::now(),
            event,
        };
        queues.all.retain(|queue| {
            let Some(queue) = queue.upgrade() else {
                return false;
            };
            queue.change(|state| state.put(stamped.clone(), self.capacity));
            true
        });
    }

    /// Number of the latest event.
    pub(super) fn latest(&self) -> u64 {
        lock(&self.queues)
            .as_ref()
            .map_or(0, |queues| queues.sequence)
    }

    pub(super) fn end(&self) {
        let queues = lock(&self.queues).take();
        for queue in queues
            .into_iter()
            .flat_map(|queues| queues.all)
            .filter_map(|queue| queue.upgrade())
        {
            queue.change(|state| state.ended = true);
        }
    }
}

#[derive(Debug, Default)]
struct QueueState {
    events: VecDeque<Stamped>,
    lost: u64,
    /// Of the last one that was lost.
    lost_until: u64,
    ended: bool,
}

impl QueueState {
    fn put(&mut self, event: Stamped, capacity: usize) {
        if self.events.len() >= capacity {
            let lost = self.events.pop_front();
            self.lost += 1;
            self.lost_until = lost.map_or(self.lost_until, |lost| lost.sequence);
        }
        self.events.push_back(event);
    }

    /// `None`: it is to be waited for.
    fn next(&mut self) -> Option<Option<Stamped>> {
        match self.take() {
            Ok(stamped) => Some(Some(stamped)),
            Err(TryRecvError::Disconnected) => Some(None),
            Err(TryRecvError::Empty) => None,
        }
    }

    fn take(&mut self) -> Result<Stamped, TryRecvError> {
        if self.lost > 0 {
            return Ok(Stamped {
                sequence: self.lost_until,
                time: SystemTime::now(),
                event: ComputationEvent::Lagged(std::mem::take(&mut self.lost)),
            });
        }
        self.events.pop_front().ok_or(if self.ended {
            TryRecvError::Disconnected
        } else {
            TryRecvError::Empty
        })
    }
}

/// Nothing in here panics while it holds a lock, so what a poisoned one guards is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_dropped_receiver_is_forgotten() {
        let subscribers = Subscribers::new(8);
        drop(subscribers.subscribe());
        let kept = subscribers.subscribe();
        resumed(&subscribers, 1);
        assert_eq!(
            lock(&subscribers.queues)
                .as_ref()
                .map(|queues| queues.all.len()),
            Some(1)
        );
        assert!(kept.try_recv().is_ok());
    }
}
