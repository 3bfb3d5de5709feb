//! Opening an image: what kind of file it is, and its content as a stream.
//!
//! Not here: whether the content is complete (`whole`).

use super::areas::AreaForm;
use super::details::ProcessDetails;
use super::error::ImageError;
use super::header::ImageHeader;
use super::tail::Tail;
use super::{native, v2, v4};
use crate::checksum;
use crc32fast::Hasher;
use flate2::bufread::GzDecoder;
use nix::fcntl::OFlag;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Reads who is in an image, and nothing after that.
///
/// That the header is there does not mean that the image is complete: see
/// [`check_whole`](super::check_whole).
///
/// # Errors
///
/// See [`ImageError`]; a file that ends within the header is [`ImageError::Cut`].
pub fn read_header(path: &Path) -> Result<ImageHeader, ImageError> {
    match Opened::open(path, &Reading::default())? {
        Opened::Native(input) => native::header_only(input, path),
        Opened::Gzip(mut content) => {
            let start = read_start(&mut content, path).map_err(ImageError::in_compressed)?;
            Ok(compressed(start.header))
        }
        Opened::Plain(mut content) => Ok(read_start(&mut content, path)?.header),
    }
}

/// An image file by its first bytes.
pub(super) enum Opened {
    Gzip(Box<GzDecoder<BufReader<Raw>>>),
    Native(BufReader<Raw>),
    Plain(BufReader<Raw>),
}

impl Opened {
    /// Opens a regular file; a FIFO or device neither blocks nor is read.
    pub(super) fn open(path: &Path, reading: &Reading) -> Result<Self, ImageError> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(path)
            .map_err(io_error("open", path))?;
        Self::of(file, path, reading)
    }

    /// What the file is that was opened as `path`.
    pub(super) fn of(file: File, path: &Path, reading: &Reading) -> Result<Self, ImageError> {
        let metadata = file.metadata().map_err(io_error("look at", path))?;
        if !metadata.is_file() {
            return Err(ImageError::NotAnImage {
                path: path.to_owned(),
                what: "is not a regular file".to_owned(),
            });
        }
        let mut input = BufReader::with_capacity(
            BLOCK,
            Raw {
                file,
                len: metadata.len(),
                done: 0,
                crc: Hasher::new(),
                beginning: None,
                reading: reading.clone(),
            },
        );
        let first = input
            .fill_buf()
            .map_err(|source| read_error(path, 0, "the first bytes", source))?;
        Ok(if first.starts_with(GZIP_MAGIC) {
            Self::Gzip(Box::new(GzDecoder::new(input)))
        } else if first.starts_with(native::MAGIC) {
            Self::Native(input)
        } else if first.first() == Some(&b'H') {
            return Err(ImageError::Unsupported {
                path: path.to_owned(),
                what: "it begins like a delta-compressed image of DMTCP before 3.1".to_owned(),
            });
        } else {
            Self::Plain(input)
        })
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ImageError + use<> {
    let path = path.to_owned();
    move |source| ImageError::Io {
        action,
        path,
        source,
    }
}

/// How a file is read.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    /// Nothing is read after it.
    pub(super) deadline: Option<Instant>,
    /// Somebody still writes the file: its end is where this says so.
    pub(super) tail: Option<Arc<Tail>>,
}

/// The bytes of the file as they are read: counted, checksummed, and refused after the deadline.
pub(super) struct Raw {
    file: File,
    len: u64,
    done: u64,
    crc: Hasher,
    /// How many bytes were read first, and their sum.
    beginning: Option<(usize, u32)>,
    reading: Reading,
}

impl Raw {
    /// Size of the file when it was opened.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Bytes read so far, and their CRC-32.
    pub(super) fn sum(&self) -> (u64, u32) {
        (self.done, self.crc.clone().finalize())
    }

    /// Bytes of the whole file, and their CRC-32, whatever has been read so far.
    pub(super) fn sum_in_parts(&self, threads: usize) -> io::Result<(u64, u32)> {
        checksum::of_file(&self.file, self.len, threads, &|| self.check_deadline(0))
    }

    /// That what was read first still stands in a file that was read while it was written.
    pub(super) fn check_beginning(&self, path: &Path) -> Result<(), ImageError> {
        let Some((len, before)) = self.beginning.filter(|_| self.reading.tail.is_some()) else {
            return Ok(());
        };
        let mut again = vec![0; len];
        self.file
            .read_exact_at(&mut again, 0)
            .map_err(|source| read_error(path, 0, "the first bytes", source))?;
        if crc32fast::hash(&again) == before {
            return Ok(());
        }
        Err(ImageError::Damaged {
            path: path.to_owned(),
            at: 0,
            what: "its beginning was written again".to_owned(),
        })
    }

    fn check_deadline(&self, done: u64) -> io::Result<()> {
        let deadline = self.reading.deadline;
        if deadline.is_some_and(|end| Instant::now() >= end) {
            let len = self.len;
            return Err(io::Error::new(
                ErrorKind::TimedOut,
                DeadlinePassed { done, len },
            ));
        }
        Ok(())
    }
}

