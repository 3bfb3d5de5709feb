//! CRC-32 of files, taken in parts on all processors.
//!
//! Sums of parts join into that of the file, so that one large image is read on all processors,
//! about as fast as memory gives it.

use crc32fast::Hasher;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Where the parts of a file of this size begin.
pub(crate) fn parts(size: u64) -> impl Iterator<Item = u64> {
    (0..size.div_ceil(PART)).map(|part| part * PART)
}

/// Length and sum of the part that begins at `at`; `go_on` is asked between blocks.
pub(crate) fn of_part(
    file: &File,
    at: u64,
    go_on: &dyn Fn() -> io::Result<()>,
) -> io::Result<(u64, Hasher)> {
    let mut at = at;
    let begin = at;
    let mut crc = Hasher::new();
    let mut block = vec![0; BLOCK];
    while at - begin < PART {
        go_on()?;
        match file.read_at(&mut block, at) {
            Ok(0) => break,
            Ok(n) => {
                crc.update(block.get(..n).unwrap_or_default());
                at += n as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((at - begin, crc))
}

/// Length and sum of a file of `size` bytes, read by up to `threads` threads.
pub(crate) fn of_file(
    file: &File,
    size: u64,
    threads: usize,
    go_on: &(dyn Fn() -> io::Result<()> + Sync),
) -> io::Result<(u64, u32)> {
    let starts: Vec<u64> = parts(size).collect();
    let sums = Mutex::new(Vec::with_capacity(starts.len()));
    for_each_parallel(&starts, threads, |&at| {
        let (len, sum) = of_part(file, at, go_on)?;
        let mut sums = sums.lock().unwrap_or_else(|e| e.into_inner());
        sums.push((at, len, sum));
        Ok::<(), io::Error>(())
    })?;
    let mut sums = sums.into_inner().unwrap_or_else(|e| e.into_inner());
    sums.sort_by_key(|(at, ..)| *at);
    let mut whole = (0, Hasher::new());
    for (_, len, sum) in &sums {
        whole.0 += len;
        whole.1.combine(sum);
    }
    Ok((whole.0, whole.1.finalize()))
}

/// Sum of what is left to read.
pub(crate) fn of_rest(input: &mut impl Read) -> io::Result<u32> {
    let mut crc = Hasher::new();
    let mut block = vec![0; BLOCK];
    loop {
        match input.read(&mut block) {
            Ok(0) => return Ok(crc.finalize()),
            Ok(n) => crc.update(block.get(..n).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// How many threads can work at the same time.
pub(crate) fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Runs `check` on every item until one fails, on up to `threads` threads.
pub(crate) fn for_each_parallel<T: Sync, E: Send>(
    items: &[T],
    threads: usize,
    check: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
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

/// Larger blocks are slower: they fall out of the processor's cache between reading and summing.
const BLOCK: usize = 64 << 10;
/// Large enough that handing it out costs nothing beside reading it.
pub(crate) const PART: u64 = 16 << 20;
