//! Short text in a fixed field of 64 bytes: names of barriers and key-value databases.

use alloc::string::{String, ToString};
use core::fmt;

use crate::error::EncodeError;

/// A name of at most 63 bytes, none of them NUL.
///
/// ```
/// use dmtcp_proto::Name;
/// let name = Name::new("DMT:SUSPEND")?;
/// assert_eq!(name.to_string(), "DMT:SUSPEND");
/// # Ok::<(), dmtcp_proto::EncodeError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name {
    bytes: [u8; 64],
}

impl Name {
    /// The empty name.
    pub const EMPTY: Self = Self { bytes: [0; 64] };

    /// A name of this text.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Name`] when the text is longer than 63 bytes or contains a NUL.
    pub fn new(text: &str) -> Result<Self, EncodeError> {
        let source = text.as_bytes();
        let mut bytes = [0; 64];
        match bytes.get_mut(..source.len()) {
            Some(space) if source.len() < 64 && !source.contains(&0) => {
                space.copy_from_slice(source);
                Ok(Self { bytes })
            }
            _ => Err(EncodeError::Name {
                name: text.to_string(),
            }),
        }
    }

    /// From the wire: everything up to the first NUL, at most 63 bytes.
    #[must_use]
    pub fn from_field(field: &[u8]) -> Self {
        let mut bytes = [0; 64];
        let text = field.split(|&byte| byte == 0).next().unwrap_or_default();
        for (space, &byte) in bytes.iter_mut().take(63).zip(text) {
            *space = byte;
        }
        Self { bytes }
    }

    /// The field as it goes onto the wire: the name, padded with NULs.
    #[must_use]
    pub fn as_field(&self) -> &[u8; 64] {
        &self.bytes
    }

    /// The name without its padding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .split(|&byte| byte == 0)
            .next()
            .unwrap_or_default()
    }

    /// Whether nothing was named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.first() == Some(&0)
    }
}

impl Default for Name {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl fmt::Display for Name {
    /// Bytes that are not UTF-8 become U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}
