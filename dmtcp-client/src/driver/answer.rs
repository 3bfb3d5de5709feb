//! The answer to one question, from one thread to whoever waits: a thread or a task.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::watched::Watched;

/// Gives the answer. Dropping it says that none comes.
#[derive(Debug)]
pub(crate) struct Sender<T> {
    shared: Arc<Watched<Slot<T>>>,
}

/// Waits for the answer; `None`: none comes, or it was taken before.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    shared: Arc<Watched<Slot<T>>>,
}

#[derive(Debug)]
struct Slot<T> {
    value: Option<T>,
    is_over: bool,
}

pub(crate) fn channel<T>() -> (Sender<T>, Answer<T>) {
    let shared = Arc::new(Watched::new(Slot {
        value: None,
        is_over: false,
    }));
    let sender = Sender {
        shared: Arc::clone(&shared),
    };
    (sender, Answer { shared })
}

impl<T> Sender<T> {
    /// It does not matter whether anybody still waits.
    pub(crate) fn send(self, value: T) {
        // Dropping this wakes who waits.
        self.shared.look(|slot| slot.value = Some(value));
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.change(|slot| slot.is_over = true);
    }
}

impl<T> Answer<T> {
    /// What there is now.
    pub(crate) fn take(&self) -> Option<T> {
        self.shared.look(|slot| slot.value.take())
    }
}

impl<T> Future for Answer<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.shared.poll_until(cx, |slot| {
            let value = slot.value.take();
            (value.is_some() || slot.is_over).then_some(value)
        })
    }
}
