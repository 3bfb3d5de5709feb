//! What a set is, in `manifest.json`.
//!
//! Not here: whether the files are as it says (`checkpoint_set`).

use super::error::SetError;
use crate::{durable, id_json, os_text};
use dmtcp_proto::UniquePid;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The description of a set. Fields of later releases of the same schema are ignored.
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
    /// Every image of the round.
    pub images: Vec<SealedImage>,
    /// Bytes of all images and the files saved with them.
    pub total_bytes: u64,
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
    /// The newest schema that is written and read here.
    pub const SCHEMA: u32 = 1;

    /// Name of the file in the set.
    pub const FILE_NAME: &str = "manifest.json";

    pub(super) fn read(set: &Path) -> Result<Self, SetError> {
        let path = set.join(Self::FILE_NAME);
        let damaged = |what: String| SetError::Manifest {
            path: path.clone(),
            what,
        };
        let mut text = Vec::new();
        let file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(SetError::NoManifest {
                    path: set.to_owned(),
                });
            }
            other => other.map_err(durable::failed("open", &path))?,
        };
        file.take(MAX_LEN + 1)
            .read_to_end(&mut text)
            .map_err(durable::failed("read", &path))?;
        if text.len() as u64 > MAX_LEN {
            return Err(damaged(format!("it has more than {MAX_LEN} bytes")));
        }
        let Schema { schema } =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if schema > Self::SCHEMA {
            return Err(SetError::Schema {
                path,
                schema,
                known: Self::SCHEMA,
            });
        }
        let manifest: Self =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if let Some(file) = manifest.files().find(|file| !is_inside(file.0)) {
            return Err(damaged(format!(
                "{} is not a name within the set",
                file.0.display()
            )));
        }
        Ok(manifest)
    }

    pub(super) fn write(&self, set: &Path) -> Result<(), durable::Failed> {
        let path = set.join(Self::FILE_NAME);
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| durable::failed("encode", &path)(error.into()))?;
        text.push(b'\n');
        durable::write_new(&path, |file| file.write_all(&text))
    }

    /// Every file of the set but the manifest: name, size, checksum.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, u64, u32)> {
        self.images.iter().flat_map(|image| {
            let saved = image.saved_files.iter();
            std::iter::once((image.file.as_path(), image.size, image.crc32))
                .chain(saved.map(|file| (file.file.as_path(), file.size, file.crc32)))
        })
    }
}

/// Read first: the rest of a later schema need not be understood.
#[derive(Deserialize)]
struct Schema {
    schema: u32,
}

/// A manifest must not lead out of its set.
fn is_inside(file: &Path) -> bool {
    use std::path::Component::Normal;
    let mut parts = file.components();
    parts.next().is_some() && file.components().all(|part| matches!(part, Normal(_)))
}

const MAX_LEN: u64 = 256 << 20;
