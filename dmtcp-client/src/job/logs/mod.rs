//! What a job leaves for people to read, in its state directory: `application.log`, the program's
//! output; `execution.log`, what was done about it; `coordinator.log`, what happened in the
//! computation.
//!
//! All are added to over restarts and readable by their owner only. That one cannot be written ends no
//! job: it is told once, by `trouble`, until it was written again.
//!
//! ```no_run
//! use dmtcp_client::job::{ApplicationLog, Channel, ExecutionLog};
//! use std::process::{Command, Stdio};
//! use std::time::Duration;
//!
//! let log = ExecutionLog::open("state/execution.log".as_ref())?;
//! let output = ApplicationLog::open("state/application.log".as_ref())?
//!     .show(Channel::Stdout, std::io::stdout())?
//!     .show(Channel::Stderr, std::io::stderr())?;
//! let mut child = Command::new("./simulate")
//!     .stdout(Stdio::from(output.pipe(Channel::Stdout)?))
//!     .stderr(Stdio::from(output.pipe(Channel::Stderr)?))
//!     .spawn()?;
//! log.note("started");
//! child.wait()?;
//! let written = output.finish(Duration::from_secs(10));
//! log.note_durably(&format!("{} bytes of output", written.bytes));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod application;
mod coordinator;
mod error;
mod execution;
mod file;
mod last_words;
mod outlet;
mod pipe;
mod tail;

pub use application::{ApplicationLog, Channel, Written};
pub use coordinator::{CoordinatorLog, Following};
pub use error::LogError;
pub use execution::ExecutionLog;
pub(crate) use last_words::LastWords;
pub use tail::{LogKind, LogTail};
