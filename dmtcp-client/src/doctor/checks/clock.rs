//! The clock: sets are told apart by their times, and new images from old ones.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::doctor::{Finding, World, world::read_text};

/// `clocks`: the time of a file that was just written in the state directory, and this host's.
pub(crate) fn check(
    world: &World,
    now: SystemTime,
    clocks: Option<(SystemTime, SystemTime)>,
) -> Finding {
    let stat = read_text(&world.path("/proc/stat")).unwrap_or_default();
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime "));
    let boot = boot.and_then(|text| text.trim().parse().ok());
    let boot = boot.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    judge(now, boot, clocks)
}

fn judge(
    now: SystemTime,
    boot: Option<SystemTime>,
    clocks: Option<(SystemTime, SystemTime)>,
) -> Finding {
    const SLUG: &str = "clock";
    let set = "set the clock, and keep it right with NTP";
    if now < UNIX_EPOCH + EARLIEST {
        let seen = "the clock is before 2024";
        return Finding::warning(SLUG, seen).advice(set);
    }
    if boot.is_some_and(|boot| now < boot) {
        return Finding::warning(
            SLUG,
            "the clock is before the time at which this host was booted",
        )
        .advice(set);
    }
    let Some((there, here)) = clocks else {
        return Finding::ok(SLUG, "plausible");
    };
    let apart = match there.duration_since(here) {
        Ok(apart) => apart,
        Err(error) => error.duration(),
    };
    if apart > APART {
        let seen = format!(
            "the state directory's clock is {:.1} s from this host's",
            apart.as_secs_f64()
        );
        return Finding::warning(SLUG, seen)
            .advice("let the file server and this host keep the same time: NTP");
    }
    Finding::ok(SLUG, "plausible, and the state directory's is the same")
}

/// 2024-01-01.
const EARLIEST: Duration = Duration::from_secs(1_704_067_200);
/// A file system may tell whole seconds only.
const APART: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn clocks_are_compared() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let now = at(1_800_000_000);
        let verdict = |now, boot, clocks| judge(now, boot, clocks).verdict;
        assert_eq!(verdict(now, None, None), Verdict::Ok);
        assert_eq!(verdict(at(0), None, None), Verdict::Warning);
        assert_eq!(
            verdict(now, Some(at(1_900_000_000)), None),
            Verdict::Warning
        );
        let there = |seconds| Some((at(seconds), now));
        assert_eq!(verdict(now, Some(at(1)), there(1_800_000_002)), Verdict::Ok);
        assert_eq!(verdict(now, None, there(1_799_999_990)), Verdict::Warning);
        assert_eq!(verdict(now, None, there(1_800_000_010)), Verdict::Warning);
    }
}
