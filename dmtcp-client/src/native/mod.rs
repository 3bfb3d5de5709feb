//! A Rust program as a worker: it joins a computation, is checkpointed at points of its own
//! choosing, and gets its state back when it is restarted.
//!
//! ```no_run
//! use dmtcp_client::native;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Sum { next: u64, sum: u64 }
//!
//! fn main() -> std::process::ExitCode {
//!     match work() {
//!         Ok(()) => std::process::ExitCode::SUCCESS,
//!         // Mostly that it was told to end, which is no failure.
//!         Err(error) => error.exit_code().into(),
//!     }
//! }
//!
//! fn work() -> Result<(), native::Error> {
//!     let mut worker = native::Worker::join(native::Options::from_env()?)?;
//!     let mut state: Sum = worker.restore()?.unwrap_or_default();
//!     while state.next < 1_000_000 {
//!         state.sum += state.next;
//!         state.next += 1;
//!         worker.safe_point(&state)?;
//!     }
//!     println!("{}", state.sum);
//!     worker.finish()
//! }
//! ```
//!
//! The other half starts it, as many times as the computation has processes:
//! [`Program::Native`](crate::attempt::Program::Native) in
//! [`Attempts::start`](crate::attempt::Attempts::start), or [`Options::to_env`] for a coordinator
//! elsewhere. Started by hand, without either, it says that nobody launched it.
//!
//! It works under our coordinator and under a stock one, alone and beside unmodified DMTCP
//! processes with the default plugins: the barriers are the same. It needs no DMTCP. Under one of
//! 2.4 to 2.6 it answers the phases that were there before the barriers; three things differ then:
//! an image replaces the last one as soon as it is whole, while another worker may still fail; a
//! worker that shall exit behind a checkpoint is told so by a kill; and no worker runs behind a
//! restart before all of them have fetched their state.
//!
//! # What a safe point is
//!
//! All protocol work is done inside [`Worker::safe_point`], on the caller's thread. While nothing
//! is asked, a call is one load of a flag that a small thread sets when bytes arrive. So:
//!
//! * Between safe points the worker answers nothing. A program that reaches none holds up every
//!   checkpoint of its computation; lists show it as `RUNNING` at no barrier, and it is the one
//!   waited for. The other workers go on computing meanwhile.
//! * A kill, and the loss of the coordinator, are noticed at the next safe point, as an error. A
//!   program that wants to end there as a stock worker does uses [`Error::exit_code`].
//! * A program that finishes while a checkpoint waits for it leaves that round, as one that exits
//!   under DMTCP does.
//! * At a checkpoint the call returns when the image is on disk and all workers have theirs.
//!
//! # What is in an image
//!
//! The state that is handed in, and how the program was started: nothing else. Open files,
//! sockets, threads and the environment are the program's business. A connection between this
//! program and another process of the computation is not restored.
//!
//! A typed state is written as MessagePack with the names of its fields. That is exact for every
//! number, NaN and infinities included, takes maps with any keys, says "missing field" when the
//! program was changed in between, and lets `#[serde(default)]` go on from an older image. Each
//! image is decoded once before it counts, so a checkpoint needs room for the encoded state and,
//! for a moment, for a second copy of the state itself. One thing is lost: the inner value of
//! `Option<Option<T>>` and `Option<()>`, where `Some(None)` comes back as `None`. Programs with
//! an encoding of their own use [`Worker::safe_point_bytes`] and [`Worker::restore_bytes`].
//!
//! # Restart
//!
//! An image is restarted by running its program again with the environment of
//! [`restart_command`]; the same `main` then gets its state from [`Worker::restore`].

mod error;
mod leaver;
mod link;
mod options;
mod program;
mod restart;
mod state;
mod watch;
mod worker;

pub use error::Error;
pub use leaver::Leaver;
pub use options::{Options, variable};
pub use restart::restart_command;
pub use worker::{SafePoint, Worker};
