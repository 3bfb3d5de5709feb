//! News for any number of listeners in this process.
//!
//! Each listener has a bounded queue of its own: one that does not read loses the oldest news and is
//! told how many, and nobody waits for it.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        mpsc::{RecvTimeoutError, TryRecvError},
    },
    task::{Context, Poll},
    time::Duration,
};

use super::{Watched, block_until};
use crate::deadline::Deadline;

/// What is told.
pub(crate) trait News: Clone + Send {
    /// Stands for so many that a listener has lost, of which `last` was the last.
    fn lost(count: u64, last: &Self) -> Self;
}

/// What one listener reads.
#[derive(Debug)]
pub(crate) struct Feed<T> {
    queue: Arc<Watched<Queue<T>>>,
}

impl<T: News> Feed<T> {
    /// The next, waiting for it at most `limit`; `Disconnected` once there will be none.
    pub(crate) fn recv_timeout(&self, limit: Duration) -> Result<T, RecvTimeoutError> {
        match block_until(self.recv(), Deadline::after(limit)) {
            Some(news) => news.ok_or(RecvTimeoutError::Disconnected),
            None => Err(RecvTimeoutError::Timeout),
        }
    }

    /// The next; `None` once there will be none. Nothing is lost when the future is dropped.
    pub(crate) fn recv(&self) -> impl Future<Output = Option<T>> + Send + '_ {
        self.queue.until(Queue::next)
    }

    pub(crate) fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.queue.poll_until(cx, Queue::next)
    }

    /// The next, if there is one now.
    pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
        self.queue.look(Queue::take)
    }
}

/// Those who listen.
#[derive(Debug)]
pub(crate) struct Audience<T> {
    capacity: usize,
    /// `None`: all was told.
    queues: Mutex<Option<Queues<T>>>,
}

#[derive(Debug)]
struct Queues<T> {
    all: Vec<Weak<Watched<Queue<T>>>>,
    told: u64,
}

impl<T: News> Audience<T> {
    /// So many wait for one listener at most; at least one does.
    pub(crate) fn new(capacity: usize) -> Self {
        let (all, told) = (Vec::new(), 0);
        Self {
            capacity: capacity.max(1),
            queues: Mutex::new(Some(Queues { all, told })),
        }
    }

    /// One more, who hears what is told from now on.
    pub(crate) fn join(&self) -> Feed<T> {
        let queue = Arc::new(Watched::new(Queue::new()));
        match &mut *self.lock() {
            Some(queues) => queues.all.push(Arc::downgrade(&queue)),
            None => queue.change(|state| state.ended = true),
        }
        Feed { queue }
    }

    /// Tells all; the news are made of their number, from 1.
    pub(crate) fn tell(&self, news: impl FnOnce(u64) -> T) {
        // Woken without the lock.
        let mut woken = Vec::new();
        let mut queues = self.lock();
        let Some(queues) = &mut *queues else { return };
        queues.told += 1;
        let news = news(queues.told);
        queues.all.retain(|queue| {
            let Some(queue) = queue.upgrade() else {
                return false;
            };
            let ((), those) = queue.change_quietly(|state| state.put(news.clone(), self.capacity));
            woken.push(those);
            true
        });
    }

    /// How many were told; 0 once all was.
    pub(crate) fn told(&self) -> u64 {
        self.lock().as_ref().map_or(0, |queues| queues.told)
    }

