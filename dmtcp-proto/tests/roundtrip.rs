//! What is written is read back: frames to the byte, messages in their meaning.

mod arbitrary;

use bytes::BytesMut;
use dmtcp_proto::{Decoder, EncodeError, Frame, Limits, Message, Verb, encode};
use proptest::prelude::*;

proptest! {
    #[test]
    fn frames_survive(dialect in arbitrary::dialect(), frame in arbitrary::frame()) {
        let mut bytes = BytesMut::new();
        encode(dialect, &frame, &mut bytes).unwrap();
        prop_assert_eq!(bytes.len(), dialect.header_len() + frame.payload.len());
        let mut decoder = Decoder::new(dialect, Limits::default());
        decoder.feed(&bytes);
        let again = decoder.next_frame().unwrap().unwrap();
        prop_assert_eq!(&again, &frame);
        prop_assert_eq!(decoder.pending(), 0);

        let mut twice = BytesMut::new();
        encode(dialect, &again, &mut twice).unwrap();
        prop_assert_eq!(twice, bytes);
    }

    #[test]
    fn meanings_survive((dialect, message) in arbitrary::message()) {
        let frame = match message.to_frame(dialect) {
            Ok(frame) => frame,
            Err(error) => panic!("{dialect:?} cannot say {message:?}: {error}"),
        };
        let mut bytes = BytesMut::new();
        encode(dialect, &frame, &mut bytes).unwrap();
        let mut decoder = Decoder::new(dialect, Limits::default());
        decoder.feed(&bytes);
        let arrived = decoder.next_frame().unwrap().unwrap();
        prop_assert_eq!(Message::parse(dialect, &arrived), Ok(message));
    }

    /// Every frame means something or is refused; what it means can be said again.
    #[test]
    fn any_frame_is_understood_or_refused(
        dialect in arbitrary::dialect(), mut frame in arbitrary::frame(), kind in 0u32..27,
    ) {
        frame.header.kind = kind;
        if let Ok(message) = Message::parse(dialect, &frame) {
            match message.to_frame(dialect) {
                Ok(again) => prop_assert_eq!(Message::parse(dialect, &again), Ok(message)),
                Err(error) => prop_assert_eq!(error, EncodeError::Text { field: "key" }),
            }
        }
    }

    #[test]
    fn numbers_and_words_of_a_dialect_fit(dialect in arbitrary::dialect(), number in 0u32..300) {
        prop_assert_eq!(dialect.kind_number(dialect.kind(number)), Some(number));
        prop_assert_eq!(dialect.state_number(dialect.state(number)), Some(number));
        // Some commands have several letters; the one we send means the same.
        let verb = dialect.verb(number);
        let ours = dialect.verb_number(verb).unwrap();
        prop_assert_eq!(dialect.verb(ours), verb);
        if matches!(verb, Verb::Unknown(_)) {
            prop_assert_eq!(ours, number);
        }
    }
}

#[test]
fn a_payload_that_no_peer_takes_is_not_written() {
    let dialect = dmtcp_proto::Dialect::V5;
    let max = dialect.peer_payload_limit().unwrap();
    let mut out = BytesMut::from(&b"before"[..]);
    let mut frame = Frame {
        payload: vec![0; max + 1].into(),
        ..Frame::default()
    };
    assert!(matches!(
        encode(dialect, &frame, &mut out),
        Err(EncodeError::PayloadTooLarge { .. })
    ));
    assert_eq!(&out[..], b"before");
    frame.payload.truncate(max);
    encode(dialect, &frame, &mut out).unwrap();
}
