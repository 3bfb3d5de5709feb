//! What an image says, read without restoring it.

use std::path::PathBuf;

use dmtcp_client::image;
use pyo3::prelude::*;

use crate::{calling::call, failures, json as records};

/// `(what it says, name and text of why it is not whole)`.
#[pyfunction]
#[pyo3(signature = (path, done=None))]
pub(crate) fn inspect(
    py: Python<'_>,
    path: PathBuf,
    done: Option<Py<PyAny>>,
) -> PyResult<Py<PyAny>> {
    call(py, done, move || {
        let inspection = image::inspect(&path)?;
        let fault = inspection.fault.as_ref().map(|error| {
            let slug = failures::image(error).0.to_owned();
            (slug, dmtcp_client::with_causes(error))
        });
        Ok((records::of(&inspection), fault))
    })
}
