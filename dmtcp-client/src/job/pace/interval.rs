//! How far apart periodic checkpoints are: never, fixed, or what costs the least time.

use std::{fmt, time::Duration};

use super::{CheckpointCost, Interruptions, words::spoken};

/// When periodic checkpoints are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IntervalPolicy {
    /// Only when asked for.
    Never,
    /// From the beginning of one to the beginning of the next.
    Every(Duration),
    /// As far apart as costs the least time.
    Auto(AutoInterval),
}

impl IntervalPolicy {
    /// What it comes to with what is known now.
    #[must_use]
    pub fn plan(&self, cost: &CheckpointCost, interruptions: &Interruptions) -> IntervalPlan {
        let (work, reason) = match self {
            Self::Never => (None, Reason::Never),
            Self::Every(every) => (Some(*every), Reason::Fixed),
            Self::Auto(auto) => {
                let (work, reason) = auto.plan(cost, interruptions);
                (Some(work), reason)
            }
        };
        IntervalPlan { work, reason }
    }
}

/// The interval at which checkpoints and the work that an interruption destroys cost the least
/// together, after Young (1974) and Daly (2006): about `√(2·C·M)`, with `C` how long a checkpoint
/// stops the processes, measured, and `M` the mean time between interruptions.
///
/// Defaults: `M` is learned from the job's own record, beginning with a day; at least a minute and
/// at most four hours apart. The first comes after the shortest time, to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AutoInterval {
    mean_time: MeanTime,
    shortest: Duration,
    longest: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum MeanTime {
    Given(Duration),
    Learned { prior: Duration },
}

impl AutoInterval {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            mean_time: MeanTime::Learned {
                prior: Duration::from_secs(24 * 3600),
            },
            shortest: Duration::from_secs(60),
            longest: Duration::from_secs(4 * 3600),
        }
    }

    /// Interruptions come so far apart, on average; nothing is learned.
    #[must_use]
    pub fn mean_time_to_interrupt(self, mean_time: Duration) -> Self {
        let mean_time = MeanTime::Given(mean_time);
        Self { mean_time, ..self }
    }

    /// What is believed before the job has a record of its own; see [`Interruptions::mean_time`].
    #[must_use]
    pub fn prior(self, prior: Duration) -> Self {
        let mean_time = MeanTime::Learned { prior };
        Self { mean_time, ..self }
    }

    /// Never closer than this.
    #[must_use]
    pub fn shortest(self, shortest: Duration) -> Self {
        Self { shortest, ..self }
    }

    /// Never farther apart than this; the shortest wins over it.
    #[must_use]
    pub fn longest(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }

    fn plan(&self, cost: &CheckpointCost, interruptions: &Interruptions) -> (Duration, Reason) {
        let (mean_time, learned) = match self.mean_time {
            MeanTime::Given(mean_time) => (mean_time, None),
            MeanTime::Learned { prior } => {
                let mean_time = interruptions.mean_time(prior);
                (mean_time, Some(interruptions.count()))
            }
        };
        let Some(pause) = cost.median_paused() else {
            return (self.shortest, Reason::FirstToMeasure);
        };
        let optimum = optimal_interval(pause, mean_time);
        let work = optimum.min(self.longest).max(self.shortest);
        let reason = Reason::Optimum {
            pause,
            measured: cost.len(),
            mean_time,
            learned,
            bound: match work.cmp(&optimum) {
                std::cmp::Ordering::Less => Some(Bound::Longest),
                std::cmp::Ordering::Equal => None,
                std::cmp::Ordering::Greater => Some(Bound::Shortest),
            },
        };
        (work, reason)
    }
}

impl Default for AutoInterval {
    fn default() -> Self {
        Self::new()
    }
}

/// How long to work between two checkpoints so that the least time is lost, if one stops the
/// processes for `pause` and they are interrupted every `mean_time` on average.
///
/// Daly's estimate of higher order (J. T. Daly, "A higher order estimate of the optimum checkpoint
/// interval for restart dumps", Future Generation Computer Systems 22, 2006). Where interruptions
/// come far more rarely than a checkpoint takes, it is Young's `√(2·C·M)`; where a checkpoint
/// takes twice the mean time or longer, it is the mean time.
#[must_use]
pub fn optimal_interval(pause: Duration, mean_time: Duration) -> Duration {
    let (cost, mean) = (pause.as_secs_f64(), mean_time.as_secs_f64());
    if cost >= 2.0 * mean {
        return mean_time;
    }
    let ratio = cost / (2.0 * mean);
    let work = (2.0 * cost * mean).sqrt() * (1.0 + ratio.sqrt() / 3.0 + ratio / 9.0) - cost;
    Duration::try_from_secs_f64(work.max(0.0)).unwrap_or(mean_time)
}

/// A period and the reason for it, in one line by its `Display`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntervalPlan {
    work: Option<Duration>,
    reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Never,
    Fixed,
    FirstToMeasure,
    Optimum {
        pause: Duration,
        measured: usize,
        mean_time: Duration,
        /// Interruptions that were seen; none: the mean time was given.
        learned: Option<u32>,
        bound: Option<Bound>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    Shortest,
    Longest,
}

