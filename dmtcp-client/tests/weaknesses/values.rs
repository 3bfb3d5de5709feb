//! Requests to the key-value store, or before 3.0.0 to the name service, that cannot be.

use std::io::Write as _;

use dmtcp_proto::{
    Body, Dialect, Header, KeyValueOp, KeyValueRequest, KeyValueResponse, Kind, Message, Name,
    NameServiceOp, NameServiceRequest, Text, UniquePid,
};

use crate::frames::{frame, raw, with};
use crate::hostile::{Expect, From, check, waits};
use crate::peer::{Peer, Worker};
use crate::{Scene, for_each_dialect};

/// A request to set a value, with these lengths of key and value in its header.
fn set(dialect: Dialect, payload: &[u8], lens: &[(u32, u32)]) -> Vec<Vec<u8>> {
    let kinds = [
        Kind::KeyValueRequest,
        Kind::NameServiceRegister,
        Kind::NameServiceRegisterSync,
    ];
    let frames = kinds
        .iter()
        .filter_map(|&kind| frame(dialect, kind, payload));
    let all = frames.flat_map(|frame| {
        lens.iter().map(move |&(key_len, value_len)| {
            let change = |header: &mut Header| {
                header.key_value_code = 1;
                (header.key_len, header.value_len) = (key_len, value_len);
            };
            raw(dialect, &with(frame.clone(), change))
        })
    });
    all.collect()
}

fn empty(dialect: Dialect) -> Vec<Vec<u8>> {
    set(dialect, b"", &[(0, 0), (0, 1), (1, 0)])
}

fn other_lengths(dialect: Dialect) -> Vec<Vec<u8>> {
    let lens = [(4, 40), (40, 4), (0, 8), (3, 4), (4, 3), (5, 4)];
    set(dialect, b"key\0val\0", &lens)
}

#[test]
fn w18_lengths_that_do_not_fit_end_their_connection() {
    use Expect::CutOff;
    check(&[
        waits("nothing", From::Worker, empty, CutOff),
        waits("nothing", From::Side, empty, CutOff),
        waits("other lengths", From::Worker, other_lengths, CutOff),
        waits("other lengths", From::Side, other_lengths, CutOff),
        waits(
            "texts without an end",
            From::Worker,
            |dialect| match dialect.phases().is_empty() {
                true => set(dialect, b"keykvvvv", &[(4, 4)]),
                // There they have none.
                false => Vec::new(),
            },
            CutOff,
        ),
    ]);
}

#[test]
fn w19_lengths_whose_sum_is_too_large_for_its_field_end_their_connection() {
    fn wrapping(dialect: Dialect) -> Vec<Vec<u8>> {
        let half = 1 << 31;
        set(
            dialect,
            b"key\0val\0",
            &[(half, half + 8), (u32::MAX, 9), (9, u32::MAX)],
        )
    }
    check(&[
        waits("wrapping", From::Worker, wrapping, Expect::CutOff),
        waits("wrapping", From::Side, wrapping, Expect::CutOff),
    ]);
}

/// Connections that may ask for values.
fn askers(scene: &Scene) -> [Peer; 2] {
    let addr = scene.computation.addr();
    let mut side = Peer::connect(addr, scene.dialect);
    side.send(&Message::new(UniquePid::NULL, Body::NameServiceWorker));
    [Worker::join(addr, scene.dialect).peer, side]
}

#[test]
fn w20_what_cannot_be_reckoned_is_refused_and_changes_nothing() {
    for_each_dialect(|dialect| {
        if dialect.kind_number(Kind::KeyValueRequest).is_none() {
            return;
        }
        let mut scene = Scene::open(dialect, 1);
        for mut peer in askers(&scene) {
            let mut ask = |op, key: &'static str, value: &'static str| {
                let request = KeyValueRequest {
                    database: Name::new("numbers").unwrap(),
                    op,
                    key: Text::from(key),
                    value: Text::from(value),
                };
                peer.send(&Message::new(
                    UniquePid::NULL,
                    Body::KeyValueRequest(request),
                ));
                match peer.receive().map(|message| message.body) {
                    Some(Body::KeyValueResponse(response)) => response,
                    other => panic!("{other:?}"),
                }
            };
            ask(KeyValueOp::Set, "text", "abc");
            ask(KeyValueOp::Set, "number", "1");
            for op in [
                KeyValueOp::IncrementBy,
                KeyValueOp::And,
                KeyValueOp::Or,
                KeyValueOp::Xor,
                KeyValueOp::Min,
                KeyValueOp::Max,
                KeyValueOp::Unknown(99),
                KeyValueOp::Unknown(u32::MAX),
            ] {
                for (key, operand) in [("text", "1"), ("number", "abc"), ("number", "")] {
                    let answer = ask(op, key, operand);
                    assert_eq!(answer, KeyValueResponse::InvalidRequest, "{op:?} {key}");
                }
            }
            for (key, value) in [("text", "abc"), ("number", "1")] {
                let kept = KeyValueResponse::Value(Text::from(value));
                assert_eq!(ask(KeyValueOp::Get, key, ""), kept);
            }
        }
        scene.goes_on();
    });
}

#[test]
fn w24_a_number_is_answered_with_no_more_than_it_has() {
    for_each_dialect(|dialect| {
        if dialect
            .kind_number(Kind::NameServiceUniqueIdQuery)
            .is_none()
        {
            return;
        }
        let mut scene = Scene::open(dialect, 1);
        for mut peer in askers(&scene) {
            let mut ask = |len| {
                let request = NameServiceRequest {
                    database: *b"numbers\0",
                    key: "key".into(),
                    op: NameServiceOp::UniqueId { len, offset: 1 },
                };
                let body = Body::NameServiceRequest(request);
                peer.send(&Message::new(UniquePid::NULL, body));
                match peer.receive().map(|message| message.body) {
                    Some(Body::NameServiceUniqueId(number)) => number,
                    other => panic!("{other:?}"),
                }
            };
            // The same key with other lengths, too.
            for len in [4, 8, 4096, u32::MAX, 2, 4] {
                let expected = &1_u32.to_le_bytes()[..4.min(len as usize)];
                assert_eq!(ask(len), expected);
            }
        }
        scene.goes_on();
    });
}

/// It is answered as what it is, and nothing is kept under it.
#[test]
fn w18_a_key_without_a_name_is_refused() {
    for_each_dialect(|dialect| {
        if dialect.kind_number(Kind::KeyValueRequest).is_none() {
            return;
        }
        let mut scene = Scene::open(dialect, 1);
        for mut peer in askers(&scene) {
            let bytes = set(dialect, b"\0v\0", &[(1, 2)]).remove(0);
            peer.stream.write_all(&bytes).unwrap();
            let body = peer.receive().map(|message| message.body);
            let refused = Body::KeyValueResponse(KeyValueResponse::InvalidRequest);
            assert_eq!(body, Some(refused));
        }
        assert_eq!(scene.computation.key_values().unwrap().iter().count(), 0);
        scene.goes_on();
    });
}
