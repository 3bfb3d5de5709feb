//! Result codes, and which failure gets which. Codes are for programs, messages for people.

use std::error::Error as StdError;
use std::ffi::{CStr, c_char};

use dmtcp_client::coordinator::Error;
use dmtcp_client::server::ServerError;
use dmtcp_proto::{CommandError, ExchangeError};

use crate::boundary::contain;
use dmtcp_client::with_causes;

/// What a function of this library returns: 0, or a code from the block of who is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct ResultCode(i32);

/// A code for the program and a message for people.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: ResultCode,
    pub(crate) message: String,
}

/// Name of a result code, such as `DMTCP_ERR_CONNECT`. Static; never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_result_name(code: i32) -> *const c_char {
    contain(c"".as_ptr(), || {
        ResultCode::ALL
            .iter()
            .find(|(known, _)| known.0 == code)
            .map_or(c"(not a dmtcp_result)", |(_, name)| name)
            .as_ptr()
    })
}

macro_rules! result_codes {
    ($($(#[$doc:meta])* $name:ident = $value:literal $text:literal;)*) => {
        impl ResultCode {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// All codes with their names in C.
            pub const ALL: &'static [(Self, &'static CStr)] = &[$((Self::$name, $text)),*];

            /// The number.
            #[must_use]
            pub fn value(self) -> i32 {
                self.0
            }
        }
    };
}

// A code that is given up stays reserved. 100 to 199: the caller; 200 to 299: the environment;
// 300 to 399: the coordinator or its workers; 400 to 499: this library.
result_codes! {
    /// Done.
    OK = 0 c"DMTCP_OK";
    /// An argument that must not be NULL is.
    NULL = 100 c"DMTCP_ERR_NULL";
    /// An argument has no value that is allowed.
    ARGUMENT = 101 c"DMTCP_ERR_ARGUMENT";
    /// The `size` of a struct is not that of any release.
    STRUCT_SIZE = 102 c"DMTCP_ERR_STRUCT_SIZE";
    /// The computation is closed.
    CLOSED = 103 c"DMTCP_ERR_CLOSED";
    /// The server of this computation has been freed.
    SERVER_GONE = 104 c"DMTCP_ERR_SERVER_GONE";
    /// Host, port or their environment variables name no address.
    ADDRESS = 200 c"DMTCP_ERR_ADDRESS";
    /// Nobody listens there, or the host cannot be reached.
    CONNECT = 201 c"DMTCP_ERR_CONNECT";
    /// The connection broke in a way that says nothing about the coordinator.
    IO = 202 c"DMTCP_ERR_IO";
    /// The address to listen on cannot be had.
    LISTEN = 203 c"DMTCP_ERR_LISTEN";
    /// No thread, or no file descriptor.
    START = 204 c"DMTCP_ERR_START";
    /// No answer in time.
    TIMED_OUT = 300 c"DMTCP_ERR_TIMED_OUT";
    /// The connection ended without an answer.
    NO_REPLY = 301 c"DMTCP_ERR_NO_REPLY";
    /// The answer is one of another dialect.
    WRONG_DIALECT = 302 c"DMTCP_ERR_WRONG_DIALECT";
    /// What came back is no answer.
    BAD_REPLY = 303 c"DMTCP_ERR_BAD_REPLY";
    /// No workers, or not all of them running.
    NOT_RUNNING = 304 c"DMTCP_ERR_NOT_RUNNING";
    /// Another checkpoint is under way.
    BUSY = 305 c"DMTCP_ERR_BUSY";
    /// Refused for another reason.
    REFUSED = 306 c"DMTCP_ERR_REFUSED";
    /// The end of the checkpoint was not seen in time; the round goes on.
    CHECKPOINT_TIMED_OUT = 310 c"DMTCP_ERR_CHECKPOINT_TIMED_OUT";
    /// The checkpoint was begun and is not complete.
    CHECKPOINT_FAILED = 311 c"DMTCP_ERR_CHECKPOINT_FAILED";
    /// A worker vanished in the middle of the checkpoint.
    WORKER_LOST = 312 c"DMTCP_ERR_WORKER_LOST";
    /// All workers vanished before the checkpoint was complete.
    COMPUTATION_ENDED = 313 c"DMTCP_ERR_COMPUTATION_ENDED";
    /// The workers exited, and not all were seen to have written their images.
    UNCONFIRMED = 314 c"DMTCP_ERR_UNCONFIRMED";
    /// Refused, but the next checkpoint will kill the workers.
    REFUSED_BUT_ARMED = 315 c"DMTCP_ERR_REFUSED_BUT_ARMED";
    /// The coordinator said yes to an interval and did not take it.
    INTERVAL_IGNORED = 320 c"DMTCP_ERR_INTERVAL_IGNORED";
    /// Workers that should have exited are still there.
    WORKERS_REMAIN = 321 c"DMTCP_ERR_WORKERS_REMAIN";
    /// The coordinator still listens after it was told to quit.
    STILL_LISTENING = 322 c"DMTCP_ERR_STILL_LISTENING";
    /// A defect of this library.
    INTERNAL = 400 c"DMTCP_ERR_INTERNAL";
    /// A failure without a code of its own; the message says what it is.
    UNCLASSIFIED = 401 c"DMTCP_ERR_UNCLASSIFIED";
}

