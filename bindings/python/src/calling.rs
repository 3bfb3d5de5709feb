//! Calls that wait: the interpreter goes on meanwhile, and Ctrl-C is noticed.
//!
//! A caller either waits, looking for signals ten times a second, or leaves a callback and is told. What
//! only asks and listens ([`ask`]) has no thread of its own: it is polled on that of the caller, or, with
//! a callback, on the one thread for asyncio. What blocks ([`call`]) has one until it has an answer.
//! Nothing of that is shared between calls of two processes: one that is forked in the middle of a call
//! has nothing left to take back. Whoever stops waiting takes nothing back that was asked for, and no
//! command is ever half sent.

use std::{
    future::{Future, poll_fn},
    panic::{self, AssertUnwindSafe},
    pin::pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::Poll,
    thread,
    time::Duration,
};

use pyo3::{IntoPyObjectExt as _, prelude::*};

use crate::{
    answer::Answer,
    background,
    failure::{Failure, Fault},
    one_thread::OneThread,
};

/// Waits for what is asked, on this thread. With `done` it returns a
/// [`Pending`](background::Pending) at once, and `done(answer, error)` is called on the thread for asyncio, one of them
/// `None`.
pub(crate) fn ask<T: Answer>(
    py: Python<'_>,
    done: Option<Py<PyAny>>,
    question: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> PyResult<Py<PyAny>> {
    let question = unpanicked(question);
    if let Some(done) = done {
        let asked = background::spawn(py, async move { tell(done, question.await) })?;
        return asked.into_py_any(py);
    }
    let mut question = Box::pin(question);
    let thread = Arc::new(OneThread::default());
    let answer = attentive(py, || thread.run(question.as_mut(), LOOK));
    if answer.is_err() {
        // What it has begun to say is said to its end.
        py.detach(|| drop(question));
    }
    answer?
        .map_err(|failure| failure.into_py_err(py))?
        .into_python(py)
}

/// Does `work`, which may block, on a thread of its own. Without `done` it waits for it and gives its answer; with it, it returns `None` at once,
/// and `done(answer, error)` is called on a thread of this module, one of them `None`.
pub(crate) fn call<T: Answer>(
    py: Python<'_>,
    done: Option<Py<PyAny>>,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> PyResult<Py<PyAny>> {
    let Some(done) = done else {
        return wait(py, work)?.into_python(py);
    };
    spawn(move || tell(done, contained(work))).map_err(|failure| failure.into_py_err(py))?;
    Ok(py.None())
}

/// The same for a caller that waits and makes something of the answer itself.
pub(crate) fn wait<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> PyResult<T> {
    let slot = Arc::new(Slot::default());
    let theirs = Arc::clone(&slot);
    spawn(move || theirs.fill(contained(work))).map_err(|failure| failure.into_py_err(py))?;
    let answer = attentive(py, || slot.take_within(LOOK))?;
    answer.map_err(|failure| failure.into_py_err(py))
}

/// The same for work that must not go on when nobody waits for it: it is told to `end`, and what was
/// raised is passed on once it has.
pub(crate) fn wait_or_end<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
    end: impl FnOnce() + Send,
) -> PyResult<T> {
    let slot = Arc::new(Slot::default());
    let theirs = Arc::clone(&slot);
    spawn(move || theirs.fill(contained(work))).map_err(|failure| failure.into_py_err(py))?;
    match attentive(py, || slot.take_within(LOOK)) {
        Ok(answer) => answer.map_err(|failure| failure.into_py_err(py)),
        Err(raised) => {
            py.detach(|| {
                end();
                while slot.take_within(LOOK).is_none() {}
            });
            Err(raised)
        }
    }
}

/// Looks again and again, without the interpreter's lock, until there is something; between two looks
/// signals are handled, and what their handlers raise ends it.
pub(crate) fn attentive<T: Send>(
    py: Python<'_>,
    mut look: impl FnMut() -> Option<T> + Send,
) -> PyResult<T> {
    loop {
        if let Some(found) = py.detach(&mut look) {
            return Ok(found);
        }
        py.check_signals()?;
    }
}

/// Calls `done(answer, error)`; a process that is about to end is told nothing.
pub(crate) fn tell<T: Answer>(done: Py<PyAny>, answer: Result<T, Failure>) {
    // `None`: the interpreter ends.
    let _ = Python::try_attach(move |py| {
        let answer = match answer {
            Ok(answer) => answer.into_python(py),
            Err(failure) => Err(failure.into_py_err(py)),
        };
        let called = match answer {
            Ok(answer) => done.call1(py, (answer, py.None())),
            Err(error) => done.call1(py, (py.None(), error.into_value(py))),
        };
        if let Err(error) = called {
            error.write_unraisable(py, Some(done.bind(py)));
        }
    });
}

/// Between two looks for signals.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let started = thread::Builder::new()
        .name("dmtcp-call".to_owned())
        .spawn(work);
    match started {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::of(
            "ServerError",
            "environment",
            Fault::Environment,
            &error,
        )),
    }
}

/// An answer, once it is there.
struct Slot<T> {
    answer: Mutex<Option<Result<T, Failure>>>,
    filled: Condvar,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self {
            answer: Mutex::new(None),
            filled: Condvar::new(),
        }
    }
}

impl<T> Slot<T> {
    fn take_within(&self, limit: Duration) -> Option<Result<T, Failure>> {
        let waited = self
            .filled
            .wait_timeout_while(self.lock(), limit, |answer| answer.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.take()
    }

    fn fill(&self, answer: Result<T, Failure>) {
        *self.lock() = Some(answer);
        self.filled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Result<T, Failure>>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A panic is an answer, too: somebody waits for one.
pub(crate) fn contained<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // What the work had goes with it.
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(panicked()))
}

/// The same for what is awaited.
async fn unpanicked<T>(question: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let mut question = pin!(question);
    poll_fn(|cx| {
        let poll = AssertUnwindSafe(|| question.as_mut().poll(cx));
        panic::catch_unwind(poll).unwrap_or_else(|_| Poll::Ready(Err(panicked())))
    })
    .await
}

fn panicked() -> Failure {
    Failure::new(
        "DmtcpError",
        "internal",
        Fault::Environment,
        "a thread of dmtcp-client panicked; this is a bug of it",
    )
}
