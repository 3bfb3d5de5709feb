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
//! ```
//!
//! Not here: when to checkpoint, when to give up, and what to tell the user.

mod attempts;
mod directory;
mod error;
mod leftover;
mod program;
mod recovery;
mod running;
mod sealer;

pub use attempts::Attempts;
pub use error::{AttemptError, FailedRestart, RestartFailure};
pub use program::Program;
pub use recovery::Recovered;
pub use running::Attempt;
