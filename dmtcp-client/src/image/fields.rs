//! Reading little-endian fields out of a buffer that may be too short.
//!
//! Not here: what the fields mean (`v2`, `v4`, `areas`).

use dmtcp_proto::UniquePid;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// A position in a buffer; every read says `None` at its end and moves on otherwise.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Host, time, pid, generation: 24 bytes in every format.
    pub(super) fn unique_pid(&mut self) -> Option<UniquePid> {
        Some(UniquePid {
            host_id: self.u64()?,
            time: self.u64()?,
            pid: self.i32()?,
            generation: self.u32()?,
        })
    }

    /// A field of fixed size that holds text up to its first NUL; `None` if there is none.
    pub(super) fn c_text(&mut self, len: usize) -> Option<OsString> {
        let field = self.take(len)?;
        let end = field.iter().position(|&byte| byte == 0)?;
        Some(OsString::from_vec(field.get(..end)?.to_vec()))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}
