//! What a machine is like, as far as it decides whether processes can be restored on it.
//!
//! Not here: the comparison with a set (see [`CheckpointSet::compatible_with`]).
//!
//! [`CheckpointSet::compatible_with`]: crate::set::CheckpointSet::compatible_with

mod fingerprint;
mod glibc;
mod vdso;

pub use fingerprint::HostFingerprint;
pub use vdso::Vdso;
