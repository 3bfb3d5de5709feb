//! Our own image format, for native Rust workers: an identity, a payload, a checksum.
//!
//! Laid out in `docs/IMAGE.md`. Not here: what the payload means (`native` workers decide) and
//! how a program is started from it.

use super::error::ImageError;
use super::header::{Format, ImageHeader};
use super::open::{BLOCK, Opened, Raw, Reading, read_error, read_full};
use crate::{durable, id_json, os_text};
use crc32fast::Hasher;
use dmtcp_proto::UniquePid;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Who is in a native image and how its program was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NativeHeader {
    /// The process in the image.
    #[serde(with = "id_json")]
    pub process: UniquePid,
    /// The computation, with the generation of the round.
    #[serde(with = "id_json")]
    pub computation: UniquePid,
    /// The pid that the coordinator gave.
    pub virtual_pid: i32,
    /// The real pid when the image was written.
    pub real_pid: i32,
    /// Processes in the computation.
    pub peers: u32,
    /// The file that is executed.
    #[serde(with = "os_text")]
    pub program: PathBuf,
    /// Its arguments, without the program itself.
    #[serde(with = "os_text::list")]
    pub args: Vec<OsString>,
    /// Its working directory.
    #[serde(with = "os_text")]
    pub directory: PathBuf,
    /// Name of the host.
    #[serde(with = "os_text")]
    pub host: OsString,
    /// How the payload is encoded; empty: in a way that only the program knows.
    #[serde(default)]
    pub encoding: String,
    /// Bytes of payload; set by [`write()`].
    pub payload_len: u64,
}

impl NativeHeader {
    /// A header that says who, and leaves everything else empty.
    #[must_use]
    pub fn new(process: UniquePid, computation: UniquePid) -> Self {
        Self {
            process,
            computation,
            virtual_pid: process.pid,
            real_pid: 0,
            peers: 1,
            program: PathBuf::new(),
            args: Vec::new(),
            directory: PathBuf::new(),
            host: OsString::new(),
            encoding: String::new(),
            payload_len: 0,
        }
    }

    pub(super) fn to_image_header(&self) -> ImageHeader {
        ImageHeader {
            format: Format::Native,
            compressed: false,
            process: self.process,
            parent: UniquePid::NULL,
            computation: self.computation,
            virtual_pid: self.virtual_pid,
            virtual_ppid: 0,
            is_root: true,
            peers: self.peers,
            program: self
                .program
                .file_name()
                .map(OsString::from)
                .unwrap_or_default(),
            executable: self.program.clone(),
            host: Some(self.host.clone()),
        }
    }
}

/// Writes an image durably: aside as `<path>.temp`, synced, renamed, its directory synced.
///
/// [`NativeHeader::payload_len`] is set to the length of `payload`. A failure leaves what was at
/// `path` as it was.
///
/// # Errors
///
/// [`ImageError::Io`]; [`ImageError::TooLarge`] for a header of more than 1 MiB.
pub fn write(path: &Path, header: &NativeHeader, payload: &[u8]) -> Result<(), ImageError> {
    write_parts(path, header, &[payload])
}

/// The same with a payload in several places of memory, which are written one behind the other
/// without being copied together first.
///
/// # Errors
///
/// As [`write`](write()).
pub fn write_parts(
    path: &Path,
    header: &NativeHeader,
    payload: &[&[u8]],
) -> Result<(), ImageError> {
    let header = NativeHeader {
        payload_len: payload.iter().map(|part| part.len() as u64).sum(),
        ..header.clone()
    };
    let json = serde_json::to_vec(&header).map_err(|error| ImageError::Io {
        action: "encode the header of",
        path: path.to_owned(),
        source: error.into(),
    })?;
    if json.len() > MAX_HEADER {
        return Err(too_large_header(path, json.len() as u64));
    }
    let json_len = u32::try_from(json.len()).map_err(|_| too_large_header(path, u64::MAX))?;
    durable::write_aside(path, |file| {
        let mut crc = Hasher::new();
        let start: [&[u8]; 3] = [MAGIC, &json_len.to_le_bytes(), &json];
        for part in start.iter().chain(payload) {
            crc.update(part);
            file.write_all(part)?;
        }
        file.write_all(&crc.finalize().to_le_bytes())
    })?;
    Ok(())
}

