//! The checkpoint interval, and how it is written on the wire.

use core::time::Duration;

/// How often a coordinator checkpoints by itself.
///
/// The default is [`Unchanged`](Self::Unchanged): a query must not alter the interval, and
/// old releases apply the field of *every* command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[expect(
    clippy::exhaustive_enums,
    reason = "the wire has exactly these three meanings"
)]
pub enum Interval {
    /// Every so often. The wire counts whole seconds; fractions are rounded up.
    Every(Duration),
    /// Only when asked.
    Never,
    /// Leave the coordinator's interval as it is.
    #[default]
    Unchanged,
}

impl Interval {
    /// From the wire: seconds, 0 = never, negative = unchanged.
    #[must_use]
    pub fn from_wire(seconds: i32) -> Self {
        match u64::try_from(seconds) {
            Err(_) => Self::Unchanged,
            Ok(0) => Self::Never,
            Ok(seconds) => Self::Every(Duration::from_secs(seconds)),
        }
    }

    /// To the wire. Longer than a signed 32-bit count of seconds becomes the largest one.
    #[must_use]
    pub fn to_wire(self) -> i32 {
        match self {
            Self::Unchanged => -1,
            Self::Never => 0,
            Self::Every(period) => {
                let seconds = period
                    .as_secs()
                    .saturating_add(u64::from(period.subsec_nanos() > 0));
                i32::try_from(seconds.max(1)).unwrap_or(i32::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_round_up_and_never_become_never() {
        assert_eq!(Interval::Every(Duration::from_millis(1)).to_wire(), 1);
        assert_eq!(Interval::Every(Duration::ZERO).to_wire(), 1);
        assert_eq!(Interval::Every(Duration::from_millis(1500)).to_wire(), 2);
        assert_eq!(Interval::Every(Duration::MAX).to_wire(), i32::MAX);
    }

    #[test]
    fn wire_values_survive() {
        for seconds in [-1, 0, 1, 3600, i32::MAX] {
            assert_eq!(Interval::from_wire(seconds).to_wire(), seconds);
        }
        assert_eq!(Interval::from_wire(i32::MIN), Interval::Unchanged);
    }
}
