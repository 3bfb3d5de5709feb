//! A job: one command that starts or goes on, and says in the end how it stands.
//!
//! It stands on [`attempt`](crate::attempt), which starts, restarts and falls back; here is when to
//! checkpoint, when to stop, when to restart and when to give up. All that is known of a job is in
//! its state directory.

mod logs;
mod naming;
mod outcome;
pub mod pace;
mod record;
mod state_file;

pub use logs::{
    ApplicationLog, Channel, CoordinatorLog, ExecutionLog, Following, LogError, Written,
};
pub use naming::directory_name;
pub use outcome::{ExitCodes, Outcome, OutcomeKind, Reason};
pub use record::{CoordinatorRecord, JobRecord, Owner, ProgramKind, ProgramRecord, SetRecord};
pub use state_file::StateError;
