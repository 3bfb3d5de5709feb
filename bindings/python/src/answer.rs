//! Answers of calls as Python values: plain ones, which the package makes its own classes of.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _, path::PathBuf};

use dmtcp_client::{
    Interval, Status, WorkerInfo,
    coordinator::{CheckpointReport, Evidence},
    process::Exit,
    server::{Sealed, SealedSet},
};
use pyo3::{IntoPyObjectExt as _, PyClass, prelude::*};
use serde_json::Value;

use crate::json;

/// Something that a call can answer.
pub(crate) trait Answer: Send + 'static {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>>;
}

/// A new object of a class of this module.
pub(crate) struct New<T>(pub(crate) T);

impl<T: PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Send + Sync + 'static> Answer
    for New<T>
where
    T: Into<PyClassInitializer<T>>,
{
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Py::new(py, self.0)?.into_py_any(py)
    }
}

impl<T: Answer> Answer for Option<T> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.map_or_else(|| Ok(py.None()), |answer| answer.into_python(py))
    }
}

impl<T: Answer> Answer for Vec<T> {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let answers: PyResult<Vec<_>> = self.into_iter().map(|one| one.into_python(py)).collect();
        answers?.into_py_any(py)
    }
}

impl<A: Answer, B: Answer> Answer for (A, B) {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        (self.0.into_python(py)?, self.1.into_python(py)?).into_py_any(py)
    }
}

impl Answer for Value {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        json::to_python(py, &self)
    }
}

macro_rules! plain {
    ($($kind:ty),*) => {
        $(impl Answer for $kind {
            fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
                self.into_py_any(py)
            }
        })*
    };
}

plain!(bool, i32, u32, u64, String, PathBuf);

impl Answer for () {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(py.None())
    }
}

/// `(peers, running, interval)`.
impl Answer for Status {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        (self.peers, self.running, seconds(self.interval)).into_py_any(py)
    }
}

/// `(number, id, virtual_pid, real_pid, host, program, state, barrier)`.
impl Answer for WorkerInfo {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let id = self.id.to_string();
        let state = self.state.to_string();
        let pids = (self.virtual_pid, self.real_pid);
        (
            self.number,
            id,
            pids.0,
            pids.1,
            self.host,
            self.program,
            state,
            self.barrier,
        )
            .into_py_any(py)
    }
}

/// `(peers, evidence)`.
impl Answer for CheckpointReport {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let evidence = match self.evidence {
            Evidence::CoordinatorReply => "coordinator-reply",
            Evidence::Observed { .. } => "observed",
            _ => "other",
        };
        (self.peers, evidence).into_py_any(py)
    }
}

/// `(round, generation, images, set, sealing)`, of which `images` are `(path, worker)`.
impl Answer for Sealed {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let images = self.images.iter();
        let images: PyResult<Vec<_>> = images
            .map(|image| {
                let path = PathBuf::from(OsStr::from_bytes(image.path.as_bytes()));
                (path, image.worker.clone().into_python(py)?).into_py_any(py)
            })
            .collect();
        let set = self.set.into_python(py)?;
        let sealing = self.sealing.as_secs_f64();
        (self.round, self.generation, images?, set, sealing).into_py_any(py)
    }
}

/// `(sequence, directory, bytes)`.
impl Answer for SealedSet {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        (self.sequence, self.directory, self.bytes).into_py_any(py)
    }
}

/// `(code, signal)`, one of them `None`.
impl Answer for Exit {
    fn into_python(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let (code, signal) = match self {
            Self::Code(code) => (Some(code), None),
            Self::Signal(signal) => (None, Some(signal)),
        };
        (code, signal).into_py_any(py)
    }
}

/// 0: never; `None`: not told.
fn seconds(interval: Interval) -> Option<f64> {
    match interval {
        Interval::Every(period) => Some(period.as_secs_f64()),
        Interval::Never => Some(0.0),
        Interval::Unchanged => None,
    }
}

/// From the package: 0 or less for never, `None` for as it is.
pub(crate) fn interval(seconds: Option<f64>) -> Result<Interval, crate::failure::Failure> {
    Ok(match seconds {
        None => Interval::Unchanged,
        Some(0.0) => Interval::Never,
        seconds => Interval::Every(crate::limits::limit(seconds)?),
    })
}
