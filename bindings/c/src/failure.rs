//! A failure on its way to C: which code it gets, and its message. Codes are for programs, messages
//! for people.

use std::error::Error as StdError;

use dmtcp_client::coordinator::{DetectError, Error};
use dmtcp_client::foreign::ForeignError;
use dmtcp_client::helper::HelperError;
use dmtcp_client::image::ImageError;
use dmtcp_client::job::pace::EndError;
use dmtcp_client::job::{ContactError, JobError, RequestError, StateError};
use dmtcp_client::native::Error as NativeError;
use dmtcp_client::process::ProcessError;
use dmtcp_client::server::ServerError;
use dmtcp_client::set::{PackError, SetError};
use dmtcp_client::{StartError, ToolsError, with_causes};
use dmtcp_proto::{CommandError, ExchangeError, ProbeError, WorkerExit};

use crate::codes::ResultCode;

/// A code for the program and a message for people.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: ResultCode,
    pub(crate) message: String,
}

impl Failure {
    /// The caller gave an argument that cannot be used.
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self {
            code: ResultCode::DMTCP_ERR_ARGUMENT,
            message: message.into(),
        }
    }

    fn new(code: ResultCode, error: &dyn StdError) -> Self {
        let message = with_causes(error);
        Self { code, message }
    }
}

/// What an error of `dmtcp-client` becomes.
trait Classified: StdError {
    fn code(&self) -> ResultCode;
}

macro_rules! from_classified {
    ($($error:ty)*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(error.code(), &error)
            }
        }
    )*};
}

from_classified! {
    Error DetectError ForeignError ServerError RequestError JobError ContactError SetError PackError
    ToolsError StartError ProcessError NativeError EndError HelperError
}

impl Classified for Error {
    fn code(&self) -> ResultCode {
        use ResultCode as R;
        match self {
            Self::Environment { .. } | Self::Address { .. } => R::DMTCP_ERR_ADDRESS,
            Self::Connect { .. } => R::DMTCP_ERR_CONNECT,
            Self::Io { .. } => R::DMTCP_ERR_IO,
            Self::TimedOut { .. } => R::DMTCP_ERR_TIMED_OUT,
            Self::Command { source, .. } => source.code(),
            Self::Exchange { source, .. } => match source {
                ExchangeError::Command(source) => source.code(),
                ExchangeError::NoReply { .. } => R::DMTCP_ERR_NO_REPLY,
                ExchangeError::WrongDialect { .. } => R::DMTCP_ERR_WRONG_DIALECT,
                ExchangeError::Encode(_) | ExchangeError::NoList { .. } => {
                    R::DMTCP_ERR_NOT_SUPPORTED
                }
                _ => R::DMTCP_ERR_BAD_REPLY,
            },
            Self::CheckpointTimedOut { .. } => R::DMTCP_ERR_CHECKPOINT_TIMED_OUT,
            Self::CheckpointFailed { .. } => R::DMTCP_ERR_CHECKPOINT_FAILED,
            Self::WorkerLost { .. } | Self::FewerPeers { .. } => R::DMTCP_ERR_WORKER_LOST,
            Self::ComputationEnded { .. } => R::DMTCP_ERR_COMPUTATION_ENDED,
            Self::Unconfirmed { .. } => R::DMTCP_ERR_UNCONFIRMED,
            Self::RefusedButArmed { .. } => R::DMTCP_ERR_REFUSED_BUT_ARMED,
            Self::IntervalIgnored { .. } => R::DMTCP_ERR_INTERVAL_IGNORED,
            Self::WorkersRemain { .. } | Self::PeersRemain { .. } => R::DMTCP_ERR_WORKERS_REMAIN,
            Self::StillListening { .. } => R::DMTCP_ERR_STILL_LISTENING,
            _ => R::DMTCP_ERR_UNCLASSIFIED,
        }
    }
}

impl Classified for CommandError {
    fn code(&self) -> ResultCode {
        match self {
            Self::NotRunning => ResultCode::DMTCP_ERR_NOT_RUNNING,
            Self::Busy { .. } => ResultCode::DMTCP_ERR_BUSY,
            Self::CheckpointFailed { .. } => ResultCode::DMTCP_ERR_CHECKPOINT_FAILED,
            _ => ResultCode::DMTCP_ERR_REFUSED,
        }
    }
}

impl Classified for DetectError {
    fn code(&self) -> ResultCode {
        use ResultCode as R;
        match self {
            Self::NotSupported { .. } => R::DMTCP_ERR_NOT_SUPPORTED,
            Self::Tools(_) => R::DMTCP_ERR_TOOLS,
            Self::Connect { .. } => R::DMTCP_ERR_CONNECT,
            Self::Io { .. } => R::DMTCP_ERR_IO,
            Self::TimedOut { .. } => R::DMTCP_ERR_TIMED_OUT,
            Self::Answer { source, .. } => source.code(),
            _ => R::DMTCP_ERR_UNKNOWN_DIALECT,
        }
    }
}

