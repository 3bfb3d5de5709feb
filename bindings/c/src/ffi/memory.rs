//! Memory of the caller that is read, or filled, as bytes.

use std::ffi::c_void;
use std::slice;

use super::null;
use crate::failure::Failure;

/// NULL, or the beginning of memory of the caller.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Memory(*mut c_void);

/// Memory of the caller that outlives the call in which it was named.
#[derive(Debug)]
pub(crate) struct Region {
    start: *mut u8,
    len: usize,
}

// SAFETY: the header says that the memory stays where it is until it is given up, and that only the
// thread touches it that makes the calls in which it is read or filled.
unsafe impl Send for Region {}

#[cfg(test)]
impl Memory {
    /// What C passes for these bytes.
    pub(crate) fn of(bytes: &mut [u8]) -> Self {
        Self(bytes.as_mut_ptr().cast())
    }
}

impl Memory {
    /// These bytes, for the time of this call.
    pub(crate) fn bytes(&self, len: usize, name: &str) -> Result<&[u8], Failure> {
        self.check(len, name)?;
        if len == 0 {
            return Ok(&[]);
        }
        // SAFETY: not NULL, `len` bytes that are initialised and do not change during the call, as
        // the header says.
        Ok(unsafe { slice::from_raw_parts(self.0.cast(), len) })
    }

    /// These bytes, for later calls.
    pub(crate) fn region(&self, len: usize, name: &str) -> Result<Region, Failure> {
        self.check(len, name)?;
        Ok(Region {
            start: self.0.cast(),
            len,
        })
    }

    fn check(&self, len: usize, name: &str) -> Result<(), Failure> {
        if self.0.is_null() && len > 0 {
            return Err(null(name));
        }
        if isize::try_from(len).is_err() {
            return Err(Failure::argument(format!("no memory has {len} bytes")));
        }
        Ok(())
    }
}

impl Region {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What is there, while nobody of this library fills it.
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: as in `Memory::bytes`, for as long as the header says that it is registered; the
        // caller does not write it while a call reads it.
        unsafe { slice::from_raw_parts(self.start, self.len) }
    }

    /// Puts these bytes there; they are as many as it has.
    pub(crate) fn fill(&mut self, bytes: &[u8]) {
        assert_eq!(bytes.len(), self.len, "the caller has compared them");
        if self.len == 0 {
            return;
        }
        // SAFETY: the caller's memory has as many bytes and may be written, as the header says; it
        // does not overlap with ours.
        unsafe {
            self.start
                .copy_from_nonoverlapping(bytes.as_ptr(), self.len)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::ResultCode;
    use std::ptr;

    #[test]
    fn a_region_is_read_and_filled() {
        let mut memory = *b"abcd";
        let mut region = Memory::of(&mut memory).region(4, "data").unwrap();
        assert_eq!(region.bytes(), b"abcd");
        region.fill(b"efgh");
        assert_eq!(&memory, b"efgh");
    }

    #[test]
    fn nothing_may_be_null_and_something_may_not() {
        let none = Memory(ptr::null_mut());
        assert_eq!(none.bytes(0, "data").unwrap(), b"");
        let mut nothing = none.region(0, "data").unwrap();
        assert_eq!(nothing.bytes(), b"");
        nothing.fill(b"");
        for failure in [none.bytes(1, "data").err(), none.region(1, "data").err()] {
            assert_eq!(failure.unwrap().code, ResultCode::DMTCP_ERR_NULL);
        }
        let failure = none.bytes(usize::MAX, "data").err();
        assert_eq!(failure.unwrap().code, ResultCode::DMTCP_ERR_NULL);
    }
}
