//! Sets out of a coordinator that somebody else runs.

use std::{path::PathBuf, sync::Arc};

use dmtcp_client::foreign::ForeignSets as Inner;
use pyo3::prelude::*;

use crate::{
    answer::New,
    calling::call,
    coordinator::Coordinator,
    failure::Failure,
    limits::limit,
    owned::Owned,
    sets::{CheckpointSet, SetStore},
};

/// One checkpoint at a time.
#[pyclass(frozen, module = "dmtcp._native")]
pub(crate) struct ForeignSets {
    inner: Owned<Arc<Inner>>,
}

impl ForeignSets {
    fn get(&self) -> Result<Arc<Inner>, Failure> {
        self.inner.get().cloned()
    }
}

#[pymethods]
impl ForeignSets {
    #[new]
    fn new(
        coordinator: &Coordinator,
        store: &SetStore,
        image_dirs: Vec<PathBuf>,
    ) -> PyResult<Self> {
        let sets = Inner::new(coordinator.inner.clone(), store.get()?);
        let sets = image_dirs.into_iter().fold(sets, Inner::image_dir);
        let inner = Owned::new(Arc::new(sets));
        Ok(Self { inner })
    }

    #[pyo3(signature = (timeout, done=None))]
    fn checkpoint(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let (inner, timeout) = (self.get()?, limit(timeout)?);
        call(py, done, move || {
            Ok(New(CheckpointSet::from(inner.checkpoint(timeout)?)))
        })
    }

    #[pyo3(signature = (timeout, done=None))]
    fn checkpoint_and_kill(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let (inner, timeout) = (self.get()?, limit(timeout)?);
        call(py, done, move || {
            let set = inner.checkpoint_and_kill(timeout)?;
            Ok(New(CheckpointSet::from(set)))
        })
    }

    #[pyo3(signature = (timeout, done=None))]
    fn finish(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let (inner, timeout) = (self.get()?, limit(timeout)?);
        call(py, done, move || {
            Ok(New(CheckpointSet::from(inner.finish(timeout)?)))
        })
    }
}
