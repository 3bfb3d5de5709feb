//! The embedded coordinator.

use std::{
    ffi::OsString,
    net::SocketAddr,
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use dmtcp_client::{
    aio,
    server::{ComputationConfig, SealError, SealRound, SealedSet, Sealer, Server as Inner},
    set::{ImageReport, SealRequest, SetStore as Store},
};
use pyo3::prelude::*;

use crate::{
    answer::{self, New},
    calling::{ask, wait},
    computation::Computation,
    failure::{Failure, Fault},
    lender::Lender,
    limits::limit,
    owned::Owned,
    sets::SetStore,
};

/// A coordinator in this process.
#[pyclass(frozen, module = "dmtcp._native")]
pub(crate) struct Server {
    /// `None` inside: it was closed.
    inner: Owned<Mutex<Option<Arc<Inner>>>>,
}

impl Server {
    pub(crate) fn get(&self) -> Result<Arc<Inner>, Failure> {
        let server = lock(self.inner.get()?).clone();
        server.ok_or_else(|| {
            Failure::new(
                "ServerError",
                "closed",
                Fault::Caller,
                "the server is closed",
            )
        })
    }
}

#[pymethods]
impl Server {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        let inner = py.detach(Inner::start).map_err(Failure::from)?;
        let inner = Owned::new(Mutex::new(Some(Arc::new(inner))));
        Ok(Self { inner })
    }

    /// One more computation; with a store, its rounds become sets there.
    #[pyo3(signature = (address, interval, store, images, seal_limit, done=None))]
    #[expect(
        clippy::too_many_arguments,
        reason = "the package names and documents them"
    )]
    fn open(
        &self,
        py: Python<'_>,
        address: &str,
        interval: Option<f64>,
        store: Option<&SetStore>,
        images: OsString,
        seal_limit: Option<f64>,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let server = self.get()?;
        let address: SocketAddr = address.parse().map_err(|_| {
            let text = format!("{address:?} is not an IP address and a port");
            Failure::caller("argument", text)
        })?;
        let mut config = ComputationConfig::default()
            .addr(address)
            .interval(answer::interval(interval)?);
        if let Some(store) = store {
            config = config.sealer(Seals {
                store: store.get()?,
                images: images.into(),
                limit: limit(seal_limit)?,
            });
        }
        let server = aio::Server::on(Lender, server);
        ask(py, done, async move {
            Ok(New(Computation::new(server.open(config).await?)))
        })
    }

    /// Ends all its computations; what jobs run on it ends with their coordinators.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if !self.inner.is_here() {
            return Ok(());
        }
        let server = lock(self.inner.get()?).take();
        // The last handle to it ends it; a job that still runs has one of its own.
        wait(py, move || {
            drop(server);
            Ok(())
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Ok(server) = self.inner.get() else { return };
        let server = lock(server).take();
        // Its end waits for its thread, which others need not do. `None`: the interpreter ends.
        let _ = Python::try_attach(move |py| py.detach(|| drop(server)));
    }
}

fn lock(server: &Mutex<Option<Arc<Inner>>>) -> MutexGuard<'_, Option<Arc<Inner>>> {
    // Nothing panics while it holds the lock.
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes sets of rounds.
struct Seals {
    store: Arc<Store>,
    /// Where relative reports are meant.
    images: PathBuf,
    limit: Duration,
}

impl Sealer for Seals {
    fn seal(&mut self, round: &SealRound) -> Result<SealedSet, SealError> {
        let reports = round.images.iter().map(|image| {
            let path = std::ffi::OsStr::from_bytes(image.path.as_bytes());
            let mut report = ImageReport::new(self.images.join(path), image.worker.id);
            report.host = image.worker.host.clone().into();
            report.program = image.worker.program.clone().into();
            report.virtual_pid = image.worker.virtual_pid;
            report.real_pid = image.worker.real_pid;
            report
        });
        let deadline = Instant::now() + self.limit;
        let mut request =
            SealRequest::new(round.computation, round.round, reports.collect(), deadline);
        request.started = round.started;
        let set = self.store.seal(&request)?;
        Ok(SealedSet::new(set.sequence(), set.dir()).bytes(set.total_bytes()))
    }
}
