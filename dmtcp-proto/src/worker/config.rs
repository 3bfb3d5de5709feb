//! What a worker says of itself, and which barriers it takes part in.

use alloc::vec::Vec;

use crate::ids::UniquePid;
use crate::interval::Interval;
use crate::name::Name;
use crate::text::Text;
use crate::wire::Limits;

/// Configuration of a [`WorkerCore`](super::WorkerCore).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// Host name, as the system tells it: peers on one host must say the same.
    pub host: Text,
    /// Program as it was named on the command line; lists show its base name.
    pub program: Text,
    /// Pid on its host.
    pub real_pid: i32,
    /// Interval of periodic checkpoints to ask for. Default: leave the coordinator's.
    pub interval: Interval,
    /// Global barriers between `DMT:CHECKPOINT` and the image, in order; nothing before 3.0.0 has
    /// barriers. Every worker of a computation must have the same. Default: those of stock workers with default plugins
    /// ([`WorkerConfig::STOCK_CHECKPOINT_BARRIERS`]).
    pub checkpoint_barriers: Vec<Name>,
    /// Global barriers between `DMT:Restart` and running, in order. Default:
    /// [`WorkerConfig::STOCK_RESTART_BARRIERS`].
    pub restart_barriers: Vec<Name>,
    /// How much the coordinator may make us hold.
    pub limits: Limits,
}

impl WorkerConfig {
    /// What the default plugins of a stock worker wait for before the image is written.
    pub const STOCK_CHECKPOINT_BARRIERS: &'static [&'static str] =
        &["Socket::Ckpt_Register_Peer_Info"];
    /// What the default plugins of a stock worker wait for after `DMT:Restart`.
    pub const STOCK_RESTART_BARRIERS: &'static [&'static str] =
        &["Socket::Restart_Ns_Register_Data"];

    /// The defaults for this process.
    #[must_use]
    pub fn new(host: Text, program: Text, real_pid: i32) -> Self {
        Self {
            host,
            program,
            real_pid,
            interval: Interval::Unchanged,
            checkpoint_barriers: names(Self::STOCK_CHECKPOINT_BARRIERS),
            restart_barriers: names(Self::STOCK_RESTART_BARRIERS),
            limits: Limits::default(),
        }
    }

    /// The same with this interval to ask for.
    #[must_use]
    pub fn interval(self, interval: Interval) -> Self {
        Self { interval, ..self }
    }

    /// The same with these barriers of plugins at a checkpoint and at a restart.
    #[must_use]
    pub fn barriers(self, checkpoint: Vec<Name>, restart: Vec<Name>) -> Self {
        Self {
            checkpoint_barriers: checkpoint,
            restart_barriers: restart,
            ..self
        }
    }

    /// The program's name without its directories.
    pub(super) fn base_name(&self) -> Text {
        let bytes = self.program.as_bytes();
        let base = bytes.rsplit(|&byte| byte == b'/').next();
        Text::new(base.unwrap_or_default().to_vec()).unwrap_or_default()
    }
}

/// How a worker enters a computation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these two ways")]
pub enum Entry {
    /// A program that starts.
    New {
        /// This process: hash of the host, real pid, a time. Names the computation if it is the
        /// first to join.
        launcher: UniquePid,
        /// The time of its final identity, whose pid is the virtual one it is given. Stock
        /// workers take a later one than the launcher's, so that the two identities differ.
        process_time: u64,
    },
    /// A program that is restored from an image.
    Restart {
        /// Its identity, as the image has it.
        process: UniquePid,
        /// The computation with its generation, as the image has it.
        computation: UniquePid,
        /// Processes in the checkpoint.
        peers: u32,
    },
}

fn names(texts: &[&str]) -> Vec<Name> {
    texts
        .iter()
        .map(|text| Name::from_field(text.as_bytes()))
        .collect()
}