impl Read for Raw {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = loop {
            self.check_deadline(self.done)?;
            // Asked before reading: what it says of the end then counts for what is read.
            let may_grow = match &self.reading.tail {
                Some(tail) => tail.may_grow()?,
                None => false,
            };
            match self.file.read(buf)? {
                0 if may_grow && !buf.is_empty() => {
                    if let Some(tail) = &self.reading.tail {
                        tail.wait();
                    }
                }
                n => break n,
            }
        };
        let new = buf.get(..n).unwrap_or_default();
        if self.done == 0 {
            self.beginning = Some((n, crc32fast::hash(new)));
        }
        self.crc.update(new);
        self.done += n as u64;
        Ok(n)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("deadline passed")]
struct DeadlinePassed {
    done: u64,
    len: u64,
}

/// The header of a DMTCP image and where its memory areas begin.
pub(super) struct Start {
    pub(super) header: ImageHeader,
    pub(super) details: ProcessDetails,
    pub(super) areas_at: u64,
    pub(super) areas: AreaForm,
}

/// Reads the (decompressed) content up to its first memory area.
pub(super) fn read_start(content: &mut impl Read, path: &Path) -> Result<Start, ImageError> {
    let mut pages = Vec::with_capacity(v4::PREFIX_LEN);
    read_page(content, path, &mut pages)?;
    if pages.starts_with(v4::SIGNATURE) {
        need_page(content, path, &mut pages)?;
        let (header, details) = v4::parse(&pages).map_err(|(at, what)| ImageError::Damaged {
            path: path.to_owned(),
            at,
            what,
        })?;
        return Ok(Start {
            header,
            details,
            areas_at: pages.len() as u64,
            areas: AreaForm::V3,
        });
    }
    if pages.starts_with(v2::SIGNATURE) {
        return read_v2(content, path, pages);
    }
    Err(not_an_image(path, &pages))
}

/// For an image that was read through its decompression.
pub(super) fn compressed(header: ImageHeader) -> ImageHeader {
    ImageHeader {
        compressed: true,
        ..header
    }
}

/// What a failed read of the content means: a file that ends, one that is damaged, or the
/// environment.
pub(super) fn read_error(path: &Path, at: u64, what: &str, source: io::Error) -> ImageError {
    let path = path.to_owned();
    if source.raw_os_error().is_none() {
        if let Some(late) = source
            .get_ref()
            .and_then(|e| e.downcast_ref::<DeadlinePassed>())
        {
            return ImageError::TimedOut {
                path,
                done: late.done,
                len: late.len,
            };
        }
        match source.kind() {
            ErrorKind::UnexpectedEof => {
                return ImageError::Cut {
                    path,
                    at,
                    what: what.to_owned(),
                };
            }
            ErrorKind::InvalidData | ErrorKind::InvalidInput => {
                return ImageError::Damaged {
                    path,
                    at,
                    what: format!("{source} in {what}"),
                };
            }
            _ => {}
        }
    }
    ImageError::Io {
        action: "read",
        path,
        source,
    }
}

/// Reads until `buf` is full or the content ends.
pub(super) fn read_full(content: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buf.get_mut(filled..) {
        if rest.is_empty() {
            break;
        }
        match content.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn read_v2(content: &mut impl Read, path: &Path, mut pages: Vec<u8>) -> Result<Start, ImageError> {
    let mut tries = 0;
    loop {
        let len = pages.len();
        if len > v2::MAX_HEADER || tries == v2::MAX_TRIES {
            return Err(ImageError::Damaged {
                path: path.to_owned(),
                at: 0,
                what: "the header does not end".to_owned(),
            });
        }
        need_page(content, path, &mut pages)?;
        let (before, last) = pages.split_at(len);
        if !last.starts_with(v2::MTCP_SIGNATURE) {
            continue;
        }
        tries += 1;
        if let Some(parsed) = v2::parse(before) {
            return Ok(Start {
                header: parsed.header,
                details: parsed.details,
                areas_at: pages.len() as u64,
                areas: parsed.areas,
            });
        }
    }
}

/// Appends one page; fewer bytes if the content ends.
fn read_page(content: &mut impl Read, path: &Path, pages: &mut Vec<u8>) -> Result<(), ImageError> {
    let at = pages.len();
    pages.resize(at + v2::PAGE, 0);
    let n = read_full(content, pages.get_mut(at..).unwrap_or_default())
        .map_err(|source| read_error(path, at as u64, "the header", source))?;
    pages.truncate(at + n);
    Ok(())
}

fn need_page(content: &mut impl Read, path: &Path, pages: &mut Vec<u8>) -> Result<(), ImageError> {
    let full = pages.len() + v2::PAGE;
    if pages.len() % v2::PAGE == 0 {
        read_page(content, path, pages)?;
        if pages.len() == full {
            return Ok(());
        }
    }
    Err(ImageError::Cut {
        path: path.to_owned(),
        at: pages.len() as u64,
        what: "the header".to_owned(),
    })
}

fn not_an_image(path: &Path, start: &[u8]) -> ImageError {
    let what = if start.is_empty() {
        "is empty".to_owned()
    } else {
        let shown = start.get(..start.len().min(28)).unwrap_or_default();
        format!("begins with \"{}\"", shown.escape_ascii())
    };
    ImageError::NotAnImage {
        path: path.to_owned(),
        what,
    }
}

/// Larger blocks are slower: they fall out of the processor's cache between reading, checksum and
/// decompression.
pub(super) const BLOCK: usize = 64 << 10;
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
