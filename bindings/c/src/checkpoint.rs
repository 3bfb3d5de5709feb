//! `dmtcp_checkpoint_report`: a checkpoint that is over, and how that is known.

use dmtcp_client::coordinator::{CheckpointReport as Found, Evidence};

use crate::ffi::growing;

growing! {
    /// A checkpoint that is over.
    pub struct CheckpointReport, oldest = reserved {
        /// Workers that took part.
        pub peers: u32,
        /// How the end is known: one of [`EVIDENCE`].
        pub evidence: i32,
        /// How many lists of workers this rests on, if it was observed; else 0.
        pub lists: u32,
        /// 0.
        pub reserved: u32,
    }
}

/// Kinds of evidence with their names in C. 0: one that this release has no number for.
pub const EVIDENCE: &[(&str, i32)] = &[
    ("DMTCP_EVIDENCE_OTHER", OTHER),
    ("DMTCP_EVIDENCE_COORDINATOR_REPLY", COORDINATOR_REPLY),
    ("DMTCP_EVIDENCE_OBSERVED", OBSERVED),
];

const OTHER: i32 = 0;
const COORDINATOR_REPLY: i32 = 1;
const OBSERVED: i32 = 2;

impl From<Found> for CheckpointReport {
    fn from(found: Found) -> Self {
        let (evidence, lists) = match found.evidence {
            Evidence::CoordinatorReply => (COORDINATOR_REPLY, 0),
            Evidence::Observed { lists } => (OBSERVED, lists),
            _ => (OTHER, 0),
        };
        Self {
            size: size_of::<Self>(),
            peers: found.peers,
            evidence,
            lists,
            reserved: 0,
        }
    }
}
