//! Bytes to frames and back, without loss and without meaning.
//!
//! What a frame means is in [`message`](crate::Message); which number means what is in the
//! dialect tables.

mod decoder;
mod encoder;
mod frame;
mod framing;
mod header;

pub use decoder::Decoder;
pub use encoder::encode;
pub use frame::{Frame, Header};
pub use framing::Limits;