impl Classified for ProbeError {
    fn code(&self) -> ResultCode {
        match self {
            Self::NobodyListens => ResultCode::DMTCP_ERR_CONNECT,
            _ => ResultCode::DMTCP_ERR_UNKNOWN_DIALECT,
        }
    }
}

impl Classified for ForeignError {
    fn code(&self) -> ResultCode {
        use ResultCode as R;
        match self {
            Self::Busy => R::DMTCP_ERR_BUSY,
            Self::TimedOut { .. } => R::DMTCP_ERR_CHECKPOINT_TIMED_OUT,
            Self::PeerLost { .. } => R::DMTCP_ERR_WORKER_LOST,
            Self::ComputationEnded { .. } => R::DMTCP_ERR_COMPUTATION_ENDED,
            Self::Coordinator(source) => source.code(),
            Self::Idle => R::DMTCP_ERR_ARGUMENT,
            Self::NoImage { .. }
            | Self::Elsewhere { .. }
            | Self::Incomplete { .. }
            | Self::Unlisted { .. }
            | Self::Seal(_) => R::DMTCP_ERR_NOT_SEALED,
            Self::Thread(_) => R::DMTCP_ERR_START,
            _ => R::DMTCP_ERR_UNCLASSIFIED,
        }
    }
}

impl Classified for ServerError {
    fn code(&self) -> ResultCode {
        use ResultCode as R;
        match self {
            Self::Start { .. } => R::DMTCP_ERR_START,
            Self::Listen { .. } => R::DMTCP_ERR_LISTEN,
            Self::NobodyMayCome { .. } => R::DMTCP_ERR_ARGUMENT,
            Self::TimedOut { .. } => R::DMTCP_ERR_TIMED_OUT,
            Self::Busy { .. } => R::DMTCP_ERR_BUSY,
            Self::NotRunning => R::DMTCP_ERR_NOT_RUNNING,
            Self::CheckpointFailed { .. } => R::DMTCP_ERR_CHECKPOINT_FAILED,
            Self::Refused(source) => source.code(),
            Self::Closed => R::DMTCP_ERR_CLOSED,
            Self::ServerGone => R::DMTCP_ERR_SERVER_GONE,
            Self::Mismatch { .. } => R::DMTCP_ERR_INTERNAL,
            _ => R::DMTCP_ERR_UNCLASSIFIED,
        }
    }
}

impl Classified for RequestError {
    fn code(&self) -> ResultCode {
        match self {
            Self::Ended => ResultCode::DMTCP_ERR_JOB_ENDED,
            Self::NotRunning { .. } => ResultCode::DMTCP_ERR_NOT_RUNNING,
            Self::Server(source) => source.code(),
            _ => ResultCode::DMTCP_ERR_UNCLASSIFIED,
        }
    }
}

impl Classified for JobError {
    fn code(&self) -> ResultCode {
        match self {
            Self::OtherProgram { .. } => ResultCode::DMTCP_ERR_OTHER_PROGRAM,
            Self::SetsThere { .. } => ResultCode::DMTCP_ERR_SETS_THERE,
            Self::NoJob { .. } => ResultCode::DMTCP_ERR_NO_JOB,
            Self::State(source) => source.code(),
            Self::Thread { .. } => ResultCode::DMTCP_ERR_START,
            _ => ResultCode::DMTCP_ERR_UNCLASSIFIED,
        }
    }
}

impl Classified for StateError {
    fn code(&self) -> ResultCode {
        match self {
            Self::Io { .. } => ResultCode::DMTCP_ERR_FILE,
            Self::Damaged { .. } => ResultCode::DMTCP_ERR_DAMAGED,
            Self::Schema { .. } => ResultCode::DMTCP_ERR_INCOMPATIBLE,
            _ => ResultCode::DMTCP_ERR_UNCLASSIFIED,
        }
    }
}

impl Classified for ContactError {
    fn code(&self) -> ResultCode {
        use ResultCode as R;
        match self {
            Self::NoJob { .. } => R::DMTCP_ERR_NO_JOB,
            Self::State(source) => source.code(),
            Self::NotRunning { .. } => R::DMTCP_ERR_JOB_ENDED,
            Self::Elsewhere { .. } | Self::Copied { .. } => R::DMTCP_ERR_JOB_ELSEWHERE,
            Self::Lost { .. } => R::DMTCP_ERR_JOB_LOST,
            Self::NoCoordinator { .. }
            | Self::NotItsPort { .. }
            | Self::OtherComputation { .. } => R::DMTCP_ERR_CONNECT,
            Self::Coordinator(source) => source.code(),
            Self::Process(source) => source.code(),
            Self::Look { .. } => R::DMTCP_ERR_PROCESS,
            Self::TimedOut { .. } => R::DMTCP_ERR_TIMED_OUT,
            _ => R::DMTCP_ERR_UNCLASSIFIED,
        }
    }
}

