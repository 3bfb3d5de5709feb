//! One attempt at running a computation, and how the next one takes over.
//!
//! An attempt is a coordinator of its own on the embedded [`Server`](crate::server::Server), the
//! processes that were started on it, a private `DMTCP_TMPDIR`, and a directory for raw images
//! whose rounds are sealed into one [`SetStore`](crate::set::SetStore). It ends when its
//! processes end, and takes nothing with it but what the sets hold.
//!
//! ```text
//! DIR/sets/             what can be trusted; outlives every attempt
//! DIR/attempts/000004/  images/  raw images, as the processes write them
//!                       tmp      path of the attempt's DMTCP_TMPDIR
//!                       mark     empty; by it a copy of the directory is told from it
//!                       hosts    other hosts that it has processes on
//! DIR/diagnostics/      what was seen of the last restarts that failed
//! ```
//!
//! What is done about processes that hold a checkpoint up is [`Attempts::on_stall`]'s; an attempt
//! that was ended for it says so, and its owner starts the next one:
//!
//! ```no_run
//! # use dmtcp_client::attempt::{Attempt, AttemptError, Attempts};
//! # fn example(attempts: &Attempts<'_>, mut attempt: Attempt) -> Result<(), AttemptError> {
//! # let limit = std::time::Duration::from_secs(600);
//! if let Err(error) = attempt.computation().checkpoint(limit) {
//!     eprintln!("{error}");
//!     if let Err(stalled) = attempt.check_stall() {
//!         eprintln!("{stalled}");
//!         drop(attempt);
//!         attempt = attempts.restart()?.attempt;
//!     }
//! }
//! # drop(attempt);
//! # Ok(())
//! # }
//! ```
//!
//! Not here: when to checkpoint, when to give up, and what to tell the user.

mod attempts;
mod confirmation;
mod diagnostics;
mod directory;
mod error;
mod hosts;
mod leftover;
mod program;
mod recovery;
mod running;
mod sealer;
mod settings;
mod stall_guard;

pub use attempts::Attempts;
pub use error::{AttemptError, FailedRestart, HostTrouble, RestartFailure};
pub use program::Program;
pub use recovery::{Recovered, Unchecked};
pub use running::Attempt;
pub use stall_guard::StallPolicy;
