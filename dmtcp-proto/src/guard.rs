//! What makes a command harmless to coordinators that read it in another dialect.
//!
//! A coordinator of 2.5.1 to 2.6.0 reads 144 bytes whatever it is sent, and ends if they are no
//! message it expects there. In a command of 208 bytes nearly all of them mean nothing to those who
//! understand it, so that a status request of the older ones has room in them: they answer it, and
//! the caller learns that it has asked in a wrong dialect. The probe is the same thing on purpose.

use bytes::{Bytes, BytesMut};

use crate::command::Verb;
use crate::dialect::Dialect;
use crate::error::EncodeError;
use crate::ids::UniquePid;
use crate::message::{Body, Message, UserCommand};
use crate::wire::encode;

/// Lays the status request under `command`, a user command in `dialect`.
///
/// Takes half of the sender's time for it: the lower half, which tells askers apart, moves to where the
/// upper one was. Commands in headers that are no longer than the
/// older ones stay as they are: our own coordinator tells headers by what would be laid there.
pub(crate) fn lay_under(dialect: Dialect, command: &mut BytesMut) -> Result<(), EncodeError> {
    let under = Dialect::V2_5;
    if dialect.header_len() <= under.header_len() {
        return Ok(());
    }
    let layout = under.spec().layout;
    let request = status_request(under)?;
    let word = |at: usize| at..at + 4;
    if command.len() >= dialect.header_len() {
        command.copy_within(word(layout.verb), layout.status);
    }
    for range in [
        // All of these are the name and the code of the key-value store.
        word(layout.len_at),
        word(layout.kind),
        word(layout.virtual_pid),
        word(layout.real_pid),
        // Half of the sender's time, and of the computation's host.
        word(layout.verb),
        word(layout.interval),
    ] {
        if let (Some(to), Some(from)) = (command.get_mut(range.clone()), request.get(range)) {
            to.copy_from_slice(from);
        }
    }
    Ok(())
}

fn status_request(dialect: Dialect) -> Result<Bytes, EncodeError> {
    let status = Body::UserCommand(UserCommand::new(Verb::Status));
    let frame = Message::new(UniquePid::NULL, status).to_frame(dialect)?;
    let mut bytes = BytesMut::new();
    encode(dialect, &frame, &mut bytes)?;
    Ok(bytes.freeze())
}
