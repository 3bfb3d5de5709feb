//! How what this crate does is waited for: by blocking a thread, or on somebody's runtime.
//!
//! What waits is written once, as `async fn`, and given a [`Driver`]. With [`Driver::Blocking`] its
//! futures are over when they are first polled; blocking calls are [`block_on`] around them.

pub(crate) mod answer;
mod connection;
mod feed;
mod parker;
mod runtime;
mod thread;
mod watched;

pub(crate) use connection::Connection;
pub(crate) use feed::{Audience, Feed, News};
pub(crate) use parker::{block_on, block_until};
pub use runtime::{BoxFuture, Direction, Runtime, Socket};
pub(crate) use thread::{detached, on_its_own};
pub(crate) use watched::Watched;

use std::{future::Future, future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use crate::deadline::Deadline;

/// What waits.
#[derive(Clone, Debug)]
pub(crate) enum Driver {
    /// The thread.
    Blocking,
    /// A task of this runtime.
    Async(Arc<dyn Runtime>),
}

impl Driver {
    pub(crate) fn on(runtime: impl Runtime) -> Self {
        Self::Async(Arc::new(runtime))
    }

    /// What comes of it, `None` if nothing does until then. Then it is dropped.
    ///
    /// It must not wait for sockets or time by itself: see [`Connection`] and [`pause`](Self::pause).
    pub(crate) async fn within<F: Future>(
        &self,
        future: F,
        deadline: Deadline,
    ) -> Option<F::Output> {
        let runtime = match self {
            Self::Blocking => return block_until(future, deadline),
            Self::Async(runtime) => runtime,
        };
        let mut future = pin!(future);
        let mut end = None;
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            let end = end.get_or_insert_with(|| runtime.sleep(deadline.left()));
            end.as_mut().poll(cx).map(|()| None)
        })
        .await
    }

    /// Waits this long, or until then.
    pub(crate) async fn pause(&self, deadline: Deadline, time: Duration) {
        match self {
            Self::Blocking => deadline.pause(time),
            Self::Async(runtime) => runtime.sleep(time.min(deadline.left())).await,
        }
    }

    /// What work comes to that blocks a thread: this one, or one of its own.
    pub(crate) async fn unblock<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        match self {
            Self::Blocking => work(),
            Self::Async(_) => on_its_own(work).await,
        }
    }
}
