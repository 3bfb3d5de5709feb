//! A set as one file, to be moved to another directory or machine.
//!
//! A plain tar (the GNU flavour, for long names and large files) with nothing but regular files:
//! `NNNNNN/manifest.json`, then what the manifest lists, in its order, with fixed owners and
//! times: the same set gives the same bytes. `tar -xf` makes a directory of it that
//! [`CheckpointSet::open`](super::CheckpointSet::open) takes. Only such archives are unpacked:
//! what other tools put together may hold links, devices and names that lead elsewhere, and is
//! refused.
//!
//! **Where a set can go.** To any directory: images are restarted from wherever they are. Native
//! images to any machine. DMTCP's to a machine with which the set is
//! [`compatible_with`](super::CheckpointSet::compatible_with), where the same release of DMTCP is
//! installed and what the processes had open is there under the same names: their working
//! directories, files (those that DMTCP saved come with the set, and a restart puts them back at
//! their old path), libraries they load later. A restart runs what is in the images with the
//! rights of who restarts: unpack what you would also run.

mod error;
mod header;
mod pack;
mod unpack;

pub use error::PackError;
pub(super) use unpack::unpack;
