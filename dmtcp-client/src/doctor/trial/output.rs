//! The end of what a program under trial has written.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
};

/// The end of a file, without what a terminal would obey.
pub(super) fn last_lines(path: &Path) -> Vec<String> {
    let text = end_of(path).unwrap_or_default();
    let plain = |line: &str| -> String {
        let line = line.chars().filter(|letter| !letter.is_control());
        line.take(MOST_LETTERS).collect()
    };
    let lines = text.lines().map(plain);
    let lines: Vec<String> = lines.filter(|line| !line.trim().is_empty()).collect();
    lines
        .get(lines.len().saturating_sub(MOST_LINES)..)
        .unwrap_or_default()
        .to_vec()
}

fn end_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(MOST_OUTPUT)))?;
    let mut end = Vec::new();
    file.take(MOST_OUTPUT).read_to_end(&mut end)?;
    Ok(String::from_utf8_lossy(&end).into_owned())
}

const MOST_LINES: usize = 12;
const MOST_LETTERS: usize = 300;
const MOST_OUTPUT: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_output_without_what_a_terminal_obeys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("output");
        assert_eq!(last_lines(&path), [""; 0]);
        let text: String = (0..20).map(|n| format!("\x1b[31mline {n}\n\n")).collect();
        std::fs::write(&path, text + &"x".repeat(1000)).unwrap();
        let lines = last_lines(&path);
        assert_eq!((lines.len(), lines[0].as_str()), (MOST_LINES, "[31mline 9"));
        assert_eq!(lines.last().unwrap().len(), MOST_LETTERS);
    }
}
