//! One interpreter of a process uses this module: answers are told, and signals looked for, in that one.
#![expect(
    unsafe_code,
    reason = "which interpreter this is can only be asked in the interpreter's own way"
)]

use std::sync::atomic::{AtomicI64, Ordering};

use pyo3::{exceptions::PyImportError, ffi, prelude::*};

static FIRST: AtomicI64 = AtomicI64::new(-1);

/// Refuses all but the first one that imports this module.
pub(crate) fn take(_py: Python<'_>) -> PyResult<()> {
    // SAFETY: `_py` proves that this thread is attached to an interpreter, which neither call changes.
    let this = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
    match FIRST.compare_exchange(-1, this, Ordering::SeqCst, Ordering::SeqCst) {
        Err(first) if first != this => Err(PyImportError::new_err(
            "dmtcp is in use by another interpreter of this process, and works in one only",
        )),
        _ => Ok(()),
    }
}
