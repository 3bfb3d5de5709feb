//! One thread for all that asyncio awaits: a tokio runtime, started by the first call of a process.
//!
//! It is never ended; a forked child, which has no such thread, starts one of its own.

use std::{
    future::{self, Future},
    io,
    sync::{Mutex, PoisonError},
    thread,
};

use pyo3::prelude::*;
use tokio::{
    runtime::{Builder, Handle},
    task::AbortHandle,
};

use crate::{
    failure::{Failure, Fault},
    owned::Owned,
};

/// A call that asyncio awaits. Dropping it gives the call up.
#[pyclass(frozen, module = "dmtcp._native")]
pub(crate) struct Pending {
    task: Owned<AbortHandle>,
}

#[pymethods]
impl Pending {
    /// Nobody is told any more. What was asked for is not taken back, and a command that is on its way
    /// is brought to its end.
    fn cancel(&self) {
        // Behind a fork there is nothing to give up.
        if let Ok(task) = self.task.get() {
            task.abort();
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.cancel();
    }
}

/// Has this done on the thread.
pub(crate) fn spawn(
    _py: Python<'_>,
    work: impl Future<Output = ()> + Send + 'static,
) -> Result<Pending, Failure> {
    // Who forks has the interpreter's lock, which is held here: never in the middle of this.
    let mut thread = THREAD.lock().unwrap_or_else(PoisonError::into_inner);
    if !thread.as_ref().is_some_and(Owned::is_here) {
        let started = start().map_err(|error| {
            Failure::of("ServerError", "environment", Fault::Environment, &error)
        })?;
        *thread = Some(Owned::new(started));
    }
    let Some(handle) = &*thread else {
        return Err(Failure::new(
            "DmtcpError",
            "internal",
            Fault::Environment,
            "the thread for asyncio is not there",
        ));
    };
    let task = handle.get()?.spawn(work).abort_handle();
    let task = Owned::new(task);
    Ok(Pending { task })
}

static THREAD: Mutex<Option<Owned<Handle>>> = Mutex::new(None);

fn start() -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("dmtcp-asyncio".to_owned())
        .spawn(move || runtime.block_on(future::pending::<()>()))?;
    Ok(handle)
}
