//! Which error of the library is which exception, with the names that `dmtcpctl` gives them, too
//! (`docs/CLI.md`). A new kind of error gets the general name of its place until it has one here.

use dmtcp_client::{
    StartError, ToolsError,
    coordinator::{DetectError, Error as CoordinatorError},
    foreign::ForeignError,
    image::ImageError,
    job::{ContactError, JobError, RequestError, StateError},
    native,
    process::ProcessError,
    server::ServerError,
    set::{PackError, SetError},
};
use dmtcp_proto::{CommandError, ExchangeError, ProbeError, WorkerExit};

use crate::failure::{
    Failure,
    Fault::{self, Caller, Environment, Peer},
};

type Kind = (&'static str, &'static str, Fault);

impl From<CoordinatorError> for Failure {
    fn from(error: CoordinatorError) -> Self {
        let (class, slug, fault) = coordinator(&error);
        Self::of(class, slug, fault, &error)
    }
}

fn coordinator(error: &CoordinatorError) -> Kind {
    type E = CoordinatorError;
    match error {
        E::Environment { .. } | E::Address { .. } => ("CallerError", "environment", Caller),
        E::Connect { .. } => ("ConnectError", "unreachable", Environment),
        E::Io { .. } => ("ConnectError", "connection", Environment),
        E::TimedOut { .. } => ("TimeoutError", "timed-out", Peer),
        E::Command { source, .. } => command(source),
        E::Exchange { source, .. } => match source {
            ExchangeError::Command(source) => command(source),
            ExchangeError::NoList { .. } => ("CommandError", "no-list", Peer),
            _ => ("CommandError", "protocol", Peer),
        },
        E::CheckpointTimedOut { .. } => ("TimeoutError", "checkpoint-timed-out", Peer),
        E::CheckpointFailed { .. } => ("CheckpointError", "checkpoint-failed", Peer),
        E::WorkerLost { .. } => ("CheckpointError", "worker-lost", Peer),
        E::ComputationEnded { .. } => ("CheckpointError", "computation-ended", Peer),
        E::Unconfirmed { .. } => ("CheckpointError", "unconfirmed", Peer),
        E::FewerPeers { .. } => ("CheckpointError", "fewer-peers", Peer),
        E::RefusedButArmed { .. } => ("CommandError", "refused-but-armed", Peer),
        E::WorkersRemain { .. } | E::PeersRemain { .. } => ("TimeoutError", "workers-remain", Peer),
        E::IntervalIgnored { .. } => ("CommandError", "interval-ignored", Peer),
        E::StillListening { .. } => ("TimeoutError", "still-listening", Peer),
        _ => ("CommandError", "coordinator", Peer),
    }
}

fn command(error: &CommandError) -> Kind {
    match error {
        CommandError::NotRunning => ("CommandError", "not-running", Peer),
        CommandError::Busy { .. } => ("CommandError", "busy", Peer),
        CommandError::NotPermitted => ("CommandError", "not-permitted", Caller),
        CommandError::CheckpointFailed { .. } => ("CheckpointError", "checkpoint-failed", Peer),
        _ => ("CommandError", "refused", Peer),
    }
}

impl From<DetectError> for Failure {
    fn from(error: DetectError) -> Self {
        type E = DetectError;
        let (class, slug, fault) = match &error {
            E::Contradiction { .. } => ("CallerError", "wrong-dialect", Caller),
            E::Executable { .. } | E::NoVersion { .. } => {
                ("CommandError", "unknown-version", Environment)
            }
            E::NotSupported { .. } => ("CommandError", "not-supported", Peer),
            E::Tools(_) => ("ToolError", "tools", Environment),
            E::Connect { .. } => ("ConnectError", "unreachable", Environment),
            E::Io { .. } => ("ConnectError", "connection", Environment),
            E::TimedOut { .. } => ("TimeoutError", "timed-out", Peer),
            E::Answer { source, .. } => match source {
                ProbeError::NobodyListens => ("ConnectError", "unreachable", Environment),
                _ => ("CommandError", "unknown-dialect", Peer),
            },
            _ => ("CommandError", "detect", Peer),
        };
        Self::of(class, slug, fault, &error)
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        let (class, slug, fault) = server(&error);
        Self::of(class, slug, fault, &error)
    }
}