/// Reads an image with a payload of at most [`DEFAULT_LIMIT`] bytes.
///
/// # Errors
///
/// As [`read_within`].
pub fn read(path: &Path) -> Result<(NativeHeader, Vec<u8>), ImageError> {
    read_within(path, DEFAULT_LIMIT)
}

/// Reads and checks an image with a payload of at most `limit` bytes.
///
/// Memory is taken only after the size of the file has confirmed the length in the header.
///
/// # Errors
///
/// See [`ImageError`]; a DMTCP image is [`ImageError::NotAnImage`] here.
pub fn read_within(path: &Path, limit: u64) -> Result<(NativeHeader, Vec<u8>), ImageError> {
    let (mut input, start, len) = open_within(path, limit)?;
    let mut payload = vec![0; len];
    let mut crc = start.crc;
    let at = start.payload_at;
    read_part(&mut input, &mut payload, path, at, "the payload")?;
    crc.update(&payload);
    check_trailer(&mut input, crc, path, at + start.header.payload_len)?;
    Ok((start.header, payload))
}

/// As [`read`], without keeping the payload: memory use does not depend on it.
pub(crate) fn read_checked_header(path: &Path) -> Result<NativeHeader, ImageError> {
    let (mut input, start, _) = open_within(path, DEFAULT_LIMIT)?;
    pass_payload(&mut input, start, path)
}

/// Opens an image whose payload has at most `limit` bytes, and says how many.
fn open_within(path: &Path, limit: u64) -> Result<(BufReader<Raw>, Start, usize), ImageError> {
    let Opened::Native(mut input) = Opened::open(path, &Reading::default())? else {
        return Err(ImageError::NotAnImage {
            path: path.to_owned(),
            what: "does not begin as a native image".to_owned(),
        });
    };
    let start = read_start(&mut input, path)?;
    let len = start.header.payload_len;
    match usize::try_from(len) {
        Ok(here) if len <= limit => Ok((input, start, here)),
        _ => Err(ImageError::TooLarge {
            path: path.to_owned(),
            what: "payload",
            len,
            limit,
        }),
    }
}

/// Payloads larger than this are refused by [`read`]: 16 GiB.
pub const DEFAULT_LIMIT: u64 = 16 << 30;

/// First bytes of the file.
pub const MAGIC: &[u8] = b"DMTCP_RS_NATIVE_IMAGE_v1\n";

/// Reads the header and does not look at the payload.
pub(super) fn header_only(
    mut input: BufReader<Raw>,
    path: &Path,
) -> Result<ImageHeader, ImageError> {
    let parts = read_json(&mut input, path)?;
    Ok(parts.header.to_image_header())
}

/// Reads everything without keeping it: what the header says, and what is wrong behind it.
pub(super) fn header_and_fault(
    mut input: BufReader<Raw>,
    path: &Path,
) -> Result<(NativeHeader, Option<ImageError>), ImageError> {
    let start = read_json(&mut input, path)?;
    let header = start.header.clone();
    let checked = check_lengths(start, input.get_ref().len(), path)
        .and_then(|start| pass_payload(&mut input, start, path));
    Ok((header, checked.err()))
}

/// Reads everything without keeping it, and gives the input back at its end.
pub(super) fn check(
    mut input: BufReader<Raw>,
    path: &Path,
) -> Result<(ImageHeader, BufReader<Raw>), ImageError> {
    let start = read_start(&mut input, path)?;
    let header = pass_payload(&mut input, start, path)?;
    Ok((header.to_image_header(), input))
}