impl Classified for SetError {
    fn code(&self) -> ResultCode {
        use ResultCode as R;
        match self {
            Self::Io { .. } => R::DMTCP_ERR_FILE,
            Self::Owned { .. } => R::DMTCP_ERR_OWNED,
            Self::NoManifest { .. } => R::DMTCP_ERR_NOT_A_SET,
            Self::Manifest { .. }
            | Self::Missing { .. }
            | Self::Size { .. }
            | Self::Checksum { .. } => R::DMTCP_ERR_DAMAGED,
            Self::Schema { .. } | Self::Incompatible(_) | Self::OtherRelease { .. } => {
                R::DMTCP_ERR_INCOMPATIBLE
            }
            _ => R::DMTCP_ERR_UNCLASSIFIED,
        }
    }
}

impl Classified for PackError {
    fn code(&self) -> ResultCode {
        use ResultCode as R;
        match self {
            Self::Io { .. } => R::DMTCP_ERR_FILE,
            Self::Set(source) => source.code(),
            Self::Link { .. } | Self::NotAnArchive { .. } => R::DMTCP_ERR_NOT_A_SET,
            Self::Cut { .. } | Self::Checksum { .. } => R::DMTCP_ERR_DAMAGED,
            _ => R::DMTCP_ERR_UNCLASSIFIED,
        }
    }
}

impl Classified for ToolsError {
    fn code(&self) -> ResultCode {
        ResultCode::DMTCP_ERR_TOOLS
    }
}

impl Classified for StartError {
    fn code(&self) -> ResultCode {
        match self {
            Self::Image { .. } | Self::Path { .. } | Self::Program(_) => ResultCode::DMTCP_ERR_FILE,
            Self::Process(source) => source.code(),
            _ => ResultCode::DMTCP_ERR_ARGUMENT,
        }
    }
}

impl Classified for ProcessError {
    fn code(&self) -> ResultCode {
        match self {
            Self::TimedOut { .. } => ResultCode::DMTCP_ERR_TIMED_OUT,
            _ => ResultCode::DMTCP_ERR_PROCESS,
        }
    }
}

impl Classified for HelperError {
    fn code(&self) -> ResultCode {
        use ResultCode as R;
        match self {
            Self::NoProgram { .. } => R::DMTCP_ERR_TOOLS,
            Self::NotIpv4(_) => R::DMTCP_ERR_ADDRESS,
            Self::Listen { .. } => R::DMTCP_ERR_LISTEN,
            Self::File { .. } => R::DMTCP_ERR_FILE,
            Self::Process { source, .. } => source.code(),
            Self::Ended { .. } => R::DMTCP_ERR_START,
            Self::TimedOut { .. } => R::DMTCP_ERR_TIMED_OUT,
            _ => R::DMTCP_ERR_UNCLASSIFIED,
        }
    }
}

impl Classified for NativeError {
    fn code(&self) -> ResultCode {
        use ResultCode as R;
        match self {
            Self::NotLaunched { .. } => R::DMTCP_ERR_NOT_LAUNCHED,
            Self::BadVariable { .. } => R::DMTCP_ERR_ADDRESS,
            Self::Connect { .. } => R::DMTCP_ERR_CONNECT,
            Self::Rejected { .. } => R::DMTCP_ERR_REJECTED,
            Self::OtherUser { .. } => R::DMTCP_ERR_OTHER_USER,
            Self::TimedOut { .. } => R::DMTCP_ERR_TIMED_OUT,
            Self::Left(WorkerExit::Killed) => R::DMTCP_ERR_WORKER_KILLED,
            Self::Left(WorkerExit::Checkpointed) => R::DMTCP_ERR_WORKER_CHECKPOINTED,
            Self::Left(_) => R::DMTCP_ERR_COORDINATOR_LOST,
            Self::Image(source) => source.code(),
            Self::State { .. } => R::DMTCP_ERR_STATE,
            Self::NotRestored => R::DMTCP_ERR_NOT_RESTORED,
            Self::AlreadyLeft => R::DMTCP_ERR_ALREADY_LEFT,
            Self::Io { .. } => R::DMTCP_ERR_IO,
            Self::File { .. } => R::DMTCP_ERR_FILE,
            _ => R::DMTCP_ERR_UNCLASSIFIED,
        }
    }
}

impl Classified for ImageError {
    fn code(&self) -> ResultCode {
        match self {
            Self::Io { .. } => ResultCode::DMTCP_ERR_FILE,
            Self::Unsupported { .. } => ResultCode::DMTCP_ERR_INCOMPATIBLE,
            _ => ResultCode::DMTCP_ERR_DAMAGED,
        }
    }
}

impl Classified for EndError {
    fn code(&self) -> ResultCode {
        ResultCode::DMTCP_ERR_ARGUMENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_with_the_cause() {
        let failure = Failure::from(Error::Connect {
            addr: ([127, 0, 0, 1], 7779).into(),
            source: std::io::ErrorKind::ConnectionRefused.into(),
        });
        assert_eq!(failure.code, ResultCode::DMTCP_ERR_CONNECT);
        assert_eq!(
            failure.message,
            "cannot reach a coordinator at 127.0.0.1:7779: connection refused"
        );
    }
}
