//! This process as a worker of a computation.

use std::{
    ffi::OsString,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dmtcp_client::native::{Error, Leaver, Options, SafePoint, Worker};
use pyo3::{IntoPyObjectExt as _, prelude::*};

use crate::{
    answer::New,
    calling::{call, wait, wait_or_end},
    coordinator::{address, dialect_of},
    failure::{Failure, Fault},
    limits::limit,
    owned::Owned,
    state::{Part, StateBuffer},
};

/// A worker. Dropping it leaves the computation.
#[pyclass(frozen, module = "dmtcp._native")]
pub(crate) struct NativeWorker {
    inner: Arc<Owned<Mutex<Held>>>,
}

/// While a call has the worker, nobody else does.
enum Held {
    Here(Box<Worker>),
    /// A call of this name has it; and what makes it leave meanwhile.
    Busy(&'static str, Arc<Leaver>),
    Finished,
}

fn lock(inner: &Owned<Mutex<Held>>) -> Result<MutexGuard<'_, Held>, Failure> {
    // Nothing panics while it holds the lock.
    Ok(inner.get()?.lock().unwrap_or_else(PoisonError::into_inner))
}

fn take(held: &mut Held, by: &'static str) -> Result<(Worker, Arc<Leaver>), Failure> {
    let leaver = match held {
        Held::Here(worker) => Arc::new(worker.leaver()?),
        Held::Busy(other, _) => return Err(busy(other)),
        Held::Finished => return Err(Failure::from(Error::AlreadyLeft)),
    };
    match std::mem::replace(held, Held::Busy(by, Arc::clone(&leaver))) {
        Held::Here(worker) => Ok((*worker, leaver)),
        Held::Busy(..) | Held::Finished => Err(busy(by)),
    }
}

fn busy(call: &str) -> Failure {
    let text = format!("`{call}` of this worker has not returned");
    Failure::new("WorkerError", "busy", Fault::Caller, text)
}

/// Does `work` with the worker on another thread, and puts it back. When a signal's handler raises
/// meanwhile, the worker leaves: the program may change its state then, and half of that must not get into
/// an image that others take for whole.
fn with<T: Send + 'static>(
    py: Python<'_>,
    this: &NativeWorker,
    name: &'static str,
    work: impl FnOnce(&mut Worker) -> Result<T, Error> + Send + 'static,
) -> PyResult<T> {
    let inner = Arc::clone(&this.inner);
    let (mut worker, leaver) = take(&mut *lock(&inner)?, name)?;
    let done = move || {
        let done = work(&mut worker);
        *lock(&inner)? = Held::Here(Box::new(worker));
        Ok(done?)
    };
    wait_or_end(py, done, || leaver.leave())
}

#[pymethods]
impl NativeWorker {
    /// Whether the next safe point has something to do.
    fn is_asked(&self) -> PyResult<bool> {
        Ok(match &*lock(&self.inner)? {
            Held::Here(worker) => worker.is_asked(),
            Held::Busy(..) | Held::Finished => true,
        })
    }

    /// The state of the image; `None` behind a fresh start.
    fn restore(&self, py: Python<'_>) -> PyResult<Option<StateBuffer>> {
        let bytes = with(py, self, "restore", Worker::restore_bytes)?;
        Ok(bytes.map(StateBuffer::from))
    }

    /// `(generation, image)`, or `None` if nothing was asked. The state is the parts, one behind the
    /// other.
    fn safe_point(
        &self,
        py: Python<'_>,
        parts: Vec<Bound<'_, PyAny>>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let parts: PyResult<Vec<Part>> = parts.iter().map(Part::of).collect();
        let parts = parts?;
        let done = with(py, self, "safe_point", move |worker| {
            let bytes: Vec<&[u8]> = parts.iter().map(Part::bytes).collect();
            worker.safe_point_parts(&bytes)
        })?;
        match done {
            SafePoint::Checkpointed { generation, image } => {
                (generation, image).into_py_any(py).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Leaves because the program is done. What was left already is left.
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        let mut held = lock(&self.inner)?;
        if matches!(*held, Held::Finished) {
            return Ok(());
        }
        let (worker, _) = take(&mut held, "finish")?;
        *held = Held::Finished;
        drop(held);
        wait(py, move || Ok(worker.finish()?))
    }

    /// Leaves without a word; a call that still has it ends by that.
    fn leave(&self) -> PyResult<()> {
        let mut held = lock(&self.inner)?;
        match &*held {
            Held::Busy(_, leaver) => leaver.leave(),
            Held::Here(_) | Held::Finished => *held = Held::Finished,
        }
        Ok(())
    }

    /// `(process, computation, image path)`.
    fn identity(&self) -> PyResult<(String, String, PathBuf)> {
        match &*lock(&self.inner)? {
            Held::Here(worker) => Ok((
                worker.identity().to_string(),
                worker.computation().to_string(),
                worker.image_path().to_owned(),
            )),
            Held::Busy(call, _) => Err(busy(call).into()),
            Held::Finished => Err(Failure::from(Error::AlreadyLeft).into()),
        }
    }
}

/// Whether the environment says which computation to join.
#[pyfunction]
pub(crate) fn was_launched() -> bool {
    !matches!(Options::from_env(), Err(Error::NotLaunched { .. }))
}

/// Joins the computation of the environment, or, with a dialect, the one of this coordinator.
#[pyfunction]
#[pyo3(signature = (command, host, port, dialect, checkpoint_dir, image, join_limit, barrier_limit, any_user, done=None))]
#[expect(
    clippy::too_many_arguments,
    reason = "the package names and documents them"
)]
pub(crate) fn join(
    py: Python<'_>,
    command: Vec<OsString>,
    host: Option<OsString>,
    port: Option<u16>,
    dialect: Option<String>,
    checkpoint_dir: Option<PathBuf>,
    image: Option<PathBuf>,
    join_limit: Option<f64>,
    barrier_limit: Option<f64>,
    any_user: bool,
    done: Option<Py<PyAny>>,
) -> PyResult<Py<PyAny>> {
    let dialect = dialect.as_deref().map(dialect_of).transpose()?;
    let limits = [join_limit, barrier_limit].map(|given| given.map(|_| limit(given)));
    let [join_limit, barrier_limit] = limits;
    let (join_limit, barrier_limit) = (join_limit.transpose()?, barrier_limit.transpose()?);
    call(py, done, move || {
        let mut options = match dialect {
            Some(dialect) => Options::new(address(host, port)?, dialect),
            None => Options::from_env()?,
        };
        if let Some((program, args)) = command.split_first() {
            options = options.restart_with(program, args.iter().cloned());
        }
        if let Some(dir) = checkpoint_dir {
            options = options.checkpoint_dir(dir);
        }
        if let Some(image) = image {
            options = options.image(image);
        }
        if let Some(limit) = join_limit {
            options = options.join_limit(limit);
        }
        if let Some(limit) = barrier_limit {
            options = options.barrier_limit(limit);
        }
        if any_user {
            options = options.coordinator_of_any_user();
        }
        let held = Held::Here(Box::new(Worker::join(options)?));
        Ok(New(NativeWorker {
            inner: Arc::new(Owned::new(Mutex::new(held))),
        }))
    })
}
