//! The handle to any coordinator.

use std::{
    ffi::{OsStr, OsString},
    net::SocketAddr,
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
    time::Duration,
};

use dmtcp_client::{
    Dialect, Tools, aio,
    coordinator::{Coordinator as Inner, DetectOptions, find_address},
};
use pyo3::prelude::*;

use crate::{
    answer::{self, New},
    calling::{ask, call},
    failure::Failure,
    lender::Lender,
    limits::limit,
};

/// Each question is a connection of its own; nothing is held, so it works behind a fork, too.
#[pyclass(frozen, module = "dmtcp._native")]
pub(crate) struct Coordinator {
    inner: aio::Coordinator,
}

impl From<Inner> for Coordinator {
    fn from(inner: Inner) -> Self {
        let inner = aio::Coordinator::on(Lender, inner);
        Self { inner }
    }
}

impl Coordinator {
    /// The handle that blocks.
    pub(crate) fn handle(&self) -> &Inner {
        self.inner.handle()
    }
}

#[pymethods]
impl Coordinator {
    #[new]
    fn new(
        py: Python<'_>,
        host: Option<OsString>,
        port: Option<u16>,
        dialect: &str,
        timeout: Option<f64>,
    ) -> PyResult<Self> {
        let (dialect, timeout) = (dialect_of(dialect)?, limit(timeout)?);
        let addr = py.detach(|| address(host, port))?;
        Ok(Inner::new(addr, dialect).timeout(timeout).into())
    }

    #[staticmethod]
    #[pyo3(signature = (host, port, dialect, tools, timeout, done=None))]
    fn detect(
        py: Python<'_>,
        host: Option<OsString>,
        port: Option<u16>,
        dialect: Option<String>,
        tools: Option<OsString>,
        timeout: Option<f64>,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let timeout = limit(timeout)?;
        let dialect = dialect.as_deref().map(dialect_of).transpose()?;
        call(py, done, move || {
            let mut options = DetectOptions::default().timeout(timeout);
            if let Some(dialect) = dialect {
                options = options.dialect(dialect);
            }
            if let Some(dir) = tools {
                options = options.tools(&Tools::in_dir(dir)?);
            }
            let handle = Inner::detect(address(host, port)?, &options)?;
            Ok(New(Self::from(handle.timeout(timeout))))
        })
    }

    #[getter]
    fn address(&self) -> (String, u16) {
        let addr = self.handle().addr();
        (addr.ip().to_string(), addr.port())
    }

    #[getter]
    fn dialect(&self) -> String {
        dialect_name(self.handle().dialect())
    }

    #[getter]
    fn release(&self) -> Option<String> {
        self.handle().release().map(ToString::to_string)
    }

    /// The same handle with another limit of questions.
    fn with_timeout(&self, timeout: Option<f64>) -> PyResult<Self> {
        let inner = self.inner.clone().timeout(limit(timeout)?);
        Ok(Self { inner })
    }

    #[pyo3(signature = (done=None))]
    fn status(&self, py: Python<'_>, done: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        let inner = self.inner.clone();
        ask(py, done, async move { Ok(inner.status().await?) })
    }

    #[pyo3(signature = (done=None))]
    fn workers(&self, py: Python<'_>, done: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        let inner = self.inner.clone();
        ask(py, done, async move { Ok(inner.workers().await?) })
    }

    #[pyo3(signature = (timeout, done=None))]
    fn checkpoint(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let (inner, timeout) = (self.inner.clone(), limit(timeout)?);
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
        let (inner, timeout) = (self.inner.clone(), limit(timeout)?);
        ask(py, done, async move {
            Ok(inner.checkpoint_and_kill(timeout).await?)
        })
    }

    #[pyo3(signature = (done=None))]
    fn request_checkpoint(&self, py: Python<'_>, done: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        let inner = self.inner.clone();
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
        let (inner, interval) = (self.inner.clone(), answer::interval(interval)?);
        ask(
            py,
            done,
            async move { Ok(inner.set_interval(interval).await?) },
        )
    }

    #[pyo3(signature = (done=None))]
    fn checkpoint_dir(&self, py: Python<'_>, done: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        let inner = self.inner.clone();
        ask(py, done, async move {
            let dir = inner.checkpoint_dir().await?;
            Ok(PathBuf::from(OsStr::from_bytes(dir.as_bytes())))
        })
    }

    #[pyo3(signature = (mask, done=None))]
    fn set_log_mask(
        &self,
        py: Python<'_>,
        mask: u32,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let inner = self.inner.clone();
        ask(py, done, async move { Ok(inner.set_log_mask(mask).await?) })
    }

    #[pyo3(signature = (done=None))]
    fn kill_workers(&self, py: Python<'_>, done: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        let inner = self.inner.clone();
        ask(py, done, async move { Ok(inner.kill_workers().await?) })
    }

    #[pyo3(signature = (done=None))]
    fn quit(&self, py: Python<'_>, done: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        let inner = self.inner.clone();
        ask(py, done, async move { Ok(inner.quit().await?) })
    }
}

/// As DMTCP's tools take it, with its variables and defaults where nothing is said.
pub(crate) fn address(host: Option<OsString>, port: Option<u16>) -> Result<SocketAddr, Failure> {
    Ok(find_address(
        host,
        port.map(|port| port.to_string().into()),
    )?)
}

/// `V2_4` to `V5`, in any case, or `main` for the newest.
pub(crate) fn dialect_of(name: &str) -> Result<Dialect, Failure> {
    let wanted = match name.to_ascii_lowercase().as_str() {
        "main" => "v5".to_owned(),
        name => name.replace('.', "_"),
    };
    let known = |dialect: &&Dialect| dialect_name(**dialect) == wanted;
    Dialect::ALL.iter().find(known).copied().ok_or_else(|| {
        let names: Vec<String> = Dialect::ALL.iter().copied().map(dialect_name).collect();
        let names = names.join(", ");
        Failure::caller("argument", format!("{name:?} is no dialect: main, {names}"))
    })
}

fn dialect_name(dialect: Dialect) -> String {
    format!("{dialect:?}").to_ascii_lowercase()
}

/// For waits that are repeated until something else ends them.
pub(crate) const SLICE: Duration = Duration::from_millis(100);
