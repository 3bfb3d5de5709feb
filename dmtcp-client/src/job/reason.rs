//! Why a run of a job ended as it did, more closely than its kind says.

use serde::{Deserialize, Serialize};

/// Why it came to that, more closely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// The program returned a code.
    Exit,
    /// It had done so in an earlier run; nothing was started.
    FinishedBefore,
    /// A signal ended the program.
    Signal,
    /// The embedding program asked to stop ([`JobControl`](super::JobControl)).
    Requested,
    /// This process got a signal that means that.
    SignalReceived,
    /// The end of the time that is allowed on this machine came near.
    Deadline,
    /// A notice that this machine goes away was seen.
    Notice,
    /// [`Job::stop_after_checkpoint`](super::Job::stop_after_checkpoint).
    StopAfterCheckpoint,
    /// Somebody asked the coordinator over the wire, with `dmtcp_command` or `dmtcpctl`.
    Command,
    /// Another attempt at this job runs.
    Held,
    /// No set could be completed in the grace that was allowed; the program was killed.
    NotCheckpointed,
    /// The embedding program, or a second signal, asked to kill it at once.
    Killed,
    /// It was asked to stop before the program ran.
    Interrupted,
    /// Nothing was started, since too little time is left.
    TooLate,
    /// The programs of DMTCP, or the program itself, could not be started.
    NotStarted,
    /// It ended before it ran under its coordinator.
    EndedBeforeReady,
    /// DMTCP itself failed.
    DmtcpFailed,
    /// Every try to restart failed.
    NoRestart,
    /// There are sets, and none can be restarted here.
    NoUsableSet,
    /// A restart was asked for, and there is no set.
    NoSet,
    /// It was restarted again and again without a newer set.
    NoProgress,
    /// The program was not running in time.
    NotReady,
    /// [`Job::time_limit`](super::Job::time_limit).
    TimeLimit,
    /// The environment: a file, a directory, the embedded coordinator.
    Environment,
}

impl Reason {
    /// Its name, as in `outcome.json`; does not change between releases.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::FinishedBefore => "finished-before",
            Self::Signal => "signal",
            Self::Requested => "requested",
            Self::SignalReceived => "signal-received",
            Self::Deadline => "deadline",
            Self::Notice => "notice",
            Self::StopAfterCheckpoint => "stop-after-checkpoint",
            Self::Command => "command",
            Self::Held => "held",
            Self::NotCheckpointed => "not-checkpointed",
            Self::Killed => "killed",
            Self::Interrupted => "interrupted",
            Self::TooLate => "too-late",
            Self::NotStarted => "not-started",
            Self::EndedBeforeReady => "ended-before-ready",
            Self::DmtcpFailed => "dmtcp-failed",
            Self::NoRestart => "no-restart",
            Self::NoUsableSet => "no-usable-set",
            Self::NoSet => "no-set",
            Self::NoProgress => "no-progress",
            Self::NotReady => "not-ready",
            Self::TimeLimit => "time-limit",
            Self::Environment => "environment",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_what_json_has() {
        for reason in [
            Reason::Exit,
            Reason::FinishedBefore,
            Reason::Signal,
            Reason::Requested,
            Reason::SignalReceived,
            Reason::Deadline,
            Reason::Notice,
            Reason::StopAfterCheckpoint,
            Reason::Command,
            Reason::Held,
            Reason::NotCheckpointed,
            Reason::Killed,
            Reason::Interrupted,
            Reason::TooLate,
            Reason::NotStarted,
            Reason::EndedBeforeReady,
            Reason::DmtcpFailed,
            Reason::NoRestart,
            Reason::NoUsableSet,
            Reason::NoSet,
            Reason::NoProgress,
            Reason::NotReady,
            Reason::TimeLimit,
            Reason::Environment,
        ] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.slug());
        }
    }
}
