//! What a set is, in `manifest.json`.
//!
//! Not here: the file itself (`manifest_file`), and whether the others are as it says
//! (`checkpoint_set`).

use crate::host::HostFingerprint;
use crate::{id_json, os_text};
use dmtcp_proto::UniquePid;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The description of a set. Fields of later releases of the same schema are ignored; what an
/// earlier schema does not have is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Manifest {
    /// Version of this description; [`Manifest::SCHEMA`] when written here.
    pub schema: u32,
    /// Number of the set; rises from set to set in one directory.
    pub sequence: u64,
    /// The computation, with the generation of the round. Generations repeat after a fall-back.
    #[serde(with = "id_json")]
    pub computation: UniquePid,
    /// The coordinator's number of the round.
    pub round: u64,
    /// The set that the computation was restarted from, if it was.
    #[serde(default)]
    pub parent: Option<u64>,
    /// When the round began, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// When the set was sealed, in milliseconds since 1970.
    pub created_unix_ms: u64,
    /// How long sealing took, in milliseconds, up to the writing of this file.
    pub seal_ms: u64,
    /// How long the parts of the checkpoint took, in order, as far as they were known when the
    /// set was sealed. Since schema 2.
    #[serde(default)]
    pub phases: Vec<Phase>,
    /// The DMTCP release that wrote the images, as it names itself, such as `4.2.0`; `None` if
    /// it was not told or no image is DMTCP's. Since schema 2.
    #[serde(default)]
    pub dmtcp: Option<String>,
    /// The hosts that the processes ran on, as far as they are known. Since schema 2.
    #[serde(default)]
    pub hosts: Vec<HostFingerprint>,
    /// The number that the set had where it was packed, if it came out of an archive. Since
    /// schema 2.
    #[serde(default)]
    pub packed_as: Option<u64>,
    /// Every image of the round.
    pub images: Vec<SealedImage>,
    /// Bytes of all images and the files saved with them.
    pub total_bytes: u64,
}

/// A part of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Phase {
    /// What was done. Up to the barrier of this name, if it is one (`DMT:…`); then `report`: until
    /// sealing began. Under a foreign coordinator `wait`: until it could be asked for; `round`:
    /// until it was over; `find`: until all images were found. At last `settle`: until nobody wrote
    /// the images; `check`: they were linked, read and synced.
    pub name: String,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

impl Phase {
    /// A part with this name.
    #[must_use]
    pub fn new(name: impl Into<String>, took: Duration) -> Self {
        Self {
            name: name.into(),
            ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// An image of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SealedImage {
    /// Name within the set.
    #[serde(with = "os_text")]
    pub file: PathBuf,
    /// Who can restart it.
    pub kind: ImageKind,
    /// How it is laid out.
    pub format: String,
    /// Whether it is compressed.
    pub compressed: bool,
    /// The process in it.
    #[serde(with = "id_json")]
    pub process: UniquePid,
    /// Where it ran.
    #[serde(with = "os_text")]
    pub host: OsString,
    /// What it ran.
    #[serde(with = "os_text")]
    pub program: OsString,
    /// The pid that the process sees.
    pub virtual_pid: i32,
    /// The pid that others saw when the image was written.
    pub real_pid: i32,
    /// Bytes.
    pub size: u64,
    /// CRC-32 of the file.
    pub crc32: u32,
    /// The directory that the process wrote it into. DMTCP remembers it: saved open files are
    /// looked for there at a restart.
    #[serde(with = "os_text")]
    pub written_in: PathBuf,
    /// Open files that were saved with it.
    #[serde(default)]
    pub saved_files: Vec<SavedFile>,
}

/// A file beside an image, saved by DMTCP at the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SavedFile {
    /// Name within the set, with directories.
    #[serde(with = "os_text")]
    pub file: PathBuf,
    /// Bytes.
    pub size: u64,
    /// CRC-32 of the file.
    pub crc32: u32,
}

/// Who can restart an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ImageKind {
    /// `dmtcp_restart`.
    Dmtcp,
    /// The program itself; see [`image::native`](crate::image::native).
    Native,
}

impl Manifest {
    /// The newest schema that is read here, and the one that is written. Older ones are read.
    pub const SCHEMA: u32 = 2;

    /// Name of the file in the set.
    pub const FILE_NAME: &str = "manifest.json";

    /// Every file of the set but the manifest: name, size, checksum.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, u64, u32)> {
        self.images.iter().flat_map(|image| {
            let saved = image.saved_files.iter();
            std::iter::once((image.file.as_path(), image.size, image.crc32))
                .chain(saved.map(|file| (file.file.as_path(), file.size, file.crc32)))
        })
    }
}
