//! Commands of tools, and the answers.

use bytes::Bytes;

use super::Fields;
use crate::command::Verb;
use crate::dialect::Dialect;
use crate::error::EncodeError;
use crate::interval::Interval;
use crate::wire::{Frame, Header};

/// What a tool asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "what the message carries in every dialect"
)]
pub struct UserCommand {
    /// The command.
    pub verb: Verb,
    /// Must be `Unchanged` in every other command than `SetInterval`: 2.x and 3.0.0 apply it.
    pub interval: Interval,
    /// [`Verb::SetLogMask`] only: which components log.
    pub log_mask: u32,
}

impl UserCommand {
    /// A command that changes no setting.
    #[must_use]
    pub fn new(verb: Verb) -> Self {
        Self {
            verb,
            interval: Interval::Unchanged,
            log_mask: 0,
        }
    }

    pub(super) fn parse(dialect: Dialect, header: &Header) -> Self {
        Self {
            verb: dialect.verb(header.verb),
            interval: Interval::from_wire(header.interval),
            log_mask: header.log_mask,
        }
    }

    pub(super) fn write(&self, dialect: Dialect, header: &mut Header) -> Result<(), EncodeError> {
        header.verb = dialect
            .verb_number(self.verb)
            .ok_or(EncodeError::NoSuchValue {
                dialect,
                field: "user command",
            })?;
        header.interval = self.interval.to_wire();
        header.log_mask = self.log_mask;
        Ok(())
    }
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CommandStatus {
    /// 0: carried out, or begun.
    Success,
    /// -1: the coordinator does not know the command.
    Invalid,
    /// -2: not now; not all workers are running.
    NotRunning,
    /// -4: the checkpoint began and ended without a complete set. Only this library's coordinator
    /// says so; stock tools report an unknown error, where -2 would claim that nothing was begun.
    CheckpointFailed,
    /// -5: who asks may only ask for the status and the list. Only this library's coordinator says
    /// so.
    NotPermitted,
    /// Any other number.
    Other(i32),
}

impl CommandStatus {
    /// From the wire.
    #[must_use]
    pub fn from_wire(status: i32) -> Self {
        match status {
            0 => Self::Success,
            -1 => Self::Invalid,
            -2 => Self::NotRunning,
            -4 => Self::CheckpointFailed,
            -5 => Self::NotPermitted,
            other => Self::Other(other),
        }
    }

    /// To the wire.
    #[must_use]
    pub fn to_wire(self) -> i32 {
        match self {
            Self::Success => 0,
            Self::Invalid => -1,
            Self::NotRunning => -2,
            Self::CheckpointFailed => -4,
            Self::NotPermitted => -5,
            Self::Other(other) => other,
        }
    }
}

/// The answer to a [`UserCommand`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "what the message carries in every dialect"
)]
pub struct UserResult {
    /// The command it answers, where the dialect repeats it.
    pub verb: Option<Verb>,
    /// What became of it.
    pub status: CommandStatus,
    /// Connected workers; 0 where the command does not say.
    pub peers: u32,
    /// Whether all of them are running.
    pub running: bool,
    /// The coordinator's interval; `Unchanged` where the command does not say.
    pub interval: Interval,
    /// Text of the worker list, without a terminating NUL.
    pub text: Bytes,
}

impl UserResult {
    /// An answer that says no more than this.
    #[must_use]
    pub fn new(status: CommandStatus) -> Self {
        Self {
            verb: None,
            status,
            peers: 0,
            running: false,
            interval: Interval::Unchanged,
            text: Bytes::new(),
        }
    }

    pub(super) fn parse(dialect: Dialect, header: &Header, fields: &mut Fields) -> Self {
        Self {
            verb: dialect
                .reply_echoes_verb()
                .then(|| dialect.verb(header.verb)),
            status: CommandStatus::from_wire(header.status),
            peers: header.peers,
            running: header.running != 0,
            interval: Interval::from_wire(header.interval),
            text: fields.rest(),
        }
    }

    /// A verb is left out where the dialect does not repeat it.
    pub(super) fn write(&self, dialect: Dialect, frame: &mut Frame) -> Result<(), EncodeError> {
        if let Some(verb) = self.verb.filter(|_| dialect.reply_echoes_verb()) {
            frame.header.verb = dialect.verb_number(verb).ok_or(EncodeError::NoSuchValue {
                dialect,
                field: "user command",
            })?;
        }
        frame.header.status = self.status.to_wire();
        frame.header.peers = self.peers;
        frame.header.running = u32::from(self.running);
        frame.header.interval = self.interval.to_wire();
        frame.payload = self.text.clone();
        Ok(())
    }
}
