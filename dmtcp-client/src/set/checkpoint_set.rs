//! A sealed set: what is in it and whether it is still as it was.

use super::copy;
use super::error::{SealError, SetError};
use super::hold::SetHold;
use super::manifest::{ImageKind, Manifest};
use super::names::Entry;
use super::sums::{self, Expected, GoOn};
use crate::durable;
use crate::image::saved_files;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// All images of one round, as they were sealed.
///
/// Opening one reads its manifest only; [`verify`](Self::verify) reads all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointSet {
    dir: PathBuf,
    manifest: Manifest,
}

impl CheckpointSet {
    /// Opens a set by its directory; no lock is needed.
    ///
    /// # Errors
    ///
    /// See [`SetError`]; a directory that is still being sealed or removed has a name that is
    /// refused as [`SetError::NoManifest`], whatever it holds.
    pub fn open(dir: &Path) -> Result<Self, SetError> {
        let name = dir.file_name().and_then(|name| name.to_str());
        let Some(Entry::Set(sequence)) = name.and_then(Entry::of) else {
            return Err(SetError::NoManifest {
                path: dir.to_owned(),
            });
        };
        let manifest = Manifest::read(dir)?;
        if manifest.sequence != sequence {
            return Err(SetError::Manifest {
                path: dir.join(Manifest::FILE_NAME),
                what: format!("it is of set {}", manifest.sequence),
            });
        }
        Ok(Self::new(dir.to_owned(), manifest))
    }

    pub(super) fn new(dir: PathBuf, manifest: Manifest) -> Self {
        Self { dir, manifest }
    }

    /// The directory of the set.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the set says of itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Number of the set; a later set of the same directory has a higher one.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.manifest.sequence
    }

    /// Bytes of all images and the files saved with them.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.manifest.total_bytes
    }

    /// Paths of the images, in the order of the manifest.
    #[must_use]
    pub fn images(&self) -> Vec<PathBuf> {
        let images = self.manifest.images.iter();
        images.map(|image| self.dir.join(&image.file)).collect()
    }

    /// Checks that every file is there with its size, without reading it.
    ///
    /// # Errors
    ///
    /// [`SetError`] names the first file that is not.
    pub fn verify_sizes(&self) -> Result<(), SetError> {
        self.manifest
            .files()
            .try_for_each(|(file, size, _)| check_size(&self.dir.join(file), size))
    }

    /// Reads every file and compares it with its checksum, on as many threads as the machine has.
    ///
    /// # Errors
    ///
    /// [`SetError`] names the file that is missing, cut or changed.
    pub fn verify(&self) -> Result<(), SetError> {
        self.verify_while(&|| Ok(()))
    }

    /// The same as long as it is wanted.
    pub(super) fn verify_while(&self, go_on: &GoOn<'_>) -> Result<(), SetError> {
        self.verify_sizes()?;
        let files = self.manifest.files();
        let expected = files.map(|(file, size, crc32)| Expected {
            path: self.dir.join(file),
            size,
            crc32,
        });
        sums::check(&expected.collect::<Vec<_>>(), go_on)
    }

    /// Keeps retention, here and in other processes, from removing the set while the result
    /// lives. Waits for nothing.
    ///
    /// # Errors
    ///
    /// [`SetError::NoManifest`] if it has been removed meanwhile; [`SetError::Io`].
    pub fn hold(&self) -> Result<SetHold, SetError> {
        SetHold::take(&self.dir)
    }

    /// Puts the images into `dir`, a directory in which a restarted computation may write, and
    /// returns their paths there, in the order of the manifest.
    ///
    /// A restarted DMTCP process writes its next image over the one that it came from, so it
    /// must not be restarted from the set itself. Images are linked, copied where links cannot
    /// be. `dir` is made if it is not there; an image of the same name in it is replaced.
    ///
    /// Open files that DMTCP saved are copied to where the process wrote them at the checkpoint
    /// ([`SealedImage::written_in`](super::SealedImage::written_in)), in place of what is there:
    /// DMTCP looks for them at that path and nowhere else.
    ///
    /// The set itself stays the durable one: what is put elsewhere is linked or copied anew for
    /// every attempt to restart.
    ///
    /// # Errors
    ///
    /// [`SealError::Io`] and [`SealError::NotCopyable`].
    pub fn stage_into(&self, dir: &Path) -> Result<Vec<PathBuf>, SealError> {
        fs::create_dir_all(dir).map_err(durable::failed("create", dir))?;
        let images = self.manifest.images.iter();
        images
            .map(|image| {
                let (from, to) = (self.dir.join(&image.file), dir.join(&image.file));
                copy::link_over(&from, &to)?;
                // Native images have none: what stands beside one is of somebody else's making.
                let is_dmtcp = image.kind == ImageKind::Dmtcp;
                if let Some(saved) = saved_files::saved_files_dir(&from).filter(|_| is_dmtcp) {
                    let home = saved_files::saved_files_name(&image.written_in.join(&image.file));
                    copy::replace_tree(&saved, &home)?;
                }
                Ok(to)
            })
            .collect()
    }
}

fn check_size(path: &Path, expected: u64) -> Result<(), SetError> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(SetError::Missing {
                path: path.to_owned(),
            });
        }
        other => other.map_err(durable::failed("look at", path))?,
    };
    let found = metadata.len();
    if !metadata.is_file() {
        return Err(SetError::Missing {
            path: path.to_owned(),
        });
    }
    if found != expected {
        return Err(SetError::Size {
            path: path.to_owned(),
            expected,
            found,
        });
    }
    Ok(())
}
