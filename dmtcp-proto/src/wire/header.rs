//! A header's fields from and to their places.
//!
//! [`read`] and [`write`] have a copy for each layout, in which all offsets are constants: the
//! compiler needs no checks then, and takes neighbouring fields at once.

use byteorder::{ByteOrder as _, LittleEndian as Le};
use bytes::BytesMut;

use super::frame::Header;
use crate::dialect::{LAYOUT_136, LAYOUT_144, LAYOUT_208, Layout, MAGIC};
use crate::ids::UniquePid;

/// The layout of the headers of this length.
pub(super) const fn layout<const LEN: usize>() -> &'static Layout {
    let layout = match LEN {
        136 => &LAYOUT_136,
        144 => &LAYOUT_144,
        _ => &LAYOUT_208,
    };
    assert!(layout.len == LEN, "no layout has this length");
    layout
}

/// The fields of a header; `bytes` is `layout.len` long.
#[inline(always)]
pub(super) fn read(bytes: &[u8], layout: &Layout) -> Header {
    let bytes = &bytes[..layout.len];
    let get = |offset: usize| Le::read_u32(&bytes[offset..offset + 4]);
    let get_if = |offset: Option<usize>| offset.map_or(0, get);
    let (name_at, name_len) = layout.name;
    let name = &bytes[name_at..name_at + name_len];
    let name = name.first_chunk().copied().unwrap_or_else(|| {
        let mut padded = [0; 64];
        padded[..name_len].copy_from_slice(name);
        padded
    });
    let mut ip = [0; 4];
    ip.copy_from_slice(&bytes[layout.ip..layout.ip + 4]);
    Header {
        magic_residue: bytes[15],
        name,
        key_value_code: get_if(layout.key_value_code),
        key_value_residue: get_if(layout.key_value_code.map(|offset| offset + 4)),
        kind: get(layout.kind),
        state: get(layout.state),
        from: read_id(&bytes[layout.from..layout.from + 24]),
        group: read_id(&bytes[layout.group..layout.group + 24]),
        virtual_pid: get(layout.virtual_pid) as i32,
        real_pid: get(layout.real_pid) as i32,
        key_len: get(layout.key_len),
        value_len: get(layout.value_len),
        peers: get(layout.peers),
        running: get(layout.running),
        verb: get(layout.verb),
        status: get(layout.status) as i32,
        time_stamp: Le::read_u64(&bytes[layout.time_stamp..layout.time_stamp + 8]),
        interval: get(layout.interval) as i32,
        ip,
        unique_id_offset: get_if(layout.unique_id_offset),
        log_mask: get_if(layout.log_mask),
        then_exit: get_if(layout.then_exit),
    }
}

fn read_id(bytes: &[u8]) -> UniquePid {
    UniquePid {
        host_id: Le::read_u64(&bytes[..8]),
        time: Le::read_u64(&bytes[8..16]),
        pid: Le::read_i32(&bytes[16..20]),
        generation: Le::read_u32(&bytes[20..24]),
    }
}

/// Appends a header.
pub(super) fn write(out: &mut BytesMut, header: &Header, payload_len: u32, layout: &Layout) {
    match layout.len {
        136 => write_as::<136>(out, header, payload_len),
        144 => write_as::<144>(out, header, payload_len),
        _ => write_as::<208>(out, header, payload_len),
    }
}

fn write_as<const LEN: usize>(out: &mut BytesMut, header: &Header, payload_len: u32) {
    let layout = const { layout::<LEN>() };
    let mut bytes = [0; LEN];
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
    out.extend_from_slice(&bytes);
}

fn put_id(bytes: &mut [u8], id: &UniquePid) {
    Le::write_u64(&mut bytes[..8], id.host_id);
    Le::write_u64(&mut bytes[8..16], id.time);
    Le::write_i32(&mut bytes[16..20], id.pid);
    Le::write_u32(&mut bytes[20..24], id.generation);
}
