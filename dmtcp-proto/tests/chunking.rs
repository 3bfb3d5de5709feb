//! Bytes arrive in any pieces, stop anywhere, and are wrong now and then.

mod arbitrary;
mod captures;

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
    drain_from(decoder, &[], frames)
}

/// The same of what goes on with `input`.
fn drain_from(
    decoder: &mut Decoder,
    mut input: &[u8],
    frames: &mut Vec<Frame>,
) -> Result<(), DecodeError> {
    while let Some(frame) = decoder.next_frame_from(&mut input)? {
        frames.push(frame);
    }
    assert!(input.is_empty(), "leaves bytes behind");
    assert!(decoder.pending() < 208 + MAX_PAYLOAD, "holds too much");
    Ok(())
}

/// A decoder that knows, or one that is to find out.
fn decoder(dialect: Dialect, detecting: bool) -> Decoder {
    match detecting {
        true => Decoder::detecting(limits()),
        false => Decoder::new(dialect, limits()),
    }
}

/// Where the length of the payload stands.
fn payload_len_at(dialect: Dialect) -> usize {
    match dialect {
        Dialect::V3 | Dialect::V5 => 92,
        _ => 20,
    }
}

proptest! {
    #[test]
    fn any_split_gives_the_same_frames(
        (dialect, frames) in arbitrary::frames(4),
        detecting in any::<bool>(),
        cuts in vec(any::<Index>(), 0..20),
        fed in vec(any::<bool>(), 21),
    ) {
        let bytes = stream(dialect, &frames);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut decoder = decoder(dialect, detecting);
        let mut got = Vec::new();
        for (pair, fed) in cuts.windows(2).zip(fed) {
            let mut piece = &bytes[pair[0]..pair[1]];
            if fed {
                decoder.feed(std::mem::take(&mut piece));
            }
            prop_assert_eq!(drain_from(&mut decoder, piece, &mut got), Ok(()));
        }
        prop_assert_eq!(got, frames);
        prop_assert_eq!(decoder.pending(), 0);
        prop_assert!(decoder.candidates().contains(dialect));
    }

    /// The half that is missing may still come: no error before it does.
    #[test]
    fn no_beginning_of_a_stream_is_an_error(
        (dialect, frames) in arbitrary::frames(3),
        detecting in any::<bool>(),
        end in any::<Index>(),
    ) {
        let bytes = stream(dialect, &frames);
        let mut decoder = decoder(dialect, detecting);
        decoder.feed(&bytes[..end.index(bytes.len())]);
        let mut got = Vec::new();
        prop_assert_eq!(drain(&mut decoder, &mut got), Ok(()));
        prop_assert!(frames.starts_with(&got) && got.len() < frames.len());
        prop_assert!(decoder.candidates().contains(dialect));
    }

    /// A probe is 208 bytes to us from the first byte to the last, however it arrives, although
    /// its beginning is a frame of 144.
    #[test]
    fn a_probe_is_never_taken_for_an_old_command(
        probe in proptest::sample::select(captures::probes().iter().map(|p| p.bytes.clone()).collect::<Vec<_>>()),
        cut in 0usize..=208,
    ) {
        let mut decoder = Decoder::detecting(limits());
        decoder.feed(&probe[..cut]);
        let early = decoder.next_frame();
        prop_assert!(cut == 208 || early == Ok(None), "{:?} of {} bytes", early, cut);
        decoder.feed(&probe[cut..]);
        let frame = match early {
            Ok(None) => decoder.next_frame(),
            whole => whole,
        };
        prop_assert!(matches!(frame, Ok(Some(_))), "{:?}", frame);
        prop_assert_eq!(decoder.pending(), 0);
        let possible: Vec<Dialect> = decoder.candidates().iter().collect();
        prop_assert_eq!(possible, [Dialect::V3, Dialect::V5]);
    }

    #[test]
    fn one_wrong_byte_costs_no_more_than_the_stream(
        (dialect, frames) in arbitrary::frames(3),
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
            len += dialect.header_len() + frame.payload.len();
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

    /// The same behind a magic: lengths that no dialect has are refused once they are there.
    #[test]
    fn a_header_of_no_dialect_is_refused(rest in vec(any::<u8>(), 76..300)) {
        let bytes = [&b"DMTCP_CKPT_V0\n\0\0"[..], &rest].concat();
        let mut decoder = Decoder::detecting(limits());
        decoder.feed(&bytes[..91]);
        prop_assert_eq!(decoder.next_frame(), Ok(None));
        decoder.feed(&bytes[91..]);
        let refused = matches!(decoder.next_frame(), Err(DecodeError::HeaderLen { .. }));
        prop_assert!(refused);
    }
}

#[test]
fn a_hostile_length_is_refused_at_the_header() {
    for &dialect in Dialect::ALL {
        let mut bytes = stream(dialect, &[Frame::default()]);
        let at = payload_len_at(dialect);
        bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        for detecting in [false, true] {
            let mut decoder = decoder(dialect, detecting);
            // Who is to find out needs the length that stands furthest behind.
            decoder.feed(&bytes[..if detecting { at.max(88) + 4 } else { at + 4 }]);
            let refused = DecodeError::PayloadTooLarge {
                len: u32::MAX,
                max: MAX_PAYLOAD,
            };
            assert_eq!(decoder.next_frame(), Err(refused), "{dialect:?}");
        }
    }
}
