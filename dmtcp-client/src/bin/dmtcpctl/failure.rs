//! Why a subcommand failed: a name that scripts can rely on, a text, what to do, an exit code.

use dmtcp_client::coordinator::{DetectError, Error as CoordinatorError};
use dmtcp_client::image::ImageError;
use dmtcp_client::job::{ContactError, JobError, LogError, RegistryError, StateError};
use dmtcp_client::set::{PackError, SetError};
use dmtcp_client::with_causes;
use dmtcp_proto::{CommandError, ExchangeError, ProbeError};
use serde::Serialize;
use std::borrow::Cow;
use std::error::Error;
use std::process::ExitCode;

/// What went wrong with one of the things that were looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    /// Its name; does not change between releases.
    pub(crate) slug: &'static str,
    /// For people.
    pub(crate) text: String,
}

impl Problem {
    pub(crate) fn new(slug: &'static str, error: &dyn Error) -> Self {
        let text = with_causes(error);
        Self { slug, text }
    }
}

impl From<&ImageError> for Problem {
    fn from(error: &ImageError) -> Self {
        Self::new(image_slug(error), error)
    }
}

impl From<&SetError> for Problem {
    fn from(error: &SetError) -> Self {
        Self::new(set_slug(error), error)
    }
}

impl From<&ContactError> for Problem {
    fn from(error: &ContactError) -> Self {
        Self::new(contact_slug(error), error)
    }
}

/// Why a subcommand did not do what it was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    problem: Problem,
    hint: Option<Cow<'static, str>>,
    code: u8,
}

/// What was asked for was not done, or was found wrong.
pub(crate) const FAILED: u8 = 1;
const USAGE: u8 = 2;
const TRY_AGAIN: u8 = 75;
const TIMED_OUT: u8 = 124;

impl Failure {
    pub(crate) fn new(slug: &'static str, text: String) -> Self {
        Problem { slug, text }.into()
    }

    pub(crate) fn hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    fn of(slug: &'static str, error: &dyn Error) -> Self {
        Problem::new(slug, error).into()
    }

    pub(crate) fn code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    pub(crate) fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The time that was allowed is over.
    pub(crate) fn timed_out(self) -> Self {
        self.code(TIMED_OUT)
    }

