//! `dmtcp_outcome`: how a run of a job ended.

use std::ffi::{CString, c_char};

use dmtcp_client::job::{Outcome as Found, OutcomeKind as Kind};

use crate::boundary::{c_string, call, contain};
use crate::child::Exit;
use crate::codes::ResultCode;
use crate::ffi::{GrowingOut, In, Owned, growing};

/// How a run of a job ended.
pub struct Outcome {
    outcome: Found,
    text: CString,
    hint: Option<CString>,
    name: CString,
    reason: CString,
}

/// What came of a run, in the kinds that a scheduler tells apart.
#[expect(non_camel_case_types, reason = "the names are those of the header")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
#[non_exhaustive]
pub enum OutcomeKind {
    /// Something that this release has no number for.
    DMTCP_OUTCOME_OTHER = 0,
    /// The program ended by itself.
    DMTCP_OUTCOME_FINISHED = 1,
    /// A signal ended the program.
    DMTCP_OUTCOME_KILLED_BY_SIGNAL = 2,
    /// A complete, verified set was taken and the program stopped on purpose: run it again.
    DMTCP_OUTCOME_CHECKPOINTED = 3,
    /// Not done, and no set is lost: run it again.
    DMTCP_OUTCOME_TRY_AGAIN = 4,
    /// It ended before it ran, or could not be started.
    DMTCP_OUTCOME_FAILED_BEFORE_READY = 5,
    /// There are sets, and none could be restarted, or restarts lead nowhere.
    DMTCP_OUTCOME_FAILED_TO_RESTORE = 6,
    /// The time limit is over. Sets stay.
    DMTCP_OUTCOME_TIMED_OUT = 7,
}

/// An [`OutcomeKind`] as a number.
///
/// cbindgen:no-export
pub type OutcomeKindNumber = i32;

/// What is known of an outcome. The texts belong to the object and live as long as it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[non_exhaustive]
pub struct OutcomeInfo {
    /// In: sizeof(dmtcp_outcome_info).
    pub size: usize,
    /// The newest set, from which the next run goes on; 0: none.
    pub set: u64,
    /// How often it was restarted in this run.
    pub restarts: u64,
    /// Sets that were sealed in this run.
    pub sets_sealed: u64,
    /// How long the run took, in milliseconds.
    pub took_ms: u64,
    /// Its name, such as "checkpointed", as in outcome.json.
    pub name: *const c_char,
    /// Why, more closely, such as "requested".
    pub reason: *const c_char,
    /// For people.
    pub text: *const c_char,
    /// What to do; NULL: nothing.
    pub hint: *const c_char,
    /// Which kind.
    pub kind: OutcomeKindNumber,
    /// The exit code of a runner, as schedulers know them.
    pub code: i32,
    /// The exit code of the program itself; -1: it did not end, or a signal ended it.
    pub exit_code: i32,
    /// The signal that ended the program; 0: none.
    pub exit_signal: i32,
}

growing!(OutcomeInfo, oldest = exit_signal);

/// What is known of it.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_outcome_get(
    outcome: In<Outcome>,
    info: GrowingOut<OutcomeInfo>,
) -> ResultCode {
    call(|| {
        let outcome = outcome.get("outcome")?;
        info.place("info")?.put(outcome.info());
        Ok(())
    })
}

/// Frees the object and its texts.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_outcome_free(outcome: Owned<Outcome>) {
    contain((), || drop(outcome.take()));
}

impl From<Found> for Outcome {
    fn from(outcome: Found) -> Self {
        Self {
            text: c_string(&outcome.text),
            hint: outcome.hint.as_deref().map(c_string),
            name: c_string(outcome.kind.slug()),
            reason: c_string(outcome.reason.slug()),
            outcome,
        }
    }
}

impl Outcome {
    fn info(&self) -> OutcomeInfo {
        let outcome = &self.outcome;
        let exit = outcome.exit.map(Exit::from);
        OutcomeInfo {
            size: size_of::<OutcomeInfo>(),
            set: outcome.set.unwrap_or(0),
            restarts: outcome.restarts,
            sets_sealed: outcome.sets_sealed,
            took_ms: crate::arguments::millis(outcome.took()),
            name: self.name.as_ptr(),
            reason: self.reason.as_ptr(),
            text: self.text.as_ptr(),
            hint: self
                .hint
                .as_ref()
                .map_or(std::ptr::null(), |hint| hint.as_ptr()),
            kind: kind_of(outcome.kind) as i32,
            code: i32::from(outcome.code),
            exit_code: exit.map_or(-1, |exit| exit.code),
            exit_signal: exit.map_or(0, |exit| exit.signal),
        }
    }
}

pub(crate) fn kind_of(kind: Kind) -> OutcomeKind {
    use OutcomeKind as O;
    match kind {
        Kind::Finished => O::DMTCP_OUTCOME_FINISHED,
        Kind::KilledBySignal => O::DMTCP_OUTCOME_KILLED_BY_SIGNAL,
        Kind::Checkpointed => O::DMTCP_OUTCOME_CHECKPOINTED,
        Kind::TryAgain => O::DMTCP_OUTCOME_TRY_AGAIN,
        Kind::FailedBeforeReady => O::DMTCP_OUTCOME_FAILED_BEFORE_READY,
        Kind::FailedToRestore => O::DMTCP_OUTCOME_FAILED_TO_RESTORE,
        Kind::TimedOut => O::DMTCP_OUTCOME_TIMED_OUT,
        _ => O::DMTCP_OUTCOME_OTHER,
    }
}
