//! Times on the command line: `500ms`, `30s`, `5m`, `2h`, `7d`; a number alone is in seconds, where
//! that cannot do harm.

use std::time::Duration;

/// Reads one; zero is none.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time: try 500ms, 30s, 5m, 2h or 7d");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number
        .checked_mul(factor)
        .filter(|&ms| ms > 0)
        .map(Duration::from_millis)
        .ok_or_else(wrong)
}

/// Reads the age of what is worth keeping: never in a unit that was only guessed.
pub(crate) fn parse_age(text: &str) -> Result<Duration, String> {
    if text.ends_with(|last: char| last.is_ascii_digit()) {
        return Err(format!("`{text}` has no unit: try {text}h or {text}d"));
    }
    parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, ms) in [
            ("500ms", 500),
            ("90", 90_000),
            ("30s", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn an_age_has_a_unit() {
        assert_eq!(parse_age("12h"), parse("12h"));
        assert_eq!(parse_age("5s"), Ok(Duration::from_secs(5)));
        let refused = parse_age("5").unwrap_err();
        assert!(refused.contains("try 5h or 5d"), "{refused}");
        assert!(parse_age("").is_err());
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "0",
            "s",
            "-1",
            "1.5s",
            "1w",
            "1 s",
            "99999999999999999999d",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
