//! Whether files are as their manifest says.
//!
//! CRC-32: what has to be found is a disk, a copy or a program that changed bytes by mistake. It
//! finds every run of up to 32 changed bits and misses other changes once in four thousand
//! million. It does not find a forger, who could write another manifest as well.

use super::error::SetError;
use crate::{checksum, durable};
use crc32fast::Hasher;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Whether it is still wanted; the error ends it.
pub(crate) type GoOn<'a> = dyn Fn() -> io::Result<()> + Sync + 'a;

/// A file and what its manifest says of it.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) path: PathBuf,
    pub(super) size: u64,
    pub(super) crc32: u32,
}

/// Reads all files, whose sizes are right, and compares their checksums; the error is of the
/// first that differs. `go_on` is asked between blocks.
pub(super) fn check(files: &[Expected], go_on: &GoOn<'_>) -> Result<(), SetError> {
    let parts: Vec<Part<'_>> = files
        .iter()
        .enumerate()
        .flat_map(|(index, file)| {
            let path = &file.path;
            checksum::parts(file.size).map(move |at| Part { path, index, at })
        })
        .collect();
    let sums = Mutex::new(BTreeMap::new());
    checksum::for_each_parallel(&parts, checksum::processors(), |part| {
        let sum = part.sum(go_on)?;
        let mut sums = sums.lock().unwrap_or_else(|e| e.into_inner());
        sums.insert((part.index, part.at), sum);
        Ok::<(), SetError>(())
    })?;
    let mut sums = sums.into_inner().unwrap_or_else(|e| e.into_inner());
    for (index, file) in files.iter().enumerate() {
        let mut whole = Hasher::new();
        let later = sums.split_off(&(index + 1, 0));
        for sum in std::mem::replace(&mut sums, later).values() {
            whole.combine(sum);
        }
        let found = whole.finalize();
        if found != file.crc32 {
            return Err(SetError::Checksum {
                path: file.path.clone(),
                expected: file.crc32,
                found,
            });
        }
    }
    Ok(())
}

/// A part of a file that is read at once.
struct Part<'a> {
    path: &'a Path,
    index: usize,
    at: u64,
}

impl Part<'_> {
    fn sum(&self, go_on: &GoOn<'_>) -> Result<Hasher, SetError> {
        let file = File::open(self.path).map_err(durable::failed("open", self.path))?;
        let sum = checksum::of_part(&file, self.at, go_on);
        Ok(sum.map_err(durable::failed("read", self.path))?.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::PART;
    use std::io::ErrorKind;
    use std::os::unix::fs::FileExt;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn parts_join_into_the_sum_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let sizes = [0, 1, PART - 1, PART, PART + 1, 3 * PART + 17];
        let files: Vec<_> = sizes
            .iter()
            .map(|&size| {
                let path = dir.path().join(size.to_string());
                let file = File::create(&path).unwrap();
                file.set_len(size).unwrap();
                for at in (0..size).step_by(1 << 20) {
                    file.write_at(&[(at >> 20) as u8 + 1], at).unwrap();
                }
                let crc32 = checksum::of_rest(&mut File::open(&path).unwrap()).unwrap();
                Expected { path, size, crc32 }
            })
            .collect();
        check(&files, &|| Ok(())).unwrap();
        for changed in &files[1..] {
            let file = File::options().write(true).read(true).open(&changed.path);
            let file = file.unwrap();
            let mut last = [0];
            file.read_exact_at(&mut last, changed.size - 1).unwrap();
            file.write_all_at(&[last[0] ^ 4], changed.size - 1).unwrap();
            let error = check(&files, &|| Ok(())).unwrap_err();
            assert!(
                matches!(&error, SetError::Checksum { path, .. } if *path == changed.path),
                "{error}"
            );
            file.write_all_at(&last, changed.size - 1).unwrap();
        }
        check(&files, &|| Ok(())).unwrap();
    }

    #[test]
    fn what_is_not_wanted_any_more_is_not_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        let size = 8 * PART;
        File::create(&path).unwrap().set_len(size).unwrap();
        let expected = Expected {
            path,
            size,
            crc32: 0,
        };
        let asked = AtomicUsize::new(0);
        let go_on = || match asked.fetch_add(1, Ordering::Relaxed) {
            0..10 => Ok(()),
            _ => Err(ErrorKind::Interrupted.into()),
        };
        let error = check(&[expected], &go_on).unwrap_err();
        let is_interrupted = matches!(&error, SetError::Io { source, .. }
            if source.kind() == ErrorKind::Interrupted);
        assert!(is_interrupted, "{error}");
        // Each thread is told once.
        assert!(asked.into_inner() <= 10 + checksum::processors());
    }
}
