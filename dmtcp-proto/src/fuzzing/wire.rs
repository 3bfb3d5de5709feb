//! Bytes, frames, meanings and dialects.

use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

use super::input::Script;
use crate::dialect::{Candidates, Dialect};
use crate::error::{DecodeError, EncodeError};
use crate::message::{Body, Message};
use crate::wire::{Decoder, Frame, Limits, encode};

const MAX_PAYLOAD: usize = 4096;

/// Any split of a stream gives the same frames and the same error; what came out encodes back to
/// the bytes that went in; no more than one incomplete frame is held.
pub fn decoder(data: &[u8]) {
    let mut script = Script::new(data);
    let known = script.choose(&[None, Some(Dialect::V3), Some(Dialect::V5)]);
    let seed = script.byte();
    let stream = script.rest();

    let (frames, error, left) = decode(known, core::iter::once(stream));
    let mut rest = stream;
    let mut state = u32::from(seed);
    let pieces = core::iter::from_fn(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Mostly a few bytes, at times a few hundred.
        let wanted = match state >> 24 {
            0..=15 => 1 + (state >> 8) as usize % 600,
            _ => 1 + (state >> 8) as usize % 9,
        };
        let (piece, behind) = rest.split_at(wanted.min(rest.len()));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    });
    let (in_pieces, error_in_pieces, left_in_pieces) = decode(known, pieces);
    assert_eq!(frames, in_pieces, "the split changes the frames");
    assert_eq!(error, error_in_pieces, "the split changes the error");
    assert_eq!(left, left_in_pieces, "the split changes what is left");

    let mut again = BytesMut::new();
    for frame in &frames {
        let dialect = known.unwrap_or(Dialect::V3);
        encode(dialect, frame, &mut again).expect("a frame that came in goes out");
    }
    assert_eq!(again.as_ref(), &stream[..again.len()], "bytes were changed");
    if error.is_none() {
        assert_eq!(again.len() + left, stream.len(), "bytes were lost");
    }
}

/// All frames, the error at their end, and the bytes that wait.
fn decode<'a>(
    known: Option<Dialect>,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<Frame>, Option<DecodeError>, usize) {
    let limits = Limits::default().max_payload(MAX_PAYLOAD);
    let mut decoder = match known {
        Some(dialect) => Decoder::new(dialect, limits),
        None => Decoder::detecting(limits),
    };
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next_frame(), Err(error.clone()), "not dead");
                    assert_eq!(decoder.pending(), 0, "a dead stream is held");
                    return (frames, Some(error), 0);
                }
            }
        }
        let most = Dialect::V3.header_len() + MAX_PAYLOAD;
        assert!(decoder.pending() < most, "more than one frame is held");
    }
    (frames, None, decoder.pending())
}

/// A frame of these bytes: one of dialect, 192 of header behind the magic, the payload. The
/// lengths in the header are put right.
fn frame(script: &mut Script<'_>, payload: usize) -> (Dialect, Frame) {
    let dialect = script.dialect();
    let mut header = BytesMut::new();
    encode(dialect, &Frame::default(), &mut header).expect("an empty frame");
    let fields = script.bytes(header.len() - 16);
    let payload = script.bytes(payload);
    header[16..16 + fields.len()].copy_from_slice(fields);
    header[88..92].copy_from_slice(&208u32.to_le_bytes());
    let len = u32::try_from(payload.len()).expect("short");
    header[92..96].copy_from_slice(&len.to_le_bytes());
    header.extend_from_slice(payload);

    let mut decoder = Decoder::new(dialect, Limits::default());
    decoder.feed(&header);
    let frame = decoder.next_frame().expect("valid").expect("whole");
    (dialect, frame)
}

/// The meaning of a frame survives being written and read again, and writing it is stable.
pub fn message(data: &[u8]) {
    let (dialect, frame) = frame(&mut Script::new(data), usize::MAX);
    let Ok(message) = Message::parse(dialect, &frame) else {
        return;
    };
    let again = match message.to_frame(dialect) {
        Ok(frame) => frame,
        Err(error) => {
            let refused = EncodeError::Text { field: "key" };
            let Body::KeyValueRequest(request) = &message.body else {
                panic!("{message:?} came in and cannot go out: {error}")
            };
            assert!(request.key.is_empty() && error == refused, "{error}");
            return;
        }
    };
    let meaning = Message::parse(dialect, &again).expect("our own frame");
    assert_eq!(meaning, message, "the meaning changed");
    assert_eq!(meaning.to_frame(dialect).as_ref(), Ok(&again), "unstable");
    assert_eq!(again.header.kind, frame.header.kind, "another message");
    assert_eq!(again.header.from, frame.header.from);
    let group = frame.header.group;
    assert!(again.header.group == group || group.is_null() && again.header.group.generation == 0);
    assert_eq!(again.header.state, frame.header.state);
}

/// Detection agrees with the table of `docs/PROTOCOL.md`, "Which dialect does a peer speak",
/// written down here a second time, by number.
pub fn detection(data: &[u8]) {
    let mut script = Script::new(data);
    let sizes = script.byte();
    let (_, first) = frame(&mut script, usize::from(sizes % 2));
    let (_, second) = frame(&mut script, usize::from(sizes / 2 % 2));
    let payload = !first.payload.is_empty();
    let v3 = matches!(first.header.kind, 1..=3) || first.header.kind == 15 && !payload;
    let v5 = matches!(first.header.kind, 1..=3) || first.header.kind == 16 && !payload;
    let after_first = Candidates::all().narrow_by_first(&first);
    check(after_first, v3, v5);

    let payload = !second.payload.is_empty();
    let named = second.header.name[0] != 0;
    let (later_v3, later_v5) = match second.header.kind {
        8 => (!payload, false),
        9 => (payload, !payload),
        10 => (!payload, payload),
        11 => (false, !payload),
        12 => (payload, false),
        13 => (false, payload),
        18 => (!payload && named, false),
        19 => (false, !payload && named),
        20 => (!payload, false),
        21 => (false, !payload),
        22 => (payload, false),
        23 => (false, payload),
        _ => (false, false),
    };
    assert!(!(later_v3 && later_v5), "the second message decides");
    check(
        after_first.narrow_by_later(&second),
        v3 && later_v3,
        v5 && later_v5,
    );
}

fn check(candidates: Candidates, v3: bool, v5: bool) {
    assert_eq!(candidates.contains(Dialect::V3), v3);
    assert_eq!(candidates.contains(Dialect::V5), v5);
    assert_eq!(candidates.iter().count(), usize::from(v3) + usize::from(v5));
    assert_eq!(candidates.only().is_some(), v3 != v5);
    assert_eq!(candidates.iter().collect::<Candidates>(), candidates);
}

/// One message as bytes.
pub(super) fn encoded(dialect: Dialect, message: &Message) -> Option<Bytes> {
    let mut bytes = BytesMut::new();
    encode(dialect, &message.to_frame(dialect).ok()?, &mut bytes).ok()?;
    Some(bytes.freeze())
}
