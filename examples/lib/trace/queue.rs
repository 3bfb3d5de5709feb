//! The way from the proxy to who records: of bounded size, and never waited for by the proxy.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, TryRecvError},
    },
    time::{Duration, Instant},
};

use super::event::{Direction, Event};

/// Bytes on their way at most. What comes on top is forwarded and not recorded.
const MAX_QUEUED: usize = 64 << 20;
/// What a piece of data costs beside its bytes.
const OVERHEAD: usize = 256;

/// A queue, and room for so many connections at a time.
#[must_use]
pub fn queue(connections: usize) -> (Sink, Source) {
    let (sender, receiver) = mpsc::channel();
    let queued = Arc::new(AtomicUsize::new(0));
    let room = Arc::new(Room {
        left: Mutex::new(connections),
        more: Condvar::new(),
    });
    let sink = Sink {
        sender,
        queued: Arc::clone(&queued),
        room,
        start: Instant::now(),
    };
    (sink, Source { receiver, queued })
}

enum Queued {
    Event(Event),
    /// A connection is gone and everything it had to say stands before this.
    Gone(Slot),
    Stop,
}

/// Where events go in.
#[derive(Clone, Debug)]
pub struct Sink {
    sender: mpsc::Sender<Queued>,
    queued: Arc<AtomicUsize>,
    room: Arc<Room>,
    start: Instant,
}

/// Where they come out.
#[derive(Debug)]
pub struct Source {
    receiver: mpsc::Receiver<Queued>,
    queued: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Room {
    left: Mutex<usize>,
    more: Condvar,
}

/// One connection's place among those that are allowed at a time.
///
/// It is given back only when all that the connection said has left the queue: so the events
/// that are always recorded are bounded, too.
#[derive(Debug)]
pub(super) struct Slot(Arc<Room>);

impl Drop for Slot {
    fn drop(&mut self) {
        *self.0.left.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.more.notify_one();
    }
}

impl Sink {
    /// Time since the queue was made.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.start.elapsed()
    }

    /// Waits until there is room for one more connection.
    pub(super) fn slot(&self) -> Slot {
        let mut left = self
            .room
            .left
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while *left == 0 {
            left = self
                .room
                .more
                .wait(left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *left -= 1;
        Slot(Arc::clone(&self.room))
    }

    /// Records an event that is rare. An error means that nobody records any more.
    pub fn event(&self, event: Event) {
        let _nobody = self.sender.send(Queued::Event(event));
    }

    /// Whether there is room for so many bytes; it is taken then.
    fn reserve(&self, len: usize) -> bool {
        let cost = len + OVERHEAD;
        let fits = self.queued.fetch_add(cost, Ordering::Relaxed) + cost <= MAX_QUEUED;
        if !fits {
            self.queued.fetch_sub(cost, Ordering::Relaxed);
        }
        fits
    }

    /// Gives the place of a connection back.
    pub(super) fn gone(&self, slot: Slot) {
        let _nobody = self.sender.send(Queued::Gone(slot));
    }

    /// Ends the source behind what is in the queue now.
    pub fn stop(&self) {
        let _nobody = self.sender.send(Queued::Stop);
    }
}

/// One direction of one connection, on its way into a sink.
pub(super) struct Tap<'a> {
    pub(super) sink: &'a Sink,
    pub(super) connection: u64,
    pub(super) direction: Direction,
    lost: u64,
}

impl<'a> Tap<'a> {
    pub(super) fn new(sink: &'a Sink, connection: u64, direction: Direction) -> Self {
        Self {
            sink,
            connection,
            direction,
            lost: 0,
        }
    }

    /// Records bytes, or counts them as lost if the queue is full.
    pub(super) fn data(&mut self, bytes: &[u8]) {
        if !self.sink.reserve(bytes.len()) {
            self.lost += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            return;
        }
        self.tell_lost();
        self.sink.event(Event::Data {
            time: self.sink.time(),
            connection: self.connection,
            direction: self.direction,
            bytes: bytes.to_vec(),
        });
    }

    pub(super) fn ended(&mut self, error: Option<String>) {
        self.tell_lost();
        self.sink.event(Event::Ended {
            time: self.sink.time(),
            connection: self.connection,
            direction: self.direction,
            error,
        });
    }

    fn tell_lost(&mut self) {
        if self.lost > 0 {
            self.sink.event(Event::Lost {
                time: self.sink.time(),
                connection: self.connection,
                direction: self.direction,
                bytes: std::mem::take(&mut self.lost),
            });
        }
    }
}

impl Source {
    /// The next event; waits for it, and calls `idle` before. `None`: the end.
    pub fn next_event(&mut self, mut idle: impl FnMut()) -> Option<Event> {
        loop {
            let queued = match self.receiver.try_recv() {
                Err(TryRecvError::Empty) => {
                    idle();
                    self.receiver.recv().ok()?
                }
                Ok(queued) => queued,
                Err(TryRecvError::Disconnected) => return None,
            };
            match queued {
                Queued::Gone(slot) => drop(slot),
                Queued::Stop => return None,
                Queued::Event(event) => {
                    if let Event::Data { bytes, .. } = &event {
                        self.queued
                            .fetch_sub(bytes.len() + OVERHEAD, Ordering::Relaxed);
                    }
                    return Some(event);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_and_told_before_what_follows() {
        let (sink, mut source) = queue(1);
        let mut tap = Tap::new(&sink, 7, Direction::ToClient);
        let piece = vec![0; MAX_QUEUED / 4];
        for _ in 0..5 {
            tap.data(&piece);
        }
        for _ in 0..3 {
            let event = source.next_event(|| ()).unwrap();
            assert!(
                matches!(event, Event::Data { connection: 7, .. }),
                "{event}"
            );
        }
        tap.data(b"later");
        tap.ended(None);
        sink.stop();
        let lost = source.next_event(|| ()).unwrap();
        let expected = 2 * (MAX_QUEUED / 4) as u64;
        assert!(
            matches!(lost, Event::Lost { bytes, .. } if bytes == expected),
            "{lost}"
        );
        let data = source.next_event(|| ()).unwrap();
        assert!(matches!(data, Event::Data { bytes, .. } if bytes == b"later"));
        assert!(matches!(
            source.next_event(|| ()),
            Some(Event::Ended { .. })
        ));
        assert_eq!(source.next_event(|| ()), None);
    }

    #[test]
    fn a_place_is_free_when_its_events_have_left_the_queue() {
        let (sink, mut source) = queue(1);
        let slot = sink.slot();
        Tap::new(&sink, 1, Direction::ToClient).ended(None);
        sink.gone(slot);
        let other = sink.clone();
        let waits = std::thread::spawn(move || drop(other.slot()));
        assert!(source.next_event(|| ()).is_some());
        assert!(!waits.is_finished());
        sink.stop();
        assert_eq!(source.next_event(|| ()), None);
        waits.join().unwrap();
    }
}
