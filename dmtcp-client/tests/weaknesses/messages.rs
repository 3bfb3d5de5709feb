//! What is no message at all, and headers that cannot be: it ends its own connection.

use dmtcp_proto::{Dialect, Frame, Kind};

use crate::frames::{changed, frame, harmless, hello, lying, noise, one, raw};
use crate::hostile::{Expect, From, Then, check, goes, waits};

fn nothing(_: Dialect) -> Vec<Vec<u8>> {
    vec![Vec::new()]
}

fn much_noise(_: Dialect) -> Vec<Vec<u8>> {
    let lens = [1, 15, 16, 100, 300, 4000];
    lens.map(|len| noise(len as u64, len)).into()
}

fn no_messages(_: Dialect) -> Vec<Vec<u8>> {
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: browser\r\n\r\n";
    vec![vec![0; 416], request.to_vec()]
}

/// The last one lacks nothing but its last byte.
fn beginnings(dialect: Dialect) -> Vec<Vec<u8>> {
    let whole = raw(dialect, &hello(dialect));
    let header = dialect.header_len();
    let lens = [1, 14, 16, 20, 92, 100, header - 1, header, whole.len() - 1];
    lens.map(|len| whole[..len].to_vec()).into()
}

fn beginnings_of_a_later_one(dialect: Dialect) -> Vec<Vec<u8>> {
    let whole = raw(dialect, &harmless(dialect));
    [1, 100, dialect.header_len() - 1]
        .map(|len| whole[..len].to_vec())
        .into()
}

fn two_hellos(dialect: Dialect) -> Vec<Vec<u8>> {
    vec![raw(dialect, &hello(dialect))]
}

#[test]
fn w08_no_first_message_ends_more_than_its_own_connection() {
    check(&[
        goes("nothing", From::Stranger, nothing, Then::Closes),
        goes("nothing", From::Stranger, nothing, Then::Resets),
        goes("noise", From::Stranger, much_noise, Then::Closes),
        waits("noise", From::Stranger, much_noise, Expect::CutOff),
        waits("no messages", From::Stranger, no_messages, Expect::CutOff),
        goes("noise", From::Worker, much_noise, Then::Closes),
        waits("noise", From::Worker, much_noise, Expect::CutOff),
        goes("noise", From::Side, much_noise, Then::Closes),
        waits("noise", From::Side, much_noise, Expect::CutOff),
        goes("a beginning", From::Stranger, beginnings, Then::Closes),
        goes("a beginning", From::Stranger, beginnings, Then::Resets),
        goes(
            "a beginning",
            From::Worker,
            beginnings_of_a_later_one,
            Then::Closes,
        ),
        waits(
            "kind NULL",
            From::Stranger,
            |dialect| changed(dialect, hello, &[0], |header, kind| header.kind = kind),
            Expect::CutOff,
        ),
        // As nobody does, but nothing is missing that is needed.
        waits(
            "no names",
            From::Stranger,
            |dialect| one(dialect, Kind::NewWorker, b""),
            Expect::Accepted,
        ),
        goes("a whole one", From::Stranger, two_hellos, Then::Resets),
    ]);
}

/// Numbers that are no kind of message in any dialect.
const NO_KINDS: [u32; 5] = [0, u32::MAX, 9999, 1 << 31, i32::MAX as u32];

fn unknown_kinds(dialect: Dialect) -> Vec<Vec<u8>> {
    changed(dialect, hello, &NO_KINDS, |header, kind| header.kind = kind)
}

fn unknown_later_kinds(dialect: Dialect) -> Vec<Vec<u8>> {
    changed(dialect, harmless, &NO_KINDS, |header, kind| {
        header.kind = kind;
    })
}

/// What only a coordinator says.
fn orders(dialect: Dialect) -> Vec<Vec<u8>> {
    let kinds = [
        Kind::Accept,
        Kind::RejectNotRunning,
        Kind::DoCheckpoint,
        Kind::KillPeer,
        Kind::BarrierReleased,
        Kind::KeyValueResponse,
        Kind::NameServiceAnswer,
    ];
    let all = kinds.iter().flat_map(|&kind| one(dialect, kind, b""));
    all.collect()
}

