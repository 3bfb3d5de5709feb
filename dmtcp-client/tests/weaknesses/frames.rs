//! Frames that no client sends, made of those that one does.

use bytes::BytesMut;
use dmtcp_proto::{
    Body, Dialect, Frame, Header, Hello, Kind, Message, Text, UniquePid, WorkerState, encode,
};

/// Whoever these are from.
pub(crate) const SOMEBODY: UniquePid = UniquePid {
    host_id: 1,
    time: 99,
    pid: 4712,
    generation: 0,
};

pub(crate) fn raw(dialect: Dialect, frame: &Frame) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    encode(dialect, frame, &mut bytes).unwrap();
    bytes.to_vec()
}

/// A message of this kind with this payload; `None`: the dialect has none.
pub(crate) fn frame(dialect: Dialect, kind: Kind, payload: &[u8]) -> Option<Frame> {
    let state = match kind {
        Kind::NewWorker | Kind::UserCommand => WorkerState::Unknown,
        Kind::RestartWorker => WorkerState::Restarting,
        _ => WorkerState::Running,
    };
    let mut frame = Frame {
        payload: payload.to_vec().into(),
        ..Frame::default()
    };
    frame.header.kind = dialect.kind_number(kind)?;
    frame.header.state = dialect.state_number(state).unwrap();
    frame.header.from = SOMEBODY;
    Some(frame)
}

/// Of a kind that the dialect may not have.
pub(crate) fn one(dialect: Dialect, kind: Kind, payload: &[u8]) -> Vec<Vec<u8>> {
    let frame = frame(dialect, kind, payload);
    frame.iter().map(|frame| raw(dialect, frame)).collect()
}

/// The same frame with each of these values.
pub(crate) fn changed<T: Copy>(
    dialect: Dialect,
    base: fn(Dialect) -> Frame,
    values: &[T],
    change: fn(&mut Header, T),
) -> Vec<Vec<u8>> {
    let change = |&value: &T| with(base(dialect), |header| change(header, value));
    let frames = values.iter().map(change);
    frames.map(|frame| raw(dialect, &frame)).collect()
}

/// The first message of a launched process.
pub(crate) fn hello(dialect: Dialect) -> Frame {
    let hello = Hello {
        host: Text::from("elsewhere"),
        program: Text::from("counter"),
        real_pid: 4712,
        virtual_pid: -1,
        ..Hello::default()
    };
    let message = Message::new(SOMEBODY, Body::NewWorker(hello));
    message.to_frame(dialect).unwrap()
}

/// Something that a running worker may say at any time, and to which nothing is answered.
pub(crate) fn harmless(dialect: Dialect) -> Frame {
    let body = match dialect.phases().is_empty() {
        true => Body::WorkerResuming,
        false => Body::Ok,
    };
    let message = Message::new(SOMEBODY, body).in_state(WorkerState::Running);
    message.to_frame(dialect).unwrap()
}

/// The same with other fields.
pub(crate) fn with(mut frame: Frame, change: impl FnOnce(&mut Header)) -> Frame {
    change(&mut frame.header);
    frame
}

/// The same as bytes that announce a header and a payload of other lengths.
pub(crate) fn lying(
    dialect: Dialect,
    frame: &Frame,
    header_len: Option<u32>,
    payload_len: Option<u32>,
) -> Vec<u8> {
    let mut bytes = raw(dialect, frame);
    let at = if dialect.header_len() == 208 { 88 } else { 16 };
    for (at, len) in [(at, header_len), (at + 4, payload_len)] {
        if let Some(len) = len {
            bytes[at..at + 4].copy_from_slice(&len.to_le_bytes());
        }
    }
    bytes
}

/// Bytes in which no message begins.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    };
    let mut bytes: Vec<u8> = (0..len).map(|_| next()).collect();
    if let Some(first) = bytes.first_mut().filter(|first| **first == b'D') {
        *first = b'E';
    }
    bytes
}
