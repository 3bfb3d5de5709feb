//! What is written is read back: frames to the byte, messages in their meaning.

mod arbitrary;

use bytes::BytesMut;
use dmtcp_proto::{
    Body, Decoder, Dialect, EncodeError, Frame, Kind, Limits, Message, UniquePid, Verb, encode,
};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

proptest! {
    #[test]
    fn frames_survive((dialect, frame) in arbitrary::frame()) {
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
        (dialect, mut frame) in arbitrary::frame(),
        kind in 0u32..41,
        key in any::<Option<Index>>(),
    ) {
        frame.header.kind = kind;
        if let Some(key) = key {
            // Lengths as they should be are rare.
            let whole = frame.payload.len();
            let key = key.index(whole + 1);
            frame.header.key_len = u32::try_from(key).unwrap();
            frame.header.value_len = u32::try_from(whole - key).unwrap();
        }
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

/// A message that a dialect does not have is refused, not sent under another's number.
#[test]
fn every_dialect_says_its_own_messages_and_no_others() {
    let mut runner = TestRunner::deterministic();
    let mut refused = 0;
    for &writer in Dialect::ALL {
        for (_, kind) in Dialect::ALL.iter().flat_map(|&d| arbitrary::kinds(d)) {
            let bodies = arbitrary::body_of(writer, kind).unwrap();
            let body = bodies.new_tree(&mut runner).unwrap().current();
            let frame = Message::new(UniquePid::NULL, body).to_frame(writer);
            match writer.kind_number(kind) {
                Some(number) => assert_eq!(frame.unwrap().header.kind, number),
                None => {
                    let dialect = writer;
                    assert_eq!(frame, Err(EncodeError::NoSuchKind { dialect, kind }));
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 0);
}

/// 2.4.x says two strings, 2.5.0 three, in one dialect; no other may leave the shell out.
#[test]
fn an_image_is_reported_with_or_without_a_shell() {
    let frame = |dialect: Dialect, payload: &'static [u8]| {
        let mut frame = Frame::default();
        frame.header.kind = dialect.kind_number(Kind::CheckpointFile).unwrap();
        frame.payload = payload.into();
        frame
    };
    for &dialect in Dialect::ALL {
        let parse = |payload| Message::parse(dialect, &frame(dialect, payload));
        let file = |payload| match parse(payload).unwrap().body {
            Body::CheckpointFile(file) => file,
            other => panic!("{other:?}"),
        };
        let three = file(b"/a\0ssh\0h\0");
        assert_eq!(three.shell, Some("ssh".into()), "{dialect:?}");
        assert_eq!(three.host, "h".into());
        let empty = file(b"/a\0\0h\0");
        assert_eq!(empty.shell, Some("".into()), "{dialect:?}");
        if dialect == Dialect::V2_4 {
            let two = file(b"/a\0h\0");
            assert_eq!((two.shell, two.host), (None, "h".into()));
        } else {
            assert!(parse(b"/a\0h\0").is_err(), "{dialect:?}");
        }
        for payload in [
            &b""[..],
            b"/a",
            b"/a\0",
            b"/a\0h",
            b"\0\0\0",
            b"/a\0s\0h\0x",
            b"/a\0s\0h\0\0",
        ] {
            assert!(parse(payload).is_err(), "{dialect:?} takes {payload:?}");
        }
    }
}

#[test]
fn a_payload_that_no_peer_takes_is_not_written() {
    let dialect = Dialect::V5;
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
