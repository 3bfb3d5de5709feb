//! Result codes: what functions return, under the names of the header.

use std::ffi::{CStr, c_char};

use crate::boundary::contain;

/// What a function returns: DMTCP_OK, or a code that says who is at fault. Blocks are fixed: 100 to
/// 199 the caller, 200 to 299 the environment, 300 to 399 the coordinator, its workers or a job, 400
/// to 499 this library. More codes may come; none changes its meaning.
#[expect(non_camel_case_types, reason = "the names are those of the header")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[non_exhaustive]
pub enum ResultCode {
    /// Done.
    DMTCP_OK = 0,

    /// An argument that must not be NULL is.
    DMTCP_ERR_NULL = 100,
    /// An argument has no value that is allowed.
    DMTCP_ERR_ARGUMENT = 101,
    /// The `size` of a struct was not set to its sizeof.
    DMTCP_ERR_STRUCT_SIZE = 102,
    /// The computation is closed.
    DMTCP_ERR_CLOSED = 103,
    /// The server of this computation has been freed.
    DMTCP_ERR_SERVER_GONE = 104,
    /// Another process, or another store of this one, owns the directory of the sets.
    DMTCP_ERR_OWNED = 105,
    /// No set is good, or there is none.
    DMTCP_ERR_NO_SET = 106,
    /// The file is not the archive of a set, or the directory not a set.
    DMTCP_ERR_NOT_A_SET = 107,
    /// The state directory is that of another command.
    DMTCP_ERR_OTHER_PROGRAM = 108,
    /// A fresh start was asked for, and there are sets to go on from.
    DMTCP_ERR_SETS_THERE = 109,
    /// There is no job in the directory.
    DMTCP_ERR_NO_JOB = 110,
    /// This process was not started as a native worker.
    DMTCP_ERR_NOT_LAUNCHED = 111,
    /// The state does not fit the one in the image.
    DMTCP_ERR_STATE = 112,
    /// A restarted worker must be given its state before its first safe point.
    DMTCP_ERR_NOT_RESTORED = 113,
    /// The worker has left its computation already.
    DMTCP_ERR_ALREADY_LEFT = 114,

    /// Host, port or their environment variables name no address.
    DMTCP_ERR_ADDRESS = 200,
    /// Nobody listens there, or the host cannot be reached.
    DMTCP_ERR_CONNECT = 201,
    /// The connection broke.
    DMTCP_ERR_IO = 202,
    /// The address to listen on cannot be had.
    DMTCP_ERR_LISTEN = 203,
    /// No thread, or no file descriptor.
    DMTCP_ERR_START = 204,
    /// A file or directory cannot be used.
    DMTCP_ERR_FILE = 205,
    /// A process cannot be started, waited for, signalled or looked up.
    DMTCP_ERR_PROCESS = 206,
    /// There is no usable DMTCP here.
    DMTCP_ERR_TOOLS = 207,
    /// A set, an archive or a file of a job is not as it was written.
    DMTCP_ERR_DAMAGED = 208,
    /// A later release has written it, or another kind of host must restore it.
    DMTCP_ERR_INCOMPATIBLE = 209,
    /// The coordinator is a process of another user.
    DMTCP_ERR_OTHER_USER = 210,

    /// No answer in time, or not over in time; what was begun goes on.
    DMTCP_ERR_TIMED_OUT = 300,
    /// The connection ended without an answer: wrong dialect?
    DMTCP_ERR_NO_REPLY = 301,
    /// The answer is one of another dialect.
    DMTCP_ERR_WRONG_DIALECT = 302,
    /// What came back is no answer.
    DMTCP_ERR_BAD_REPLY = 303,
    /// No workers, or not all of them running.
    DMTCP_ERR_NOT_RUNNING = 304,
    /// Another checkpoint is under way.
    DMTCP_ERR_BUSY = 305,
    /// Refused for another reason.
    DMTCP_ERR_REFUSED = 306,
    /// It cannot be found out safely what the coordinator speaks; name its dialect.
    DMTCP_ERR_UNKNOWN_DIALECT = 307,
    /// It has no such command, or is of a release that is too old.
    DMTCP_ERR_NOT_SUPPORTED = 308,

