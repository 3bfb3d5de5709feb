//! `dmtcp_checkpoint_report` and `dmtcp_sealed`: a checkpoint that is over.

use dmtcp_client::coordinator::{CheckpointReport as Found, Evidence as How};
use dmtcp_client::server::Sealed as FoundSealed;

use crate::ffi::growing;

/// How the end of a checkpoint is known. None says that the images are whole and on disk; this
/// library's coordinator, when it seals sets, replies only when they are.
#[expect(non_camel_case_types, reason = "the names are those of the header")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[non_exhaustive]
pub enum Evidence {
    /// Something that this release has no number for.
    DMTCP_EVIDENCE_OTHER = 0,
    /// The coordinator said that every worker has reported its image.
    DMTCP_EVIDENCE_COORDINATOR_REPLY = 1,
    /// It did not say; every worker was seen to come through.
    DMTCP_EVIDENCE_OBSERVED = 2,
}

/// An [`Evidence`] as a number.
///
/// cbindgen:no-export
pub type EvidenceNumber = i32;

/// A checkpoint of any coordinator's that is over.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[non_exhaustive]
pub struct CheckpointReport {
    /// In: sizeof(dmtcp_checkpoint_report).
    pub size: usize,
    /// Workers that took part.
    pub peers: u32,
    /// How the end is known.
    pub evidence: EvidenceNumber,
    /// How many lists of workers that rests on, if observed; else 0.
    pub lists: u32,
    /// 0.
    pub reserved: u32,
}

growing!(CheckpointReport, oldest = reserved);

/// A checkpoint of an embedded coordinator that is complete, and sealed if sets are kept.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[non_exhaustive]
pub struct Sealed {
    /// In: sizeof(dmtcp_sealed).
    pub size: usize,
    /// Number of the round; rises by one with each.
    pub round: u64,
    /// Number of the set; 0: none is kept.
    pub set: u64,
    /// Bytes of the set.
    pub set_bytes: u64,
    /// How long sealing took, in milliseconds.
    pub sealing_ms: u64,
    /// Generation of the computation.
    pub generation: u32,
    /// Images of the round, one for each worker.
    pub images: u32,
}

growing!(Sealed, oldest = images);

impl From<Found> for CheckpointReport {
    fn from(found: Found) -> Self {
        let (evidence, lists) = match found.evidence {
            How::CoordinatorReply => (Evidence::DMTCP_EVIDENCE_COORDINATOR_REPLY, 0),
            How::Observed { lists } => (Evidence::DMTCP_EVIDENCE_OBSERVED, lists),
            _ => (Evidence::DMTCP_EVIDENCE_OTHER, 0),
        };
        Self {
            size: size_of::<Self>(),
            peers: found.peers,
            evidence: evidence as i32,
            lists,
            reserved: 0,
        }
    }
}

impl From<FoundSealed> for Sealed {
    fn from(found: FoundSealed) -> Self {
        let set = found.set.as_ref();
        Self {
            size: size_of::<Self>(),
            round: found.round,
            set: set.map_or(0, |set| set.sequence),
            set_bytes: set.and_then(|set| set.bytes).unwrap_or(0),
            sealing_ms: u64::try_from(found.sealing.as_millis()).unwrap_or(u64::MAX),
            generation: found.generation,
            images: u32::try_from(found.images.len()).unwrap_or(u32::MAX),
        }
    }
}
