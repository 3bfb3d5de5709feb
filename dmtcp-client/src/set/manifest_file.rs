//! The file `manifest.json`: one JSON object that guards itself.
//!
//! Its first line is the checksum of everything after that line, so that a changed bit in it is
//! found like one in an image. Schema 1 had none.

use super::error::SetError;
use super::manifest::Manifest;
use crate::durable;
use serde::Deserialize;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

impl Manifest {
    pub(super) fn read(set: &Path) -> Result<Self, SetError> {
        let path = set.join(Self::FILE_NAME);
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
        Self::decode(&text, &path)
    }

    /// Reads the text; `path` is for errors.
    pub(super) fn decode(text: &[u8], path: &Path) -> Result<Self, SetError> {
        let damaged = |what: String| SetError::Manifest {
            path: path.to_owned(),
            what,
        };
        if text.len() as u64 > MAX_LEN {
            return Err(damaged(format!("it has more than {MAX_LEN} bytes")));
        }
        let guarded = check_guard(text).map_err(damaged)?;
        let Schema { schema } =
            serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
        if schema > Self::SCHEMA {
            return Err(SetError::Schema {
                path: path.to_owned(),
                schema,
                known: Self::SCHEMA,
            });
        }
        if schema >= GUARDED_SINCE && !guarded {
            return Err(damaged("its first line is not its checksum".to_owned()));
        }
        let manifest: Self =
            serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
        if let Some(file) = manifest.files().find(|file| !is_inside(file.0)) {
            return Err(damaged(format!(
                "{} is not a name within the set",
                file.0.display()
            )));
        }
        let mut images = manifest.images.iter();
        if let Some(image) = images.find(|image| image.file.components().count() != 1) {
            return Err(damaged(format!(
                "image {} is not in the set's own directory",
                image.file.display()
            )));
        }
        Ok(manifest)
    }

    pub(super) fn encode(&self) -> serde_json::Result<Vec<u8>> {
        let text = serde_json::to_string_pretty(self)?;
        let rest = format!("{}\n", text.trim_start_matches("{\n"));
        let sum = crc32fast::hash(rest.as_bytes());
        Ok(format!("{GUARD}{sum:08x}{GUARD_END}{rest}").into_bytes())
    }

    pub(super) fn write(&self, set: &Path) -> Result<(), durable::Failed> {
        let path = set.join(Self::FILE_NAME);
        let text = self
            .encode()
            .map_err(|error| durable::failed("encode", &path)(error.into()))?;
        durable::write_new(&path, |file| file.write_all(&text))
    }
}

/// Whether there is a checksum, and it is right.
fn check_guard(text: &[u8]) -> Result<bool, String> {
    let Some(guarded) = text.strip_prefix(GUARD.as_bytes()) else {
        return Ok(false);
    };
    let (sum, rest) = guarded
        .split_at_checked(SUM_LEN)
        .ok_or_else(|| "it is cut short".to_owned())?;
    let rest = rest
        .strip_prefix(GUARD_END.as_bytes())
        .ok_or_else(|| "its first line is damaged".to_owned())?;
    let found = format!("{:08x}", crc32fast::hash(rest));
    if sum != found.as_bytes() {
        let sum = sum.escape_ascii();
        return Err(format!(
            "its checksum is {found}, its first line says {sum}"
        ));
    }
    Ok(true)
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

pub(super) const MAX_LEN: u64 = 256 << 20;
const GUARDED_SINCE: u32 = 2;
const GUARD: &str = "{\n  \"crc32_of_the_rest\": \"";
const GUARD_END: &str = "\",\n";
const SUM_LEN: usize = 8;
