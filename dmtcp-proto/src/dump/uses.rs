//! Which header fields a kind of message uses, and what its payload is made of.
//!
//! Words for people only: what a message must have is decided in [`message`](crate::Message).

use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;

use crate::kind::Kind;
use crate::phase::Phase;
use crate::wire::Frame;

/// The names of the header fields that a kind uses; `None`: not listed here.
pub(super) fn header_fields(kind: Kind) -> Option<&'static [&'static str]> {
    Some(match kind {
        Kind::NewWorker => &["real_pid", "virtual_pid", "interval"],
        Kind::RestartWorker => &["real_pid", "virtual_pid", "peers", "interval"],
        Kind::Accept => &["virtual_pid", "time_stamp", "ip"],
        Kind::ProcessAfterFork | Kind::ProcessAfterExec => &["real_pid"],
        Kind::UserCommand => &["verb", "interval"],
        Kind::UserResult => &["verb", "status", "peers", "running", "interval"],
        Kind::DoCheckpoint | Kind::BarrierReleased => &["peers", "then_exit"],
        Kind::Do(_) => &["peers"],
        Kind::UpdateLogging => &["log_mask"],
        Kind::Barrier => &["name"],
        Kind::KeyValueRequest => &["name", "key_value_code", "key_len", "value_len"],
        Kind::KeyValueResponse => &["key_value_code", "value_len"],
        Kind::NameServiceRegister | Kind::NameServiceRegisterSync => {
            &["name", "key_len", "value_len"]
        }
        Kind::NameServiceQuery => &["name", "key_len"],
        Kind::NameServiceUniqueIdQuery => &["name", "key_len", "value_len", "unique_id_offset"],
        Kind::NameServiceAnswer | Kind::NameServiceUniqueId => &["value_len"],
        Kind::NameServiceWorker
        | Kind::RejectNotRestarting
        | Kind::RejectWrongComputation
        | Kind::RejectNotRunning
        | Kind::RejectPeerMismatch
        | Kind::GetCheckpointDir
        | Kind::CheckpointDir
        | Kind::SetCheckpointDir
        | Kind::SetGlobalCheckpointDir
        | Kind::GlobalCheckpointDirSet
        | Kind::GlobalCheckpointDirFailed
        | Kind::CheckpointFile
        | Kind::UniqueCheckpointFile
        | Kind::WorkerResuming
        | Kind::Ok
        | Kind::NameServiceRegistered
        | Kind::KillPeer => &[],
        Kind::Null | Kind::Unknown(_) => return None,
    })
}

/// The names of the C strings in a payload of so many.
fn texts(kind: Kind, count: usize) -> &'static [&'static str] {
    match (kind, count) {
        (Kind::NewWorker | Kind::RestartWorker, 2) => &["host", "program"],
        (Kind::ProcessAfterExec, 1) => &["program"],
        (Kind::CheckpointDir | Kind::SetCheckpointDir, 1) => &["directory"],
        (Kind::SetGlobalCheckpointDir | Kind::Do(Phase::Suspend), 1) => &["directory"],
        (Kind::CheckpointFile | Kind::UniqueCheckpointFile, 3) => &["path", "shell", "host"],
        (Kind::CheckpointFile | Kind::UniqueCheckpointFile, 2) => &["path", "host"],
        (Kind::BarrierReleased, 1) => &["barrier"],
        (Kind::KeyValueRequest, 2) => &["key", "value"],
        (Kind::KeyValueResponse, 1) => &["value"],
        _ => &[],
    }
}

/// A payload in pieces, in their order and without the NUL behind each text; one piece where it
/// does not have the form of its kind.
pub(super) fn pieces(kind: Option<Kind>, frame: &Frame) -> Vec<(&'static str, Bytes)> {
    let payload = &frame.payload;
    if payload.is_empty() {
        return Vec::new();
    }
    let key_len = usize::try_from(frame.header.key_len).unwrap_or(usize::MAX);
    match kind {
        Some(Kind::UserResult) => return vec![("text", payload.clone())],
        Some(Kind::NameServiceAnswer | Kind::NameServiceUniqueId) => {
            return vec![("value", payload.clone())];
        }
        Some(Kind::NameServiceQuery | Kind::NameServiceUniqueIdQuery) => {
            return vec![("key", payload.clone())];
        }
        Some(Kind::NameServiceRegister | Kind::NameServiceRegisterSync)
            if key_len < payload.len() =>
        {
            let (key, value) = (payload.slice(..key_len), payload.slice(key_len..));
            return vec![("key", key), ("value", value)];
        }
        _ => {}
    }
    let nuls = payload.iter().filter(|&&byte| byte == 0).count();
    let names = kind.map_or(&[][..], |kind| texts(kind, nuls));
    if names.is_empty() || payload.last() != Some(&0) {
        return vec![("data", payload.clone())];
    }
    let mut start = 0;
    let strings = payload.split(|&byte| byte == 0).map(|text| {
        let piece = payload.slice(start..start + text.len());
        start += text.len() + 1;
        piece
    });
    names.iter().copied().zip(strings).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;
    use crate::dump::places;

    #[test]
    fn the_fields_that_are_used_exist() {
        for dialect in Dialect::ALL {
            let places = places::of(dialect.spec().layout);
            for number in 0..64 {
                for name in header_fields(dialect.kind(number)).unwrap_or_default() {
                    let known = places.iter().find(|place| place.name == *name);
                    assert!(known.is_some_and(|place| !place.structural), "{name}");
                }
            }
        }
    }

    #[test]
    fn a_payload_of_another_form_stays_in_one_piece() {
        let frame = |bytes: &'static [u8]| Frame {
            payload: Bytes::from_static(bytes),
            ..Frame::default()
        };
        for bytes in [&b"host"[..], b"host\0", b"host\0program", b"a\0b\0c\0"] {
            let pieces = pieces(Some(Kind::NewWorker), &frame(bytes));
            assert_eq!(pieces, [("data", bytes.into())], "{bytes:?}");
        }
        let pieces = pieces(Some(Kind::CheckpointFile), &frame(b"p\0\0h\0"));
        let texts = [("path", "p"), ("shell", ""), ("host", "h")];
        assert_eq!(pieces, texts.map(|(name, text)| (name, Bytes::from(text))));
    }
}