    /// The end of the checkpoint was not seen in time; the round goes on.
    DMTCP_ERR_CHECKPOINT_TIMED_OUT = 310,
    /// The checkpoint was begun and is not complete.
    DMTCP_ERR_CHECKPOINT_FAILED = 311,
    /// A worker vanished in the middle; others may be stuck.
    DMTCP_ERR_WORKER_LOST = 312,
    /// All workers vanished before the checkpoint was complete.
    DMTCP_ERR_COMPUTATION_ENDED = 313,
    /// The workers exited; their images may not be whole.
    DMTCP_ERR_UNCONFIRMED = 314,
    /// Refused, but the next checkpoint kills the workers.
    DMTCP_ERR_REFUSED_BUT_ARMED = 315,
    /// The round is over, and its images did not become a set.
    DMTCP_ERR_NOT_SEALED = 316,

    /// It said yes to the interval and did not take it.
    DMTCP_ERR_INTERVAL_IGNORED = 320,
    /// Workers that should have exited are still there.
    DMTCP_ERR_WORKERS_REMAIN = 321,
    /// It still listens after it was told to quit.
    DMTCP_ERR_STILL_LISTENING = 322,

    /// This worker was refused by its coordinator.
    DMTCP_ERR_REJECTED = 330,
    /// This worker was told to exit.
    DMTCP_ERR_WORKER_KILLED = 331,
    /// This worker's image is written, and it was told to exit behind it.
    DMTCP_ERR_WORKER_CHECKPOINTED = 332,
    /// This worker lost its coordinator, or broke with it.
    DMTCP_ERR_COORDINATOR_LOST = 333,

    /// The job has ended, or does not run.
    DMTCP_ERR_JOB_ENDED = 340,
    /// The process that ran the job ended without a word.
    DMTCP_ERR_JOB_LOST = 341,
    /// The job runs on another host, or in the original of this copied directory.
    DMTCP_ERR_JOB_ELSEWHERE = 342,

    /// A defect of this library.
    DMTCP_ERR_INTERNAL = 400,
    /// A failure without a code of its own; see the message.
    DMTCP_ERR_UNCLASSIFIED = 401,
}

/// A [`ResultCode`] as C passes one, which may be any number.
///
/// cbindgen:no-export
pub type ResultNumber = i32;

macro_rules! names {
    ($($name:ident)*) => {
        impl ResultCode {
            /// All codes, in the order of the header.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name in C.
            #[must_use]
            pub const fn name(self) -> &'static CStr {
                match self {
                    $(Self::$name => {
                        let name = concat!(stringify!($name), "\0");
                        match CStr::from_bytes_with_nul(name.as_bytes()) {
                            Ok(name) => name,
                            Err(_) => panic!("a name has no NUL"),
                        }
                    })*
                }
            }
        }
    };
}

names! {
    DMTCP_OK
    DMTCP_ERR_NULL DMTCP_ERR_ARGUMENT DMTCP_ERR_STRUCT_SIZE DMTCP_ERR_CLOSED DMTCP_ERR_SERVER_GONE
    DMTCP_ERR_OWNED DMTCP_ERR_NO_SET DMTCP_ERR_NOT_A_SET DMTCP_ERR_OTHER_PROGRAM
    DMTCP_ERR_SETS_THERE DMTCP_ERR_NO_JOB DMTCP_ERR_NOT_LAUNCHED DMTCP_ERR_STATE
    DMTCP_ERR_NOT_RESTORED DMTCP_ERR_ALREADY_LEFT
    DMTCP_ERR_ADDRESS DMTCP_ERR_CONNECT DMTCP_ERR_IO DMTCP_ERR_LISTEN DMTCP_ERR_START
    DMTCP_ERR_FILE DMTCP_ERR_PROCESS DMTCP_ERR_TOOLS DMTCP_ERR_DAMAGED DMTCP_ERR_INCOMPATIBLE
    DMTCP_ERR_OTHER_USER
    DMTCP_ERR_TIMED_OUT DMTCP_ERR_NO_REPLY DMTCP_ERR_WRONG_DIALECT DMTCP_ERR_BAD_REPLY
    DMTCP_ERR_NOT_RUNNING DMTCP_ERR_BUSY DMTCP_ERR_REFUSED DMTCP_ERR_UNKNOWN_DIALECT
    DMTCP_ERR_NOT_SUPPORTED
    DMTCP_ERR_CHECKPOINT_TIMED_OUT DMTCP_ERR_CHECKPOINT_FAILED DMTCP_ERR_WORKER_LOST
    DMTCP_ERR_COMPUTATION_ENDED DMTCP_ERR_UNCONFIRMED DMTCP_ERR_REFUSED_BUT_ARMED
    DMTCP_ERR_NOT_SEALED
    DMTCP_ERR_INTERVAL_IGNORED DMTCP_ERR_WORKERS_REMAIN DMTCP_ERR_STILL_LISTENING
    DMTCP_ERR_REJECTED DMTCP_ERR_WORKER_KILLED DMTCP_ERR_WORKER_CHECKPOINTED
    DMTCP_ERR_COORDINATOR_LOST
    DMTCP_ERR_JOB_ENDED DMTCP_ERR_JOB_LOST DMTCP_ERR_JOB_ELSEWHERE
    DMTCP_ERR_INTERNAL DMTCP_ERR_UNCLASSIFIED
}

