//! Running something on another host: what ([`RemoteCommand`]), and how to get there
//! ([`HostLauncher`]: [`Ssh`], [`Srun`], or a closure).
//!
//! Before anything is started on a host it is looked at (`probe`): whether it answers, sees the
//! job's directory, and has the same DMTCP. What was started there is ended by a line for `sh`
//! (`cleanup`), since killing the launcher's local end leaves the far end running.
//!
//! Not here: which process goes to which host (`attempt/hosts.rs`), and DMTCP's own command
//! lines.

mod cleanup;
mod command;
mod error;
mod launcher;
mod probe;

pub(crate) use cleanup::clean;
pub use command::RemoteCommand;
pub use error::{HostError, LauncherError};
pub use launcher::{HostLauncher, Srun, Ssh};
pub(crate) use launcher::{check_name, local_command};
pub(crate) use probe::{Probed, Question, probe};