    /// Says it on stderr.
    pub(crate) fn report(&self) -> ExitCode {
        crate::output::complain(&self.problem, self.hint.as_deref());
        ExitCode::from(self.code)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self {
            problem,
            hint: None,
            code: FAILED,
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        failure.problem
    }
}

impl From<CoordinatorError> for Problem {
    fn from(error: CoordinatorError) -> Self {
        Self::new(coordinator_slug(&error), &error)
    }
}

impl From<SetError> for Failure {
    fn from(error: SetError) -> Self {
        let failure = Self::of(set_slug(&error), &error);
        match error {
            SetError::Owned { .. } => failure.code(TRY_AGAIN),
            SetError::Missing { .. } | SetError::Size { .. } | SetError::Checksum { .. } => {
                failure.hint("`dmtcpctl verify` says which sets are whole")
            }
            _ => failure,
        }
    }
}

impl From<PackError> for Failure {
    fn from(error: PackError) -> Self {
        match error {
            PackError::Set(error) => error.into(),
            PackError::Io { .. } => Self::of("io", &error),
            PackError::Link { .. } => Self::of("link", &error),
            PackError::NotAnArchive { .. } => Self::of("not-an-archive", &error),
            PackError::Cut { .. } => Self::of("archive-cut", &error),
            PackError::Checksum { .. } => Self::of("checksum", &error),
            _ => Self::of("archive", &error),
        }
    }
}

impl From<CoordinatorError> for Failure {
    fn from(error: CoordinatorError) -> Self {
        type E = CoordinatorError;
        let failure = Self::of(coordinator_slug(&error), &error);
        match &error {
            E::TimedOut { .. } | E::CheckpointTimedOut { .. } => failure.code(TIMED_OUT),
            E::Command { source, .. }
            | E::Exchange {
                source: ExchangeError::Command(source),
                ..
            } => match source {
                CommandError::NotRunning | CommandError::Busy { .. } => failure.code(TRY_AGAIN),
                _ => failure,
            },
            E::RefusedButArmed { .. } => failure.code(TRY_AGAIN),
            E::Connect { .. } | E::Environment { .. } => failure.hint(WHERE),
            _ => failure,
        }
    }
}

impl From<DetectError> for Failure {
    fn from(error: DetectError) -> Self {
        let failure = Self::of(detect_slug(&error), &error);
        match &error {
            DetectError::TimedOut { .. } => failure.code(TIMED_OUT),
            DetectError::Connect { .. } => failure.hint(WHERE),
            DetectError::Answer { .. } => failure.hint(WHERE_OR_WHAT),
            DetectError::Executable { .. } | DetectError::NoVersion { .. } => {
                failure.hint("--dialect says what the coordinator speaks")
            }
            _ => failure,
        }
    }
}

impl From<ContactError> for Failure {
    fn from(error: ContactError) -> Self {
        type E = ContactError;
        let failure = Self::from(Problem::from(&error));
        match error {
            E::Coordinator(error) => error.into(),
            E::TimedOut { .. } => failure.code(TIMED_OUT),
            E::NoCoordinator { .. } => failure.code(TRY_AGAIN),
            E::Lost { .. } => failure
                .code(TRY_AGAIN)
                .hint("run it again: it goes on from its newest set"),
            E::NoJob { .. } => {
                failure.hint("`dmtcpctl list` has the state directories of all jobs")
            }
            E::NotItsPort { .. } | E::OtherComputation { .. } => {
                failure.hint("nothing was done to whoever listens there")
            }
            _ => failure,
        }
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        match &error {
            JobError::OtherProgram { .. } => Self::of("other-program", &error)
                .code(USAGE)
                .hint("give it another --state-dir, or another --id"),
            JobError::SetsThere { .. } => Self::of("sets-there", &error).code(USAGE).hint(
                "`restart` goes on from them, `run` starts or goes on, `start --fresh` begins again",
            ),
            JobError::NoJob { .. } => Self::of("no-job", &error)
                .code(USAGE)
                .hint("`dmtcpctl list` has the state directories of all jobs"),
            JobError::State(state) => {
                let failure = Self::of(state_slug(state), &error);
                match state {
                    StateError::Damaged { .. } => failure.hint(
                        "move that file away and give the whole command line once more: \
                         it goes on from its newest set",
                    ),
                    StateError::Schema { .. } => {
                        failure.hint("a later release runs this job: use that one")
                    }
                    _ => failure,
                }
            }
            JobError::Thread { .. } => Self::of("environment", &error),
            _ => Self::of("job", &error),
        }
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Self::of("io", &error)
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        match &error {
            RegistryError::State(state) => Self::of(state_slug(state), &error),
            RegistryError::NoHome => Self::of("environment", &error),
            _ => Self::of("registry", &error),
        }
    }
}

const WHERE: &str = "--host and --port, or DMTCP_COORD_HOST and DMTCP_COORD_PORT, say where it is";
const WHERE_OR_WHAT: &str =
    "is it a coordinator? --port says where it listens, --dialect what it speaks";

fn image_slug(error: &ImageError) -> &'static str {
    match error {
        ImageError::Io { .. } => "io",
        ImageError::NotAnImage { .. } => "not-an-image",
        ImageError::Cut { .. } => "image-cut",
        ImageError::Damaged { .. } => "image-damaged",
        ImageError::Unsupported { .. } => "image-unsupported",
        ImageError::TooLarge { .. } => "image-too-large",
        ImageError::TimedOut { .. } => "timed-out",
        _ => "image",
    }
}

