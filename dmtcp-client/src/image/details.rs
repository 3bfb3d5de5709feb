//! What a DMTCP image's header says beyond [`ImageHeader`](super::ImageHeader), as far as its
//! format has it.
//!
//! Not here: where the fields are (`v2`, `v4`).

use crate::{id_json, os_text};
use dmtcp_proto::UniquePid;
use serde::Serialize;
use std::ffi::OsString;
use std::path::PathBuf;

/// The header of a DMTCP image beyond [`ImageHeader`](super::ImageHeader).
///
/// What a format does not have is `None` or empty: everything from `directory_at_start` on is in
/// [`Format::V2`](super::Format::V2) only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProcessDetails {
    /// Width of an address, 32 or 64 bits; `None`: the image says neither.
    pub bits: Option<u32>,
    /// Session that the process sees.
    pub session: i32,
    /// Process group that the process sees.
    pub process_group: i32,
    /// Foreground process group of its terminal; -1 or 0 if it has none.
    pub foreground_group: i32,
    /// Where it was started.
    #[serde(with = "os_text::option")]
    pub directory_at_start: Option<PathBuf>,
    /// Its working directory at the checkpoint.
    #[serde(with = "os_text::option")]
    pub directory: Option<PathBuf>,
    /// Where it wrote its image.
    #[serde(with = "os_text::option")]
    pub checkpoint_dir: Option<PathBuf>,
    /// Its child processes that are part of the computation. DMTCP 2.4 to 2.6.
    pub children: Vec<ChildProcess>,
    /// What plugins have put into the header. DMTCP 3.0 to 3.2.
    pub plugin_values: Vec<PluginValue>,
    /// End of the main thread's stack; `None` before 2.6.
    #[serde(skip)]
    pub(super) stack_end: Option<u64>,
}

impl ProcessDetails {
    /// `class` is what DMTCP stores: 0 for 32 bits, 1 for 64.
    pub(super) fn bits_of(class: u32) -> Option<u32> {
        match class {
            0 => Some(32),
            1 => Some(64),
            _ => None,
        }
    }
}

/// A child of the process in the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChildProcess {
    /// The pid that its parent sees.
    pub virtual_pid: i32,
    /// Who it is.
    #[serde(with = "id_json")]
    pub process: UniquePid,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PluginValue {
    /// The key.
    #[serde(with = "os_text")]
    pub key: OsString,
    /// The value.
    #[serde(with = "os_text")]
    pub value: OsString,
}