    /// Nothing comes any more.
    pub(crate) fn end(&self) {
        let queues = self.lock().take();
        let queues = queues.into_iter().flat_map(|queues| queues.all);
        for queue in queues.filter_map(|queue| queue.upgrade()) {
            queue.change(|state| state.ended = true);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Queues<T>>> {
        // Nothing panics while it holds the lock, so what a poisoned one guards is whole.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Queue<T> {
    news: VecDeque<T>,
    /// How many were lost that it was not told of, and the last of them.
    lost: Option<(u64, T)>,
    ended: bool,
}

impl<T: News> Queue<T> {
    fn new() -> Self {
        Self {
            news: VecDeque::new(),
            lost: None,
            ended: false,
        }
    }

    fn put(&mut self, news: T, capacity: usize) {
        if self.news.len() >= capacity {
            let before = self.lost.take().map_or(0, |(count, _)| count);
            self.lost = self.news.pop_front().map(|last| (before + 1, last));
        }
        self.news.push_back(news);
    }

    /// `None`: it is to be waited for.
    fn next(&mut self) -> Option<Option<T>> {
        match self.take() {
            Ok(news) => Some(Some(news)),
            Err(TryRecvError::Disconnected) => Some(None),
            Err(TryRecvError::Empty) => None,
        }
    }

    fn take(&mut self) -> Result<T, TryRecvError> {
        if let Some((count, last)) = self.lost.take() {
            return Ok(T::lost(count, &last));
        }
        self.news.pop_front().ok_or(match self.ended {
            true => TryRecvError::Disconnected,
            false => TryRecvError::Empty,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Wake, Waker};

    use super::*;

    impl News for u64 {
        fn lost(count: u64, last: &Self) -> Self {
            1000 * count + last
        }
    }

    #[test]
    fn one_that_does_not_read_loses_the_oldest_and_is_told() {
        let audience = Audience::new(3);
        let slow = audience.join();
        (0..6).for_each(|_| audience.tell(|number| number));
        let late = audience.join();
        audience.tell(|number| number);
        let read = |feed: &Feed<u64>| -> Vec<u64> {
            std::iter::from_fn(|| feed.recv_timeout(Duration::ZERO).ok()).collect()
        };
        assert_eq!(read(&slow), [4004, 5, 6, 7]);
        assert_eq!(read(&late), [7]);
        assert_eq!(slow.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(audience.told(), 7);
    }

    /// A task of which its wakers alone know, as simple executors have them, that listens when it is
    /// woken.
    struct Listening {
        audience: Arc<Audience<u64>>,
        heard: Mutex<Vec<Feed<u64>>>,
    }

    impl Wake for Listening {
        fn wake(self: Arc<Self>) {
            self.heard.lock().unwrap().push(self.audience.join());
        }
    }

    impl Drop for Listening {
        fn drop(&mut self) {
            self.audience.tell(|number| number);
        }
    }

    #[test]
    fn who_is_woken_or_forgotten_may_listen_and_tell() {
        let audience = Arc::new(Audience::new(8));
        let listening = |audience: &Arc<Audience<u64>>| {
            Arc::new(Listening {
                audience: Arc::clone(audience),
                heard: Mutex::default(),
            })
        };
        let feed = audience.join();
        let first = listening(&audience);
        let waker = Waker::from(Arc::clone(&first));
        let mut recv = Box::pin(feed.recv());
        assert!(
            recv.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        audience.tell(|number| number);
        assert_eq!(first.heard.lock().unwrap().len(), 1);
        drop((recv, waker, first));
        while feed.try_recv().is_ok() {}
        // The first is dropped for the second, and tells that; the second is woken by it, and gone.
        let poll = |recv: &mut dyn FnMut(&mut Context<'_>) -> Poll<Option<u64>>| {
            let before = audience.told();
            for told in [before, before + 2] {
                let waker = Waker::from(listening(&audience));
                assert!(recv(&mut Context::from_waker(&waker)).is_pending());
                drop(waker);
                assert_eq!(audience.told(), told);
            }
            let heard = recv(&mut Context::from_waker(Waker::noop()));
            assert_eq!(heard, Poll::Ready(Some(before + 1)));
        };
        poll(&mut |cx| feed.poll_recv(cx));
        while feed.try_recv().is_ok() {}
        let mut recv = Box::pin(feed.recv());
        poll(&mut |cx| recv.as_mut().poll(cx));
    }

    #[test]
    fn a_dropped_feed_is_forgotten() {
        let audience = Audience::new(8);
        drop(audience.join());
        let kept = audience.join();
        audience.tell(|number| number);
        assert_eq!(
            audience.lock().as_ref().map(|queues| queues.all.len()),
            Some(1)
        );
        assert_eq!(kept.try_recv(), Ok(1));
    }
}
