//! One plain line an event, with its time.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

/// Prints lines on standard error, each with the time since the start.
#[derive(Debug)]
#[expect(missing_copy_implementations, reason = "one log a program")]
pub struct Log {
    start: Instant,
}

impl Log {
    /// A log that starts now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Prints one line, if anybody still takes it: a job does not end with the terminal or pipe
    /// that it was started from.
    pub fn line(&self, text: impl AsRef<str>) {
        let time = self.start.elapsed().as_secs_f64();
        let _ = writeln!(io::stderr(), "[{time:9.3}s] {}", text.as_ref());
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Bytes for people.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{count} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// A duration for people.
#[must_use]
pub fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_for_people() {
        assert_eq!(super::bytes(0), "0 B");
        assert_eq!(super::bytes(1023), "1023 B");
        assert_eq!(super::bytes(1536), "1.5 KiB");
        assert_eq!(super::bytes(u64::MAX), "16777216.0 TiB");
    }
}
