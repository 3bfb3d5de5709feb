//! Bringing files into a set and out of it: hard links for images, copies for what DMTCP may
//! write again.

use super::error::SealError;
use super::manifest::SavedFile;
use crate::{checksum, durable};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Seek as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::Path;

/// Asked again and again while something is copied; an error ends it.
pub(super) type GoOn<'a> = &'a dyn Fn() -> Result<(), SealError>;

/// Links `from` to the new name `to`, or copies it where it cannot be linked; says what the file
/// was that was linked or copied. Copying is the system's (`copy_file_range`): blocks are shared
/// where the file system can do that.
pub(super) fn link_or_copy(from: &Path, to: &Path, go_on: GoOn<'_>) -> Result<Metadata, SealError> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(fs::symlink_metadata(to).map_err(durable::failed("look at", to))?),
        Err(error) if cannot_link(&error) => Ok(copy_file(from, to, go_on)?.0),
        Err(error) => Err(durable::failed("link into the set", from)(error).into()),
    }
}

/// As [`link_or_copy`], in place of what may be at `to`.
pub(super) fn link_over(from: &Path, to: &Path) -> Result<(), SealError> {
    match fs::remove_file(to) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(durable::failed("replace", to)(error).into());
        }
        _ => {}
    }
    link_or_copy(from, to, &|| Ok(())).map(drop)
}

/// Copies a directory of saved files durably; the names in the result begin with `name`.
pub(super) fn copy_tree(
    from: &Path,
    to: &Path,
    name: &Path,
    go_on: GoOn<'_>,
) -> Result<Vec<SavedFile>, SealError> {
    let mut copied = Vec::new();
    copy_dir(from, to, name, MAX_DEPTH, go_on, &mut copied)?;
    Ok(copied)
}

/// Copies a directory of saved files in place of what may be at `to`.
pub(super) fn replace_tree(from: &Path, to: &Path) -> Result<(), SealError> {
    match fs::remove_dir_all(to) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(durable::failed("replace", to)(error).into());
        }
        _ => {}
    }
    let parent = durable::parent_of(to);
    fs::create_dir_all(parent).map_err(durable::failed("create", parent))?;
    copy_tree(from, to, Path::new(""), &|| Ok(())).map(drop)
}

fn copy_dir(
    from: &Path,
    to: &Path,
    name: &Path,
    depth: usize,
    go_on: GoOn<'_>,
    copied: &mut Vec<SavedFile>,
) -> Result<(), SealError> {
    if depth == 0 {
        let error = io::Error::other(format!("more than {MAX_DEPTH} directories deep"));
        return Err(durable::failed("copy", from)(error).into());
    }
    go_on()?;
    DirBuilder::new()
        .mode(0o700)
        .create(to)
        .map_err(durable::failed("create", to))?;
    for entry in fs::read_dir(from).map_err(durable::failed("list", from))? {
        let entry = entry.map_err(durable::failed("list", from))?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let name = name.join(entry.file_name());
        let kind = entry
            .file_type()
            .map_err(durable::failed("look at", &from))?;
        if kind.is_dir() {
            copy_dir(&from, &to, &name, depth - 1, go_on, copied)?;
        } else if kind.is_symlink() {
            fs::read_link(&from)
                .and_then(|target| symlink(target, &to))
                .map_err(durable::failed("copy the link", &from))?;
        } else if kind.is_file() {
            let (size, crc32) = copy_file_durably(&from, &to, go_on)?;
            copied.push(SavedFile {
                file: name,
                size,
                crc32,
            });
        } else {
            return Err(SealError::NotCopyable { path: from });
        }
    }
    durable::sync_dir(to)?;
    Ok(())
}

fn copy_file_durably(from: &Path, to: &Path, go_on: GoOn<'_>) -> Result<(u64, u32), SealError> {
    let (_, mut file) = copy_file(from, to, go_on)?;
    file.rewind().map_err(durable::failed("read", to))?;
    // The copy is summed, not the original: the checksum is that of what the set holds.
    let crc32 = checksum::of_rest(&mut file).map_err(durable::failed("read", to))?;
    file.sync_all().map_err(durable::failed("sync", to))?;
    let size = file
        .metadata()
        .map_err(durable::failed("look at", to))?
        .len();
    Ok((size, crc32))
}

/// Copies a regular file with its permissions; `to` must not exist. Gives what the file was, and
/// the copy.
fn copy_file(from: &Path, to: &Path, go_on: GoOn<'_>) -> Result<(Metadata, File), SealError> {
    let mut source = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW).bits())
        .open(from)
        .map_err(durable::failed("open", from))?;
    let metadata = source
        .metadata()
        .map_err(durable::failed("look at", from))?;
    if !metadata.is_file() {
        return Err(SealError::NotCopyable {
            path: from.to_owned(),
        });
    }
    let mut target = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(durable::failed("create", to))?;
    loop {
        go_on()?;
        let part = io::copy(&mut source.by_ref().take(PART), &mut target);
        if part.map_err(durable::failed("copy into", to))? == 0 {
            break;
        }
    }
    target
        .set_permissions(metadata.permissions())
        .map_err(durable::failed("set the permissions of", to))?;
    Ok((metadata, target))
}

/// Other file systems, file systems without links, files of others, too many links.
fn cannot_link(error: &io::Error) -> bool {
    let refusals = [
        Errno::EXDEV,
        Errno::EPERM,
        Errno::EOPNOTSUPP,
        Errno::ENOSYS,
        Errno::EMLINK,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| refusals.contains(&Errno::from_raw(code)))
}

const MAX_DEPTH: usize = 64;
/// Copied between two questions whether to go on.
const PART: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_copy_ends_in_its_middle_when_it_shall_not_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let len = 2 * PART + 1;
        File::create(&from).unwrap().set_len(len).unwrap();
        let asked = Cell::new(0);
        let go_on = || {
            asked.set(asked.get() + 1);
            match asked.get() {
                2 => Err(SealError::NoImages),
                _ => Ok(()),
            }
        };
        let error = copy_file(&from, &to, &go_on).unwrap_err();
        assert!(matches!(error, SealError::NoImages));
        assert_eq!(fs::metadata(&to).unwrap().len(), PART);
        fs::remove_file(&to).unwrap();
        copy_file(&from, &to, &go_on).unwrap();
        assert_eq!(fs::metadata(&to).unwrap().len(), len);
    }
}
