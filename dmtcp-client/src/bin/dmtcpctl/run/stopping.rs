//! What a signal asks for, by what came before it.

use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Checkpoint and stop.
    Checkpoint,
    /// Kill everything.
    End,
}

#[derive(Debug)]
pub(super) struct Stopping {
    /// Those that ask for a checkpoint first.
    stop: Vec<Signal>,
    first: Option<Instant>,
}

impl Stopping {
    pub(super) fn at(stop: &[Signal]) -> Self {
        Self {
            stop: stop.to_vec(),
            first: None,
        }
    }

    pub(super) fn signal(&mut self, signal: Signal, now: Instant) -> Option<Asked> {
        let is_to_stop = self.stop.contains(&signal);
        let Some(first) = self.first else {
            self.first = Some(now);
            return Some(match is_to_stop {
                true => Asked::Checkpoint,
                false => Asked::End,
            });
        };
        let is_meant = matches!(signal, Signal::SIGINT | Signal::SIGTERM);
        let is_another = now.saturating_duration_since(first) >= SAME;
        (is_meant && is_another).then_some(Asked::End)
    }
}

/// Schedulers send a signal to a process and to its group, or by two ways, at the same time: that is one.
const SAME: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_second_one_that_is_meant_ends_it() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let stop = [Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGHUP];
        let mut stopping = Stopping::at(&stop);
        for (signal, ms, expected) in [
            (Signal::SIGTERM, 0, Some(Asked::Checkpoint)),
            (Signal::SIGTERM, 100, None),
            (Signal::SIGUSR1, 5000, None),
            (Signal::SIGHUP, 5000, None),
            (Signal::SIGINT, 5000, Some(Asked::End)),
            (Signal::SIGTERM, 6000, Some(Asked::End)),
        ] {
            assert_eq!(stopping.signal(signal, at(ms)), expected, "{signal} {ms}");
        }
    }

    #[test]
    fn one_that_was_not_chosen_ends_it() {
        let mut stopping = Stopping::at(&[Signal::SIGUSR1]);
        let now = Instant::now();
        assert_eq!(stopping.signal(Signal::SIGTERM, now), Some(Asked::End));
    }
}
