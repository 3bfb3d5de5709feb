//! Bytes, split anywhere, to frames.

use byteorder::{ByteOrder as _, LittleEndian as Le};
use bytes::{Buf as _, Bytes, BytesMut};

use super::frame::{Frame, Header};
use crate::dialect::{Candidates, Dialect, Layout, MAGIC};
use crate::error::{DecodeError, Expected};
use crate::ids::UniquePid;

/// How much a peer may make us hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest payload, in bytes. Default 64 MiB: memory maps of large processes pass, and a
    /// hostile length does not.
    pub max_payload: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_payload: 64 << 20,
        }
    }
}

impl Limits {
    /// These limits with another largest payload, in bytes.
    #[must_use]
    pub fn max_payload(self, max_payload: usize) -> Self {
        Self { max_payload }
    }
}

/// Cuts a stream into frames.
///
/// Holds at most one incomplete frame, and reserves no memory for bytes that have not arrived.
/// After an error the stream is dead: [`next_frame`](Self::next_frame) repeats the error.
///
/// ```
/// use dmtcp_proto::{Decoder, Dialect, Frame, Limits, encode};
/// let mut bytes = bytes::BytesMut::new();
/// encode(Dialect::V5, &Frame::default(), &mut bytes)?;
///
/// let mut decoder = Decoder::new(Dialect::V5, Limits::default());
/// decoder.feed(&bytes[..100]);
/// assert_eq!(decoder.next_frame(), Ok(None));
/// decoder.feed(&bytes[100..]);
/// assert_eq!(decoder.next_frame(), Ok(Some(Frame::default())));
/// # Ok::<(), dmtcp_proto::EncodeError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    candidates: Candidates,
    layout: Option<&'static Layout>,
    limits: Limits,
    buffer: BytesMut,
    dead: Option<DecodeError>,
}

impl Decoder {
    /// A decoder for a peer whose dialect is known.
    #[must_use]
    pub fn new(dialect: Dialect, limits: Limits) -> Self {
        Self::of(Candidates::from(dialect), limits)
    }

    /// A decoder for a peer of any dialect: the first header tells its layout.
    ///
    /// What the numbers mean is then still open; see [`candidates`](Self::candidates).
    #[must_use]
    pub fn detecting(limits: Limits) -> Self {
        Self::of(Candidates::all(), limits)
    }

    /// Other limits for what comes next.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    fn of(candidates: Candidates, limits: Limits) -> Self {
        Self {
            candidates,
            layout: None,
            limits,
            buffer: BytesMut::new(),
            dead: None,
        }
    }

    /// The dialects whose headers fit what has arrived so far.
    #[must_use]
    pub fn candidates(&self) -> Candidates {
        self.candidates
    }

    /// Bytes that wait for the rest of their frame.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// Takes bytes from the peer.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.dead.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next whole frame; `None` until more bytes arrive.
    ///
    /// # Errors
    ///
    /// Bad magic, a header length that fits no candidate, or a payload over the limit; now and at
    /// every later call.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, DecodeError> {
        if let Some(error) = &self.dead {
            return Err(error.clone());
        }
        self.cut().inspect_err(|error| {
            self.buffer = BytesMut::new();
            self.dead = Some(error.clone());
        })
    }

    fn cut(&mut self) -> Result<Option<Frame>, DecodeError> {
        // A wrong magic is refused at its first byte, not after 208 of them.
        let seen = self.buffer.len().min(MAGIC.len());
        if self.buffer[..seen] != MAGIC[..seen] {
            return Err(DecodeError::BadMagic);
        }
        let Some(layout) = self.layout()? else {
            return Ok(None);
        };
        if self.buffer.len() < layout.payload_len_at + 4 {
            return Ok(None);
        }
        let announced = Le::read_u32(&self.buffer[layout.len_at..]);
        if announced as usize != layout.len {
            return Err(self.header_len(announced));
        }
        let payload_len = Le::read_u32(&self.buffer[layout.payload_len_at..]);
        let max = self.limits.max_payload;
        let Some(payload_len) = usize::try_from(payload_len).ok().filter(|&len| len <= max) else {
            return Err(DecodeError::PayloadTooLarge {
                len: payload_len,
                max,
            });
        };
        if self.buffer.len() < layout.len.saturating_add(payload_len) {
            return Ok(None);
        }
        let header = read_header(&self.buffer[..layout.len], layout);
        // The payload shares the buffer, except when that would pin a large buffer for little.
        self.buffer.advance(layout.len);
        let payload = match payload_len {
            0 => Bytes::new(),
            1..=1024 => {
                let copy = Bytes::copy_from_slice(&self.buffer[..payload_len]);
                self.buffer.advance(payload_len);
                copy
            }
            _ => self.buffer.split_to(payload_len).freeze(),
        };
        if self.buffer.is_empty() && self.buffer.capacity() > 4096 {
            self.buffer = BytesMut::new();
        }
        Ok(Some(Frame { header, payload }))
    }

    /// The layout of the peer's headers, as soon as the first one tells.
    fn layout(&mut self) -> Result<Option<&'static Layout>, DecodeError> {
        if self.layout.is_none() {
            let Some(narrowed) = self.candidates.narrow_by_header(&self.buffer) else {
                return Ok(None);
            };
            let Some(dialect) = narrowed.iter().next() else {
                let offset = self.candidates.iter().map(|d| d.spec().layout.len_at).max();
                let found = offset.map_or(0, |at| Le::read_u32(&self.buffer[at..]));
                return Err(self.header_len(found));
            };
            self.candidates = narrowed;
            self.layout = Some(dialect.spec().layout);
        }
        Ok(self.layout)
    }

    fn header_len(&self, found: u32) -> DecodeError {
        let expected = self
            .candidates
            .only()
            .map_or(Expected::Any, Expected::Dialect);
        DecodeError::HeaderLen { expected, found }
    }
}

/// `bytes` is `layout.len` long.
fn read_header(bytes: &[u8], layout: &Layout) -> Header {
    let get = |offset: usize| Le::read_u32(&bytes[offset..offset + 4]);
    let get_if = |offset: Option<usize>| offset.map_or(0, get);
    let (name_at, name_len) = layout.name;
    let mut name = [0; 64];
    name[..name_len].copy_from_slice(&bytes[name_at..name_at + name_len]);
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
