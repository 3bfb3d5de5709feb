//! Calls that wait: the interpreter goes on meanwhile, and Ctrl-C is noticed.
//!
//! Each has a thread of its own until it has an answer, and nothing of that is shared between calls: a
//! process that is forked in the middle of one has nothing left to take back. A caller either waits,
//! looking for signals ten times a second, or leaves a callback and is told. Whoever stops waiting
//! stops nothing: the call goes on to its end, so that no command is ever half sent.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use pyo3::prelude::*;

use crate::{
    answer::Answer,
    failure::{Failure, Fault},
};

/// Does `work`. Without `done` it waits for it and gives its answer; with it, it returns `None` at once,
/// and `done(answer, error)` is called on a thread of this module, one of them `None`.
pub(crate) fn call<T: Answer>(
    py: Python<'_>,
    done: Option<Py<PyAny>>,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> PyResult<Py<PyAny>> {
    let Some(done) = done else {
        return wait(py, work)?.into_python(py);
    };
    spawn(move || tell(&done, contained(work))).map_err(|failure| failure.into_py_err(py))?;
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
pub(crate) fn tell<T: Answer>(done: &Py<PyAny>, answer: Result<T, Failure>) {
    // `None`: the interpreter ends.
    let _ = Python::try_attach(|py| {
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

pub(crate) fn spawn(work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
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
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Failure::new(
            "DmtcpError",
            "internal",
            Fault::Environment,
            "a thread of dmtcp-client panicked; this is a bug of it",
        ))
    })
}
