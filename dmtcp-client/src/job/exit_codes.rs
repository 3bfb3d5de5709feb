//! The exit codes of a program that runs a job. Not here: what the outcomes mean (`outcome`).

use super::OutcomeKind;
use crate::process::Exit;

/// The exit codes of a runner for what is not the program's own end.
///
/// Sites differ: Grid Engine runs a job again for 99, HTCondor for what `checkpoint_exit_code` says,
/// Slurm for what `RequeueExit` lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct ExitCodes {
    checkpointed: u8,
    try_again: u8,
    failed_before_ready: u8,
    failed_to_restore: u8,
    timed_out: u8,
}

impl Default for ExitCodes {
    fn default() -> Self {
        Self {
            checkpointed: 85,
            try_again: 75,
            failed_before_ready: 170,
            failed_to_restore: 171,
            timed_out: 124,
        }
    }
}

impl ExitCodes {
    /// The same with this one for [`OutcomeKind::Checkpointed`]. Default: 85.
    pub fn checkpointed(self, code: u8) -> Self {
        Self {
            checkpointed: code,
            ..self
        }
    }

    /// The same with this one for [`OutcomeKind::TryAgain`]. Default: 75.
    pub fn try_again(self, code: u8) -> Self {
        Self {
            try_again: code,
            ..self
        }
    }

    /// The same with this one for [`OutcomeKind::FailedBeforeReady`]. Default: 170.
    pub fn failed_before_ready(self, code: u8) -> Self {
        Self {
            failed_before_ready: code,
            ..self
        }
    }

    /// The same with this one for [`OutcomeKind::FailedToRestore`]. Default: 171.
    pub fn failed_to_restore(self, code: u8) -> Self {
        Self {
            failed_to_restore: code,
            ..self
        }
    }

    /// The same with this one for [`OutcomeKind::TimedOut`]. Default: 124.
    pub fn timed_out(self, code: u8) -> Self {
        Self {
            timed_out: code,
            ..self
        }
    }

    /// The code of an outcome of this kind; `exit` is the program's own end, if it had one.
    #[must_use]
    pub fn of(self, kind: OutcomeKind, exit: Option<Exit>) -> u8 {
        match kind {
            OutcomeKind::Finished | OutcomeKind::KilledBySignal => {
                let code = exit.map_or(0, Exit::shell_code);
                // The system has no others; real-time signals end at 64.
                u8::try_from(code).unwrap_or(u8::MAX)
            }
            OutcomeKind::Checkpointed => self.checkpointed,
            OutcomeKind::TryAgain => self.try_again,
            OutcomeKind::FailedBeforeReady => self.failed_before_ready,
            OutcomeKind::FailedToRestore => self.failed_to_restore,
            OutcomeKind::TimedOut => self.timed_out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHERS: [OutcomeKind; 5] = [
        OutcomeKind::Checkpointed,
        OutcomeKind::TryAgain,
        OutcomeKind::FailedBeforeReady,
        OutcomeKind::FailedToRestore,
        OutcomeKind::TimedOut,
    ];

    #[test]
    fn codes_are_those_that_schedulers_know() {
        let codes = ExitCodes::default();
        let of = |kind, exit| codes.of(kind, exit);
        assert_eq!(of(OutcomeKind::Finished, Some(Exit::Code(7))), 7);
        assert_eq!(of(OutcomeKind::KilledBySignal, Some(Exit::Signal(15))), 143);
        let others: Vec<u8> = OTHERS.iter().map(|kind| of(*kind, None)).collect();
        assert_eq!(others, [85, 75, 170, 171, 124]);
    }

    #[test]
    fn sites_choose_their_own_and_not_the_programs() {
        let codes = ExitCodes::default()
            .checkpointed(99)
            .try_again(98)
            .failed_before_ready(100)
            .failed_to_restore(101)
            .timed_out(102);
        let others: Vec<u8> = OTHERS.iter().map(|kind| codes.of(*kind, None)).collect();
        assert_eq!(others, [99, 98, 100, 101, 102]);
        assert_eq!(codes.of(OutcomeKind::Finished, Some(Exit::Code(85))), 85);
    }
}