impl IntervalPlan {
    /// The time between two checkpoints; `None`: none are taken.
    #[must_use]
    pub fn period(&self) -> Option<Duration> {
        self.work
    }

    /// Whether the period counts from the beginning of the last checkpoint, as one that somebody
    /// chose, or from when the processes went on.
    pub(super) fn counts_from_beginning(&self) -> bool {
        matches!(self.reason, Reason::Fixed)
    }
}

impl fmt::Display for IntervalPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(work) = self.work else {
            return f.write_str("checkpoints only when asked for");
        };
        write!(f, "a checkpoint every {}", spoken(work))?;
        match self.reason {
            Reason::Never => Ok(()),
            Reason::Fixed => f.write_str(", as asked for"),
            Reason::FirstToMeasure => f.write_str(" (auto: until one was measured)"),
            Reason::Optimum {
                pause,
                measured,
                mean_time,
                learned,
                bound,
            } => {
                write!(
                    f,
                    " (auto: one stops the processes for {}, the median of {measured}; an \
                     interruption is expected every {}",
                    spoken(pause),
                    spoken(mean_time)
                )?;
                match learned {
                    Some(seen) => write!(f, ", {seen} seen so far")?,
                    None => f.write_str(", as told")?,
                }
                match bound {
                    Some(Bound::Shortest) => f.write_str("; not closer, by the limit")?,
                    Some(Bound::Longest) => f.write_str("; not farther apart, by the limit")?,
                    None => {}
                }
                let share = share(pause, work);
                write!(f, "; {share:.1} % of the time goes to checkpoints)")
            }
        }
    }
}

fn share(pause: Duration, work: Duration) -> f64 {
    let whole = pause.as_secs_f64() + work.as_secs_f64();
    if whole > 0.0 {
        100.0 * pause.as_secs_f64() / whole
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::pace::CheckpointTime;
    use proptest::prelude::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn cost(pause: Duration) -> CheckpointCost {
        [CheckpointTime::new(pause, pause * 2)]
            .into_iter()
            .collect()
    }

    /// Daly's expected time to finish, for exponentially distributed interruptions without a
    /// restart cost, as a multiple of the work.
    fn expected_slowdown(work: f64, pause: f64, mean: f64) -> f64 {
        mean * (((work + pause) / mean).exp() - 1.0) / work
    }

    #[test]
    fn near_youngs_where_interruptions_are_rare() {
        let interval = optimal_interval(s(10), s(24 * 3600)).as_secs_f64();
        let young = (2.0f64 * 10.0 * 86_400.0).sqrt();
        assert!((interval / young - 1.0).abs() < 0.01, "{interval} {young}");
        assert_eq!(optimal_interval(s(10), s(4)), s(4));
    }

    #[test]
    fn said_in_one_line() {
        let auto = IntervalPolicy::Auto(AutoInterval::new());
        let mut seen = Interruptions::new();
        seen.note_interruption();
        for (policy, cost, text) in [
            (
                IntervalPolicy::Never,
                cost(s(1)),
                "checkpoints only when asked for",
            ),
            (
                IntervalPolicy::Every(s(600)),
                cost(s(1)),
                "a checkpoint every 10m, as asked for",
            ),
            (
                auto,
                CheckpointCost::new(),
                "a checkpoint every 1m (auto: until one was measured)",
            ),
            (
                auto,
                cost(s(10)),
                "a checkpoint every 15m 22s (auto: one stops the processes for 10 s, the median \
                 of 1; an interruption is expected every 12h, 1 seen so far; 1.1 % of the time \
                 goes to checkpoints)",
            ),
            (
                IntervalPolicy::Auto(AutoInterval::new().mean_time_to_interrupt(s(3600))),
                cost(Duration::from_millis(20)),
                "a checkpoint every 1m (auto: one stops the processes for 20 ms, the median of \
                 1; an interruption is expected every 1h, as told; not closer, by the limit; \
                 0.0 % of the time goes to checkpoints)",
            ),
        ] {
            assert_eq!(policy.plan(&cost, &seen).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn no_other_interval_is_much_better(
            pause_ms in 1u64..600_000, mean_s in 60u64..3_000_000, factor in 0.05f64..20.0,
        ) {
            let (pause, mean) = (Duration::from_millis(pause_ms), s(mean_s));
            prop_assume!(pause * 2 < mean);
            let ours = optimal_interval(pause, mean).as_secs_f64();
            let slowdown = |work| expected_slowdown(work, pause.as_secs_f64(), mean.as_secs_f64());
            let (ours, other) = (slowdown(ours), slowdown(ours * factor));
            prop_assert!(ours <= other * 1.02, "{ours} {other}");
        }

        #[test]
        fn any_input_stays_within_the_limits(
            pause: Duration, mean: Duration, shortest: Duration, longest: Duration,
        ) {
            let auto = AutoInterval::new().shortest(shortest).longest(longest);
            let auto = auto.mean_time_to_interrupt(mean);
            let cost: CheckpointCost = [CheckpointTime::new(pause, pause)].into_iter().collect();
            let plan = IntervalPolicy::Auto(auto).plan(&cost, &Interruptions::new());
            let period = plan.period().unwrap();
            prop_assert!(period >= shortest && period <= longest.max(shortest));
            prop_assert!(!plan.to_string().is_empty());
        }
    }
}
