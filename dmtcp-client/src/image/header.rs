//! What every image format says of its process.

use crate::{id_json, os_text};
use dmtcp_proto::UniquePid;
use serde::{Serialize, Serializer};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// The identity in an image, whatever its format.
///
/// Taken from the file as it stands: a claim of whoever wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImageHeader {
    /// How the file is laid out.
    pub format: Format,
    /// Whether the whole file is one gzip stream.
    pub compressed: bool,
    /// The process in the image.
    #[serde(with = "id_json")]
    pub process: UniquePid,
    /// The process that created it; null for the root of a process tree.
    #[serde(with = "id_json")]
    pub parent: UniquePid,
    /// The computation, with the generation of the round that wrote the image.
    #[serde(with = "id_json")]
    pub computation: UniquePid,
    /// The pid that the process sees.
    pub virtual_pid: i32,
    /// The parent's pid that the process sees.
    pub virtual_ppid: i32,
    /// Whether the process is the root of its process tree, to be started by `dmtcp_restart`
    /// itself.
    pub is_root: bool,
    /// Processes in the computation when the image was written.
    pub peers: u32,
    /// Name of the program.
    #[serde(with = "os_text")]
    pub program: OsString,
    /// The file that was executed; empty where the format does not say.
    #[serde(with = "os_text")]
    pub executable: PathBuf,
    /// Name of the host; absent in [`Format::V4`].
    #[serde(with = "os_text::option")]
    pub host: Option<OsString>,
}

/// How an image file is laid out. Not the release that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// DMTCP 2.4 to 3.2, six layouts under one signature.
    V2,
    /// DMTCP 4.0 and later.
    V4,
    /// [`native`](crate::image::native).
    Native,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V2 => "DMTCP image v2.0",
            Self::V4 => "DMTCP image v4.0",
            Self::Native => "native image v1",
        })
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