fn server(error: &ServerError) -> Kind {
    type E = ServerError;
    match error {
        E::Start { .. } => ("ServerError", "environment", Environment),
        E::Listen { .. } => ("ServerError", "listen", Environment),
        E::NobodyMayCome { .. } => ("CallerError", "nobody-may-come", Caller),
        E::TimedOut { .. } => ("TimeoutError", "timed-out", Peer),
        E::Busy { .. } => ("CommandError", "busy", Peer),
        E::NotRunning => ("CommandError", "not-running", Peer),
        E::CheckpointFailed { .. } => ("CheckpointError", "checkpoint-failed", Peer),
        E::Refused(error) => command(error),
        E::Closed => ("ServerError", "closed", Caller),
        E::ServerGone => ("ServerError", "server-gone", Caller),
        _ => ("ServerError", "server", Environment),
    }
}

impl From<ForeignError> for Failure {
    fn from(error: ForeignError) -> Self {
        type E = ForeignError;
        let (class, slug, fault) = match &error {
            E::Busy => ("CommandError", "busy", Caller),
            E::Idle => ("CallerError", "idle", Caller),
            E::TimedOut { .. } => ("TimeoutError", "checkpoint-timed-out", Peer),
            E::ComputationEnded { .. } => ("CheckpointError", "computation-ended", Peer),
            E::Coordinator(error) => coordinator(error),
            E::Unlisted { .. } => ("CheckpointError", "unlisted", Peer),
            E::Elsewhere { .. } => ("CheckpointError", "elsewhere", Environment),
            E::Seal(_) => ("CheckpointError", "seal", Environment),
            E::Thread(_) => ("DmtcpError", "environment", Environment),
            E::Abandoned => ("CheckpointError", "abandoned", Caller),
            _ => ("CheckpointError", "incomplete", Peer),
        };
        Self::of(class, slug, fault, &error)
    }
}

impl From<JobError> for Failure {
    fn from(error: JobError) -> Self {
        let (slug, fault) = match &error {
            JobError::OtherProgram { .. } => ("other-program", Caller),
            JobError::SetsThere { .. } => ("sets-there", Caller),
            JobError::NoJob { .. } => ("no-job", Caller),
            JobError::State(error) => (state(error), Environment),
            JobError::Thread { .. } => ("environment", Environment),
            _ => ("job", Environment),
        };
        Self::of("JobError", slug, fault, &error)
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        match &error {
            RequestError::Ended => Self::of("JobError", "job-not-running", Caller, &error),
            RequestError::NotRunning { .. } => {
                Self::of("TimeoutError", "not-running", Peer, &error)
            }
            RequestError::Server(source) => {
                let (class, slug, fault) = server(source);
                Self::of(class, slug, fault, &error)
            }
            _ => Self::of("JobError", "job", Environment, &error),
        }
    }
}

impl From<ContactError> for Failure {
    fn from(error: ContactError) -> Self {
        type E = ContactError;
        let (class, slug, fault) = match &error {
            E::NoJob { .. } => ("JobError", "no-job", Caller),
            E::State(error) => ("JobError", state(error), Environment),
            E::NotRunning { .. } => ("JobError", "job-not-running", Caller),
            E::Elsewhere { .. } => ("JobError", "job-elsewhere", Caller),
            E::Lost { .. } => ("JobError", "job-lost", Peer),
            E::Copied { .. } => ("JobError", "job-copied", Caller),
            E::NoCoordinator { .. } => ("JobError", "no-coordinator", Peer),
            E::NotItsPort { .. } | E::OtherComputation { .. } => {
                ("JobError", "not-its-coordinator", Peer)
            }
            E::Coordinator(error) => coordinator(error),
            E::TimedOut { .. } => ("TimeoutError", "timed-out", Peer),
            E::Process(_) | E::Look { .. } => ("JobError", "process", Environment),
            _ => ("JobError", "job", Environment),
        };
        Self::of(class, slug, fault, &error)
    }
}

fn state(error: &StateError) -> &'static str {
    match error {
        StateError::Damaged { .. } => "state-damaged",
        StateError::Schema { .. } => "state-schema",
        _ => "io",
    }
}

impl From<SetError> for Failure {
    fn from(error: SetError) -> Self {
        let (slug, fault) = set(&error);
        Self::of("SetError", slug, fault, &error)
    }
}

fn set(error: &SetError) -> (&'static str, Fault) {
    match error {
        SetError::Io { .. } => ("io", Environment),
        SetError::Owned { .. } => ("owned", Caller),
        SetError::NoManifest { .. } => ("no-manifest", Caller),
        SetError::Manifest { .. } => ("manifest-damaged", Environment),
        SetError::Schema { .. } => ("manifest-schema", Environment),
        SetError::Missing { .. } => ("file-missing", Environment),
        SetError::Size { .. } => ("file-size", Environment),
        SetError::Checksum { .. } => ("checksum", Environment),
        SetError::Incompatible(_) => ("incompatible", Environment),
        SetError::OtherRelease { .. } => ("other-release", Environment),
        _ => ("set", Environment),
    }
}

