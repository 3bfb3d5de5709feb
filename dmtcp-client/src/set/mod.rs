//! Checkpoint sets: all images of one round, complete, verified and durable, or no set at all.
//!
//! The unit of truth on disk. DMTCP replaces the image of the previous round and may still be
//! compressing after it said that it was done; a set keeps what a round wrote, under a number
//! that only rises, with a manifest that says what belongs to it.
//!
//! Not here: when a round is sealed (the embedded coordinator decides) and how a set is restarted.
//!
//! ```text
//! DIR/sets/.lock                 one owner at a time
//! DIR/sets/000007/manifest.json  what the set is; see `Manifest`
//!                ckpt_….dmtcp    images under their own names
//!                ckpt_…_files/   open files saved with an image
//! DIR/sets/000008.partial/       being sealed, or left by a crash: never restarted from
//! DIR/sets/000003.removing/      being removed
//! DIR/sets/latest -> 000007      the newest set, switched last
//! ```
//!
//! A set is made aside, synced, and appears by one rename; it goes away by one rename. Images are
//! hard links where the file system allows it: DMTCP writes `<name>.temp` and renames it over the
//! image before, so that no release ever writes into an inode that has been sealed.
//!
//! # Moving a set
//!
//! [`CheckpointSet::pack`] makes one file of a set, [`SetStore::unpack`] a set of the file. Images
//! are restarted from whatever directory they are in. Native ones go to any machine; DMTCP's to one
//! with which the set is [compatible](CheckpointSet::compatible_with), where the same release of
//! DMTCP is installed and what the processes had open is there under the same names: working
//! directories, files, libraries that are loaded later. Open files that DMTCP saved go with the
//! set, and a restart puts them back at their old path, where DMTCP looks for them. A restart runs
//! what is in the images: unpack what you would also run.
//!
//! The formats are in `docs/SETS.md`.

mod archive;
mod checkpoint_set;
mod compatibility;
mod copy;
mod error;
mod follow;
#[cfg(test)]
mod follow_tests;
mod hold;
mod in_place;
mod latest;
mod lock;
mod manifest;
mod manifest_file;
mod names;
mod request;
mod retain;
mod retention;
#[cfg(test)]
mod retention_tests;
mod seal;
#[cfg(test)]
mod seal_tests;
mod settle;
mod store;
mod sums;
mod writers;

pub use archive::PackError;
pub use checkpoint_set::CheckpointSet;
pub use compatibility::{Difference, Incompatibility};
pub use error::{SealError, SetError};
pub(crate) use follow::Follower;
pub use hold::SetHold;
pub(crate) use in_place::whole_in_place;
pub use manifest::{ImageKind, Manifest, Phase, SavedFile, SealedImage};
pub use request::{ImageReport, SealRequest};
pub use retain::{KeptSet, RemovedSet, Retained, would_retain};
pub use retention::{KeepReason, RemoveReason, RetentionPolicy};
pub(crate) use store::newest_above;
pub use store::{Listing, Newest, SetStore, list};
pub(crate) use writers::is_written;
