//! A computation whose coordinator runs in this process.

use std::sync::Arc;

use dmtcp_client::{
    aio::Computation as Inner,
    server::{ChromeTrace, Exposition},
};
use pyo3::prelude::*;

use crate::{answer, calling::ask, events::Events, failure::Failure, limits::limit, owned::Owned};

/// Cheap to clone in Rust; here one object for one handle.
#[pyclass(frozen, module = "dmtcp._native")]
pub(crate) struct Computation {
    inner: Owned<Inner>,
}

impl Computation {
    pub(crate) fn new(inner: Inner) -> Self {
        let inner = Owned::new(inner);
        Self { inner }
    }

    fn get(&self) -> Result<Inner, Failure> {
        self.inner.get().cloned()
    }
}

#[pymethods]
impl Computation {
    #[getter]
    fn address(&self) -> PyResult<(String, u16)> {
        let addr = self.get()?.addr();
        Ok((addr.ip().to_string(), addr.port()))
    }

    #[pyo3(signature = (done=None))]
    fn status(&self, py: Python<'_>, done: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        let inner = self.get()?;
        ask(py, done, async move { Ok(inner.status().await?) })
    }

    #[pyo3(signature = (done=None))]
    fn workers(&self, py: Python<'_>, done: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        let inner = self.get()?;
        ask(py, done, async move { Ok(inner.workers().await?) })
    }

    #[pyo3(signature = (timeout, done=None))]
    fn checkpoint(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let (inner, timeout) = (self.get()?, limit(timeout)?);
        ask(
            py,
            done,
            async move { Ok(inner.checkpoint(timeout).await?) },
        )
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
            Ok(inner.checkpoint_and_kill(timeout).await?)
        })
    }

    #[pyo3(signature = (done=None))]
    fn request_checkpoint(&self, py: Python<'_>, done: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        let inner = self.get()?;
        ask(
            py,
            done,
            async move { Ok(inner.request_checkpoint().await?) },
        )
    }

    #[pyo3(signature = (interval, done=None))]
    fn set_interval(
        &self,
        py: Python<'_>,
        interval: Option<f64>,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let (inner, interval) = (self.get()?, answer::interval(interval)?);
        ask(
            py,
            done,
            async move { Ok(inner.set_interval(interval).await?) },
        )
    }

    /// `(key space, key, value)` of each.
    #[pyo3(signature = (done=None))]
    fn key_values(&self, py: Python<'_>, done: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        let inner = self.get()?;
        ask(py, done, async move {
            let text = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
            let values = inner.key_values().await?;
            let values = values.iter().map(|(space, key, value)| {
                let key_value = (text(key.as_bytes()), text(value.as_bytes()));
                (space.to_string(), key_value)
            });
            Ok(values.collect::<Vec<_>>())
        })
    }

    #[pyo3(signature = (timeout, done=None))]
    fn kill_workers(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let (inner, timeout) = (self.get()?, limit(timeout)?);
        ask(
            py,
            done,
            async move { Ok(inner.kill_workers(timeout).await?) },
        )
    }

    #[pyo3(signature = (peers, timeout, done=None))]
    fn wait_until_running(
        &self,
        py: Python<'_>,
        peers: Option<u32>,
        timeout: Option<f64>,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let (inner, timeout) = (self.get()?, limit(timeout)?);
        ask(py, done, async move {
            Ok(inner.wait_until_running(peers, timeout).await?)
        })
    }

    #[pyo3(signature = (timeout, done=None))]
    fn quit(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let (inner, timeout) = (self.get()?, limit(timeout)?);
        ask(py, done, async move { Ok(inner.quit(timeout).await?) })
    }

    #[pyo3(signature = (timeout, done=None))]
    fn close(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let (inner, timeout) = (self.get()?, limit(timeout)?);
        ask(py, done, async move { Ok(inner.close(timeout).await?) })
    }

    fn events(&self) -> PyResult<Events> {
        Ok(Events::new(self.get()?.events()))
    }

    /// Counters and gauges as Prometheus reads them.
    #[pyo3(signature = (done=None))]
    fn metrics(&self, py: Python<'_>, done: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        let inner = self.get()?;
        ask(py, done, async move {
            Ok(Exposition::of(&[inner.metrics().await?]).to_string())
        })
    }

    /// The last rounds as a trace that Perfetto draws, in JSON.
    #[pyo3(signature = (done=None))]
    fn trace(&self, py: Python<'_>, done: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        let inner = self.get()?;
        ask(py, done, async move {
            let timelines: Vec<Arc<_>> = inner.timelines().await?;
            let mut text = Vec::new();
            // Memory does not fail to be written to.
            drop(ChromeTrace::of(&timelines).write(&mut text));
            Ok(String::from_utf8_lossy(&text).into_owned())
        })
    }
}
