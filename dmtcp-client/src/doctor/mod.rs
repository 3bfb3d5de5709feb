//! What keeps programs from being checkpointed and restarted here, told before they lose a night.
//!
//! [`Doctor`] looks at the machine: DMTCP's programs, the kernel, limits, directories, coordinators
//! that somebody forgot. Each finding has a name, a verdict, what was seen, and what to do. What is
//! looked at can be a made-up machine ([`World`]).
//!
//! [`Trial`] tries a program out: run, checkpoint, kill, restart; one that stalls is named.
//!
//! Not here: repairing anything.

mod checks;
mod examination;
mod finding;
mod mounts;
mod processes;
mod trial;
mod world;

pub use checks::strays::RunningCoordinator;
pub use examination::{Doctor, Examination};
pub use finding::{Finding, Verdict};
pub use trial::{Conflict, Step, Trial, TrialReport};
pub use world::World;
