//! The header of DMTCP 4.0 and later: one page, written twice.

use super::details::ProcessDetails;
use super::fields::Fields;
use super::header::{Format, ImageHeader};
use std::path::PathBuf;

/// Before memory areas begin: the header and its copy.
pub(super) const PREFIX_LEN: usize = 2 * HEADER_LEN;

/// First bytes of the file.
pub(super) const SIGNATURE: &[u8] = b"DMTCP_CHECKPOINT_IMAGE_v4.0\n\0";

/// Reads the two copies of the header.
///
/// `prefix` has at least [`PREFIX_LEN`] bytes and begins with [`SIGNATURE`]. The error is the
/// offset and what is wrong there.
pub(super) fn parse(prefix: &[u8]) -> Result<(ImageHeader, ProcessDetails), (u64, String)> {
    let first = prefix.get(..HEADER_LEN);
    let second = prefix.get(HEADER_LEN..PREFIX_LEN);
    if first != second {
        return Err((
            HEADER_LEN as u64,
            "the second copy of the header differs from the first".to_owned(),
        ));
    }
    read(prefix).ok_or_else(|| {
        (
            PROGRAM_AT as u64,
            "the program name in the header does not end".to_owned(),
        )
    })
}

fn read(prefix: &[u8]) -> Option<(ImageHeader, ProcessDetails)> {
    let mut fields = Fields::new(prefix, 32);
    let process = fields.unique_pid()?;
    let parent = fields.unique_pid()?;
    let computation = fields.unique_pid()?;
    let virtual_pid = fields.i32()?;
    let virtual_ppid = fields.i32()?;
    let (session, process_group) = (fields.i32()?, fields.i32()?);
    let foreground_group = fields.i32()?;
    let is_root = fields.u32()? != 0;
    let peers = fields.u32()?;
    let class = fields.u32()?;
    // Offsets in the vdso; restore buffer, vdso, vvar, its clock page; brk.
    fields.take(4 * 8 + 4 * 16 + 8)?;
    let details = ProcessDetails {
        bits: ProcessDetails::bits_of(class),
        session,
        process_group,
        foreground_group,
        stack_end: Some(fields.u64()?),
        ..ProcessDetails::default()
    };
    let mut names = Fields::new(prefix, PROGRAM_AT);
    let header = ImageHeader {
        format: Format::V4,
        compressed: false,
        process,
        parent,
        computation,
        virtual_pid,
        virtual_ppid,
        is_root,
        peers,
        program: names.c_text(NAME_LEN)?,
        executable: PathBuf::from(names.c_text(NAME_LEN)?),
        host: None,
    };
    Some((header, details))
}

const HEADER_LEN: usize = 4096;
const NAME_LEN: usize = 1024;
const PROGRAM_AT: usize = 256;
