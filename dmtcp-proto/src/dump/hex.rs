//! A frame byte by byte.

use alloc::format;
use alloc::string::String;
use core::fmt::{self, Write as _};

use super::Dump;

/// Bytes in a row.
const ROW: usize = 16;

pub(super) fn write(dump: &Dump<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    super::line::write(dump, f)?;
    f.write_char('\n')?;
    let named = dump.kind().and_then(super::uses::header_fields).is_some();
    let mut end = 0;
    for place in &dump.places {
        end = place.at + place.len;
        let bytes = place.bytes(&dump.header);
        let mut meaning = String::new();
        match place.name {
            "kind" => write!(meaning, "{} {}", dump.frame.header.kind, dump.kind_words())?,
            "state" => write!(
                meaning,
                "{} {}",
                dump.frame.header.state,
                dump.state_words()
            )?,
            _ if dump.is_used(place) => write!(meaning, "{}", dump.value(place))?,
            _ => write!(meaning, "{}", place.value(&dump.header))?,
        }
        let idle = !place.structural && !dump.is_used(place);
        let null_group = place.name == "group.generation" && dump.frame.header.group.is_null();
        if ((named || place.residue) && idle || null_group) && !dump.is_default(place) {
            meaning.push_str("  (unused)");
        }
        rows(f, place.at, bytes, place.name, &meaning)?;
    }
    let mut left = &dump.frame.payload[..];
    let pieces = dump.pieces();
    // The NUL behind a text is shown with it; keys and values of 2.x have none.
    let all: usize = pieces.iter().map(|(_, bytes)| bytes.len()).sum();
    let nul = usize::from(all < left.len());
    for (name, bytes) in pieces {
        let (bytes, rest) = left.split_at(left.len().min(bytes.len() + nul));
        rows(f, end, bytes, name, "")?;
        end += bytes.len();
        left = rest;
    }
    Ok(())
}

/// Rows of bytes; name and meaning stand in the first one, characters in all that have none.
/// Zeros up to the end of a field are counted only.
fn rows(
    f: &mut fmt::Formatter<'_>,
    mut at: usize,
    mut bytes: &[u8],
    name: &str,
    meaning: &str,
) -> fmt::Result {
    let mut name = name;
    while !bytes.is_empty() {
        let zeros = bytes.len() > ROW && bytes.iter().all(|&byte| byte == 0);
        let len = if zeros {
            bytes.len()
        } else {
            bytes.len().min(ROW)
        };
        let (row, rest) = bytes.split_at(len);
        let mut digits = String::new();
        let mut text = String::new();
        if zeros {
            write!(digits, "00 x{len}")?;
        } else {
            for &byte in row {
                write!(digits, "{byte:02x} ")?;
                let printable = (b' '..=b'~').contains(&byte);
                text.push(if printable { char::from(byte) } else { '.' });
            }
        }
        let right = match (meaning, name) {
            ("", _) => &text[..],
            (_, "") => "",
            _ => meaning,
        };
        let line = format!("{at:>7}  {digits:<48} {name:<17} {right}");
        writeln!(f, "{}", line.trim_end())?;
        (at, bytes, name) = (at + len, rest, "");
    }
    Ok(())
}
