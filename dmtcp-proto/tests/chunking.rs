//! Bytes arrive in any pieces, stop anywhere, and are wrong now and then.

mod arbitrary;

use bytes::BytesMut;
use dmtcp_proto::{DecodeError, Decoder, Dialect, Frame, Limits, encode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

const MAX_PAYLOAD: usize = 8192;

fn limits() -> Limits {
    Limits::default().max_payload(MAX_PAYLOAD)
}

fn stream(dialect: Dialect, frames: &[Frame]) -> BytesMut {
    let mut bytes = BytesMut::new();
    for frame in frames {
        encode(dialect, frame, &mut bytes).unwrap();
    }
    bytes
}

/// Frames and the error behind them; checks at each step that no more than one frame is held.
fn drain(decoder: &mut Decoder, frames: &mut Vec<Frame>) -> Result<(), DecodeError> {
    while let Some(frame) = decoder.next_frame()? {
        frames.push(frame);
    }
    assert!(decoder.pending() < 208 + MAX_PAYLOAD, "holds too much");
    Ok(())
}

proptest! {
    #[test]
    fn any_split_gives_the_same_frames(
        dialect in arbitrary::dialect(),
        detecting in any::<bool>(),
        frames in vec(arbitrary::frame(), 1..5),
        cuts in vec(any::<Index>(), 0..20),
    ) {
        let bytes = stream(dialect, &frames);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut decoder = match detecting {
            true => Decoder::detecting(limits()),
            false => Decoder::new(dialect, limits()),
        };
        let mut got = Vec::new();
        for pair in cuts.windows(2) {
            decoder.feed(&bytes[pair[0]..pair[1]]);
            prop_assert_eq!(drain(&mut decoder, &mut got), Ok(()));
        }
        prop_assert_eq!(got, frames);
        prop_assert_eq!(decoder.pending(), 0);
    }

    /// The half that is missing may still come: no error before it does.
    #[test]
    fn no_beginning_of_a_stream_is_an_error(
        dialect in arbitrary::dialect(),
        frames in vec(arbitrary::frame(), 1..4),
        end in any::<Index>(),
    ) {
        let bytes = stream(dialect, &frames);
        let mut decoder = Decoder::new(dialect, limits());
        decoder.feed(&bytes[..end.index(bytes.len())]);
        let mut got = Vec::new();
        prop_assert_eq!(drain(&mut decoder, &mut got), Ok(()));
        prop_assert!(frames.starts_with(&got) && got.len() < frames.len());
    }

    #[test]
    fn one_wrong_byte_costs_no_more_than_the_stream(
        dialect in arbitrary::dialect(),
        frames in vec(arbitrary::frame(), 1..4),
        at in any::<Index>(),
        change in 1u8..,
    ) {
        let mut bytes = stream(dialect, &frames);
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        let mut decoder = Decoder::new(dialect, limits());
        let mut got = Vec::new();
        for piece in bytes.chunks(100) {
            decoder.feed(piece);
            if let Err(error) = drain(&mut decoder, &mut got) {
                prop_assert_eq!(decoder.next_frame(), Err(error));
                prop_assert_eq!(decoder.pending(), 0);
            }
        }
        // Everything before the wrong byte is there, whatever became of the rest.
        let mut whole = 0;
        let mut len = 0;
        for frame in &frames {
            len += 208 + frame.payload.len();
            whole += usize::from(len <= at);
        }
        prop_assert_eq!(&got[..whole], &frames[..whole]);
    }

    #[test]
    fn garbage_is_refused_or_waited_for(bytes in vec(any::<u8>(), 0..600)) {
        let mut decoder = Decoder::detecting(limits());
        decoder.feed(&bytes);
        let mut got = Vec::new();
        let outcome = drain(&mut decoder, &mut got);
        if !b"DMTCP_CKPT_V0\n\0".starts_with(&bytes[..bytes.len().min(15)]) {
            prop_assert_eq!(outcome, Err(DecodeError::BadMagic));
        }
    }
}

#[test]
fn a_hostile_length_is_refused_at_the_header() {
    for &dialect in Dialect::ALL {
        let mut bytes = stream(dialect, &[Frame::default()]);
        bytes[92..96].copy_from_slice(&u32::MAX.to_le_bytes());
        let mut decoder = Decoder::new(dialect, limits());
        decoder.feed(&bytes[..96]);
        let refused = DecodeError::PayloadTooLarge {
            len: u32::MAX,
            max: MAX_PAYLOAD,
        };
        assert_eq!(decoder.next_frame(), Err(refused));
    }
}
