//! The key-value store as a file, for people who debug plugins.

use crate::durable::{self, Failed};
use crate::server::KeyValues;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::words::utc_millis;

/// Writes a new file in `dir` and says which. It holds one object of databases, each of which is
/// an object of keys and values, all of them text (see [`text`]).
pub(super) fn write(dir: &Path, values: &KeyValues) -> Result<PathBuf, Failed> {
    let now = utc_millis(SystemTime::now());
    let name = format!("dmtcp_coordinator_db-{}-{now}.json", values.computation());
    let path = dir.join(name);
    durable::write_aside(&path, |file| {
        let mut file = io::BufWriter::new(file);
        serde_json::to_writer_pretty(&mut file, &Shown::of(values))?;
        io::Write::write_all(&mut file, b"\n")?;
        io::Write::flush(&mut file)
    })?;
    Ok(path)
}

#[derive(Serialize)]
#[serde(transparent)]
struct Shown(BTreeMap<String, BTreeMap<String, String>>);

impl Shown {
    fn of(values: &KeyValues) -> Self {
        let mut databases: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (database, key, value) in values.iter() {
            let keys = databases.entry(text(database.as_bytes())).or_default();
            keys.insert(text(key.as_bytes()), text(value.as_bytes()));
        }
        Self(databases)
    }
}

/// UTF-8 as it is. In all else, and in what looks like it because it has `\x` in it, a backslash is
/// doubled and a byte that is not UTF-8 is `\x` and two digits: no two texts become the same.
fn text(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        if !text.contains("\\x") {
            return text.to_owned();
        }
    }
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        shown.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_apart() {
        for (bytes, shown) in [
            (&b""[..], ""),
            ("ä\n\"\\n".as_bytes(), "ä\n\"\\n"),
            (b"a\xffb", "a\\xffb"),
            (b"a\\xffb", "a\\\\xffb"),
            (b"a\\\xffb", "a\\\\\\xffb"),
            (b"\xe4\xbd", "\\xe4\\xbd"),
        ] {
            assert_eq!(text(bytes), shown, "{bytes:?}");
        }
    }
}
