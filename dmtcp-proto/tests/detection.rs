//! Which dialect a peer speaks: the tables of `docs/PROTOCOL.md`, row by row.

use bytes::Bytes;
use dmtcp_proto::{Candidates, Dialect, Frame};

fn frame(kind: u32, payload: &'static [u8], name: &[u8]) -> Frame {
    let mut frame = Frame::default();
    frame.header.kind = kind;
    frame.header.name[..name.len()].copy_from_slice(name);
    frame.payload = Bytes::from_static(payload);
    frame
}

fn all(candidates: Candidates) -> Vec<Dialect> {
    candidates.iter().collect()
}

#[test]
fn the_first_message() {
    use Dialect::{V3, V5};
    for kind in 0..40u32 {
        let expected: &[Dialect] = match kind {
            1..=3 => &[V3, V5],
            15 => &[V3],
            16 => &[V5],
            _ => &[],
        };
        let narrowed = Candidates::all().narrow_by_first(&frame(kind, b"", b""));
        assert_eq!(all(narrowed), expected, "message {kind}");
    }
    // A command has no payload, a hello may have one.
    for (kind, expected) in [(15, 0), (16, 0), (1, 2), (3, 2)] {
        let narrowed = Candidates::all().narrow_by_first(&frame(kind, b"x\0y\0", b""));
        assert_eq!(narrowed.iter().count(), expected, "message {kind}");
    }
}

#[test]
fn the_second_message() {
    use Dialect::{V3, V5};
    struct Row(u32, &'static [u8], &'static [u8], Option<Dialect>);
    let with = b"text\0".as_slice();
    let rows = [
        Row(8, b"", b"", Some(V3)),
        Row(8, with, b"", None),
        Row(9, with, b"", Some(V3)),
        Row(9, b"", b"", Some(V5)),
        Row(10, with, b"", Some(V5)),
        Row(10, b"", b"", Some(V3)),
        Row(11, b"", b"", Some(V5)),
        Row(11, with, b"", None),
        Row(12, with, b"", Some(V3)),
        Row(12, b"", b"", None),
        Row(13, with, b"", Some(V5)),
        Row(13, b"", b"", None),
        Row(18, b"", b"DMT:SUSPEND", Some(V3)),
        Row(18, b"", b"", None),
        Row(18, with, b"DMT:SUSPEND", None),
        Row(19, b"", b"DMT:SUSPEND", Some(V5)),
        Row(19, b"", b"", None),
        Row(20, b"", b"", Some(V3)),
        Row(21, b"", b"", Some(V5)),
        Row(22, with, b"db", Some(V3)),
        Row(22, b"", b"db", None),
        Row(23, with, b"db", Some(V5)),
        Row(23, b"", b"db", None),
        Row(24, with, b"", None),
    ];
    for Row(kind, payload, name, expected) in rows {
        let narrowed = Candidates::all().narrow_by_later(&frame(kind, payload, name));
        let wanted: Vec<Dialect> = expected.into_iter().collect();
        assert_eq!(all(narrowed), wanted, "message {kind}, payload {payload:?}");
        assert_eq!(narrowed.only(), expected);
    }
    // Nothing leaves both possible.
    for kind in 0..64 {
        for payload in [b"".as_slice(), with] {
            for name in [b"".as_slice(), b"name"] {
                let frame = frame(kind, payload, name);
                let narrowed = Candidates::all().narrow_by_later(&frame);
                assert!(narrowed.iter().count() <= 1, "message {kind}");
            }
        }
    }
}

#[test]
fn what_is_excluded_stays_excluded() {
    let only = Candidates::from(Dialect::V3);
    assert_eq!(only.narrow_by_first(&frame(16, b"", b"")).iter().count(), 0);
    assert_eq!(only.narrow_by_first(&frame(1, b"", b"")), only);
    assert_eq!(only.narrow_by_later(&frame(21, b"", b"")).only(), None);
}
