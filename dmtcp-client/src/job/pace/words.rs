//! Lengths of time for people.

use std::time::Duration;

/// `850 ms`, `12.5 s`, `21m 54s`, `3h 20m`, `2d 4h`.
pub(super) fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    let two = |large: u64, unit: char, small: u64, part: char| match small {
        0 => format!("{large}{unit}"),
        _ => format!("{large}{unit} {small}{part}"),
    };
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..60 if time.subsec_millis() >= 50 => {
            // In tenths, never rounded up to a full minute.
            let tenths = (time.as_millis() / 100).min(599);
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
        1..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, 'm', seconds % 60, 's'),
        3600..86_400 => two(seconds / 3600, 'h', seconds / 60 % 60, 'm'),
        _ => two(seconds / 86_400, 'd', seconds / 3600 % 24, 'h'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_units_at_most() {
        for (ms, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1000, "1 s"),
            (12_540, "12.5 s"),
            (59_999, "59.9 s"),
            (60_000, "1m"),
            (1_314_000, "21m 54s"),
            (12_000_000, "3h 20m"),
            (187_200_000, "2d 4h"),
        ] {
            assert_eq!(spoken(Duration::from_millis(ms)), text);
        }
    }
}
