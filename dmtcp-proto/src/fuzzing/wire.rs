//! Bytes, frames, meanings and dialects.

use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};

use super::input::Script;
use crate::dialect::{Candidates, Dialect};
use crate::error::{DecodeError, EncodeError};
use crate::message::{Body, Message};
use crate::wire::{Decoder, Frame, Limits, encode};

const MAX_PAYLOAD: usize = 4096;

/// Any split of a stream gives the same frames and the same error, whether pieces are fed or read
/// where they lie; what came out encodes back to the bytes that went in; no more than one
/// incomplete frame is held.
pub fn decoder(data: &[u8]) {
    let mut script = Script::new(data);
    let mut known = alloc::vec![None];
    known.extend(Dialect::ALL.iter().copied().map(Some));
    let known = script.choose(&known);
    let seed = script.byte();
    let stream = script.rest();

    let (frames, error, left, dialect) = decode(known, true, core::iter::once(stream));
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
    let (in_pieces, error_in_pieces, left_in_pieces, _) = decode(known, seed % 2 == 0, pieces);
    assert_eq!(frames, in_pieces, "the split changes the frames");
    assert_eq!(error, error_in_pieces, "the split changes the error");
    assert_eq!(left, left_in_pieces, "the split changes what is left");

    let mut again = BytesMut::new();
    for frame in &frames {
        let dialect = dialect.expect("a frame has a layout");
        encode(dialect, frame, &mut again).expect("a frame that came in goes out");
    }
    assert_eq!(again.as_ref(), &stream[..again.len()], "bytes were changed");
    if error.is_none() {
        assert_eq!(again.len() + left, stream.len(), "bytes were lost");
    }
}

/// All frames, the error at their end, the bytes that wait, and a dialect with the frames' layout.
fn decode<'a>(
    known: Option<Dialect>,
    feed: bool,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<Frame>, Option<DecodeError>, usize, Option<Dialect>) {
    let limits = Limits::default().max_payload(MAX_PAYLOAD);
    let mut decoder = match known {
        Some(dialect) => Decoder::new(dialect, limits),
        None => Decoder::detecting(limits),
    };
    let mut frames = Vec::new();
    for mut piece in pieces {
        if feed {
            decoder.feed(core::mem::take(&mut piece));
        }
        loop {
            match decoder.next_frame_from(&mut piece) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next_frame(), Err(error.clone()), "not dead");
                    assert_eq!(decoder.pending(), 0, "a dead stream is held");
                    return (frames, Some(error), 0, decoder.candidates().iter().next());
                }
            }
        }
        let most = Dialect::V3.header_len() + MAX_PAYLOAD;
        assert!(decoder.pending() < most, "more than one frame is held");
    }
    let dialect = decoder.candidates().iter().next();
    (frames, None, decoder.pending(), dialect)
}

/// A frame of these bytes: those of the header behind the magic, then the payload. The lengths in
/// the header are put right.
fn frame(script: &mut Script<'_>, dialect: Dialect, payload: usize) -> Frame {
    let layout = dialect.spec().layout;
    let mut header = BytesMut::new();
    encode(dialect, &Frame::default(), &mut header).expect("an empty frame");
    let fields = script.bytes(header.len() - 16);
    let payload = script.bytes(payload);
    header[16..16 + fields.len()].copy_from_slice(fields);
    let mut put = |at: usize, len: usize| {
        let len = u32::try_from(len).expect("short");
        header[at..at + 4].copy_from_slice(&len.to_le_bytes());
    };
    put(layout.len_at, layout.len);
    put(layout.payload_len_at, payload.len());
    header.extend_from_slice(payload);

    let mut decoder = Decoder::new(dialect, Limits::default());
    decoder.feed(&header);
    decoder.next_frame().expect("valid").expect("whole")
}