fn set_slug(error: &SetError) -> &'static str {
    match error {
        SetError::Io { .. } => "io",
        SetError::Owned { .. } => "owned",
        SetError::NoManifest { .. } => "no-manifest",
        SetError::Manifest { .. } => "manifest-damaged",
        SetError::Schema { .. } => "manifest-schema",
        SetError::Missing { .. } => "file-missing",
        SetError::Size { .. } => "file-size",
        SetError::Checksum { .. } => "checksum",
        SetError::Incompatible(_) => "incompatible",
        SetError::OtherRelease { .. } => "other-release",
        _ => "set",
    }
}

fn coordinator_slug(error: &CoordinatorError) -> &'static str {
    type E = CoordinatorError;
    match error {
        E::Environment { .. } | E::Address { .. } => "environment",
        E::Connect { .. } => "unreachable",
        E::Io { .. } => "connection",
        E::TimedOut { .. } => "timed-out",
        E::Command { source, .. } => command_slug(source),
        E::Exchange { source, .. } => match source {
            ExchangeError::Command(source) => command_slug(source),
            ExchangeError::NoList { .. } => "no-list",
            _ => "protocol",
        },
        E::CheckpointTimedOut { .. } => "checkpoint-timed-out",
        E::CheckpointFailed { .. } => "checkpoint-failed",
        E::WorkerLost { .. } => "worker-lost",
        E::ComputationEnded { .. } => "computation-ended",
        E::Unconfirmed { .. } => "unconfirmed",
        E::RefusedButArmed { .. } => "refused-but-armed",
        E::WorkersRemain { .. } | E::PeersRemain { .. } => "workers-remain",
        E::FewerPeers { .. } => "fewer-peers",
        E::IntervalIgnored { .. } => "interval-ignored",
        E::StillListening { .. } => "still-listening",
        _ => "coordinator",
    }
}

fn command_slug(error: &CommandError) -> &'static str {
    match error {
        CommandError::NotRunning => "not-running",
        CommandError::NotPermitted => "not-permitted",
        CommandError::Busy { .. } => "busy",
        CommandError::CheckpointFailed { .. } => "checkpoint-failed",
        _ => "refused",
    }
}

fn contact_slug(error: &ContactError) -> &'static str {
    match error {
        ContactError::NoJob { .. } => "no-job",
        ContactError::State(error) => state_slug(error),
        ContactError::NotRunning { .. } => "job-not-running",
        ContactError::Elsewhere { .. } => "job-elsewhere",
        ContactError::Lost { .. } => "job-lost",
        ContactError::Copied { .. } => "job-copied",
        ContactError::NoCoordinator { .. } => "no-coordinator",
        ContactError::NotItsPort { .. } | ContactError::OtherComputation { .. } => {
            "not-its-coordinator"
        }
        ContactError::Coordinator(error) => coordinator_slug(error),
        ContactError::TimedOut { .. } => "timed-out",
        ContactError::Process(_) | ContactError::Look { .. } => "process",
        _ => "job",
    }
}

fn state_slug(error: &StateError) -> &'static str {
    match error {
        StateError::Damaged { .. } => "state-damaged",
        StateError::Schema { .. } => "state-schema",
        _ => "io",
    }
}

fn detect_slug(error: &DetectError) -> &'static str {
    match error {
        DetectError::Contradiction { .. } => "wrong-dialect",
        DetectError::Executable { .. } | DetectError::NoVersion { .. } => "unknown-version",
        DetectError::NotSupported { .. } => "not-supported",
        DetectError::Tools(_) => "tools",
        DetectError::Connect { .. } => "unreachable",
        DetectError::Io { .. } => "connection",
        DetectError::TimedOut { .. } => "timed-out",
        DetectError::Answer { source, .. } => match source {
            ProbeError::NobodyListens => "unreachable",
            _ => "unknown-dialect",
        },
        _ => "detect",
    }
}
