//! Checkpoint images: reading what they say of themselves and proving that they are complete,
//! without restoring them.
//!
//! Not here: which images belong together (see [`set`](crate::set)) and how memory is restored
//! (`mtcp_restart` does that). Called when a round is sealed, before a restart, and by whoever
//! wants to know what a file is.
//!
//! Three families are known, told apart by their first bytes, each plain or (the first two) as
//! one gzip stream:
//!
//! | [`Format`] | Written by | Header read | Whole-check |
//! |---|---|---|---|
//! | `V2` | DMTCP 2.4 to 3.2 | yes | yes |
//! | `V4` | DMTCP 4.0 and later | yes | yes |
//! | `Native` | [`native::write()`] | yes | yes, with its own checksum |

mod areas;
mod details;
mod error;
mod fields;
mod header;
mod inspect;
mod memory;
pub mod native;
mod open;
pub(crate) mod saved_files;
mod start_block;
mod tail;
mod v2;
mod v4;
mod whole;
#[cfg(test)]
mod whole_tests;

pub use details::{ChildProcess, PluginValue, ProcessDetails};
pub use error::ImageError;
pub use header::{Format, ImageHeader};
pub use inspect::{Inspection, inspect};
pub use memory::{AreaTotal, MappedFile, Memory};
pub use open::read_header;
pub use saved_files::SavedOpenFile;
pub use start_block::StartBlock;
pub(crate) use tail::Tail;
pub use whole::{Whole, check_whole, checksum_whole};
pub(crate) use whole::{checksum_growing, checksum_with};
