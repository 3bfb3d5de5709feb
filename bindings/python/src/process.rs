//! Programs under DMTCP that are started by hand, and the processes that they become.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use dmtcp_client::{
    Restart, Tools,
    process::{Child as Inner, Signal},
};
use pyo3::{prelude::*, types::PyAny};

use crate::{
    answer::{self, New},
    calling::call,
    coordinator::SLICE,
    failure::{Failure, Fault},
    limits::limit,
    owned::Owned,
    program::{Program, Streams, messages},
};

/// A child process with its group. Dropping it kills the group.
#[pyclass(frozen, module = "dmtcp._native")]
pub(crate) struct Child {
    inner: Arc<Owned<RwLock<Option<Inner>>>>,
    pid: i32,
}

impl From<Inner> for Child {
    fn from(inner: Inner) -> Self {
        Self {
            pid: inner.id(),
            inner: Arc::new(Owned::new(RwLock::new(Some(inner)))),
        }
    }
}

type Held = Arc<Owned<RwLock<Option<Inner>>>>;

/// Several can look at it and signal it while one waits for it.
fn look(held: &Held) -> Result<RwLockReadGuard<'_, Option<Inner>>, Failure> {
    // Nothing panics while it holds the lock.
    Ok(held.get()?.read().unwrap_or_else(PoisonError::into_inner))
}

fn take(held: &Held) -> Result<Option<Inner>, Failure> {
    let held = held.get()?.write();
    Ok(held.unwrap_or_else(PoisonError::into_inner).take())
}

fn with<T>(
    held: &Held,
    ask: impl FnOnce(&Inner) -> Result<T, dmtcp_client::process::ProcessError>,
) -> Result<T, Failure> {
    match &*look(held)? {
        Some(child) => Ok(ask(child)?),
        None => Err(gone()),
    }
}

fn gone() -> Failure {
    Failure::new(
        "ToolError",
        "process",
        Fault::Caller,
        "this child was stopped or given up",
    )
}

#[pymethods]
impl Child {
    #[getter]
    fn pid(&self) -> i32 {
        self.pid
    }

    /// `(code, signal)`; `None` while it runs.
    fn poll(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let exit = py.detach(|| with(&self.inner, Inner::try_wait))?;
        let exit = exit.map(|exit| answer::Answer::into_python(exit, py));
        exit.transpose()
    }

    #[pyo3(signature = (timeout, done=None))]
    fn wait(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let (held, timeout) = (Arc::clone(&self.inner), limit(timeout)?);
        let end = std::time::Instant::now() + timeout;
        call(py, done, move || {
            // In slices, so that others can signal it meanwhile.
            loop {
                let left = end.saturating_duration_since(std::time::Instant::now());
                match with(&held, |child| child.wait(left.min(SLICE))) {
                    Err(failure) if !failure.is_timeout() || left.is_zero() => {
                        return Err(failure);
                    }
                    Err(_) => {}
                    Ok(exit) => return Ok(exit),
                }
            }
        })
    }

    /// To every member of its group.
    fn signal_group(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let signal = match name {
            "SIGTERM" => Signal::Terminate,
            "SIGKILL" => Signal::Kill,
            _ => {
                let text = format!("{name} is not one of SIGTERM, SIGKILL");
                return Err(Failure::caller("argument", text).into());
            }
        };
        Ok(py.detach(|| with(&self.inner, |child| child.signal_group(signal)))?)
    }

    /// SIGTERM, `grace`, SIGKILL; the answer as of `wait`.
    #[pyo3(signature = (grace, done=None))]
    fn stop(
        &self,
        py: Python<'_>,
        grace: Option<f64>,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let (held, grace) = (Arc::clone(&self.inner), limit(grace)?);
        call(py, done, move || {
            let child = take(&held)?.ok_or_else(gone)?;
            Ok(child.stop(grace)?)
        })
    }

    /// It runs on, whatever becomes of this object.
    fn detach(&self, py: Python<'_>) -> PyResult<()> {
        if let Some(child) = py.detach(|| take(&self.inner))? {
            child.into_detached();
        }
        Ok(())
    }
}

/// `dmtcp_launch`.
#[pyfunction]
#[pyo3(signature = (tools, program, coordinator, images, tmpdir, interval, streams, done=None))]
#[expect(
    clippy::too_many_arguments,
    reason = "the package names and documents them"
)]
pub(crate) fn launch(
    py: Python<'_>,
    tools: PathBuf,
    program: Program,
    coordinator: String,
    images: Option<PathBuf>,
    tmpdir: Option<PathBuf>,
    interval: Option<f64>,
    streams: Streams,
    done: Option<Py<PyAny>>,
) -> PyResult<Py<PyAny>> {
    let (interval, coordinator) = (answer::interval(interval)?, socket(&coordinator)?);
    call(py, done, move || {
        let [stdin, stdout, stderr] = streams.all();
        let mut launch = program
            .launch(&Tools::in_dir(tools)?)?
            .join(coordinator)
            .interval(interval)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr);
        if let Some(dir) = images {
            launch = launch.checkpoint_dir(dir);
        }
        if let Some(dir) = tmpdir {
            launch = launch.tmpdir(dir);
        }
        Ok(New(Child::from(launch.spawn()?)))
    })
}

/// `dmtcp_restart`.
#[pyfunction]
#[pyo3(signature = (tools, images, coordinator, directory, tmpdir, interval, strict, message_level, streams, done=None))]
#[expect(
    clippy::too_many_arguments,
    reason = "the package names and documents them"
)]
pub(crate) fn restart(
    py: Python<'_>,
    tools: PathBuf,
    images: Vec<PathBuf>,
    coordinator: String,
    directory: Option<PathBuf>,
    tmpdir: Option<PathBuf>,
    interval: Option<f64>,
    strict: bool,
    message_level: &str,
    streams: Streams,
    done: Option<Py<PyAny>>,
) -> PyResult<Py<PyAny>> {
    let (interval, coordinator) = (answer::interval(interval)?, socket(&coordinator)?);
    let level = messages(message_level)?;
    call(py, done, move || {
        let [stdin, stdout, stderr] = streams.all();
        let mut restart = Restart::new(&Tools::in_dir(tools)?, images)
            .join(coordinator)
            .interval(interval)
            .strict_checking(strict)
            .messages(level)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr);
        if let Some(dir) = directory {
            restart = restart.checkpoint_dir(dir);
        }
        if let Some(dir) = tmpdir {
            restart = restart.tmpdir(dir);
        }
        Ok(New(Child::from(restart.spawn()?)))
    })
}

pub(crate) fn socket(text: &str) -> Result<std::net::SocketAddr, Failure> {
    text.parse().map_err(|_| {
        let text = format!("{text:?} is not an IP address and a port");
        Failure::caller("argument", text)
    })
}
