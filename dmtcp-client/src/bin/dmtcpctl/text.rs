//! Words for people: sizes, times, quoted arguments, aligned columns.

use dmtcp_client::standalone::utc;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

/// Text from a file or a peer, with nothing in it that a terminal would obey.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// The same with its lines as such, all but the first of them indented.
pub(crate) fn lines(text: &str) -> String {
    let lines = text.lines().map(|line| printable(line.trim()));
    lines.collect::<Vec<_>>().join("\n  ")
}

/// The same for what may not be UTF-8.
pub(crate) fn printable_os(text: impl AsRef<OsStr>) -> String {
    printable(&text.as_ref().to_string_lossy())
}

/// An argument as a shell would take it, but for what cannot be shown.
pub(crate) fn quoted(argument: &OsStr) -> String {
    let text = printable_os(argument);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A size with a unit.
pub(crate) fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut shown = bytes as f64 / 1024.0;
    let mut unit = "KiB";
    for next in &units[1..] {
        // 1023.95 would be shown as 1024.0.
        if shown < 1023.95 {
            break;
        }
        shown /= 1024.0;
        unit = next;
    }
    format!("{shown:.1} {unit}")
}

/// A moment in UTC.
pub(crate) fn moment(unix_ms: u64) -> String {
    match UNIX_EPOCH.checked_add(Duration::from_millis(unix_ms)) {
        Some(time) => utc(time) + "Z",
        None => "beyond all time".to_owned(),
    }
}

/// `1 image`, `2 images`.
pub(crate) fn counted(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}

/// Columns that are as wide as their widest cell; all but the last.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            let width = cells.map(|cell| cell.chars().count()).max();
            width.unwrap_or_default()
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            // A string takes everything.
            let _ = write!(line, "{cell:width$}  ");
        }
        text += line.trim_end();
        text += "\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }

    #[test]
    fn nothing_that_a_terminal_would_obey() {
        assert_eq!(printable("a\x1b[2Jb\u{9b}c\n"), r"a\u{1b}[2Jb\u{9b}c\n");
        assert_eq!(lines("a\n  b\x1b[2J\nc\n"), "a\n  b\\u{1b}[2J\n  c");
        assert_eq!(quoted(OsStr::new("it's")), r"'it'\''s'");
        assert_eq!(quoted(OsStr::new("")), "''");
        assert_eq!(quoted(OsStr::new("--x=/a.b")), "--x=/a.b");
    }
}
