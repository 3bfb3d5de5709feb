//! A job: one command that starts or goes on, and says in the end how it stands.
//!
//! It stands on [`attempt`](crate::attempt), which starts, restarts and falls back; here is when to
//! checkpoint, when to stop, when to restart and when to give up. All that is known of a job is in
//! its state directory:
//!
//! ```text
//! DIR/job.json         what is known of it over all its runs: JobRecord
//! DIR/outcome.json     how the last run ended: Outcome; not there while one runs
//! DIR/application.log  the program's output
//! DIR/execution.log    what was done, and when
//! DIR/coordinator.log  what happened in the computation
//! DIR/sets/            what can be trusted
//! ```
//!
//! The contract is in `docs/JOBS.md`.

mod begin;
mod claim;
mod contact;
mod control;
mod error;
mod event;
mod exit_codes;
mod last;
mod life;
mod logs;
mod naming;
mod outcome;
mod output;
pub mod pace;
mod program;
mod progress;
mod reason;
mod record;
mod registry;
mod reports;
mod run;
mod running;
mod settings;
mod state_file;
mod stop;
mod verdict;
mod watch;

pub use contact::{Contact, ContactError, Standing, wait_for_outcome};
pub use control::JobControl;
pub use error::{JobError, RequestError};
pub use event::{JobEvent, JobEvents};
pub use exit_codes::ExitCodes;
pub use logs::{
    ApplicationLog, Channel, CoordinatorLog, ExecutionLog, Following, LogError, LogKind, LogTail,
    Written,
};
pub use naming::directory_name;
pub use outcome::{Outcome, OutcomeKind};
pub use progress::{Progress, ProgressWatch};
pub use reason::Reason;
pub use record::{CoordinatorRecord, JobRecord, Owner, ProgramKind, ProgramRecord, SetRecord};
pub use registry::{RegisteredJob, Registry, RegistryError, Seen};
pub use running::RunningJob;
pub use settings::{Begin, Job};
pub use state_file::StateError;
pub use stop::{Stopped, checkpoint_and_stop, kill};
