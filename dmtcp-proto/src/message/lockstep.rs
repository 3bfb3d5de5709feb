//! The orders of a 2.x coordinator to its workers.

use super::{Fields, c_strings};
use crate::error::DecodeError;
use crate::phase::Phase;
use crate::text::Text;
use crate::wire::{Frame, Header};

/// The order to begin a phase. The computation, with the round's generation, stands in the
/// message's group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "what the message carries in every dialect"
)]
pub struct PhaseOrder {
    /// What to do.
    pub phase: Phase,
    /// Connected workers; stock coordinators say it with [`Phase::FdLeaderElection`] only, and
    /// workers store it in the image from there.
    pub peers: u32,
    /// With [`Phase::Suspend`] of 2.5.1 to 2.6.0: where images go, if a plugin has set it.
    pub checkpoint_dir: Option<Text>,
}

impl PhaseOrder {
    /// An order that says no more than its phase.
    #[must_use]
    pub fn new(phase: Phase) -> Self {
        Self {
            phase,
            peers: 0,
            checkpoint_dir: None,
        }
    }

    pub(super) fn parse(
        phase: Phase,
        header: &Header,
        fields: &mut Fields,
    ) -> Result<Self, DecodeError> {
        let has_dir = phase == Phase::Suspend && !fields.payload.is_empty();
        Ok(Self {
            phase,
            peers: header.peers,
            checkpoint_dir: has_dir.then(|| fields.text("directory")).transpose()?,
        })
    }

    /// A directory is left out of other phases.
    pub(super) fn write(&self, frame: &mut Frame) {
        frame.header.peers = self.peers;
        if self.phase == Phase::Suspend {
            frame.payload = c_strings(&self.checkpoint_dir);
        }
    }
}
