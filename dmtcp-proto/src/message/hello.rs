//! How a worker introduces itself, and what the coordinator says to it.

use super::{Fields, c_strings};
use crate::error::DecodeError;
use crate::interval::Interval;
use crate::kind::Kind;
use crate::text::Text;
use crate::wire::{Frame, Header};

/// Payload and fields of the first message of a worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "what the message carries in every dialect"
)]
pub struct Hello {
    /// Host name; empty if the peer sent none.
    pub host: Text,
    /// Program as it was named on the command line; `…_(forked)` for a child.
    pub program: Text,
    /// Pid on its host.
    pub real_pid: i32,
    /// -1 in every message of a stock worker.
    pub virtual_pid: i32,
    /// Restart only: number of processes in the checkpoint.
    pub peers: u32,
    /// Interval the launcher was given.
    pub interval: Interval,
}

impl Hello {
    pub(super) fn parse(header: &Header, fields: &mut Fields) -> Result<Self, DecodeError> {
        let (host, program) = if fields.payload.is_empty() {
            (Text::default(), Text::default())
        } else {
            (fields.text("host name")?, fields.text("program name")?)
        };
        Ok(Self {
            host,
            program,
            real_pid: header.real_pid,
            virtual_pid: header.virtual_pid,
            peers: header.peers,
            interval: Interval::from_wire(header.interval),
        })
    }

    pub(super) fn write(&self, frame: &mut Frame) {
        frame.header.real_pid = self.real_pid;
        frame.header.virtual_pid = self.virtual_pid;
        frame.header.peers = self.peers;
        frame.header.interval = self.interval.to_wire();
        frame.payload = c_strings([&self.host, &self.program]);
    }
}

/// The coordinator takes a worker in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "what the message carries in every dialect"
)]
pub struct Accept {
    /// The worker's virtual pid; -1 for a restored process, which keeps its own.
    pub virtual_pid: i32,
    /// The same number for all workers of a computation: it names their shared-area file.
    pub time_stamp: u64,
    /// The address under which peers reach this worker's host, in network order.
    pub ip: [u8; 4],
}

impl Accept {
    pub(super) fn parse(header: &Header) -> Self {
        Self {
            virtual_pid: header.virtual_pid,
            time_stamp: header.time_stamp,
            ip: header.ip,
        }
    }

    pub(super) fn write(&self, header: &mut Header) {
        header.virtual_pid = self.virtual_pid;
        header.time_stamp = self.time_stamp;
        header.ip = self.ip;
    }
}

/// Why a coordinator does not take a worker in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Reject {
    /// It wants to be restored where processes run.
    #[error("processes are connected that are not restarting")]
    NotRestarting,
    /// It belongs to another computation.
    #[error("it belongs to another computation")]
    WrongComputation,
    /// It wants to start where a checkpoint or restart is under way.
    #[error("processes are connected that are not running")]
    NotRunning,
    /// Its checkpoint had another number of processes than the first one's.
    #[error("its checkpoint had another number of processes")]
    PeerMismatch,
}

impl Reject {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::NotRestarting => Kind::RejectNotRestarting,
            Self::WrongComputation => Kind::RejectWrongComputation,
            Self::NotRunning => Kind::RejectNotRunning,
            Self::PeerMismatch => Kind::RejectPeerMismatch,
        }
    }
}
