//! The same verbs for programs that must not block: coordinators, servers, jobs and sets, awaited.
//!
//! ```
//! # #[cfg(feature = "tokio")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use dmtcp_client::{aio, server::ComputationConfig};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let server = aio::Server::start()?;
//! let computation = server.open(ComputationConfig::default()).await?;
//! println!("dmtcp_launch --join-coordinator --coord-port {} …", computation.port());
//! assert_eq!(computation.status().await?.peers, 0);
//! # Ok(()) })
//! # }
//! # #[cfg(not(feature = "tokio"))]
//! # fn main() {}
//! ```
//!
//! Nothing here is written twice: each type holds its blocking namesake, and both wait in the same
//! code. Limits, errors and promises are those of the namesake.
//!
//! **Any runtime.** With the feature `tokio`, constructors choose [`Tokio`]. On another one, what
//! implements [`Runtime`] is given to `on`: readiness of sockets and time are all that is needed.
//! Nothing is spawned on a runtime, and none of its threads is held, not even one for blocking work:
//! what blocks has threads of its own ([`unblock`]). Events ([`Events::recv`](crate::server::Events::recv),
//! [`JobEvents::recv`](crate::job::JobEvents::recv)) need no runtime at all.
//!
//! **Dropping a future** is allowed at any time. It takes back nothing that was asked for: a checkpoint
//! that has begun goes on. A command that is on its way to a coordinator is brought to its end by a
//! thread, for at most ten seconds: stock coordinators die of a connection that is closed in the middle,
//! and their computations with them. A job is killed only by dropping its [`RunningJob`].

mod coordinator;
mod foreign;
mod job;
mod server;
#[cfg(feature = "tokio")]
mod tokio;

pub use self::coordinator::Coordinator;
pub use self::foreign::ForeignSets;
pub use self::job::{JobControl, RunningJob};
pub use self::server::{Computation, Server};
#[cfg(feature = "tokio")]
pub use self::tokio::Tokio;
pub use crate::driver::{BoxFuture, Direction, Runtime, Socket};

/// What a call comes to that blocks, as all do that are not here: starting processes, looking into
/// sets, jobs of other processes. It has a thread of its own, begins at once, and goes on if the future
/// is dropped; no runtime is needed.
///
/// ```
/// # let dir = std::env::temp_dir();
/// # let listed = async move {
/// let listed = dmtcp_client::aio::unblock(move || dmtcp_client::set::list(&dir)).await?;
/// # Ok::<_, dmtcp_client::set::SetError>(listed) };
/// # drop(listed);
/// ```
///
/// # Panics
/// If the call does.
pub fn unblock<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = T> + Send {
    crate::driver::on_its_own(call)
}