/// The meaning of a frame survives being written and read again, and writing it is stable.
pub fn message(data: &[u8]) {
    let mut script = Script::new(data);
    let dialect = script.dialect();
    let frame = frame(&mut script, dialect, usize::MAX);
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

/// Detection agrees with the tables of `docs/PROTOCOL.md`, "Which dialect does a peer speak",
/// written down here a second time, by number.
pub fn detection(data: &[u8]) {
    let mut script = Script::new(data);
    let lens = [script.byte(), script.byte()].map(|len| usize::from(len % 65));
    let dialect = script.dialect();
    let first = frame(&mut script, dialect, lens[0]);
    let second = frame(&mut script, dialect, lens[1]);

    let by_header = Dialect::ALL.iter().copied();
    let by_header = by_header.filter(|other| other.header_len() == dialect.header_len());
    let after_first = by_header.collect::<Candidates>().narrow_by_first(&first);
    let possible = match dialect.header_len() {
        136 => first_of_136(&first),
        144 => first_of_144(&first),
        _ => first_of_208(&first),
    };
    check(after_first, &possible);

    let later = match dialect.header_len() {
        136 => later_of_136(&second),
        144 => later_of_144(&second),
        _ => later_of_208(&second),
    };
    let both: Vec<Dialect> = possible
        .into_iter()
        .filter(|possible| later.contains(possible))
        .collect();
    check(after_first.narrow_by_later(&second), &both);
}

/// What the payload is, if the lengths in the header are right.
#[derive(PartialEq)]
enum Shape {
    None,
    Key,
    KeyAndValue,
    /// A key, and the length of the value that is wanted.
    KeyAndLength,
    Other,
}

fn shape(frame: &Frame) -> Shape {
    let key = u64::from(frame.header.key_len);
    let value = u64::from(frame.header.value_len);
    match u64::try_from(frame.payload.len()).expect("short") {
        0 => Shape::None,
        len if key > 0 && value == 0 && len == key => Shape::Key,
        len if key > 0 && value > 0 && len == key + value => Shape::KeyAndValue,
        len if key > 0 && value > 0 && len == key => Shape::KeyAndLength,
        _ => Shape::Other,
    }
}

fn only(dialect: Dialect, possible: bool) -> Vec<Dialect> {
    possible.then_some(dialect).into_iter().collect()
}

fn open(dialects: [Dialect; 2], possible: bool) -> Vec<Dialect> {
    if possible {
        dialects.to_vec()
    } else {
        Vec::new()
    }
}

fn first_of_136(frame: &Frame) -> Vec<Dialect> {
    let shape = shape(frame);
    let possible = match frame.header.kind {
        1..=3 => true,
        15 => shape == Shape::None,
        26 | 27 => shape == Shape::KeyAndValue,
        29 => shape == Shape::Key,
        _ => false,
    };
    only(Dialect::V2_4, possible)
}

fn later_of_136(frame: &Frame) -> Vec<Dialect> {
    let shape = shape(frame);
    let possible = match frame.header.kind {
        8 | 10 | 31 => shape == Shape::None,
        9 | 12 => shape != Shape::None,
        26 | 27 => shape == Shape::KeyAndValue,
        29 => shape == Shape::Key,
        _ => false,
    };
    only(Dialect::V2_4, possible)
}

fn first_of_144(frame: &Frame) -> Vec<Dialect> {
    let both = [Dialect::V2_5, Dialect::V2_6];
    match (frame.header.kind, frame.header.state, shape(frame)) {
        (3, 5, _) => only(Dialect::V2_5, true),
        (3, 7, _) => only(Dialect::V2_6, true),
        (1..=3, ..) => open(both, true),
        (11, _, shape) => open(both, shape != Shape::None),
        (16, _, shape) => open(both, shape == Shape::None),
        (kind, _, shape) => name_service_of_144(kind, &shape),
    }
}

fn later_of_144(frame: &Frame) -> Vec<Dialect> {
    let both = [Dialect::V2_5, Dialect::V2_6];
    match (frame.header.kind, shape(frame)) {
        (8, shape) => open(both, shape == Shape::None),
        (9 | 10, shape) => open(both, shape != Shape::None),
        (35, shape) => only(Dialect::V2_5, shape == Shape::None),
        (37, shape) => only(Dialect::V2_6, shape == Shape::None),
        (kind, shape) => name_service_of_144(kind, &shape),
    }
}

fn name_service_of_144(kind: u32, shape: &Shape) -> Vec<Dialect> {
    match (kind, shape) {
        (27 | 28, Shape::KeyAndValue) | (30, Shape::Key) | (32, Shape::KeyAndLength) => {
            only(Dialect::V2_5, true)
        }
        (29 | 30, Shape::KeyAndValue) | (32, Shape::Key) | (34, Shape::KeyAndLength) => {
            only(Dialect::V2_6, true)
        }
        _ => Vec::new(),
    }
}

fn first_of_208(frame: &Frame) -> Vec<Dialect> {
    let bare = frame.payload.is_empty();
    match frame.header.kind {
        1..=3 => open([Dialect::V3, Dialect::V5], true),
        15 => only(Dialect::V3, bare),
        16 => only(Dialect::V5, bare),
        _ => Vec::new(),
    }
}

fn later_of_208(frame: &Frame) -> Vec<Dialect> {
    let bare = frame.payload.is_empty();
    let named = frame.header.name[0] != 0;
    match (frame.header.kind, bare) {
        (8 | 10 | 20, true) | (9 | 12 | 22, false) => only(Dialect::V3, true),
        (9 | 11 | 21, true) | (10 | 13 | 23, false) => only(Dialect::V5, true),
        (18, true) => only(Dialect::V3, named),
        (19, true) => only(Dialect::V5, named),
        _ => Vec::new(),
    }
}

fn check(candidates: Candidates, possible: &[Dialect]) {
    assert_eq!(candidates.iter().collect::<Vec<_>>(), possible);
    for &dialect in Dialect::ALL {
        assert_eq!(candidates.contains(dialect), possible.contains(&dialect));
    }
    assert_eq!(candidates.only().is_some(), possible.len() == 1);
    assert_eq!(candidates.iter().collect::<Candidates>(), candidates);
}

/// One message as bytes.
pub(super) fn encoded(dialect: Dialect, message: &Message) -> Option<Bytes> {
    let mut bytes = BytesMut::new();
    encode(dialect, &message.to_frame(dialect).ok()?, &mut bytes).ok()?;
    Some(bytes.freeze())
}
