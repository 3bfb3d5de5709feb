//! Jobs that another process runs, by their state directory.

use std::path::PathBuf;

use dmtcp_client::{
    job::{self, Contact, Stopped},
    with_causes,
};
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::{answer::New, calling::call, coordinator::Coordinator, json as records, limits::limit};

/// What is known of the job, whether it runs, its newest set and its outcome.
#[pyfunction]
#[pyo3(signature = (directory, done=None))]
pub(crate) fn contact(
    py: Python<'_>,
    directory: PathBuf,
    done: Option<Py<PyAny>>,
) -> PyResult<Py<PyAny>> {
    call(py, done, move || {
        let contact = Contact::open(&directory)?;
        Ok(json!({
            "standing": contact.standing().slug(),
            "owner": contact.standing().owner().map(records::of),
            "record": records::of(contact.record()),
            "outcome": contact.outcome().map(records::of),
            "last_set": contact.last_set().map(records::of),
        }))
    })
}

/// A handle to the job's coordinator, once it is certain that it is that.
#[pyfunction]
#[pyo3(signature = (directory, timeout, done=None))]
pub(crate) fn contact_coordinator(
    py: Python<'_>,
    directory: PathBuf,
    timeout: Option<f64>,
    done: Option<Py<PyAny>>,
) -> PyResult<Py<PyAny>> {
    let timeout = limit(timeout)?;
    call(py, done, move || {
        let coordinator = Contact::open(&directory)?.coordinator(timeout)?;
        Ok(New(Coordinator::from(coordinator)))
    })
}

#[pyfunction]
#[pyo3(signature = (directory, timeout, done=None))]
pub(crate) fn wait_for_outcome(
    py: Python<'_>,
    directory: PathBuf,
    timeout: Option<f64>,
    done: Option<Py<PyAny>>,
) -> PyResult<Py<PyAny>> {
    let timeout = limit(timeout)?;
    call(py, done, move || {
        let outcome = job::wait_for_outcome(&directory, timeout)?;
        Ok(records::of(&outcome))
    })
}

#[pyfunction]
#[pyo3(signature = (directory, grace, done=None))]
pub(crate) fn checkpoint_and_stop(
    py: Python<'_>,
    directory: PathBuf,
    grace: Option<f64>,
    done: Option<Py<PyAny>>,
) -> PyResult<Py<PyAny>> {
    let grace = limit(grace)?;
    call(py, done, move || {
        Ok(stopped(&job::checkpoint_and_stop(&directory, grace)?))
    })
}

#[pyfunction]
#[pyo3(signature = (directory, done=None))]
pub(crate) fn kill(
    py: Python<'_>,
    directory: PathBuf,
    done: Option<Py<PyAny>>,
) -> PyResult<Py<PyAny>> {
    call(py, done, move || Ok(stopped(&job::kill(&directory)?)))
}

fn stopped(stopped: &Stopped) -> Value {
    let why = stopped.not_checkpointed.as_ref();
    json!({
        "was_running": stopped.was_running,
        "not_checkpointed": why.map(|error| with_causes(error)),
        "outcome": stopped.outcome.as_ref().map(records::of),
    })
}
