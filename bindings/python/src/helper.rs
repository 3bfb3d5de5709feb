//! A coordinator of ours as a process of its own, which outlives this one.

use std::path::PathBuf;

use dmtcp_client::{
    helper::{HelperError, HelperSettings},
    process::Identity,
};
use pyo3::prelude::*;

use crate::{
    answer,
    calling::call,
    failure::{Failure, Fault},
    limits::limit,
    process::socket,
};

/// `((host, port), (pid, start_time))` of the coordinator, which answers by now.
#[pyfunction]
#[pyo3(signature = (program, address, interval, options, directory, port_file, log_file, timeout, done=None))]
#[expect(
    clippy::too_many_arguments,
    reason = "the package names and documents them"
)]
pub(crate) fn start_helper(
    py: Python<'_>,
    program: PathBuf,
    address: &str,
    interval: Option<f64>,
    options: Vec<String>,
    directory: PathBuf,
    port_file: Option<PathBuf>,
    log_file: Option<PathBuf>,
    timeout: Option<f64>,
    done: Option<Py<PyAny>>,
) -> PyResult<Py<PyAny>> {
    let timeout = limit(timeout)?;
    let mut settings = HelperSettings::new()
        .program(program)
        .listen(socket(address)?)
        .interval(answer::interval(interval)?)
        .checkpoint_dir(directory);
    for option in options {
        settings = settings.raw_option(option);
    }
    if let Some(path) = port_file {
        settings = settings.port_file(path);
    }
    if let Some(path) = log_file {
        settings = settings.log_file(path);
    }
    call(py, done, move || {
        let helper = settings.start(timeout)?;
        let addr = helper.coordinator().addr();
        let process = helper.process();
        Ok((
            (addr.ip().to_string(), u32::from(addr.port())),
            (process.pid(), process.start_time()),
        ))
    })
}

/// Whether the process of this number still runs that started at `start_time`.
#[pyfunction]
pub(crate) fn is_running(pid: i32, start_time: u64) -> PyResult<bool> {
    let process = Identity::of(pid).map_err(Failure::from)?;
    Ok(process.is_some_and(|process| process.start_time() == start_time))
}

impl From<HelperError> for Failure {
    fn from(error: HelperError) -> Self {
        type E = HelperError;
        let (class, slug, fault) = match &error {
            E::NoProgram { .. } => ("ToolError", "no-dmtcpctl", Fault::Environment),
            E::NotIpv4(_) => ("CallerError", "not-ipv4", Fault::Caller),
            E::Listen { .. } => ("ServerError", "listen", Fault::Environment),
            E::File { .. } => ("ToolError", "io", Fault::Environment),
            E::TimedOut { .. } => ("TimeoutError", "timed-out", Fault::Environment),
            _ => ("ToolError", "process", Fault::Environment),
        };
        Self::of(class, slug, fault, &error)
    }
}
