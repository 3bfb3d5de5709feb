//! A coordinator that is a program of its own, in place of `dmtcp_coordinator`.
//!
//! It is the embedded [`server`](crate::server) with one computation, and what users of the stock
//! program expect around it: images stay where their processes wrote them, and a restart script
//! beside them; files that tell port and status; ends with its last process, after a time, or when
//! told so. Not here: arguments, signals and the terminal, which are `dmtcpctl`'s; and checkpoint
//! sets, of which this makes none.

mod error;
mod files;
mod key_values;
mod news;
mod running;
mod script;
mod words;

pub use error::StandaloneError;
pub use news::News;
pub use running::{Ending, Input, Standalone, StandaloneConfig};
pub use script::ScriptSealer;
pub(crate) use words::utc_millis;
pub use words::{Importance, in_words, utc};
