//! Points in time and lengths of time as people and schedulers write them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads a point in time: seconds since 1970, or ISO 8601 with its zone, such as
/// `2026-11-22T15:14:50Z` or `2026-11-22 17:14:50+02:00`.
pub(super) fn point(text: &str) -> Option<SystemTime> {
    let seconds = match text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => text.parse().ok()?,
        false => iso_8601(text)?,
    };
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Reads a length of time: seconds, `90s`, `1h30m`, `2d`, or as Slurm writes it, `MINUTES:SECONDS`,
/// `HOURS:MINUTES:SECONDS`, and `DAYS-` before hours and what follows them.
pub(super) fn length(text: &str) -> Option<Duration> {
    if text.is_empty() {
        return None;
    }
    let seconds = match text.contains([':', '-']) {
        true => clock(text)?,
        false => with_units(text)?,
    };
    Some(Duration::from_secs(seconds))
}

fn with_units(text: &str) -> Option<u64> {
    let mut total = 0u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = rest.split_at_checked(digits)?;
        let unit_len = unit.chars().next().map_or(0, char::len_utf8);
        let (unit, after) = unit.split_at_checked(unit_len)?;
        let seconds: u64 = match unit {
            "d" => 86_400,
            "h" => 3600,
            "m" => 60,
            "s" | "" => 1,
            _ => return None,
        };
        let part = count.parse::<u64>().ok()?.checked_mul(seconds)?;
        total = total.checked_add(part)?;
        rest = after;
    }
    Some(total)
}

fn clock(text: &str) -> Option<u64> {
    let (days, of_day) = match text.split_once('-') {
        Some((days, of_day)) => (Some(number(days, 9)?), of_day),
        None => (None, text),
    };
    let parts: Vec<&str> = of_day.split(':').collect();
    let (hours, minutes, seconds) = match (days, parts.as_slice()) {
        (_, [hours, minutes, seconds]) => (*hours, *minutes, *seconds),
        (Some(_), [hours, minutes]) => (*hours, *minutes, "0"),
        (Some(_), [hours]) => (*hours, "0", "0"),
        (None, [minutes, seconds]) => ("0", *minutes, *seconds),
        _ => return None,
    };
    let minutes_of_hour = number(hours, 9)? * 60 + number(minutes, 9)?;
    Some(days.unwrap_or(0) * 86_400 + minutes_of_hour * 60 + number(seconds, 9)?)
}

/// Seconds since 1970; `None` before that, too.
fn iso_8601(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let (time, zone) = rest.split_at_checked(rest.find(['Z', 'z', '+', '-'])?)?;
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = fields(time, ':', [2, 2, 2])?;
    number(fraction, 9)?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_of_month = match month {
        2 => 28 + u64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let is_day = (1..=days_of_month).contains(&day) && year >= 1970;
    // A leap second counts as the next one.
    if !is_day || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let of_day = hour * 3600 + minute * 60 + second;
    let here = days_since_1970(year, month, day) * 86_400 + of_day;
    match offset(zone)? {
        (true, east) => here.checked_sub(east),
        (false, west) => here.checked_add(west),
    }
}

/// Whether the zone is east of Greenwich, and how many seconds.
fn offset(zone: &str) -> Option<(bool, u64)> {
    if zone.eq_ignore_ascii_case("z") {
        return Some((true, 0));
    }
    let is_east = zone.starts_with('+');
    let digits: String = zone.get(1..)?.chars().filter(|&c| c != ':').collect();
    let (hours, minutes) = match digits.len() {
        2 => (number(&digits, 2)?, 0),
        4 => (number(digits.get(..2)?, 2)?, number(digits.get(2..)?, 2)?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some((is_east, hours * 3600 + minutes * 60))
}

/// From a year on that is not before 1970.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    // Years begin in March, so that a leap day is the last of its year; 400 years have 146,097 days.
    let year = if month <= 2 { year - 1 } else { year };
    let from_march = (month + 9) % 12;
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn fields<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[u64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (value, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        *value = number(part, digits).filter(|_| part.len() == digits)?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Digits only, of which there are not too many.
fn number(text: &str, most_digits: usize) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && text.len() <= most_digits)
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standalone::utc;
    use proptest::prelude::*;

    fn seconds(text: &str) -> Option<u64> {
        let time = point(text)?.duration_since(UNIX_EPOCH).ok()?;
        Some(time.as_secs())
    }

    #[test]
    fn points() {
        for (text, expected) in [
            ("0", 0),
            ("1795360490", 1_795_360_490),
            ("2026-11-22T15:14:50Z", 1_795_360_490),
            ("2026-11-22 17:14:50+02:00", 1_795_360_490),
            ("2026-11-22T05:44:50-0930", 1_795_360_490),
            ("2026-11-22T16:14:50.987+01", 1_795_360_490),
            ("2000-02-29T00:00:00z", 951_782_400),
            ("2016-12-31T23:59:60Z", 1_483_228_800),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_point() {
        for text in [
            "",
            "now",
            "-1",
            "99999999999999999999",
            "2026-11-22T15:14:50",
            "2026-11-22",
            "15:14:50Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-11-22T24:00:00Z",
            "2026-11-22T15:14:50+2",
            "2026-11-22T15:14:50+99:00",
            "2026-11-22T15:14:50Zz",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "2026-1-22T15:14:50Z",
            "+026-11-22T15:14:50Z",
            "2026-11-22T15:14:50.é Z",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn lengths() {
        for (text, expected) in [
            ("90", 90),
            ("90s", 90),
            ("1h30m", 5400),
            ("2d", 172_800),
            ("0:07", 7),
            ("59:59", 3599),
            ("1:00:00", 3600),
            ("1-00:00:00", 86_400),
            ("1-12", 129_600),
            ("1-12:30", 131_400),
        ] {
            assert_eq!(length(text), Some(Duration::from_secs(expected)), "{text}");
        }
        for text in [
            "",
            "s",
            "h",
            "1w",
            "-1",
            "1.5h",
            "1:2:3:4",
            "1-",
            "-",
            ":",
            "1h-2",
            "UNLIMITED",
            "NOT_SET",
            "1hm",
            "99999999999999999999h",
            "18446744073709551615d",
            "9999999999:00",
            "1é",
        ] {
            assert_eq!(length(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(expected in 0u64..250_000_000_000) {
            let text = utc(UNIX_EPOCH + Duration::from_secs(expected)) + "Z";
            prop_assert_eq!(seconds(&text), Some(expected), "{}", text);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}", near in "[0-9TZ:+. dhms-]{0,40}") {
            for text in [&text, &near] {
                let _ = (point(text), length(text));
            }
        }
    }
}
