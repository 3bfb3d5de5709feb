//! Requests to the coordinator's key-value store.

use super::{Fields, c_strings};
use crate::error::{DecodeError, EncodeError};
use crate::name::Name;
use crate::text::Text;
use crate::wire::{Frame, Header};

/// What to do with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyValueOp {
    /// Read it.
    Get,
    /// Write it; the answer is the old value.
    Set,
    /// Add a number.
    IncrementBy,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// The smaller one.
    Min,
    /// The larger one.
    Max,
    /// A number without a word.
    Unknown(u32),
}

impl KeyValueOp {
    const NUMBERED: [Self; 8] = [
        Self::Get,
        Self::Set,
        Self::IncrementBy,
        Self::And,
        Self::Or,
        Self::Xor,
        Self::Min,
        Self::Max,
    ];

    fn from_wire(number: u32) -> Self {
        let known = usize::try_from(number)
            .ok()
            .and_then(|index| Self::NUMBERED.get(index));
        known.copied().unwrap_or(Self::Unknown(number))
    }

    fn to_wire(self) -> u32 {
        match self {
            Self::Unknown(number) => number,
            known => (0..)
                .zip(Self::NUMBERED)
                .find(|&(_, op)| op == known)
                .map_or(0, |(n, _)| n),
        }
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "what the message carries in every dialect"
)]
pub struct KeyValueRequest {
    /// The database.
    pub database: Name,
    /// What to do.
    pub op: KeyValueOp,
    /// The key. An empty one is never sent; a coordinator refuses it.
    pub key: Text,
    /// The value or operand; empty for [`KeyValueOp::Get`].
    pub value: Text,
}

impl KeyValueRequest {
    pub(super) fn parse(header: &Header, fields: &mut Fields) -> Result<Self, DecodeError> {
        let total = fields.payload.len();
        let key = fields.text("key")?;
        let value = fields.text("value")?;
        let lengths = (header.key_len as usize, header.value_len as usize);
        if lengths != (key.as_bytes().len() + 1, value.as_bytes().len() + 1)
            || lengths.0 + lengths.1 != total
        {
            return Err(fields.malformed("key and value lengths"));
        }
        Ok(Self {
            database: Name::from_field(&header.name),
            op: KeyValueOp::from_wire(header.key_value_code),
            key,
            value,
        })
    }

    pub(super) fn write(&self, frame: &mut Frame) -> Result<(), EncodeError> {
        if self.key.is_empty() {
            return Err(EncodeError::Text { field: "key" });
        }
        frame.header.name = *self.database.as_field();
        frame.header.key_value_code = self.op.to_wire();
        frame.header.key_len = len_with_nul(&self.key);
        frame.header.value_len = len_with_nul(&self.value);
        frame.payload = c_strings([&self.key, &self.value]);
        Ok(())
    }
}

/// The answer to a [`KeyValueRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyValueResponse {
    /// Done; the value read, or the one that was there before.
    Value(Text),
    /// Refused by a client library before it was sent; never seen on the wire.
    InvalidRequest,
    /// No such database.
    NoDatabase,
    /// No such key.
    NoKey,
    /// A code without a word.
    Unknown(u32),
}

impl KeyValueResponse {
    pub(super) fn parse(header: &Header, fields: &mut Fields) -> Result<Self, DecodeError> {
        Ok(match header.key_value_code {
            0 => Self::Value(fields.text("value")?),
            1 => Self::InvalidRequest,
            2 => Self::NoDatabase,
            3 => Self::NoKey,
            code => {
                let _payload = fields.rest();
                Self::Unknown(code)
            }
        })
    }

    pub(super) fn write(&self, frame: &mut Frame) {
        frame.header.key_value_code = match self {
            Self::Value(_) => 0,
            Self::InvalidRequest => 1,
            Self::NoDatabase => 2,
            Self::NoKey => 3,
            Self::Unknown(code) => *code,
        };
        if let Self::Value(value) = self {
            frame.header.value_len = len_with_nul(value);
            frame.payload = c_strings([value]);
        }
    }
}

fn len_with_nul(text: &Text) -> u32 {
    u32::try_from(text.as_bytes().len() + 1).unwrap_or(u32::MAX)
}