#[test]
fn w09_numbers_of_no_message_end_their_connection() {
    use Expect::CutOff;
    check(&[
        waits("no kind", From::Stranger, unknown_kinds, CutOff),
        waits("no kind", From::Worker, unknown_later_kinds, CutOff),
        goes("no kind", From::Worker, unknown_later_kinds, Then::Closes),
        waits("no kind", From::Side, unknown_later_kinds, CutOff),
        goes("no kind", From::Side, unknown_later_kinds, Then::Closes),
        waits("orders", From::Stranger, orders, CutOff),
        waits("orders", From::Worker, orders, CutOff),
        waits("orders", From::Side, orders, CutOff),
        waits("a second hello", From::Worker, two_hellos, CutOff),
        waits("a worker's hello", From::Side, two_hellos, CutOff),
    ]);
}

fn bad_magic(dialect: Dialect, frame: &Frame) -> Vec<Vec<u8>> {
    let damaged = (0..14).map(|at| {
        let mut bytes = raw(dialect, frame);
        bytes[at] ^= 0x20;
        bytes
    });
    damaged.collect()
}

fn bad_sizes(dialect: Dialect, frame: &Frame) -> Vec<Vec<u8>> {
    let own = u32::try_from(dialect.header_len()).unwrap();
    let sizes = [0, 1, own - 1, own + 1, i32::MAX as u32, u32::MAX];
    sizes
        .map(|size| lying(dialect, frame, Some(size), None))
        .into()
}

/// More than is taken from anybody.
const HUGE: [u32; 4] = [i32::MAX as u32, 1 << 31, u32::MAX, 0xffff_ff30];

fn huge(dialect: Dialect, frame: &Frame, more: &[u32]) -> Vec<Vec<u8>> {
    let sizes = HUGE.iter().chain(more);
    sizes
        .map(|&size| lying(dialect, frame, None, Some(size)))
        .collect()
}

fn first(of: fn(Dialect, &Frame) -> Vec<Vec<u8>>, dialect: Dialect) -> Vec<Vec<u8>> {
    of(dialect, &hello(dialect))
}

fn later(of: fn(Dialect, &Frame) -> Vec<Vec<u8>>, dialect: Dialect) -> Vec<Vec<u8>> {
    of(dialect, &harmless(dialect))
}

fn half_a_payload(dialect: Dialect) -> Vec<Vec<u8>> {
    let program = frame(dialect, Kind::ProcessAfterExec, &[b'p'; 50]).unwrap();
    vec![lying(dialect, &program, None, Some(100))]
}

#[test]
fn w10_headers_that_are_none_end_their_connection() {
    use Expect::CutOff;
    check(&[
        waits("magic", From::Stranger, |d| first(bad_magic, d), CutOff),
        waits("magic", From::Worker, |d| later(bad_magic, d), CutOff),
        waits("magic", From::Side, |d| later(bad_magic, d), CutOff),
        waits("size", From::Stranger, |d| first(bad_sizes, d), CutOff),
        waits("size", From::Worker, |d| later(bad_sizes, d), CutOff),
        waits("size", From::Side, |d| later(bad_sizes, d), CutOff),
        waits(
            "huge payload",
            From::Stranger,
            |d| huge(d, &hello(d), &[1 << 20, (1 << 20) + 1]),
            CutOff,
        ),
        waits(
            "huge payload",
            From::Worker,
            |d| huge(d, &harmless(d), &[]),
            CutOff,
        ),
        waits(
            "huge payload",
            From::Side,
            |d| huge(d, &harmless(d), &[]),
            CutOff,
        ),
        goes(
            "a MiB that never comes",
            From::Stranger,
            |d| vec![lying(d, &hello(d), None, Some(1 << 20))],
            Then::Closes,
        ),
        goes(
            "a payload's beginning",
            From::Worker,
            half_a_payload,
            Then::Closes,
        ),
    ]);
}
