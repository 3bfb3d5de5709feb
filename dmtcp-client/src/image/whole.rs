//! Proving that an image is complete.
//!
//! A DMTCP image has no checksum of its own: a plain one is complete when its memory areas lead,
//! record by record, to an end marker at the last byte; a compressed one when in addition the
//! gzip stream ends there and its CRC and length are right. (A right gzip stream alone proves
//! nothing: gzip also ends one properly when its writer died.) A flipped bit within plain memory
//! is not seen here; the checksums of a sealed [`set`](crate::set) catch it later.
//!
//! Not here: whether somebody still writes the file.

use super::areas::{AreaWalk, AreaWatcher, Fault, RECORD_LEN};
use super::error::ImageError;
use super::header::ImageHeader;
use super::native;
use super::open::{BLOCK, Opened, Raw, Reading, Start, compressed, read_error, read_start};
use super::tail::Tail;
use crate::checksum;
use flate2::bufread::GzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// A complete image and its checksum.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Whole {
    /// Who is in it.
    pub header: ImageHeader,
    /// Bytes of the file.
    pub size: u64,
    /// CRC-32 (as in gzip) of the file as it is on disk.
    pub crc32: u32,
}

/// Proves that the image is complete, and reads no more than that takes.
///
/// In a plain image only the area records are read; a compressed or native one is read in full.
/// Memory use does not depend on the image.
///
/// # Errors
///
/// See [`ImageError`]. A file that is still growing is [`ImageError::Cut`].
pub fn check_whole(path: &Path) -> Result<ImageHeader, ImageError> {
    match Opened::open(path, &Reading::default())? {
        Opened::Plain(mut content) => {
            let start = read_start(&mut content, path)?;
            let raw = content.get_ref();
            hop(&start, raw, &mut (), path)?;
            Ok(start.header)
        }
        other => Ok(read_through(other, path)?.header),
    }
}

/// Proves that the image is complete and takes its checksum, reading all of it once. A plain image
/// is read on all processors.
///
/// # Errors
///
/// As [`check_whole`]; and [`ImageError::TimedOut`] when `deadline` passes before the end.
pub fn checksum_whole(path: &Path, deadline: Option<Instant>) -> Result<Whole, ImageError> {
    checksum_with(path, deadline, checksum::processors())
}

/// The same on up to `threads` threads.
pub(crate) fn checksum_with(
    path: &Path,
    deadline: Option<Instant>,
    threads: usize,
) -> Result<Whole, ImageError> {
    let reading = Reading {
        deadline,
        tail: None,
    };
    match Opened::open(path, &reading)? {
        Opened::Plain(mut content) => {
            let start = read_start(&mut content, path)?;
            let raw = content.get_ref();
            hop(&start, raw, &mut (), path)?;
            let (size, crc32) = raw
                .sum_in_parts(threads)
                .map_err(|error| read_error(path, 0, "the memory", error))?;
            Ok(Whole {
                header: start.header,
                size,
                crc32,
            })
        }
        other => read_through(other, path),
    }
}

/// Proves the same of a file that is being written, while it is written, up to where `tail` says
/// that it is complete. Its writer must only append; that it did not write its beginning again
/// is seen. `None` for a native image, which says of itself how long it is.
pub(crate) fn checksum_growing(
    file: File,
    path: &Path,
    tail: Arc<Tail>,
) -> Result<Option<Whole>, ImageError> {
    let reading = Reading {
        deadline: None,
        tail: Some(tail),
    };
    match Opened::of(file, path, &reading)? {
        Opened::Native(_) => Ok(None),
        other => read_through(other, path).map(Some),
    }
}

pub(super) fn read_through(opened: Opened, path: &Path) -> Result<Whole, ImageError> {
    let (header, input) = match opened {
        Opened::Native(input) => native::check(input, path)?,
        Opened::Plain(mut content) => {
            let start = read_start(&mut content, path)?;
            walk(&start, &mut content, &mut (), path)?;
            (start.header, content)
        }
        Opened::Gzip(mut content) => {
            let start = read_start(&mut content, path)
                .and_then(|start| {
                    walk(&start, &mut content, &mut (), path)?;
                    Ok(start)
                })
                .map_err(ImageError::in_compressed)?;
            (compressed(start.header), end_of_gzip(*content, path)?)
        }
    };
    let raw = input.get_ref();
    raw.check_beginning(path)?;
    let (size, crc32) = raw.sum();
    Ok(Whole {
        header,
        size,
        crc32,
    })
}

/// Reads all of the content; reading to its end also checks the gzip trailer.
pub(super) fn walk(
    start: &Start,
    content: &mut impl Read,
    watcher: &mut impl AreaWatcher,
    path: &Path,
) -> Result<(), ImageError> {
    let mut walk = AreaWalk::new(start.areas, start.areas_at);
    let mut block = vec![0; BLOCK];
    loop {
        match content.read(&mut block) {
            Ok(0) => break,
            Ok(n) => walk
                .feed(block.get(..n).unwrap_or_default(), watcher)
                .map_err(|fault| fault_in(path, fault))?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(read_error(path, walk.at(), "the compressed stream", error));
            }
        }
    }
    walk.finish().map_err(|fault| fault_in(path, fault))
}

/// Reads the area records and passes over the memory between them that nobody wants.
pub(super) fn hop(
    start: &Start,
    raw: &Raw,
    watcher: &mut impl AreaWatcher,
    path: &Path,
) -> Result<(), ImageError> {
    let (file, len) = (raw.file(), raw.len());
    let mut walk = AreaWalk::new(start.areas, start.areas_at);
    let mut block = vec![0; BLOCK];
    loop {
        let memory = walk.skippable();
        if memory > 0 && watcher.is_indifferent() {
            let there = len.saturating_sub(walk.at());
            walk.skip(memory.min(there));
            if memory > there {
                break;
            }
            continue;
        }
        // Of memory that is wanted a block, else a record and no more.
        let wanted = usize::try_from(memory).map_or(BLOCK, |memory| memory.min(BLOCK));
        let wanted = if wanted == 0 { RECORD_LEN } else { wanted };
        let n = file
            .read_at(block.get_mut(..wanted).unwrap_or_default(), walk.at())
            .map_err(|error| read_error(path, walk.at(), "a memory area", error))?;
        if n == 0 {
            break;
        }
        walk.feed(block.get(..n).unwrap_or_default(), watcher)
            .map_err(|fault| fault_in(path, fault))?;
    }
    walk.finish().map_err(|fault| fault_in(path, fault))
}

pub(super) fn end_of_gzip(
    content: GzDecoder<BufReader<Raw>>,
    path: &Path,
) -> Result<BufReader<Raw>, ImageError> {
    let mut input = content.into_inner();
    let after = input
        .fill_buf()
        .map_err(|error| read_error(path, 0, "the end of the compressed stream", error))?;
    if !after.is_empty() {
        return Err(ImageError::Damaged {
            path: path.to_owned(),
            at: input.get_ref().len(),
            what: "there are bytes after the compressed stream".to_owned(),
        });
    }
    Ok(input)
}

fn fault_in(path: &Path, fault: Fault) -> ImageError {
    let path = path.to_owned();
    match fault {
        Fault::Cut { at, what } => ImageError::Cut { path, at, what },
        Fault::Damaged { at, what } => ImageError::Damaged { path, at, what },
    }
}
