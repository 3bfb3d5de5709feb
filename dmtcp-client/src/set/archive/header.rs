//! The headers of a tar: written for regular files, read with everything else refused.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A tar consists of these.
pub(super) const BLOCK: usize = 512;
/// No name in a set is longer.
pub(super) const MAX_NAME: u64 = 4096;

/// A regular file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub(super) size: u64,
    /// Permissions.
    pub(super) mode: u32,
}

/// What a block announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Announced {
    /// A file, with as much of its name as there is room for.
    File(FileHeader, Vec<u8>),
    /// The name of the file that follows, of this many bytes.
    LongName(u64),
    End,
}

/// Bytes that follow content of this size up to the next block.
pub(super) fn padding(size: u64) -> usize {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    (BLOCK - over) % BLOCK
}

/// Writes all that comes before the content of a file.
pub(super) fn write(
    out: &mut dyn Write,
    name: &Path,
    file: &FileHeader,
    unix_seconds: u64,
) -> io::Result<()> {
    let name = name.as_os_str().as_bytes();
    if name.len() > NAME_LEN {
        let len = name.len() as u64 + 1;
        let long = FileHeader { size: len, mode: 0 };
        out.write_all(&block(LONG_NAME_MARK, LONG_NAME, &long, 0))?;
        out.write_all(name)?;
        out.write_all(&[0])?;
        out.write_all(&vec![0; padding(len)])?;
    }
    let short = name.get(..NAME_LEN).unwrap_or(name);
    out.write_all(&block(short, REGULAR, file, unix_seconds))
}

fn block(name: &[u8], kind: u8, file: &FileHeader, unix_seconds: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    put(&mut block, 0, name);
    put(
        &mut block,
        MODE,
        format!("{:07o}", file.mode & 0o777).as_bytes(),
    );
    put(&mut block, UID, b"0000000");
    put(&mut block, GID, b"0000000");
    put(&mut block, SIZE, &number(file.size));
    put(&mut block, TIME, &number(unix_seconds));
    put(&mut block, KIND, &[kind]);
    put(&mut block, MAGIC, GNU);
    let sum = format!("{:06o}\0 ", sum_of(&block));
    put(&mut block, SUM, sum.as_bytes());
    block
}

/// Octal, or binary where that has no room.
fn number(value: u64) -> [u8; 12] {
    let mut field = [0; 12];
    if value < 1 << 33 {
        put(&mut field, 0, format!("{value:011o}").as_bytes());
    } else {
        put(&mut field, 0, &[0x80]);
        put(&mut field, 4, &value.to_be_bytes());
    }
    field
}

fn put(block: &mut [u8], at: usize, bytes: &[u8]) {
    let fields = block.get_mut(at..).unwrap_or_default();
    for (field, byte) in fields.iter_mut().zip(bytes) {
        *field = *byte;
    }
}

/// Reads a header; the error says what is wrong with it.
pub(super) fn read(block: &[u8; BLOCK]) -> Result<Announced, String> {
    if block.iter().all(|byte| *byte == 0) {
        return Ok(Announced::End);
    }
    if octal(block, SUM, 8) != Some(u64::from(sum_of(block))) {
        return Err("a header has a wrong checksum, or is none".to_owned());
    }
    if field(block, MAGIC, GNU.len()) != GNU {
        return Err("a header is of another kind of tar".to_owned());
    }
    let name = text(field(block, 0, NAME_LEN));
    let shown = || Path::new(OsStr::from_bytes(name)).display().to_string();
    let size = size(block).ok_or_else(|| format!("{} has no size", shown()))?;
    match field(block, KIND, 1) {
        [REGULAR] => {
            let mode = octal(block, MODE, 8).and_then(|mode| u32::try_from(mode).ok());
            let mode = mode.ok_or_else(|| format!("{} has no permissions", shown()))?;
            let mode = mode & 0o777;
            Ok(Announced::File(FileHeader { size, mode }, name.to_vec()))
        }
        [LONG_NAME] if (2..=MAX_NAME).contains(&size) => Ok(Announced::LongName(size)),
        [LONG_NAME] => Err(format!("a name of {size} bytes")),
        kind => {
            let kind = match kind {
                b"1" => "a hard link",
                b"2" => "a symbolic link",
                b"3" | b"4" => "a device",
                b"5" => "a directory",
                b"6" => "a FIFO",
                _ => "an entry of an unknown kind",
            };
            Err(format!("{} is {kind}", shown()))
        }
    }
}

