//! Frames to bytes: header and payload in one piece, every byte set.

use bytes::BytesMut;

use super::frame::Frame;
use super::header;
use crate::dialect::Dialect;
use crate::error::EncodeError;

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
    out.reserve(layout.len + len);
    let payload_len = u32::try_from(len).unwrap_or(u32::MAX);
    header::write(out, &frame.header, payload_len, layout);
    if len > 0 {
        out.extend_from_slice(&frame.payload);
    }
    Ok(())
}
