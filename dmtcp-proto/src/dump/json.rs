//! A frame as members of a JSON object.

use alloc::string::String;
use core::fmt::{self, Write as _};

use super::{Dump, Value};

pub(super) fn write(dump: &Dump<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let header = &dump.frame.header;
    f.write_str("\"dialect\":")?;
    string(f, &dump.dialect_words())?;
    f.write_str(",\"kind\":")?;
    string(f, &dump.kind_words())?;
    write!(f, ",\"kind_number\":{},\"state\":", header.kind)?;
    string(f, &dump.state_words())?;
    write!(f, ",\"from\":\"{}\"", header.from)?;
    if header.group.is_null() {
        f.write_str(",\"group\":null,\"generation\":null")?;
    } else {
        let generation = header.group.generation;
        write!(
            f,
            ",\"group\":\"{}\",\"generation\":{generation}",
            header.group
        )?;
    }

    f.write_str(",\"fields\":{")?;
    for (index, (name, value)) in dump.fields().enumerate() {
        name_of(f, index, name)?;
        match value {
            Value::Signed(number) => write!(f, "{number}")?,
            Value::Unsigned(number) => write!(f, "{number}")?,
            Value::Word(text) | Value::Text(text) => string(f, &text)?,
        }
    }
    let payload = &dump.frame.payload;
    write!(f, "}},\"payload_len\":{},\"payload\":{{", payload.len())?;
    for (index, (name, bytes)) in dump.pieces().iter().enumerate() {
        name_of(f, index, name)?;
        string(f, &String::from_utf8_lossy(bytes))?;
    }
    f.write_str("},\"problem\":")?;
    match &dump.message {
        Ok(_) => f.write_str("null")?,
        Err(problem) => string(f, problem)?,
    }
    f.write_str(",\"hex\":\"")?;
    for byte in dump.header.iter().chain(payload) {
        write!(f, "{byte:02x}")?;
    }
    f.write_char('"')
}

fn name_of(f: &mut fmt::Formatter<'_>, index: usize, name: &str) -> fmt::Result {
    if index > 0 {
        f.write_char(',')?;
    }
    write!(f, "\"{name}\":")
}

/// A JSON string. Everything that could drive a terminal is escaped as well.
fn string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(f, "\\{character}")?,
            _ if character.is_control() => write!(f, "\\u{:04x}", u32::from(character))?,
            _ => f.write_char(character)?,
        }
    }
    f.write_char('"')
}