/// The sum of all bytes, with blanks for the sum itself.
fn sum_of(block: &[u8; BLOCK]) -> u32 {
    let bytes = block.iter().enumerate();
    bytes
        .map(|(at, byte)| match (SUM..SUM + 8).contains(&at) {
            true => u32::from(b' '),
            false => u32::from(*byte),
        })
        .sum()
}

fn size(block: &[u8; BLOCK]) -> Option<u64> {
    match field(block, SIZE, 12) {
        [0x80, 0, 0, 0, binary @ ..] => Some(u64::from_be_bytes(binary.try_into().ok()?)),
        _ => octal(block, SIZE, 12),
    }
}

fn octal(block: &[u8], at: usize, len: usize) -> Option<u64> {
    let digits = std::str::from_utf8(text(field(block, at, len))).ok()?;
    u64::from_str_radix(digits.trim_matches(' '), 8).ok()
}

fn field(block: &[u8], at: usize, len: usize) -> &[u8] {
    block.get(at..at + len).unwrap_or_default()
}

/// Up to the first NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

const NAME_LEN: usize = 100;
const MODE: usize = 100;
const UID: usize = 108;
const GID: usize = 116;
const SIZE: usize = 124;
const TIME: usize = 136;
const SUM: usize = 148;
const KIND: usize = 156;
const MAGIC: usize = 257;
const GNU: &[u8] = b"ustar  \0";
const REGULAR: u8 = b'0';
const LONG_NAME: u8 = b'L';
const LONG_NAME_MARK: &[u8] = b"././@LongLink";

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, size: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let file = FileHeader { size, mode: 0o644 };
        write(&mut out, Path::new(name), &file, 1_760_000_000).unwrap();
        out
    }

    fn first(bytes: &[u8]) -> Result<Announced, String> {
        read(bytes[..BLOCK].try_into().unwrap())
    }

    #[test]
    fn what_is_written_is_read() {
        for size in [0, 1, 511, 512, (1 << 33) - 1, 1 << 33, u64::MAX] {
            let bytes = written("000001/image", size);
            let file = FileHeader { size, mode: 0o644 };
            let name = b"000001/image".to_vec();
            assert_eq!(first(&bytes), Ok(Announced::File(file, name)));
            assert_eq!(bytes.len(), BLOCK);
        }
        let long = "n".repeat(NAME_LEN + 1);
        let bytes = written(&long, 7);
        assert_eq!(
            first(&bytes),
            Ok(Announced::LongName(long.len() as u64 + 1))
        );
        assert_eq!(text(&bytes[BLOCK..2 * BLOCK]), long.as_bytes());
        assert!(matches!(
            first(&bytes[2 * BLOCK..]),
            Ok(Announced::File(..))
        ));
        assert_eq!(read(&[0; BLOCK]), Ok(Announced::End));
        assert_eq!([0, 1, 511, 512, 513].map(padding), [0, 511, 1, 0, 511]);
    }

    #[test]
    fn a_changed_header_is_refused() {
        let good = written("000001/image", 7);
        for at in 0..BLOCK {
            let mut bad = good.clone();
            bad[at] ^= 1;
            // What fills up the field of the sum says nothing.
            let filler = at == SUM + 7;
            assert!(first(&bad).is_err() || filler, "byte {at}");
        }
    }
}
