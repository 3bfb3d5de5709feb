//! Frames to bytes: header and payload in one piece, every byte set.

use byteorder::{ByteOrder as _, LittleEndian as Le};
use bytes::{BufMut as _, BytesMut};

use super::frame::{Frame, Header};
use crate::dialect::{Dialect, Layout, MAGIC};
use crate::error::EncodeError;
use crate::ids::UniquePid;

/// Appends a frame to `out`, as `dialect` writes it.
///
/// # Errors
///
/// [`EncodeError::PayloadTooLarge`] when a stock peer of this dialect would refuse it (the
/// development head takes 1 MiB) or when its length does not fit the header's 32 bits.
/// `out` is unchanged then.
pub fn encode(dialect: Dialect, frame: &Frame, out: &mut BytesMut) -> Result<(), EncodeError> {
    let max = dialect.peer_payload_limit().unwrap_or(u32::MAX as usize);
    let len = frame.payload.len();
    if len > max {
        return Err(EncodeError::PayloadTooLarge { dialect, len, max });
    }
    let layout = dialect.spec().layout;
    out.reserve(layout.len + frame.payload.len());
    let start = out.len();
    out.put_bytes(0, layout.len);
    let payload_len = u32::try_from(frame.payload.len()).unwrap_or(u32::MAX);
    if let Some(bytes) = out.get_mut(start..) {
        put_header(bytes, layout, &frame.header, payload_len);
    }
    out.extend_from_slice(&frame.payload);
    Ok(())
}

/// `bytes` is `layout.len` long: every offset of a layout lies within it (checked by a test).
fn put_header(bytes: &mut [u8], layout: &Layout, header: &Header, payload_len: u32) {
    bytes[..15].copy_from_slice(MAGIC);
    bytes[15] = header.magic_residue;
    let (name, name_len) = layout.name;
    bytes[name..name + name_len].copy_from_slice(&header.name[..name_len]);
    let mut put = |offset: usize, value: u32| Le::write_u32(&mut bytes[offset..offset + 4], value);
    put(layout.len_at, u32::try_from(layout.len).unwrap_or(u32::MAX));
    put(layout.payload_len_at, payload_len);
    put(layout.kind, header.kind);
    put(layout.state, header.state);
    put(layout.virtual_pid, header.virtual_pid as u32);
    put(layout.real_pid, header.real_pid as u32);
    put(layout.key_len, header.key_len);
    put(layout.value_len, header.value_len);
    put(layout.peers, header.peers);
    put(layout.running, header.running);
    put(layout.verb, header.verb);
    put(layout.status, header.status as u32);
    put(layout.interval, header.interval as u32);
    let code = layout.key_value_code;
    for (offset, value) in [
        (code, header.key_value_code),
        (code.map(|at| at + 4), header.key_value_residue),
        (layout.unique_id_offset, header.unique_id_offset),
        (layout.log_mask, header.log_mask),
        (layout.then_exit, header.then_exit),
    ] {
        if let Some(offset) = offset {
            put(offset, value);
        }
    }
    put_id(&mut bytes[layout.from..layout.from + 24], &header.from);
    put_id(&mut bytes[layout.group..layout.group + 24], &header.group);
    Le::write_u64(
        &mut bytes[layout.time_stamp..layout.time_stamp + 8],
        header.time_stamp,
    );
    bytes[layout.ip..layout.ip + 4].copy_from_slice(&header.ip);
}

fn put_id(bytes: &mut [u8], id: &UniquePid) {
    Le::write_u64(&mut bytes[..8], id.host_id);
    Le::write_u64(&mut bytes[8..16], id.time);
    Le::write_i32(&mut bytes[16..20], id.pid);
    Le::write_u32(&mut bytes[20..24], id.generation);
}
