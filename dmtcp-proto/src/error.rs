//! What can be wrong with bytes from a peer, with a frame we build, or with a command's answer.

use alloc::string::String;

use crate::dialect::Dialect;
use crate::kind::Kind;

/// The peer sent something that this dialect does not allow. The stream is dead afterwards.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The first bytes are not DMTCP's.
    #[error("bad magic: the peer does not speak DMTCP's protocol")]
    BadMagic,
    /// The header announces a length that no known dialect has, or not the expected one's.
    #[error("header claims {found} bytes, which is not a header of {expected}")]
    HeaderLen {
        /// What the peer should have spoken.
        expected: Expected,
        /// The length it announced.
        found: u32,
    },
    /// The payload is longer than the receiver allows.
    #[error("payload of {len} bytes is over the limit of {max}")]
    PayloadTooLarge {
        /// Announced length.
        len: u32,
        /// [`Limits::max_payload`](crate::Limits::max_payload).
        max: usize,
    },
    /// A field or the payload does not have the form this kind of message needs.
    #[error("malformed {field} in {kind:?}")]
    Malformed {
        /// The message.
        kind: Kind,
        /// The part of it.
        field: &'static str,
    },
    /// A message that no peer may send at this point.
    #[error("unexpected {kind:?}: {why}")]
    Unexpected {
        /// The message.
        kind: Kind,
        /// What was expected instead.
        why: &'static str,
    },
}

/// Which dialects were possible when a header did not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expected {
    /// One, known beforehand.
    Dialect(Dialect),
    /// Any that this library speaks.
    Any,
}

impl core::fmt::Display for Expected {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Dialect(dialect) => write!(f, "{dialect:?}"),
            Self::Any => f.write_str("any known dialect"),
        }
    }
}

/// A message that cannot be written in a dialect: the caller's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Names are at most 63 bytes without a NUL.
    #[error("name {name:?} does not fit: at most 63 bytes, none of them NUL")]
    Name {
        /// The name, made printable.
        name: String,
    },
    /// The dialect has no such message.
    #[error("{dialect:?} has no {kind:?}")]
    NoSuchKind {
        /// The dialect.
        dialect: Dialect,
        /// The message.
        kind: Kind,
    },
    /// The dialect has no such state, command or code.
    #[error("{dialect:?} has no such {field}")]
    NoSuchValue {
        /// The dialect.
        dialect: Dialect,
        /// The field it was meant for.
        field: &'static str,
    },
    /// A text that would end at a NUL inside it, or an empty one where stock peers abort.
    #[error("{field} is empty or contains a NUL byte")]
    Text {
        /// The field.
        field: &'static str,
    },
    /// The payload is longer than a stock peer of this dialect accepts.
    #[error("payload of {len} bytes is over the {max} that a {dialect:?} peer accepts")]
    PayloadTooLarge {
        /// The dialect.
        dialect: Dialect,
        /// Bytes of payload.
        len: usize,
        /// The most it accepts.
        max: usize,
    },
}

/// A coordinator understood a command and did not carry it out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// No worker is connected, not all of them are running yet, or a checkpoint that somebody asked
    /// for is under way: stock coordinators refuse all three alike.
    #[error(
        "the computation is not running: no workers, or not all of them running, or a checkpoint is \
         under way"
    )]
    NotRunning,
    /// A checkpoint is under way; its outcome is announced by event.
    #[error("a checkpoint is under way (round {round}, generation {generation})")]
    Busy {
        /// The round under way.
        round: u64,
        /// Its generation.
        generation: u32,
    },
    /// The checkpoint ended without a complete set of images.
    #[error("the checkpoint failed: {reason}")]
    CheckpointFailed {
        /// Why, in words.
        reason: String,
    },
    /// The coordinator takes this command from its owner only, or from nobody.
    #[error("the coordinator does not take this command from here")]
    NotPermitted,
    /// The coordinator does not know this command.
    #[error("the coordinator does not know this command")]
    Unsupported,
    /// A status number this library has no word for.
    #[error("the coordinator answered status {0}")]
    Other(i32),
}
