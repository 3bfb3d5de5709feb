//! Stalls, named: who has not reached which barrier for how long, and what its host tells of it.
//!
//! ```no_run
//! use dmtcp_client::watch::StallWatch;
//! # fn example(computation: dmtcp_client::server::Computation) -> Result<(), dmtcp_client::server::ServerError> {
//! use std::{thread, time::Duration};
//!
//! let mut watch = StallWatch::new(Duration::from_secs(10));
//! loop {
//!     if let Some(stall) = watch.look(&computation)? {
//!         // 3 of 4 at DMT:SUSPEND for 12 s; waiting for python3 (pid 4123 on n17), sleeping in
//!         // futex; its checkpoint thread has not answered
//!         eprintln!("{stall}");
//!     }
//!     thread::sleep(Duration::from_secs(1));
//! }
//! # }
//! ```
//!
//! A stall is not yet a failure: an image of many gigabytes takes its time, and
//! [`Stall::may_progress`] tells whether one may still grow. What to do about one is decided
//! elsewhere: [`Computation::give_up`](crate::server::Computation::give_up),
//! [`Attempts::on_stall`](crate::attempt::Attempts::on_stall).

mod lists;
mod stall;
mod stall_watch;

pub(crate) use lists::{Lists, standing_of, unanswered};
pub use stall::{Awaited, Laggard, Seen, Stall};
pub use stall_watch::StallWatch;
pub(crate) use stall_watch::{Late, Standing};

// What a laggard's host tells of it.
pub use crate::process::Situation;