fn pass_payload(
    input: &mut impl Read,
    start: Start,
    path: &Path,
) -> Result<NativeHeader, ImageError> {
    let mut crc = start.crc;
    let mut at = start.payload_at;
    let mut left = start.header.payload_len;
    let mut block = vec![0; BLOCK];
    while left > 0 {
        let len = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
        let part = block.get_mut(..len).unwrap_or_default();
        read_part(input, part, path, at, "the payload")?;
        crc.update(part);
        at += len as u64;
        left -= len as u64;
    }
    check_trailer(input, crc, path, at)?;
    Ok(start.header)
}

struct Start {
    header: NativeHeader,
    payload_at: u64,
    crc: Hasher,
}

/// Reads up to the payload and holds the lengths against the size of the file.
fn read_start(input: &mut BufReader<Raw>, path: &Path) -> Result<Start, ImageError> {
    let start = read_json(input, path)?;
    check_lengths(start, input.get_ref().len(), path)
}

/// `there` is the size of the file.
fn check_lengths(start: Start, there: u64, path: &Path) -> Result<Start, ImageError> {
    let expected = start
        .payload_at
        .checked_add(start.header.payload_len)
        .and_then(|end| end.checked_add(TRAILER_LEN as u64));
    match expected {
        Some(expected) if expected == there => Ok(start),
        Some(expected) if expected < there => Err(ImageError::Damaged {
            path: path.to_owned(),
            at: expected,
            what: format!("there are {} bytes after its end", there - expected),
        }),
        _ => Err(ImageError::Cut {
            path: path.to_owned(),
            at: there,
            what: format!("the payload of {} bytes", start.header.payload_len),
        }),
    }
}

fn read_json(input: &mut BufReader<Raw>, path: &Path) -> Result<Start, ImageError> {
    let mut magic = vec![0; MAGIC.len()];
    let mut json_len = [0; 4];
    read_part(input, &mut magic, path, 0, "the header")?;
    read_part(input, &mut json_len, path, MAGIC.len() as u64, "the header")?;
    let json_at = MAGIC.len() + json_len.len();
    let len = usize::try_from(u32::from_le_bytes(json_len)).unwrap_or(usize::MAX);
    if len > MAX_HEADER {
        return Err(too_large_header(path, len as u64));
    }
    let mut json = vec![0; len];
    read_part(input, &mut json, path, json_at as u64, "the header")?;
    let header = serde_json::from_slice(&json).map_err(|error| ImageError::Damaged {
        path: path.to_owned(),
        at: json_at as u64,
        what: format!("the header cannot be read: {error}"),
    })?;
    let mut crc = Hasher::new();
    for part in [&magic, json_len.as_slice(), &json] {
        crc.update(part);
    }
    Ok(Start {
        header,
        payload_at: (json_at + len) as u64,
        crc,
    })
}

fn check_trailer(
    input: &mut impl Read,
    crc: Hasher,
    path: &Path,
    at: u64,
) -> Result<(), ImageError> {
    let mut trailer = [0; TRAILER_LEN];
    read_part(input, &mut trailer, path, at, "the checksum")?;
    let (written, computed) = (u32::from_le_bytes(trailer), crc.finalize());
    if written == computed {
        return Ok(());
    }
    Err(ImageError::Damaged {
        path: path.to_owned(),
        at,
        what: format!("the checksum is {written:08x}, the content has {computed:08x}"),
    })
}

fn read_part(
    input: &mut impl Read,
    part: &mut [u8],
    path: &Path,
    at: u64,
    what: &str,
) -> Result<(), ImageError> {
    let len = part.len();
    let n = read_full(input, part).map_err(|source| read_error(path, at, what, source))?;
    if n == len {
        return Ok(());
    }
    let ended = io::Error::from(io::ErrorKind::UnexpectedEof);
    Err(read_error(path, at + n as u64, what, ended))
}

fn too_large_header(path: &Path, len: u64) -> ImageError {
    ImageError::TooLarge {
        path: path.to_owned(),
        what: "header",
        len,
        limit: MAX_HEADER as u64,
    }
}

const MAX_HEADER: usize = 1 << 20;
const TRAILER_LEN: usize = 4;
