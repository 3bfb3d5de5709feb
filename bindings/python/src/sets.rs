//! Checkpoint sets on disk.

use std::{path::PathBuf, sync::Arc, time::Duration};

use dmtcp_client::{
    host::HostFingerprint,
    set::{
        self, CheckpointSet as InnerSet, KeepReason, Listing, RemoveReason, Retained,
        RetentionPolicy, SetStore as Inner,
    },
};
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, New},
    calling::call,
    failure::{Failure, Fault},
    json as records, limits,
    owned::Owned,
};

/// The sets of one directory, and the right to change them.
#[pyclass(frozen, module = "dmtcp._native")]
pub(crate) struct SetStore {
    /// `None`: closed.
    inner: Owned<std::sync::Mutex<Option<Arc<Inner>>>>,
}

impl SetStore {
    pub(crate) fn get(&self) -> Result<Arc<Inner>, Failure> {
        let store = self.inner.get()?.lock();
        let store = store.unwrap_or_else(std::sync::PoisonError::into_inner);
        store
            .clone()
            .ok_or_else(|| Failure::new("SetError", "closed", Fault::Caller, "the store is closed"))
    }
}

#[pymethods]
impl SetStore {
    #[staticmethod]
    #[pyo3(signature = (directory, done=None))]
    fn open(py: Python<'_>, directory: PathBuf, done: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        call(py, done, move || {
            let store = Arc::new(Inner::open(&directory)?);
            let inner = Owned::new(std::sync::Mutex::new(Some(store)));
            Ok(New(Self { inner }))
        })
    }

    /// Gives the directory free, once nobody else of this process uses the store.
    fn close(&self) -> PyResult<()> {
        if self.inner.is_here() {
            let store = self.inner.get()?.lock();
            drop(
                store
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .take(),
            );
        }
        Ok(())
    }

    #[getter]
    fn directory(&self) -> PyResult<PathBuf> {
        Ok(self.get()?.dir().to_owned())
    }

    #[pyo3(signature = (done=None))]
    fn list(&self, py: Python<'_>, done: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        let store = self.get()?;
        call(py, done, move || Ok(listed(store.list()?)))
    }

    /// `(set or None, what was wrong with newer ones)`.
    #[pyo3(signature = (before, done=None))]
    fn newest_verified(
        &self,
        py: Python<'_>,
        before: Option<u64>,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let store = self.get()?;
        call(py, done, move || {
            let newest = store.newest_verified_before(before.unwrap_or(u64::MAX))?;
            let refused = newest
                .refused
                .iter()
                .map(|error| dmtcp_client::with_causes(error));
            let refused: Vec<String> = refused.collect();
            Ok((newest.set.map(|set| New(CheckpointSet::from(set))), refused))
        })
    }

    #[pyo3(signature = (done=None))]
    fn sweep(&self, py: Python<'_>, done: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        let store = self.get()?;
        call(py, done, move || Ok(store.sweep()?))
    }

    #[pyo3(signature = (last, every, younger, max_bytes, done=None))]
    fn retain(
        &self,
        py: Python<'_>,
        last: Option<usize>,
        every: Option<u64>,
        younger: Option<f64>,
        max_bytes: Option<u64>,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let (store, policy) = (self.get()?, policy(last, every, younger, max_bytes)?);
        call(py, done, move || Ok(retained(&store.retain(&policy)?)))
    }

    #[pyo3(signature = (archive, done=None))]
    fn unpack(
        &self,
        py: Python<'_>,
        archive: PathBuf,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let store = self.get()?;
        call(py, done, move || {
            Ok(New(CheckpointSet::from(store.unpack(&archive)?)))
        })
    }
}

/// A set; its manifest is read, its images are not.
#[pyclass(frozen, module = "dmtcp._native")]
pub(crate) struct CheckpointSet {
    inner: InnerSet,
}

impl From<InnerSet> for CheckpointSet {
    fn from(inner: InnerSet) -> Self {
        Self { inner }
    }
}

