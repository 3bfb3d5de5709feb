//! Which glibc programs of this host run with: what the library says of itself.
//!
//! Asking it by a call would need foreign code, and answers for this program only.

use std::fs::File;
use std::io::Read;

/// From the library that this program has mapped, else from where distributions keep it.
pub(super) fn version(maps: &str) -> Option<String> {
    let mapped = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5));
    let mapped = mapped.filter(|path| path.ends_with("/libc.so.6") || path.contains("/libc-2."));
    mapped.chain(PLACES).find_map(version_in)
}

fn version_in(library: &str) -> Option<String> {
    let mut content = Vec::new();
    let file = File::open(library).ok()?;
    file.take(MAX_LEN).read_to_end(&mut content).ok()?;
    // "GNU C Library (… ) stable release version 2.36."
    let at = find(&content, b"GNU C Library")?;
    let banner = content.get(at..)?.get(..BANNER_LEN)?;
    let number = banner.get(find(banner, b"version ")? + b"version ".len()..)?;
    let end = number
        .iter()
        .position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
    let number = std::str::from_utf8(number.get(..end)?).ok()?;
    let number = number.trim_end_matches('.');
    (!number.is_empty()).then(|| number.to_owned())
}

fn find(content: &[u8], text: &[u8]) -> Option<usize> {
    content.windows(text.len()).position(|part| part == text)
}

/// Where it is when this program has none mapped, as a static one has not.
const PLACES: [&str; 4] = [
    "/lib64/libc.so.6",
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/aarch64-linux-gnu/libc.so.6",
    "/lib/libc.so.6",
];
const MAX_LEN: u64 = 16 << 20;
const BANNER_LEN: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_in_the_banner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("libc.so.6");
        let text = "GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n";
        let padded = format!("\u{7f}ELF{text}{}", "\0".repeat(BANNER_LEN));
        std::fs::write(&path, padded).unwrap();
        let maps = format!("1-2 r-xp 0 00:00 1     {}\n", path.display());
        assert_eq!(version(&maps).as_deref(), Some("2.36"));
        std::fs::write(&path, "GNU C Library version ").unwrap();
        assert_eq!(version_in(path.to_str().unwrap()), None);
    }

    #[test]
    fn that_of_this_program() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        if maps.contains("/libc.so.6") {
            assert!(version(&maps).unwrap().starts_with("2."));
        }
    }
}