impl Failure {
    /// The caller gave an argument that cannot be used.
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self {
            code: ResultCode::ARGUMENT,
            message: message.into(),
        }
    }

    fn new(code: ResultCode, error: &dyn StdError) -> Self {
        let message = with_causes(error);
        Self { code, message }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match &error {
            Error::Environment { .. } => ResultCode::ADDRESS,
            Error::Connect { .. } => ResultCode::CONNECT,
            Error::Io { .. } => ResultCode::IO,
            Error::TimedOut { .. } => ResultCode::TIMED_OUT,
            Error::Command { source, .. } => code_of_refusal(source),
            Error::Exchange { source, .. } => match source {
                ExchangeError::Command(source) => code_of_refusal(source),
                ExchangeError::NoReply { .. } => ResultCode::NO_REPLY,
                ExchangeError::WrongDialect { .. } => ResultCode::WRONG_DIALECT,
                _ => ResultCode::BAD_REPLY,
            },
            Error::CheckpointTimedOut { .. } => ResultCode::CHECKPOINT_TIMED_OUT,
            Error::CheckpointFailed { .. } => ResultCode::CHECKPOINT_FAILED,
            Error::WorkerLost { .. } | Error::FewerPeers { .. } => ResultCode::WORKER_LOST,
            Error::ComputationEnded { .. } => ResultCode::COMPUTATION_ENDED,
            Error::Unconfirmed { .. } => ResultCode::UNCONFIRMED,
            Error::RefusedButArmed { .. } => ResultCode::REFUSED_BUT_ARMED,
            Error::IntervalIgnored { .. } => ResultCode::INTERVAL_IGNORED,
            Error::WorkersRemain { .. } | Error::PeersRemain { .. } => ResultCode::WORKERS_REMAIN,
            Error::StillListening { .. } => ResultCode::STILL_LISTENING,
            _ => ResultCode::UNCLASSIFIED,
        };
        Self::new(code, &error)
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        let code = match &error {
            ServerError::Start { .. } => ResultCode::START,
            ServerError::Listen { .. } => ResultCode::LISTEN,
            ServerError::TimedOut { .. } => ResultCode::TIMED_OUT,
            ServerError::Busy { .. } => ResultCode::BUSY,
            ServerError::NotRunning => ResultCode::NOT_RUNNING,
            ServerError::CheckpointFailed { .. } => ResultCode::CHECKPOINT_FAILED,
            ServerError::Refused(source) => code_of_refusal(source),
            ServerError::Closed => ResultCode::CLOSED,
            ServerError::ServerGone => ResultCode::SERVER_GONE,
            ServerError::Mismatch { .. } => ResultCode::INTERNAL,
            _ => ResultCode::UNCLASSIFIED,
        };
        Self::new(code, &error)
    }
}

fn code_of_refusal(error: &CommandError) -> ResultCode {
    match error {
        CommandError::NotRunning => ResultCode::NOT_RUNNING,
        CommandError::Busy { .. } => ResultCode::BUSY,
        CommandError::CheckpointFailed { .. } => ResultCode::CHECKPOINT_FAILED,
        _ => ResultCode::REFUSED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_unique_and_in_their_blocks() {
        for (index, (code, name)) in ResultCode::ALL.iter().enumerate() {
            let value = code.value();
            assert!(value == 0 || (100..500).contains(&value), "{name:?}");
            let (_, others) = ResultCode::ALL.split_at(index + 1);
            assert!(
                others.iter().all(|(c, n)| c != code && n != name),
                "{name:?}"
            );
        }
    }

    #[test]
    fn a_message_ends_with_the_cause() {
        let failure = Failure::from(Error::Connect {
            addr: ([127, 0, 0, 1], 7779).into(),
            source: std::io::ErrorKind::ConnectionRefused.into(),
        });
        assert_eq!(failure.code, ResultCode::CONNECT);
        assert_eq!(
            failure.message,
            "cannot reach a coordinator at 127.0.0.1:7779: connection refused"
        );
    }
}
