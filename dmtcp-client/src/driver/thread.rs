//! Work on a thread of its own, for which nobody's runtime has to have one.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use super::answer;

/// Does it on a thread of its own; on this one where there are no more threads.
pub(crate) fn detached(work: impl FnOnce() + Send + 'static) {
    let shared = Arc::new(Mutex::new(Some(work)));
    let take = |shared: &Mutex<Option<_>>| {
        let mut work = shared.lock().unwrap_or_else(PoisonError::into_inner);
        work.take()
    };
    let theirs = Arc::clone(&shared);
    let spawned = thread::Builder::new()
        .name("dmtcp-blocking".to_owned())
        .spawn(move || take(&theirs).map(|work| work()));
    if spawned.is_err() {
        if let Some(work) = take(&shared) {
            work();
        }
    }
}

/// What it comes to. It begins at once, and goes on if the future is dropped. A panic of its is one of
/// whoever waits.
pub(crate) fn on_its_own<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = T> + Send {
    let (sender, answer) = answer::channel();
    detached(move || sender.send(catch_unwind(AssertUnwindSafe(work))));
    async move {
        match answer.await {
            Some(Ok(output)) => output,
            Some(Err(panic)) => resume_unwind(panic),
            // The thread answers before it ends.
            None => unreachable!("a thread ended without an answer"),
        }
    }
}
