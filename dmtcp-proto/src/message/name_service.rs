//! The name service of 2.x coordinators: keys and values are any bytes.

use bytes::{Bytes, BytesMut};

use super::Fields;
use crate::error::{DecodeError, EncodeError};
use crate::kind::Kind;
use crate::wire::{Frame, Header};

/// Name of a database: eight bytes, padded with NULs.
pub type NameServiceId = [u8; 8];

/// What a worker asks of the name service.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "what the message carries in every dialect"
)]
pub struct NameServiceRequest {
    /// The database.
    pub database: NameServiceId,
    /// The key; never empty.
    pub key: Bytes,
    /// What to do with it.
    pub op: NameServiceOp,
}

/// What to do with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "what the messages say in every dialect"
)]
pub enum NameServiceOp {
    /// Keep this value, which is never empty. Answered only if `sync` is set.
    Register {
        /// The value.
        value: Bytes,
        /// Whether the worker waits for [`Kind::NameServiceRegistered`].
        sync: bool,
    },
    /// Tell the value; answered by [`Kind::NameServiceAnswer`].
    Query,
    /// A number that no other key of the database has; answered by [`Kind::NameServiceUniqueId`].
    UniqueId {
        /// Bytes of the answer, at least one; stock workers want 4.
        len: u32,
        /// Distance to the next key's number; the first request of a database decides.
        offset: u32,
    },
}

impl NameServiceRequest {
    pub(super) fn parse(
        kind: Kind,
        header: &Header,
        fields: &mut Fields,
    ) -> Result<Self, DecodeError> {
        let mut database = NameServiceId::default();
        database.copy_from_slice(&header.name[..8]);
        let mut value = fields.rest();
        let key_len = usize::try_from(header.key_len).ok();
        let Some(key_len) = key_len.filter(|&len| len > 0 && len <= value.len()) else {
            return Err(fields.malformed("key length"));
        };
        let key = value.split_to(key_len);
        let op = match kind {
            Kind::NameServiceQuery => NameServiceOp::Query,
            Kind::NameServiceUniqueIdQuery if header.value_len == 0 => {
                return Err(fields.malformed("value length"));
            }
            Kind::NameServiceUniqueIdQuery => NameServiceOp::UniqueId {
                len: header.value_len,
                offset: header.unique_id_offset,
            },
            kind => {
                if value.is_empty() || usize::try_from(header.value_len).ok() != Some(value.len()) {
                    return Err(fields.malformed("value length"));
                }
                let sync = kind == Kind::NameServiceRegisterSync;
                let value = core::mem::take(&mut value);
                NameServiceOp::Register { value, sync }
            }
        };
        // What is behind a key that stands alone.
        fields.payload = value;
        Ok(Self { database, key, op })
    }

    pub(super) fn write(&self, frame: &mut Frame) -> Result<(), EncodeError> {
        if self.key.is_empty() {
            return Err(EncodeError::Text { field: "key" });
        }
        let header = &mut frame.header;
        header.name[..8].copy_from_slice(&self.database);
        header.key_len = wire_len(&self.key);
        frame.payload = self.key.clone();
        match &self.op {
            NameServiceOp::Query => {}
            NameServiceOp::UniqueId { len: 0, .. } => {
                return Err(EncodeError::Text {
                    field: "value length",
                });
            }
            NameServiceOp::UniqueId { len, offset } => {
                header.value_len = *len;
                header.unique_id_offset = *offset;
            }
            NameServiceOp::Register { value, .. } => {
                if value.is_empty() {
                    return Err(EncodeError::Text { field: "value" });
                }
                header.value_len = wire_len(value);
                let mut payload = BytesMut::from(&self.key[..]);
                payload.extend_from_slice(value);
                frame.payload = payload.freeze();
            }
        }
        Ok(())
    }

    pub(super) fn kind(&self) -> Kind {
        match self.op {
            NameServiceOp::Register { sync: false, .. } => Kind::NameServiceRegister,
            NameServiceOp::Register { sync: true, .. } => Kind::NameServiceRegisterSync,
            NameServiceOp::Query => Kind::NameServiceQuery,
            NameServiceOp::UniqueId { .. } => Kind::NameServiceUniqueIdQuery,
        }
    }
}

/// A value that a coordinator sends; its length stands in the header as well.
pub(super) fn parse_value(header: &Header, fields: &mut Fields) -> Result<Bytes, DecodeError> {
    let value = fields.rest();
    if usize::try_from(header.value_len).ok() == Some(value.len()) {
        Ok(value)
    } else {
        Err(fields.malformed("value length"))
    }
}

pub(super) fn write_value(value: &Bytes, frame: &mut Frame) {
    frame.header.value_len = wire_len(value);
    frame.payload = value.clone();
}

/// Longer payloads are refused by the encoder.
fn wire_len(bytes: &Bytes) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
