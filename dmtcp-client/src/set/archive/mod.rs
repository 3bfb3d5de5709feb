//! A set as one file, to be moved to another directory or machine.
//!
//! A plain tar (the GNU flavour, for long names and large files) with nothing but regular files:
//! `NNNNNN/manifest.json`, then what the manifest lists, in its order, with fixed owners and
//! times: the same set gives the same bytes. `tar -xf` makes a directory of it that
//! [`CheckpointSet::open`](super::CheckpointSet::open) takes. Only such archives are unpacked:
//! what other tools put together may hold links, devices and names that lead elsewhere, and is
//! refused.

mod error;
mod header;
mod pack;
mod unpack;

pub use error::PackError;
pub(super) use unpack::unpack;
