//! What `trace` is made of: a proxy, what it saw, and how that is decoded and shown.
//!
//! ```text
//!   client ⇄ Proxy ⇄ coordinator          a file
//!              │ Sink (never waits)          │ Recording
//!              ▼                             ▼
//!            Source ────────── Event ──────▶ Printer: one Conversation a connection
//! ```

pub mod arguments;
mod conversation;
mod event;
mod printer;
mod proxy;
mod queue;
mod recording;

pub use conversation::{Conversation, Item};
pub use event::{Direction, Event};
pub use printer::{Format, Printer};
pub use proxy::Proxy;
pub use queue::{Sink, Source, queue};
pub use recording::{Recorded, Recording, RecordingError};
