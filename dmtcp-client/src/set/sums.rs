//! Checksums of whole files, taken in parts on all processors.
//!
//! CRC-32: what has to be found is a disk, a copy or a program that changed bytes by mistake. It
//! finds every run of up to 32 changed bits and misses other changes once in four thousand
//! million; sums of parts join into that of the file, so that one large image is read on all
//! processors, about as fast as memory gives it. It does not find a forger, who could write
//! another manifest as well.

use super::error::SetError;
use crate::durable;
use crc32fast::Hasher;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A file and what its manifest says of it.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) path: PathBuf,
    pub(super) size: u64,
    pub(super) crc32: u32,
}

/// Reads all files, whose sizes are right, and compares their checksums; the error is of the
/// first that differs.
pub(super) fn check(files: &[Expected]) -> Result<(), SetError> {
    let parts: Vec<Part<'_>> = files.iter().enumerate().flat_map(parts_of).collect();
    let sums = Mutex::new(BTreeMap::new());
    for_each_parallel(&parts, |part| {
        let sum = part.sum()?;
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

/// Checksum of what is left to read.
pub(super) fn crc32_of(input: &mut impl Read) -> io::Result<u32> {
    Ok(hash(input)?.finalize())
}

/// Runs `check` on every item until one fails, on up to `available_parallelism` threads.
pub(super) fn for_each_parallel<T: Sync, E: Send>(
    items: &[T],
    check: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None);
    let work = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = check(item) {
                next.store(items.len(), Ordering::Relaxed);
                let mut failed = failed.lock().unwrap_or_else(|e| e.into_inner());
                failed.get_or_insert(error);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(items.len()) {
            // With fewer threads it takes longer.
            if thread::Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    match failed.into_inner().unwrap_or_else(|e| e.into_inner()) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// A part of a file that is read at once.
struct Part<'a> {
    path: &'a Path,
    index: usize,
    at: u64,
}

fn parts_of((index, file): (usize, &Expected)) -> impl Iterator<Item = Part<'_>> {
    let starts = (0..file.size.div_ceil(PART)).map(|part| part * PART);
    starts.map(move |at| Part {
        path: &file.path,
        index,
        at,
    })
}

impl Part<'_> {
    fn sum(&self) -> Result<Hasher, SetError> {
        let mut file = File::open(self.path).map_err(durable::failed("open", self.path))?;
        let sum = file
            .seek(SeekFrom::Start(self.at))
            .and_then(|_| hash(&mut file.take(PART)));
        Ok(sum.map_err(durable::failed("read", self.path))?)
    }
}

fn hash(input: &mut impl Read) -> io::Result<Hasher> {
    let mut crc = Hasher::new();
    let mut block = vec![0; 64 << 10];
    loop {
        match input.read(&mut block) {
            Ok(0) => return Ok(crc),
            Ok(n) => crc.update(block.get(..n).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Large enough that opening the file again costs nothing beside reading it.
const PART: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

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
                let crc32 = crc32_of(&mut File::open(&path).unwrap()).unwrap();
                Expected { path, size, crc32 }
            })
            .collect();
        check(&files).unwrap();
        for changed in &files[1..] {
            let file = File::options().write(true).read(true).open(&changed.path);
            let file = file.unwrap();
            let mut last = [0];
            file.read_exact_at(&mut last, changed.size - 1).unwrap();
            file.write_all_at(&[last[0] ^ 4], changed.size - 1).unwrap();
            let error = check(&files).unwrap_err();
            assert!(
                matches!(&error, SetError::Checksum { path, .. } if *path == changed.path),
                "{error}"
            );
            file.write_all_at(&last, changed.size - 1).unwrap();
        }
        check(&files).unwrap();
    }
}