impl From<PackError> for Failure {
    fn from(error: PackError) -> Self {
        let (slug, fault) = match &error {
            PackError::Set(error) => set(error),
            PackError::Io { .. } => ("io", Environment),
            PackError::Link { .. } => ("link", Environment),
            PackError::NotAnArchive { .. } => ("not-an-archive", Caller),
            PackError::Cut { .. } => ("archive-cut", Environment),
            PackError::Checksum { .. } => ("checksum", Environment),
            _ => ("archive", Environment),
        };
        Self::of("SetError", slug, fault, &error)
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        let (slug, fault) = image(&error);
        Self::of("SetError", slug, fault, &error)
    }
}

pub(crate) fn image(error: &ImageError) -> (&'static str, Fault) {
    match error {
        ImageError::Io { .. } => ("io", Environment),
        ImageError::NotAnImage { .. } => ("not-an-image", Caller),
        ImageError::Cut { .. } => ("image-cut", Environment),
        ImageError::Damaged { .. } => ("image-damaged", Environment),
        ImageError::Unsupported { .. } => ("image-unsupported", Environment),
        ImageError::TooLarge { .. } => ("image-too-large", Environment),
        ImageError::TimedOut { .. } => ("timed-out", Environment),
        _ => ("image", Environment),
    }
}

impl From<ToolsError> for Failure {
    fn from(error: ToolsError) -> Self {
        let slug = match &error {
            ToolsError::NotFound { .. } => "no-dmtcp",
            ToolsError::Run { .. } => "tools",
            ToolsError::UnknownVersion { .. } => "unknown-version",
            ToolsError::NotSupported { .. } => "not-supported",
            _ => "tools",
        };
        Self::of("ToolError", slug, Environment, &error)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let (slug, fault) = match &error {
            StartError::NoCoordinator => ("no-coordinator", Caller),
            StartError::NotIpv4(_) => ("not-ipv4", Caller),
            StartError::ProgramName(_) | StartError::Program(_) => ("program", Caller),
            StartError::NoImages | StartError::ImageName(_) => ("image", Caller),
            StartError::Image { .. } => ("image", Environment),
            StartError::Path { .. } => ("path", Caller),
            StartError::Process(_) => ("process", Environment),
            _ => ("start", Environment),
        };
        Self::of("ToolError", slug, fault, &error)
    }
}

impl From<ProcessError> for Failure {
    fn from(error: ProcessError) -> Self {
        match &error {
            ProcessError::TimedOut { .. } => Self::of("TimeoutError", "timed-out", Peer, &error),
            ProcessError::InvalidPid(_) => Self::of("CallerError", "argument", Caller, &error),
            _ => Self::of("ToolError", "process", Environment, &error),
        }
    }
}

impl From<native::Error> for Failure {
    fn from(error: native::Error) -> Self {
        type E = native::Error;
        let (class, slug, fault) = match &error {
            E::NotLaunched { .. } => ("WorkerError", "not-launched", Caller),
            E::BadVariable { .. } => ("WorkerError", "environment", Caller),
            E::Connect { .. } => ("ConnectError", "unreachable", Environment),
            E::Rejected { .. } => ("WorkerError", "rejected", Peer),
            E::OtherUser { .. } => ("WorkerError", "other-user", Environment),
            E::TimedOut { .. } => ("TimeoutError", "timed-out", Peer),
            E::Left(WorkerExit::Killed) => ("WorkerExit", "killed", Peer),
            E::Left(WorkerExit::Checkpointed) => ("WorkerExit", "checkpointed", Peer),
            E::Left(WorkerExit::CoordinatorLost) => ("WorkerExit", "coordinator-lost", Peer),
            E::Left(_) => ("WorkerExit", "left", Peer),
            E::Image(error) => {
                let (slug, fault) = image(error);
                ("WorkerError", slug, fault)
            }
            E::State { .. } => ("WorkerError", "state", Caller),
            E::NotRestored => ("WorkerError", "not-restored", Caller),
            E::AlreadyLeft => ("WorkerError", "already-left", Caller),
            E::Io { .. } | E::File { .. } => ("WorkerError", "io", Environment),
            _ => ("WorkerError", "worker", Environment),
        };
        let failure = Self::of(class, slug, fault, &error);
        match class {
            "WorkerExit" => failure.exit_code(error.exit_code()),
            _ => failure,
        }
    }
}