impl ResultCode {
    /// The number.
    #[must_use]
    pub const fn value(self) -> i32 {
        self as i32
    }
}

/// The name of a code, such as "DMTCP_ERR_CONNECT"; never NULL. Lives for ever.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_result_name(code: ResultNumber) -> *const c_char {
    contain(c"".as_ptr(), || {
        let known = ResultCode::ALL.iter().find(|known| known.value() == code);
        known
            .map_or(c"(not a dmtcp_result)", |known| known.name())
            .as_ptr()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_their_blocks_and_rise() {
        let mut last = -1;
        for code in ResultCode::ALL {
            let value = code.value();
            assert!(value == 0 || (100..500).contains(&value), "{code:?}");
            assert!(value > last, "{code:?}");
            assert_eq!(format!("{code:?}").as_bytes(), code.name().to_bytes());
            last = value;
        }
    }

    /// Programs were built with these numbers.
    #[test]
    fn codes_of_earlier_releases_have_not_changed() {
        use ResultCode as R;
        for (code, value) in [
            (R::DMTCP_OK, 0),
            (R::DMTCP_ERR_NULL, 100),
            (R::DMTCP_ERR_ARGUMENT, 101),
            (R::DMTCP_ERR_STRUCT_SIZE, 102),
            (R::DMTCP_ERR_CLOSED, 103),
            (R::DMTCP_ERR_SERVER_GONE, 104),
            (R::DMTCP_ERR_ADDRESS, 200),
            (R::DMTCP_ERR_CONNECT, 201),
            (R::DMTCP_ERR_IO, 202),
            (R::DMTCP_ERR_LISTEN, 203),
            (R::DMTCP_ERR_START, 204),
            (R::DMTCP_ERR_TIMED_OUT, 300),
            (R::DMTCP_ERR_NO_REPLY, 301),
            (R::DMTCP_ERR_WRONG_DIALECT, 302),
            (R::DMTCP_ERR_BAD_REPLY, 303),
            (R::DMTCP_ERR_NOT_RUNNING, 304),
            (R::DMTCP_ERR_BUSY, 305),
            (R::DMTCP_ERR_REFUSED, 306),
            (R::DMTCP_ERR_CHECKPOINT_TIMED_OUT, 310),
            (R::DMTCP_ERR_CHECKPOINT_FAILED, 311),
            (R::DMTCP_ERR_WORKER_LOST, 312),
            (R::DMTCP_ERR_COMPUTATION_ENDED, 313),
            (R::DMTCP_ERR_UNCONFIRMED, 314),
            (R::DMTCP_ERR_REFUSED_BUT_ARMED, 315),
            (R::DMTCP_ERR_INTERVAL_IGNORED, 320),
            (R::DMTCP_ERR_WORKERS_REMAIN, 321),
            (R::DMTCP_ERR_STILL_LISTENING, 322),
            (R::DMTCP_ERR_INTERNAL, 400),
            (R::DMTCP_ERR_UNCLASSIFIED, 401),
        ] {
            assert_eq!(code.value(), value);
        }
    }
}
