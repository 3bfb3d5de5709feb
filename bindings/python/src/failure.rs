//! What a call raises: which exception of the package, with which name, text and advice.
//!
//! Not here: which error of the library becomes which (`failures`).

use std::error::Error;

use dmtcp_client::with_causes;
use pyo3::{
    prelude::*,
    types::{PyAnyMethods, PyType},
};

/// Why a call did not do what it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    class: &'static str,
    slug: &'static str,
    fault: Fault,
    text: String,
    /// Of a worker that shall end: with which code.
    exit_code: Option<u8>,
}

/// Who is at fault.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Caller,
    Environment,
    Peer,
}

impl Failure {
    /// `class` is the name of an exception of `dmtcp._errors`; the text is the error's, with its causes.
    pub(crate) fn of(
        class: &'static str,
        slug: &'static str,
        fault: Fault,
        error: &dyn Error,
    ) -> Self {
        Self::new(class, slug, fault, with_causes(error))
    }

    pub(crate) fn new(
        class: &'static str,
        slug: &'static str,
        fault: Fault,
        text: impl Into<String>,
    ) -> Self {
        Self {
            class,
            slug,
            fault,
            text: text.into(),
            exit_code: None,
        }
    }

    /// The caller gave something that cannot be used.
    pub(crate) fn caller(slug: &'static str, text: impl Into<String>) -> Self {
        Self::new("CallerError", slug, Fault::Caller, text)
    }

    /// A limit that the caller gave has passed.
    pub(crate) fn timed_out(text: impl Into<String>) -> Self {
        Self::new("TimeoutError", "timed-out", Fault::Peer, text)
    }

    pub(crate) fn is_timeout(&self) -> bool {
        self.class == "TimeoutError"
    }

    pub(crate) fn exit_code(self, code: u8) -> Self {
        Self {
            exit_code: Some(code),
            ..self
        }
    }

    pub(crate) fn into_py_err(self, py: Python<'_>) -> PyErr {
        self.raised(py).unwrap_or_else(|error| error)
    }

    fn raised(self, py: Python<'_>) -> PyResult<PyErr> {
        let errors = py.import("dmtcp._errors")?;
        let class = errors.getattr(self.class)?.cast_into::<PyType>()?;
        let fault = match self.fault {
            Fault::Caller => "caller",
            Fault::Environment => "environment",
            Fault::Peer => "peer",
        };
        let arguments = (self.text, self.slug, fault);
        let exception = match self.exit_code {
            Some(code) => class.call1((arguments.0, arguments.1, arguments.2, code))?,
            None => class.call1(arguments)?,
        };
        Ok(PyErr::from_value(exception))
    }
}

/// For calls that do not wait and so hold the interpreter.
impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        Python::attach(|py| failure.into_py_err(py))
    }
}
