//! When a job checkpoints, when it stops, and how often it tries again: policies without a clock, a
//! file or a process. [`Pace`] puts them together for a job's loop.
//!
//! Each is told what happens and at what time; all of it is tested in virtual time. What finds out
//! when a job has to end is beside them, and does look at the system: [`PlannedEnd`] and
//! [`NoticeFile`].

mod cost;
mod deadline;
mod interruptions;
mod interval;
mod moment;
mod notice;
mod planned_end;
mod policy;
mod retry;
mod words;

pub use cost::{CheckpointCost, CheckpointTime};
pub use deadline::EndSource;
pub use dmtcp_proto::Instant;
pub use interruptions::Interruptions;
pub use interval::{AutoInterval, IntervalPlan, IntervalPolicy, optimal_interval};
pub use notice::{Notice, NoticeFile};
pub use planned_end::{EndError, PlannedEnd};
pub use policy::{Decision, Pace};
pub use retry::{Backoff, ProgressLimit};
