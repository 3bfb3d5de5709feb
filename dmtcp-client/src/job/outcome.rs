//! How one run of a job ended: what schedulers, scripts and people are told, and `outcome.json`.
//!
//! Not here: how that is decided (`verdict`).

use std::{
    fs, io,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::{
    ExitCodes, Reason,
    state_file::{self, StateError},
};
use crate::{durable, process::Exit};

/// What came of a run, in the kinds that a scheduler tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OutcomeKind {
    /// The program ended by itself. The code is its own.
    Finished,
    /// A signal ended the program. The code is 128 and its number.
    KilledBySignal,
    /// A complete, verified set was taken and the program stopped on purpose: run me again.
    Checkpointed,
    /// Not done, and no set is lost: run me again.
    TryAgain,
    /// The program, or DMTCP under it, ended before it ran, or it could not be started.
    FailedBeforeReady,
    /// There are sets and none of them could be restarted, or restarts lead nowhere.
    FailedToRestore,
    /// [`Job::time_limit`](super::Job::time_limit) is over. Sets stay.
    TimedOut,
}

impl OutcomeKind {
    /// Its name, as in `outcome.json`; does not change between releases.
    #[must_use]
    pub fn slug(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::KilledBySignal => "killed-by-signal",
            Self::Checkpointed => "checkpointed",
            Self::TryAgain => "try-again",
            Self::FailedBeforeReady => "failed-before-ready",
            Self::FailedToRestore => "failed-to-restore",
            Self::TimedOut => "timed-out",
        }
    }

    /// Whether the same command line has something left to do.
    #[must_use]
    pub fn is_to_be_run_again(self) -> bool {
        matches!(self, Self::Checkpointed | Self::TryAgain)
    }
}

/// How a run ended; `outcome.json` in the state directory. Fields that later releases of the same
/// schema add are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Outcome {
    /// Version of this description; [`Outcome::SCHEMA`] when written here.
    pub schema: u32,
    /// Which kind.
    #[serde(rename = "slug")]
    pub kind: OutcomeKind,
    /// Why, more closely.
    pub reason: Reason,
    /// The exit code of a runner.
    pub code: u8,
    /// For people.
    pub text: String,
    /// What to do, where something is to be done.
    pub hint: Option<String>,
    /// How the program itself ended; `None`: it did not, or not by itself.
    #[serde(with = "exit_form")]
    pub exit: Option<Exit>,
    /// The newest set, from which the next run goes on.
    pub set: Option<u64>,
    /// How often it was restarted in this run.
    pub restarts: u64,
    /// Sets that were sealed in this run.
    pub sets_sealed: u64,
    /// When the run began, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// When it ended, in milliseconds since 1970.
    pub ended_unix_ms: u64,
}

impl Outcome {
    /// The newest schema that is read here, and the one that is written.
    pub const SCHEMA: u32 = 1;
    /// Name of the file in the state directory.
    pub const FILE_NAME: &str = "outcome.json";

    /// One that has just come about, of a run that began now.
    #[must_use]
    pub fn new(kind: OutcomeKind, reason: Reason, text: impl Into<String>) -> Self {
        let now = unix_ms(SystemTime::now());
        Self {
            schema: Self::SCHEMA,
            kind,
            reason,
            code: ExitCodes::default().of(kind, None),
            text: text.into(),
            hint: None,
            exit: None,
            set: None,
            restarts: 0,
            sets_sealed: 0,
            started_unix_ms: now,
            ended_unix_ms: now,
        }
    }

    /// The same with this advice.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// The same with this end of the program, and the code that follows from it.
    #[must_use]
    pub fn exit(self, exit: Exit) -> Self {
        Self {
            exit: Some(exit),
            code: ExitCodes::default().of(self.kind, Some(exit)),
            ..self
        }
    }

    /// How long the run took.
    #[must_use]
    pub fn took(&self) -> Duration {
        Duration::from_millis(self.ended_unix_ms.saturating_sub(self.started_unix_ms))
    }

    /// That of the latest run of the job in this state directory; `None`: none has ended, or one
    /// runs.
    ///
    /// # Errors
    ///
    /// [`StateError`].
    pub fn read(dir: &Path) -> Result<Option<Self>, StateError> {
        state_file::read(&dir.join(Self::FILE_NAME), Self::SCHEMA)
    }

    /// Writes it to the state directory, whole or not at all, for its owner only.
    ///
    /// # Errors
    ///
    /// [`StateError::Io`].
    pub fn write(&self, dir: &Path) -> Result<(), StateError> {
        state_file::write(&dir.join(Self::FILE_NAME), self)
    }

    /// Removes what an earlier run has left there: while one runs there is none.
    pub(super) fn clear(dir: &Path) -> Result<(), StateError> {
        let path = dir.join(Self::FILE_NAME);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(durable::failed("remove", &path)(error).into())
            }
            _ => Ok(()),
        }
    }
}

/// Milliseconds since 1970; 0 before.
pub(super) fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// An end in JSON: `{"code": 3}` or `{"signal": 9}`.
mod exit_form {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::process::Exit;

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Form {
        Code(i32),
        Signal(i32),
    }

    pub(super) fn serialize<S: Serializer>(
        exit: &Option<Exit>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let form = exit.map(|exit| match exit {
            Exit::Code(code) => Form::Code(code),
            Exit::Signal(signal) => Form::Signal(signal),
        });
        form.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Exit>, D::Error> {
        let form = Option::<Form>::deserialize(deserializer)?;
        Ok(form.map(|form| match form {
            Form::Code(code) => Exit::Code(code),
            Form::Signal(signal) => Exit::Signal(signal),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    const KINDS: [OutcomeKind; 7] = [
        OutcomeKind::Finished,
        OutcomeKind::KilledBySignal,
        OutcomeKind::Checkpointed,
        OutcomeKind::TryAgain,
        OutcomeKind::FailedBeforeReady,
        OutcomeKind::FailedToRestore,
        OutcomeKind::TimedOut,
    ];

    #[test]
    fn what_is_written_is_read_and_named_as_documented() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Outcome::read(dir.path()).unwrap(), None);
        let mut outcome =
            Outcome::new(OutcomeKind::KilledBySignal, Reason::Signal, "it was killed")
                .exit(Exit::Signal(9))
                .hint("see the log");
        outcome.set = Some(4);
        outcome.write(dir.path()).unwrap();
        assert_eq!(Outcome::read(dir.path()).unwrap(), Some(outcome));
        let path = dir.path().join(Outcome::FILE_NAME);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(json["slug"], "killed-by-signal");
        assert_eq!(json["reason"], "signal");
        assert_eq!(json["code"], 137);
        assert_eq!(json["exit"]["signal"], 9);
        Outcome::clear(dir.path()).unwrap();
        Outcome::clear(dir.path()).unwrap();
        assert_eq!(Outcome::read(dir.path()).unwrap(), None);
    }

    #[test]
    fn slugs_are_what_json_has() {
        for kind in KINDS {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.slug());
        }
    }

    #[test]
    fn what_is_damaged_or_of_later_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(Outcome::FILE_NAME);
        for text in ["", "{", "{\"schema\": 1}", "[]"] {
            fs::write(&path, text).unwrap();
            let error = Outcome::read(dir.path()).unwrap_err();
            assert!(matches!(error, StateError::Damaged { .. }), "{error}");
        }
        fs::write(&path, "{\"schema\": 2, \"new\": true}").unwrap();
        let error = Outcome::read(dir.path()).unwrap_err();
        assert!(matches!(error, StateError::Schema { schema: 2, .. }));
    }
}
