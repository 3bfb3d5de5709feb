//! DMTCP's own programs.

use std::path::PathBuf;

use dmtcp_client::Tools;
use pyo3::prelude::*;

use crate::{answer::Answer, calling::call, failure::Failure};

/// `(folder, version)`; the version is `None` unless it is asked for.
#[pyfunction]
#[pyo3(signature = (directory, version, done=None))]
pub(crate) fn find_tools(
    py: Python<'_>,
    directory: Option<PathBuf>,
    version: bool,
    done: Option<Py<PyAny>>,
) -> PyResult<Py<PyAny>> {
    call(py, done, move || found(directory, version))
}

fn found(directory: Option<PathBuf>, version: bool) -> Result<impl Answer, Failure> {
    let tools = Tools::find(directory.as_deref())?;
    let version = match version {
        true => Some(tools.version()?.text),
        false => None,
    };
    Ok((tools.dir().to_owned(), version))
}
