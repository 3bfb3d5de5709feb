//! The bytes of a worker's state, between the interpreter and an image, without copies.
//!
//! All unsafe code of the binding is here and, a line of it, in `interpreter`.
#![expect(
    unsafe_code,
    reason = "the buffer protocol is one of pointers; each block says why it is sound"
)]

use std::{ffi::c_int, ptr::NonNull, slice};

use pyo3::{buffer::PyBuffer, exceptions::PyBufferError, ffi, prelude::*};

/// A restored state, which Python sees as writable memory: arrays can be made of it in place.
#[pyclass(frozen, module = "dmtcp._native")]
pub(crate) struct StateBuffer {
    bytes: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is its own, and nothing of Rust reads or writes it while Python has it; what
// Python's threads do with it is theirs to order, as with a `bytearray`.
unsafe impl Send for StateBuffer {}
// SAFETY: as above; nothing is changed through a shared reference to this.
unsafe impl Sync for StateBuffer {}

impl From<Vec<u8>> for StateBuffer {
    fn from(bytes: Vec<u8>) -> Self {
        let bytes = Box::leak(bytes.into_boxed_slice());
        let len = bytes.len();
        Self {
            bytes: NonNull::from(bytes).cast(),
            len,
        }
    }
}

impl Drop for StateBuffer {
    fn drop(&mut self) {
        let bytes = std::ptr::slice_from_raw_parts_mut(self.bytes.as_ptr(), self.len);
        // SAFETY: these are pointer and length of the box that `from` leaked, and no view of it is
        // left: each holds a reference to this object.
        drop(unsafe { Box::from_raw(bytes) });
    }
}

#[pymethods]
impl StateBuffer {
    fn __len__(&self) -> usize {
        self.len
    }

    /// Called by the interpreter with a `view` to fill in.
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        if view.is_null() {
            return Err(PyBufferError::new_err("no view to fill in"));
        }
        let this = slf.get();
        let len = isize::try_from(this.len)
            .map_err(|_| PyBufferError::new_err("the state is too large for a view"))?;
        // SAFETY: `view` is the interpreter's and not NULL; the memory has that length, is not moved,
        // and lives as long as `slf`, to which the call takes a reference for the view.
        let filled = unsafe {
            ffi::PyBuffer_FillInfo(
                view,
                slf.as_ptr(),
                this.bytes.as_ptr().cast(),
                len,
                0,
                flags,
            )
        };
        match filled {
            0 => Ok(()),
            _ => Err(PyErr::fetch(slf.py())),
        }
    }

    /// Nothing is kept for a view.
    unsafe fn __releasebuffer__(&self, _view: *mut ffi::Py_buffer) {}
}

/// Memory of Python that is to be written to an image: contiguous bytes.
pub(crate) struct Part {
    buffer: PyBuffer<u8>,
}

impl Part {
    pub(crate) fn of(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let buffer = PyBuffer::get(value)?;
        match buffer.is_c_contiguous() {
            true => Ok(Self { buffer }),
            false => Err(PyBufferError::new_err("the buffer is not contiguous")),
        }
    }

    /// Its bytes, for as long as the view is held, which keeps the memory where it is.
    pub(crate) fn bytes(&self) -> &[u8] {
        let len = self.buffer.len_bytes();
        if len == 0 {
            return &[];
        }
        // SAFETY: the view is contiguous (looked at in `of`), of bytes, of this length, not empty and so
        // not at NULL, and the exporter neither moves nor frees it while the view is held. That nobody
        // writes to it meanwhile is what the package asks of a program at a safe point: only threads of
        // the program could, since the one that has this state waits in the call.
        unsafe { slice::from_raw_parts(self.buffer.buf_ptr().cast::<u8>(), len) }
    }
}
