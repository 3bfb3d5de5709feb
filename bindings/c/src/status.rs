//! `dmtcp_status`: a computation in three numbers.

use dmtcp_proto::Status as Found;

use crate::ffi::growing;

/// State of a computation.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[non_exhaustive]
pub struct Status {
    /// In: sizeof(dmtcp_status).
    pub size: usize,
    /// Connected workers.
    pub peers: u32,
    /// 1: there are workers and all of them run; else 0.
    pub running: i32,
    /// Seconds between periodic checkpoints; 0: only when asked; -1: not told.
    pub interval_s: i32,
    /// 0.
    pub reserved: u32,
}

growing!(Status, oldest = reserved);

impl From<Found> for Status {
    fn from(found: Found) -> Self {
        Self {
            size: size_of::<Self>(),
            peers: found.peers,
            running: i32::from(found.running),
            interval_s: found.interval.to_wire(),
            reserved: 0,
        }
    }
}
