//! Writing a set into an archive.

use super::error::PackError;
use super::header::{self, BLOCK, FileHeader, padding};
use crate::durable;
use crate::set::manifest::Manifest;
use crate::set::{CheckpointSet, SetError};
use crc32fast::Hasher;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

impl CheckpointSet {
    /// Writes the set into one file, which replaces what may be at `archive`; returns the bytes
    /// of the file. See [`SetStore::unpack`](crate::set::SetStore::unpack) for the way back.
    ///
    /// Every file is checked while it is read; the archive appears under its name when it is
    /// complete and synced. The set is [held](Self::hold) meanwhile. Empty directories beside an
    /// image are left out.
    ///
    /// # Errors
    ///
    /// See [`PackError`].
    pub fn pack(&self, archive: &Path) -> Result<u64, PackError> {
        let _hold = self.hold()?;
        self.verify_sizes()?;
        for image in &self.manifest().images {
            for file in &image.saved_files {
                refuse_links(self.dir(), &file.file)?;
            }
        }
        let mut failed = None;
        let mut bytes = 0;
        let written = durable::write_aside(archive, |file| {
            let mut out = Counted {
                out: io::BufWriter::with_capacity(BUFFER, file),
                bytes: 0,
            };
            match write_all(self, &mut out) {
                Ok(()) => out.flush()?,
                Err(Stop::Output(error)) => return Err(error),
                Err(Stop::Set(error)) => failed = Some(error),
            }
            bytes = out.bytes;
            match failed {
                Some(_) => Err(ErrorKind::InvalidData.into()),
                None => Ok(()),
            }
        });
        match (failed, written) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(error.into()),
            (None, Ok(())) => Ok(bytes),
        }
    }
}

/// What ended the writing: the archive, or the set.
enum Stop {
    Output(io::Error),
    Set(PackError),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<durable::Failed> for Stop {
    fn from(failed: durable::Failed) -> Self {
        Self::Set(failed.into())
    }
}

fn write_all(set: &CheckpointSet, out: &mut impl Write) -> Result<(), Stop> {
    let top = PathBuf::from(format!("{:06}", set.sequence()));
    let seconds = set.manifest().created_unix_ms / 1000;
    let path = set.dir().join(Manifest::FILE_NAME);
    let text = fs::read(&path).map_err(durable::failed("read", &path))?;
    // It may have been changed since the set was opened.
    let manifest = Manifest::decode(&text, &path).map_err(|error| Stop::Set(error.into()))?;
    if manifest != *set.manifest() {
        let what = "it has changed since the set was opened".to_owned();
        return Err(Stop::Set(SetError::Manifest { path, what }.into()));
    }
    let header = FileHeader {
        size: text.len() as u64,
        mode: 0o600,
    };
    header::write(out, &top.join(Manifest::FILE_NAME), &header, seconds)?;
    out.write_all(&text)?;
    pad(out, header.size)?;
    for (name, size, crc32) in manifest.files() {
        let path = set.dir().join(name);
        let mut file = File::open(&path).map_err(durable::failed("open", &path))?;
        let metadata = file.metadata().map_err(durable::failed("look at", &path))?;
        let mode = metadata.permissions().mode() & 0o777;
        header::write(out, &top.join(name), &FileHeader { size, mode }, seconds)?;
        let found = copy(&mut file, size, out, &path)?;
        if found != crc32 {
            return Err(Stop::Set(PackError::Set(SetError::Checksum {
                path,
                expected: crc32,
                found,
            })));
        }
        pad(out, size)?;
    }
    out.write_all(&[0; 2 * BLOCK])?;
    Ok(())
}

/// Copies exactly `size` bytes and gives their checksum.
fn copy(file: &mut File, size: u64, out: &mut impl Write, path: &Path) -> Result<u32, Stop> {
    let mut crc = Hasher::new();
    let mut left = size;
    let mut block = vec![0; 64 << 10];
    while left > 0 {
        let most = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
        let part = match file.read(block.get_mut(..most).unwrap_or_default()) {
            Ok(0) => break,
            Ok(n) => block.get(..n).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(durable::failed("read", path)(error).into()),
        };
        crc.update(part);
        out.write_all(part)?;
        left -= part.len() as u64;
    }
    if left > 0 {
        return Err(Stop::Set(PackError::Set(SetError::Size {
            path: path.to_owned(),
            expected: size,
            found: size - left,
        })));
    }
    Ok(crc.finalize())
}

fn pad(out: &mut impl Write, size: u64) -> io::Result<()> {
    out.write_all([0; BLOCK].get(..padding(size)).unwrap_or_default())
}

/// The directory that a saved file is in has no links, at any depth.
fn refuse_links(set: &Path, saved: &Path) -> Result<(), PackError> {
    let Some(above) = saved.parent().filter(|above| *above != Path::new("")) else {
        return Ok(());
    };
    let dir = set.join(above);
    for entry in fs::read_dir(&dir).map_err(durable::failed("list", &dir))? {
        let entry = entry.map_err(durable::failed("list", &dir))?;
        let path = entry.path();
        let kind = entry.file_type();
        if kind
            .map_err(durable::failed("look at", &path))?
            .is_symlink()
        {
            return Err(PackError::Link { path });
        }
    }
    refuse_links(set, above)
}

struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.out.write(buf)?;
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

const BUFFER: usize = 256 << 10;
