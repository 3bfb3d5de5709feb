//! Sets out of a coordinator that somebody else runs.

use std::{path::PathBuf, sync::Arc};

use dmtcp_client::{aio, foreign::ForeignSets as Inner};
use pyo3::prelude::*;

use crate::{
    answer::New,
    calling::ask,
    coordinator::Coordinator,
    failure::Failure,
    lender::Lender,
    limits::limit,
    owned::Owned,
    sets::{CheckpointSet, SetStore},
};

/// One checkpoint at a time.
#[pyclass(frozen, module = "dmtcp._native")]
pub(crate) struct ForeignSets {
    inner: Owned<Arc<aio::ForeignSets>>,
}

impl ForeignSets {
    fn get(&self) -> Result<Arc<aio::ForeignSets>, Failure> {
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
        let sets = Inner::new(coordinator.handle().clone(), store.get()?);
        let sets = image_dirs.into_iter().fold(sets, Inner::image_dir);
        let inner = Owned::new(Arc::new(aio::ForeignSets::on(Lender, sets)));
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
        ask(py, done, async move {
            Ok(New(CheckpointSet::from(inner.checkpoint(timeout).await?)))
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
        ask(py, done, async move {
            let set = inner.checkpoint_and_kill(timeout).await?;
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
        ask(py, done, async move {
            Ok(New(CheckpointSet::from(inner.finish(timeout).await?)))
        })
    }
}
