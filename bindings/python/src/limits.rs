//! Time, as the package hands it over: seconds as floats, `None` for no limit.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::failure::Failure;

/// A limit; what is more than the system can count is none.
pub(crate) fn limit(seconds: Option<f64>) -> Result<Duration, Failure> {
    match seconds {
        None => Ok(NO_LIMIT),
        Some(seconds) if seconds.is_nan() || seconds < 0.0 => Err(Failure::caller(
            "argument",
            format!("{seconds} is no length of time"),
        )),
        Some(seconds) => {
            let limit = Duration::try_from_secs_f64(seconds).unwrap_or(NO_LIMIT);
            Ok(limit.min(NO_LIMIT))
        }
    }
}

/// Seconds since 1970.
pub(crate) fn unix_time(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs_f64()
}

/// Thirty years: what adds it to a clock does not overflow.
pub(crate) const NO_LIMIT: Duration = Duration::from_secs(1 << 30);
