//! Making a set out of an archive that anybody may have written.

use super::error::PackError;
use super::header::{self, Announced, BLOCK, FileHeader, padding};
use crate::durable;
use crate::set::manifest::Manifest;
use crate::set::{CheckpointSet, manifest_file::MAX_LEN};
use crc32fast::Hasher;
use nix::fcntl::OFlag;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Fills the new directory `partial` with the files of the archive and a manifest for the number
/// `sequence`; what a failure leaves is for the caller to remove.
pub(in crate::set) fn unpack(
    archive: &Path,
    partial: &Path,
    sequence: u64,
) -> Result<Manifest, PackError> {
    let mut archive = Archive::open(archive)?;
    let (mut manifest, top) = archive.manifest()?;
    archive.check(&manifest)?;
    DirBuilder::new()
        .mode(0o700)
        .create(partial)
        .map_err(durable::failed("create", partial))?;
    let mut dirs = BTreeSet::new();
    let mut total_bytes = 0;
    for (file, size, crc32) in manifest.files() {
        let name = top.join(file);
        let header = archive.header(&name)?;
        if header.size != size {
            let found = header.size;
            let name = name.display();
            return Err(archive.refuse(format!(
                "{name} has {found} bytes, its manifest says {size}"
            )));
        }
        make_dirs(partial, file, &mut dirs)?;
        let found = archive.extract(&name, &header, &partial.join(file))?;
        if found != crc32 {
            return Err(PackError::Checksum {
                path: archive.path.clone(),
                file: name,
                expected: crc32,
                found,
            });
        }
        total_bytes += size;
    }
    archive.end()?;
    // From the deepest on.
    for dir in dirs.iter().rev() {
        durable::sync_dir(dir)?;
    }
    manifest.packed_as = Some(manifest.sequence);
    manifest.sequence = sequence;
    // A number of where it comes from.
    manifest.parent = None;
    manifest.schema = Manifest::SCHEMA;
    manifest.total_bytes = total_bytes;
    manifest.write(partial)?;
    durable::sync_dir(partial)?;
    // What is on this disk now, not what was read.
    CheckpointSet::new(partial.to_owned(), manifest.clone()).verify()?;
    Ok(manifest)
}

struct Archive {
    path: PathBuf,
    input: BufReader<File>,
    left: u64,
}

