//! `dmtcp_job_event`: news of a job.

use std::ffi::c_char;
use std::sync::mpsc::RecvTimeoutError;
use std::time::SystemTime;

use dmtcp_client::job::{JobEvent as Told, JobEvents};

use crate::boundary::c_string;
use crate::events::{Subscription, unix_ms};
use crate::failure::Failure;
use crate::ffi::{Listener, growing};

/// What happened to a job.
#[expect(non_camel_case_types, reason = "the names are those of the header")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[non_exhaustive]
pub enum JobEventKind {
    /// Something that this release has no number for; the text says it.
    DMTCP_JOB_EVENT_OTHER = 0,
    /// This process has the job now.
    DMTCP_JOB_EVENT_BEGAN = 1,
    /// The program was started afresh.
    DMTCP_JOB_EVENT_STARTED = 2,
    /// All processes run again, from a set.
    DMTCP_JOB_EVENT_RESTARTED = 3,
    /// All processes that were started run.
    DMTCP_JOB_EVENT_RUNNING = 4,
    /// A set was passed over, or a try at a restart failed; others follow.
    DMTCP_JOB_EVENT_PASSED_OVER = 5,
    /// What is planned now: when checkpoints are taken, and when it stops.
    DMTCP_JOB_EVENT_PLANNED = 6,
    /// A checkpoint began, whoever asked for it.
    DMTCP_JOB_EVENT_CHECKPOINT_STARTED = 10,
    /// A checkpoint's set is complete and verified.
    DMTCP_JOB_EVENT_SEALED = 11,
    /// A checkpoint ended without a set.
    DMTCP_JOB_EVENT_CHECKPOINT_FAILED = 12,
    /// Old sets were removed.
    DMTCP_JOB_EVENT_REMOVED = 13,
    /// It is about to stop: one last checkpoint, then the end.
    DMTCP_JOB_EVENT_STOPPING = 20,
    /// All processes are killed.
    DMTCP_JOB_EVENT_KILLING = 21,
    /// The attempt is over without an outcome; the next one follows.
    DMTCP_JOB_EVENT_AGAIN = 22,
    /// Processes hold a checkpoint up.
    DMTCP_JOB_EVENT_STALLED = 23,
    /// Something could not be done that the job can go on without.
    DMTCP_JOB_EVENT_TROUBLE = 24,
    /// It has an outcome.
    DMTCP_JOB_EVENT_ENDED = 30,
    /// Earlier events were dropped because the callback was too slow.
    DMTCP_JOB_EVENT_LAGGED = 50,
    /// No more events come.
    DMTCP_JOB_EVENT_END = 99,
}

/// A [`JobEventKind`] as a number.
///
/// cbindgen:no-export
pub type JobEventKindNumber = i32;

/// Something that happened to a job. It lives during the call of the callback.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[non_exhaustive]
pub struct JobEvent {
    /// sizeof(dmtcp_job_event) as this library knows it.
    pub size: usize,
    /// The time of day then, in milliseconds since 1970.
    pub unix_ms: u64,
    /// Number of the set, where it is about one; else 0.
    pub set: u64,
    /// For people.
    pub text: *const c_char,
    /// What happened.
    pub kind: JobEventKindNumber,
    /// Processes that it is about, where it tells how many; else 0.
    pub processes: u32,
}

growing!(JobEvent, oldest = processes);

pub(crate) fn subscribe(
    events: JobEvents,
    listener: Listener<JobEvent>,
) -> Result<Subscription, Failure> {
    Subscription::start(listener, move |listener, limit| {
        let (time, kind, set, processes, text) = match events.recv_timeout(limit) {
            Ok((time, event)) => {
                let (kind, set, processes) = describe(&event);
                (time, kind, set, processes, event.to_string())
            }
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => {
                let text = "no more events come".to_owned();
                let kind = JobEventKind::DMTCP_JOB_EVENT_END;
                (SystemTime::now(), kind, 0, 0, text)
            }
        };
        let text = c_string(&text);
        listener.tell(&JobEvent {
            size: size_of::<JobEvent>(),
            unix_ms: unix_ms(time),
            set,
            text: text.as_ptr(),
            kind: kind as i32,
            processes,
        });
        kind != JobEventKind::DMTCP_JOB_EVENT_END
    })
}

/// Its kind, its set and its processes.
fn describe(event: &Told) -> (JobEventKind, u64, u32) {
    use JobEventKind as K;
    match event {
        Told::Began { .. } => (K::DMTCP_JOB_EVENT_BEGAN, 0, 0),
        Told::Started { .. } => (K::DMTCP_JOB_EVENT_STARTED, 0, 0),
        Told::Restarted { set, .. } => (K::DMTCP_JOB_EVENT_RESTARTED, *set, 0),
        Told::Running { peers } => (K::DMTCP_JOB_EVENT_RUNNING, 0, *peers),
        Told::PassedOver { .. } => (K::DMTCP_JOB_EVENT_PASSED_OVER, 0, 0),
        Told::Planned { .. } => (K::DMTCP_JOB_EVENT_PLANNED, 0, 0),
        Told::CheckpointStarted { processes } => {
            (K::DMTCP_JOB_EVENT_CHECKPOINT_STARTED, 0, *processes)
        }
        Told::Sealed { set, .. } => (K::DMTCP_JOB_EVENT_SEALED, set.sequence, 0),
        Told::CheckpointFailed { .. } => (K::DMTCP_JOB_EVENT_CHECKPOINT_FAILED, 0, 0),
        Told::Removed { .. } => (K::DMTCP_JOB_EVENT_REMOVED, 0, 0),
        Told::Stopping { .. } => (K::DMTCP_JOB_EVENT_STOPPING, 0, 0),
        Told::Killing { .. } => (K::DMTCP_JOB_EVENT_KILLING, 0, 0),
        Told::Again { .. } => (K::DMTCP_JOB_EVENT_AGAIN, 0, 0),
        Told::Stalled { .. } => (K::DMTCP_JOB_EVENT_STALLED, 0, 0),
        Told::Trouble { .. } => (K::DMTCP_JOB_EVENT_TROUBLE, 0, 0),
        Told::Ended(outcome) => (K::DMTCP_JOB_EVENT_ENDED, outcome.set.unwrap_or(0), 0),
        Told::Lagged(_) => (K::DMTCP_JOB_EVENT_LAGGED, 0, 0),
        _ => (K::DMTCP_JOB_EVENT_OTHER, 0, 0),
    }
}
