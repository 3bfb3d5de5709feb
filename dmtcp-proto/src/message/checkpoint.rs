//! The orders and reports of a checkpoint round.

use super::{Fields, c_strings};
use crate::dialect::Dialect;
use crate::error::{DecodeError, EncodeError};
use crate::name::Name;
use crate::text::Text;
use crate::wire::{Frame, Header};

/// The order to checkpoint. The computation's new generation stands in the message's group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "what the message carries in every dialect"
)]
pub struct DoCheckpoint {
    /// Connected workers.
    pub peers: u32,
    /// Exit once the image is reported.
    pub then_exit: bool,
}

impl DoCheckpoint {
    pub(super) fn parse(header: &Header) -> Self {
        Self {
            peers: header.peers,
            then_exit: header.then_exit != 0,
        }
    }

    pub(super) fn write(&self, header: &mut Header) {
        header.peers = self.peers;
        header.then_exit = u32::from(self.then_exit);
    }
}

/// All workers are at a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "what the message carries in every dialect"
)]
pub struct Released {
    /// The barrier. It travels in the payload; a worker insists on the one it waits for.
    pub name: Name,
    /// Workers that were there. At `DMT:CHECKPOINT` it is stored in the image.
    pub peers: u32,
    /// As in [`DoCheckpoint`].
    pub then_exit: bool,
}

impl Released {
    pub(super) fn parse(header: &Header, fields: &mut Fields) -> Result<Self, DecodeError> {
        let text = fields.text("barrier name")?;
        let name = Name::from_field(text.as_bytes());
        if name.as_bytes() != text.as_bytes() {
            return Err(fields.malformed("barrier name"));
        }
        Ok(Self {
            name,
            peers: header.peers,
            then_exit: header.then_exit != 0,
        })
    }

    pub(super) fn write(&self, frame: &mut Frame) {
        frame.header.peers = self.peers;
        frame.header.then_exit = u32::from(self.then_exit);
        let name = Text::new(self.name.as_bytes().to_vec()).unwrap_or_default();
        frame.payload = c_strings([&name]);
    }
}

/// The image a worker wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "what the message carries in every dialect"
)]
pub struct CheckpointFile {
    /// Path on the worker's host; relative if its checkpoint directory was.
    pub path: Text,
    /// How the host is reached: empty, `ssh` or `rsh`. `None`: 2.4.x, which does not say.
    pub shell: Option<Text>,
    /// The worker's host name.
    pub host: Text,
    /// Whether no other checkpoint uses this name.
    pub unique: bool,
}

impl CheckpointFile {
    pub(super) fn parse(
        dialect: Dialect,
        unique: bool,
        fields: &mut Fields,
    ) -> Result<Self, DecodeError> {
        let path = fields.text("image path")?;
        let mut shell = Some(fields.text("shell type")?);
        // 2.4.x and 2.5.0 share a dialect: what stands alone is the host.
        let host = if dialect.spec().shell_may_miss && fields.payload.is_empty() {
            shell.take().unwrap_or_default()
        } else {
            fields.text("host name")?
        };
        if path.is_empty() {
            return Err(fields.malformed("image path"));
        }
        Ok(Self {
            path,
            shell,
            host,
            unique,
        })
    }

    pub(super) fn write(&self, dialect: Dialect, frame: &mut Frame) -> Result<(), EncodeError> {
        if self.shell.is_none() && !dialect.spec().shell_may_miss {
            let field = "shell type";
            return Err(EncodeError::NoSuchValue { dialect, field });
        }
        let shell = self.shell.as_ref();
        let texts = [Some(&self.path), shell, Some(&self.host)];
        frame.payload = c_strings(texts.into_iter().flatten());
        Ok(())
    }
}