impl Archive {
    fn open(path: &Path) -> Result<Self, PackError> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(path)
            .map_err(durable::failed("open", path))?;
        let metadata = file.metadata().map_err(durable::failed("look at", path))?;
        let mut archive = Self {
            path: path.to_owned(),
            input: BufReader::with_capacity(64 << 10, file),
            left: metadata.len(),
        };
        if !metadata.is_file() {
            return Err(archive.refuse("it is not a regular file".to_owned()));
        }
        if archive.left == 0 {
            return Err(archive.refuse("it is empty".to_owned()));
        }
        let begin = archive.input.fill_buf();
        let begin = begin.map_err(durable::failed("read", path))?;
        if begin.len() < BLOCK && !begins_with_a_manifest(begin) {
            return Err(archive.refuse("it does not begin with a manifest".to_owned()));
        }
        Ok(archive)
    }

    /// The manifest and the directory that all names begin with.
    fn manifest(&mut self) -> Result<(Manifest, PathBuf), PackError> {
        let (header, name) = self.next_file()?;
        let top = match name.parent() {
            Some(top) if name == top.join(Manifest::FILE_NAME) => top.to_owned(),
            _ => {
                let name = name.display();
                return Err(self.refuse(format!("it begins with {name}, not with a manifest")));
            }
        };
        if header.size > MAX_LEN {
            let size = header.size;
            return Err(self.refuse(format!("its manifest has {size} bytes")));
        }
        let mut text = Vec::new();
        self.copy(&name, header.size, &mut |part| {
            text.extend_from_slice(part);
            Ok(())
        })?;
        let manifest = Manifest::decode(&text, &self.path.join(&name))?;
        if top != Path::new(&format!("{:06}", manifest.sequence)) {
            let top = top.display();
            return Err(self.refuse(format!("its directory {top} is not its number")));
        }
        Ok((manifest, top))
    }

    /// Before anything is made: every name once, and no more bytes than there are.
    fn check(&self, manifest: &Manifest) -> Result<(), PackError> {
        let mut names = BTreeSet::from([Path::new(Manifest::FILE_NAME)]);
        let mut bytes = 0u64;
        for (file, size, _) in manifest.files() {
            if !names.insert(file) {
                return Err(self.refuse(format!("it has {} twice", file.display())));
            }
            bytes = bytes.saturating_add(size);
        }
        if bytes > self.left {
            let left = self.left;
            return Err(PackError::Cut {
                path: self.path.clone(),
                what: format!("its files: {left} of {bytes} bytes are there"),
            });
        }
        Ok(())
    }

    /// The header of the file that comes next, which must have this name.
    fn header(&mut self, name: &Path) -> Result<FileHeader, PackError> {
        let (header, found) = self.next_file()?;
        if found.as_os_str() != name.as_os_str() {
            let (found, name) = (found.display(), name.display());
            return Err(self.refuse(format!("{found} is where {name} should be")));
        }
        Ok(header)
    }

    fn next_file(&mut self) -> Result<(FileHeader, PathBuf), PackError> {
        let mut long = None;
        loop {
            match self.announced()? {
                Announced::File(header, name) => {
                    let name = long.unwrap_or(name);
                    return Ok((header, PathBuf::from(OsStr::from_bytes(&name))));
                }
                Announced::LongName(size) if long.is_none() => {
                    let mut name = Vec::new();
                    self.copy(Path::new("a name"), size, &mut |part| {
                        name.extend_from_slice(part);
                        Ok(())
                    })?;
                    long = Some(header::text(&name).to_vec());
                }
                Announced::LongName(_) => {
                    return Err(self.refuse("a file has two names".to_owned()));
                }
                Announced::End => {
                    return Err(self.refuse("it ends before its last file".to_owned()));
                }
            }
        }
    }

    /// Writes the next `header.size` bytes to a new file, durably, and gives their checksum.
    fn extract(&mut self, name: &Path, header: &FileHeader, to: &Path) -> Result<u32, PackError> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(to)
            .map_err(durable::failed("create", to))?;
        let mut crc = Hasher::new();
        self.copy(name, header.size, &mut |part| {
            crc.update(part);
            Ok(file.write_all(part).map_err(durable::failed("write", to))?)
        })?;
        // Its owner must be able to read it in any case.
        file.set_permissions(Permissions::from_mode(header.mode | 0o600))
            .map_err(durable::failed("set the permissions of", to))?;
        file.sync_all().map_err(durable::failed("sync", to))?;
        Ok(crc.finalize())
    }

    /// Gives `size` bytes to `take`, part by part, and passes over what fills up their last block.
    fn copy(
        &mut self,
        name: &Path,
        size: u64,
        take: &mut dyn FnMut(&[u8]) -> Result<(), PackError>,
    ) -> Result<(), PackError> {
        let mut block = vec![0; 64 << 10];
        let mut wanted = size;
        while wanted > 0 {
            let most = usize::try_from(wanted).map_or(block.len(), |n| n.min(block.len()));
            let part = block.get_mut(..most).unwrap_or_default();
            self.read(part, name)?;
            take(part)?;
            wanted -= most as u64;
        }
        let mut filler = [0; BLOCK];
        self.read(filler.get_mut(..padding(size)).unwrap_or_default(), name)
    }

    /// Behind the last file there is the end, and nothing behind that.
    fn end(&mut self) -> Result<(), PackError> {
        for _ in 0..2 {
            if self.announced()? != Announced::End {
                return Err(self.refuse("it has files that its manifest does not know".to_owned()));
            }
        }
        match self.left {
            0 => Ok(()),
            left => Err(self.refuse(format!("there are {left} bytes behind its end"))),
        }
    }

    fn announced(&mut self) -> Result<Announced, PackError> {
        let mut block = [0; BLOCK];
        self.read(&mut block, Path::new("a header"))?;
        header::read(&block).map_err(|what| self.refuse(what))
    }

    fn read(&mut self, buf: &mut [u8], what: &Path) -> Result<(), PackError> {
        match self.input.read_exact(buf) {
            Ok(()) => {
                self.left = self.left.saturating_sub(buf.len() as u64);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(PackError::Cut {
                path: self.path.clone(),
                what: what.display().to_string(),
            }),
            Err(error) => Err(durable::failed("read", &self.path)(error).into()),
        }
    }

    fn refuse(&self, what: String) -> PackError {
        PackError::NotAnArchive {
            path: self.path.clone(),
            what,
        }
    }
}

/// Whether this can be the beginning of `000007/manifest.json`.
fn begins_with_a_manifest(bytes: &[u8]) -> bool {
    let digits = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let rest = bytes.get(digits..).unwrap_or_default();
    let name = Manifest::FILE_NAME.bytes();
    let expected = std::iter::once(b'/').chain(name);
    digits > 0 && rest.iter().zip(expected).all(|(a, b)| *a == b)
}

/// Makes the directories that lead to a file within the set, and notes them.
fn make_dirs(partial: &Path, file: &Path, dirs: &mut BTreeSet<PathBuf>) -> Result<(), PackError> {
    let above = file.ancestors().skip(1);
    let above: Vec<_> = above.filter(|dir| *dir != Path::new("")).collect();
    for dir in above.into_iter().rev() {
        let path = partial.join(dir);
        if dirs.contains(&path) {
            continue;
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(durable::failed("create", &path))?;
        dirs.insert(path);
    }
    Ok(())
}
