//! Sizes on the command line: `4096`, `500MiB`, `10G`, `2TB`; a number alone is in bytes.

/// Reads one. `K`, `M`, `G`, `T`, with or without `iB`, are powers of 1024; with `B`, of 1000.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size: try 4096, 500MiB, 10G or 2TiB");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let power = match unit.bytes().next() {
        None | Some(b'B') => 0,
        Some(b'K' | b'k') => 1,
        Some(b'M') => 2,
        Some(b'G') => 3,
        Some(b'T') => 4,
        Some(_) => return Err(wrong()),
    };
    let base: u64 = match (power, unit.get(1..).unwrap_or_default()) {
        (_, "") | (1.., "iB") => 1024,
        (1.., "B") => 1000,
        _ => return Err(wrong()),
    };
    number.checked_mul(base.pow(power)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("4096B", 4096),
            ("1K", 1 << 10),
            ("10M", 10 << 20),
            ("10MiB", 10 << 20),
            ("10MB", 10_000_000),
            ("3G", 3 << 30),
            ("2TiB", 2 << 40),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size() {
        for text in [
            "",
            "M",
            "-1",
            "1.5G",
            "10 M",
            "10m",
            "10Mi",
            "10BB",
            "10BiB",
            "1P",
            "16777216T",
            "1é",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
