//! A frame in one line.

use alloc::string::String;
use core::fmt::{self, Write as _};

use super::{Dump, Value};

/// Characters of a text that a line shows.
const LONGEST: usize = 120;

pub(super) fn write(dump: &Dump<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let header = &dump.frame.header;
    let (dialect, kind, state) = (dump.dialect_words(), dump.kind_words(), dump.state_words());
    write!(f, "{dialect} {kind} {state} from={}", header.from)?;
    if !header.group.is_null() {
        write!(f, " group={}/{}", header.group, header.group.generation)?;
    }
    for (name, value) in dump.fields() {
        write!(f, " {name}={value}")?;
    }
    for (name, bytes) in dump.pieces() {
        write!(f, " {name}=")?;
        quote(f, &bytes)?;
    }
    match &dump.message {
        Ok(_) => Ok(()),
        Err(problem) => write!(f, " !{problem}"),
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signed(number) => write!(f, "{number}"),
            Self::Unsigned(number) => write!(f, "{number}"),
            Self::Word(word) => f.write_str(word),
            Self::Text(text) => quote(f, text.as_bytes()),
        }
    }
}

/// A peer's bytes between quotes, so that they can neither end the line nor drive a terminal.
fn quote(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    // A character has at most four bytes: no need to look at a long text as a whole.
    let start = bytes.get(..4 * LONGEST).unwrap_or(bytes);
    let text = String::from_utf8_lossy(start);
    let mut shown = 0;
    f.write_char('"')?;
    for character in text.chars().take(LONGEST) {
        write!(f, "{}", character.escape_debug())?;
        shown += character.len_utf8();
    }
    f.write_char('"')?;
    match bytes.len().saturating_sub(shown) {
        0 => Ok(()),
        more => write!(f, "+{more}"),
    }
}
