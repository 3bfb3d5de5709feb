//! Text of any length from a peer: host names, program names, paths, keys and values.

use alloc::string::String;
use bytes::{Bytes, BytesMut};
use core::fmt;

/// Bytes without a NUL, as DMTCP's C strings are. Mostly UTF-8, never promised to be.
///
/// A slice of the received payload: cloning it copies nothing.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Bytes);

impl Text {
    /// A text of these bytes; `None` if one of them is NUL.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Option<Self> {
        let bytes = bytes.into();
        (!bytes.contains(&0)).then_some(Self(bytes))
    }

    /// The bytes, without a terminator.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes with a NUL behind them.
    pub(crate) fn to_c_string(&self) -> Bytes {
        let mut bytes = BytesMut::from(self.as_bytes());
        bytes.extend_from_slice(&[0]);
        bytes.freeze()
    }

    /// Takes the C string at the start of `payload`, its NUL included; `None` without a NUL.
    pub(crate) fn take(payload: &mut Bytes) -> Option<Self> {
        let end = payload.iter().position(|&byte| byte == 0)?;
        let text = payload.split_to(end);
        let _nul = payload.split_to(1);
        Some(Self(text))
    }
}

impl From<&'static str> for Text {
    /// Bytes from the first NUL on are cut off.
    fn from(text: &'static str) -> Self {
        let text = text.split('\0').next().unwrap_or_default();
        Self(Bytes::from_static(text.as_bytes()))
    }
}

impl From<String> for Text {
    /// Bytes from the first NUL on are cut off.
    fn from(mut text: String) -> Self {
        if let Some(end) = text.find('\0') {
            text.truncate(end);
        }
        Self(Bytes::from(text))
    }
}

impl fmt::Display for Text {
    /// Bytes that are not UTF-8 become U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}
