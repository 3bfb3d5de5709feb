//! State that threads and tasks wait for, in one way.
//!
//! Whoever waits leaves a waker; that of a thread is its [`Parker`](super::parker::Parker).

use std::{
    future::Future,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// State behind a lock; [changing](Self::change) it wakes all who wait for something of it.
#[derive(Debug, Default)]
pub(crate) struct Watched<T> {
    inner: Mutex<Inner<T>>,
}

#[derive(Debug, Default)]
struct Inner<T> {
    state: T,
    /// By the number that each has, so that those who wait no longer can be forgotten.
    waiting: Vec<(u64, Waker)>,
    last: u64,
    /// The one who polls.
    polling: Option<Waker>,
}

impl<T> Watched<T> {
    pub(crate) fn new(state: T) -> Self {
        Self {
            inner: Mutex::new(Inner {
                state,
                waiting: Vec::new(),
                last: 0,
                polling: None,
            }),
        }
    }

    /// Looks at it, and wakes nobody.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut T) -> R) -> R {
        look(&mut self.lock().state)
    }

    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        self.change_quietly(change).0
    }

    /// The same for who holds a lock: those who wait are woken when the other is dropped, which is to be
    /// without it. Wakers are foreign code, and may take any lock.
    pub(super) fn change_quietly<R>(&self, change: impl FnOnce(&mut T) -> R) -> (R, Woken) {
        let mut inner = self.lock();
        let changed = change(&mut inner.state);
        let waiting = std::mem::take(&mut inner.waiting);
        let polling = inner.polling.take();
        (changed, Woken { waiting, polling })
    }

    /// Waits until there is what is looked for. Dropping it forgets the one who waits.
    pub(crate) fn until<R, F>(&self, look: F) -> Until<'_, T, F>
    where
        F: FnMut(&mut T) -> Option<R> + Unpin,
    {
        Until {
            watched: self,
            look,
            number: None,
        }
    }

    /// As one poll of [`until`](Self::until), for one task at a time: who polls last is woken.
    pub(crate) fn poll_until<R>(
        &self,
        cx: &mut Context<'_>,
        look: impl FnOnce(&mut T) -> Option<R>,
    ) -> Poll<R> {
        let mut inner = self.lock();
        if let Some(found) = look(&mut inner.state) {
            return Poll::Ready(found);
        }
        let before = inner.polling.replace(cx.waker().clone());
        drop(inner);
        drop(before);
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // Nothing panics while it holds the lock, so what a poisoned one guards is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Inner<T> {
    fn wait(&mut self, waker: Waker) -> u64 {
        self.last += 1;
        self.waiting.push((self.last, waker));
        self.last
    }

    /// Its waker, to be dropped without the lock: a task may go with it, and its futures.
    fn forget(&mut self, number: Option<u64>) -> Option<Waker> {
        let number = number?;
        let at = self
            .waiting
            .iter()
            .position(|(waiting, _)| *waiting == number)?;
        Some(self.waiting.swap_remove(at).1)
    }
}

/// Those who waited. Dropping this wakes them.
#[derive(Debug)]
#[must_use = "dropping it wakes those who wait"]
pub(super) struct Woken {
    waiting: Vec<(u64, Waker)>,
    polling: Option<Waker>,
}

impl Drop for Woken {
    fn drop(&mut self) {
        let waiting = self.waiting.drain(..).map(|(_, waker)| waker);
        waiting.chain(self.polling.take()).for_each(Waker::wake);
    }
}

/// See [`Watched::until`].
#[derive(Debug)]
pub(crate) struct Until<'a, T, F> {
    watched: &'a Watched<T>,
    look: F,
    number: Option<u64>,
}

impl<T, R, F: FnMut(&mut T) -> Option<R> + Unpin> Future for Until<'_, T, F> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let until = self.get_mut();
        let mut inner = until.watched.lock();
        let before = inner.forget(until.number.take());
        let found = (until.look)(&mut inner.state);
        if found.is_none() {
            until.number = Some(inner.wait(cx.waker().clone()));
        }
        drop(inner);
        drop(before);
        found.map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T, F> Drop for Until<'_, T, F> {
    fn drop(&mut self) {
        if self.number.is_some() {
            let before = self.watched.lock().forget(self.number.take());
            drop(before);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, sync::Arc, thread};

    use super::*;
    use crate::driver::block_on;

    #[test]
    fn whoever_waits_no_longer_is_forgotten() {
        let watched = Watched::new(0);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..100 {
            let mut until = pin!(watched.until(|n: &mut i32| (*n > 0).then_some(())));
            assert!(until.as_mut().poll(&mut cx).is_pending());
            assert!(until.as_mut().poll(&mut cx).is_pending());
            assert_eq!(watched.lock().waiting.len(), 1);
        }
        for _ in 0..100 {
            assert!(watched.poll_until(&mut cx, |_| None::<()>).is_pending());
        }
        assert!(watched.lock().waiting.is_empty());
        watched.change(|n| *n = 1);
        assert!(watched.lock().polling.is_none());
    }

    #[test]
    fn every_change_is_seen_by_all_who_wait() {
        let watched = Arc::new(Watched::new(0_u32));
        let waiting: Vec<_> = (1..=8)
            .map(|wanted| {
                let watched = Arc::clone(&watched);
                thread::spawn(move || {
                    block_on(watched.until(|n| (*n >= wanted).then_some(*n))) >= wanted
                })
            })
            .collect();
        for _ in 0..8 {
            watched.change(|n| *n += 1);
        }
        assert!(waiting.into_iter().all(|thread| thread.join().unwrap()));
    }
}