#[pymethods]
impl CheckpointSet {
    #[staticmethod]
    #[pyo3(signature = (directory, done=None))]
    fn open(py: Python<'_>, directory: PathBuf, done: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        call(py, done, move || {
            Ok(New(Self::from(InnerSet::open(&directory)?)))
        })
    }

    #[getter]
    fn directory(&self) -> PathBuf {
        self.inner.dir().to_owned()
    }

    #[getter]
    fn sequence(&self) -> u64 {
        self.inner.sequence()
    }

    #[getter]
    fn total_bytes(&self) -> u64 {
        self.inner.total_bytes()
    }

    #[getter]
    fn images(&self) -> Vec<PathBuf> {
        self.inner.images()
    }

    #[getter]
    fn manifest(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        records::to_python(py, &records::of(self.inner.manifest()))
    }

    #[pyo3(signature = (sizes_only, done=None))]
    fn verify(
        &self,
        py: Python<'_>,
        sizes_only: bool,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let set = self.inner.clone();
        call(py, done, move || match sizes_only {
            true => Ok(set.verify_sizes()?),
            false => Ok(set.verify()?),
        })
    }

    /// What of this host keeps the set from being restored here; nothing if it can be.
    #[pyo3(signature = (done=None))]
    fn incompatibility(&self, py: Python<'_>, done: Option<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        let set = self.inner.clone();
        call(py, done, move || {
            let host = HostFingerprint::of_this_host();
            let found = set.compatible_with(&host).err();
            Ok(found.map(|error| dmtcp_client::with_causes(&error)))
        })
    }

    /// Bytes of the archive.
    #[pyo3(signature = (archive, done=None))]
    fn pack(
        &self,
        py: Python<'_>,
        archive: PathBuf,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let set = self.inner.clone();
        call(py, done, move || Ok(set.pack(&archive)?))
    }

    #[pyo3(signature = (directory, done=None))]
    fn stage_into(
        &self,
        py: Python<'_>,
        directory: PathBuf,
        done: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let set = self.inner.clone();
        call(py, done, move || {
            set.stage_into(&directory)
                .map_err(|error| Failure::of("SetError", "seal", Fault::Environment, &error))
        })
    }
}

/// The sets of a directory without owning it: `(sets, broken)`.
#[pyfunction]
#[pyo3(signature = (directory, done=None))]
pub(crate) fn list_sets(
    py: Python<'_>,
    directory: PathBuf,
    done: Option<Py<PyAny>>,
) -> PyResult<Py<PyAny>> {
    call(py, done, move || Ok(listed(set::list(&directory)?)))
}

/// What a policy would do, without doing it.
#[pyfunction]
#[pyo3(signature = (directory, last, every, younger, max_bytes, done=None))]
pub(crate) fn would_retain(
    py: Python<'_>,
    directory: PathBuf,
    last: Option<usize>,
    every: Option<u64>,
    younger: Option<f64>,
    max_bytes: Option<u64>,
    done: Option<Py<PyAny>>,
) -> PyResult<Py<PyAny>> {
    let policy = policy(last, every, younger, max_bytes)?;
    call(py, done, move || {
        Ok(retained(&set::would_retain(&directory, &policy)?))
    })
}

fn listed(listing: Listing) -> impl Answer {
    let sets = listing
        .sets
        .into_iter()
        .map(|set| New(CheckpointSet::from(set)));
    let broken = listing.broken.into_iter();
    let broken = broken.map(|(dir, error)| (dir, dmtcp_client::with_causes(&error)));
    (sets.collect::<Vec<_>>(), broken.collect::<Vec<_>>())
}

pub(crate) fn policy(
    last: Option<usize>,
    every: Option<u64>,
    younger: Option<f64>,
    max_bytes: Option<u64>,
) -> Result<RetentionPolicy, Failure> {
    let mut policy = RetentionPolicy::new();
    if let Some(count) = last {
        policy = policy.keep_last(count);
    }
    if let Some(step) = every {
        policy = policy.keep_every(step);
    }
    if younger.is_some() {
        let age: Duration = limits::limit(younger)?;
        policy = policy.keep_younger_than(age);
    }
    if let Some(bytes) = max_bytes {
        policy = policy.max_bytes(bytes);
    }
    Ok(policy)
}

fn retained(retained: &Retained) -> Value {
    let kept = retained.kept.iter().map(|set| {
        let why = match set.why {
            KeepReason::NewestGood => "newest-good",
            KeepReason::NewerThanGood => "newer-than-good",
            KeepReason::NoneGood => "none-good",
            KeepReason::Unreadable => "unreadable",
            KeepReason::Held => "in-use",
            KeepReason::Last => "keep",
            KeepReason::Every => "keep-every",
            KeepReason::Young => "keep-younger",
            KeepReason::NoRules => "no-rule-removes",
            _ => "other",
        };
        json!({"sequence": set.sequence, "bytes": set.bytes, "why": why})
    });
    let removed = retained.removed.iter().map(|set| {
        let why = match set.why {
            RemoveReason::NoRule => "no-rule-keeps",
            RemoveReason::MaxBytes => "max-bytes",
            RemoveReason::NotWhole => "not-whole",
            _ => "other",
        };
        json!({"sequence": set.sequence, "bytes": set.bytes, "why": why})
    });
    json!({
        "kept": kept.collect::<Vec<_>>(),
        "removed": removed.collect::<Vec<_>>(),
    })
}
