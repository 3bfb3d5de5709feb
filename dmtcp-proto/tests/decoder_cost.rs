//! What the codec costs, counted: allocations, bytes allocated, bytes held. To grow a buffer
//! counts as to allocate another, so whoever copies what waits over and over fails here.

use allocation_counter::{AllocationInfo, measure};
use bytes::BytesMut;
use dmtcp_proto::{Decoder, Dialect, Frame, Limits, encode};

fn frame(payload: usize) -> Frame {
    Frame {
        payload: vec![0x5a; payload].into(),
        ..Frame::default()
    }
}

fn stream(dialect: Dialect, frames: usize, payload: usize) -> BytesMut {
    let frame = frame(payload);
    let mut bytes = BytesMut::new();
    for _ in 0..frames {
        encode(dialect, &frame, &mut bytes).unwrap();
    }
    bytes
}

/// How many frames the pieces hold, and what it cost to take them.
fn decode<'a>(
    dialect: Dialect,
    pieces: impl Iterator<Item = &'a [u8]>,
    mut take: impl FnMut(Frame),
) -> (usize, AllocationInfo) {
    let mut frames = 0;
    let cost = measure(|| {
        let mut decoder = Decoder::new(dialect, Limits::default());
        for mut piece in pieces {
            while let Some(frame) = decoder.next_frame_from(&mut piece).unwrap() {
                frames += 1;
                take(frame);
            }
        }
    });
    (frames, cost)
}

/// Growing from nothing to 4 KiB, by doubling.
const STEPS: u64 = 13;

#[test]
fn a_frame_costs_one_allocation_if_it_has_a_payload_else_none() {
    for &dialect in Dialect::ALL {
        for (payload, each) in [(0, 0), (1, 1), (1024, 1)] {
            let bytes = stream(dialect, 1000, payload);
            for read in [bytes.len(), 16 << 10, 1000] {
                let (frames, cost) = decode(dialect, bytes.chunks(read), drop);
                let case = format!("{dialect:?}, {payload} in reads of {read}: {cost:?}");
                assert_eq!(frames, 1000);
                assert!(cost.count_total <= 1000 * each + STEPS, "{case}");
                assert!(cost.bytes_max < 8192, "{case}");
            }
        }
    }
}

#[test]
fn to_encode_allocates_nothing_where_there_is_room() {
    for &dialect in Dialect::ALL {
        let frame = frame(1024);
        let mut out = BytesMut::with_capacity(2048);
        let cost = measure(|| encode(dialect, &frame, &mut out).unwrap());
        assert_eq!(cost.count_total, 0, "{dialect:?}");
    }
}

#[test]
fn a_large_payload_is_copied_a_constant_number_of_times() {
    for &dialect in Dialect::ALL {
        let most = dialect.peer_payload_limit().unwrap_or(16 << 20);
        for (payload, read) in [(1 << 18, 1), (most, 64 << 10), (most, most)] {
            let bytes = stream(dialect, 1, payload);
            let mut kept = Vec::with_capacity(1);
            let (_, cost) = decode(dialect, bytes.chunks(read), |frame| kept.push(frame));
            let case = format!("{dialect:?}, {payload} in reads of {read}: {cost:?}");
            let payload = payload as u64;
            assert_eq!(kept, [frame(payload as usize)], "{case}");
            let frame = payload + dialect.header_len() as u64;
            assert!(cost.bytes_total < 3 * frame, "{case}");
            assert!(cost.count_total < 32, "{case}");
            assert!(cost.bytes_current < 2 * payload as i64, "{case}");
        }
    }
}

/// Not even if frames are fed in one piece, nor with the rest of the last one behind them: that a
/// coordinator keeps a value must not keep the memory of everything that a peer sent with it.
#[test]
fn a_kept_payload_keeps_no_other() {
    for &dialect in Dialect::ALL {
        let bytes = stream(dialect, 64, 6000);
        for (fed, first) in [
            (false, bytes.len()),
            (true, bytes.len()),
            (true, bytes.len() - 9),
        ] {
            let mut kept = None;
            let cost = measure(|| {
                let mut decoder = Decoder::new(dialect, Limits::default());
                for mut input in bytes.chunks(first) {
                    if fed {
                        decoder.feed(std::mem::take(&mut input));
                    }
                    while let Some(frame) = decoder.next_frame_from(&mut input).unwrap() {
                        kept = Some(frame.payload);
                    }
                }
            });
            let case = format!("{dialect:?}, {fed}, {first}: {cost:?}");
            assert!(cost.bytes_current < 2 * 6000, "{case}");
            assert_eq!(kept.map(|payload| payload.len()), Some(6000), "{case}");
        }
    }
}

/// What a header announces costs nothing before it comes, in however many pieces.
#[test]
fn a_payload_that_is_announced_and_does_not_come_costs_nothing() {
    for &dialect in Dialect::ALL {
        let bytes = stream(dialect, 1, dialect.peer_payload_limit().unwrap_or(16 << 20));
        let come = dialect.header_len() + 64;
        let mut decoder = Decoder::new(dialect, Limits::default());
        let cost = measure(|| {
            for mut piece in bytes[..come].chunks(1) {
                assert_eq!(decoder.next_frame_from(&mut piece), Ok(None));
            }
        });
        assert_eq!(decoder.pending(), come);
        assert!(cost.bytes_max < 4096, "{dialect:?}: {cost:?}");
    }
}

/// What has been taken is not held, although something always waits.
#[test]
fn a_long_stream_takes_no_more_memory_than_its_pieces() {
    for &dialect in Dialect::ALL {
        let bytes = stream(dialect, 10_000, 0);
        let cost = measure(|| {
            let mut decoder = Decoder::new(dialect, Limits::default());
            for piece in bytes.chunks(1001) {
                decoder.feed(piece);
                while decoder.next_frame().unwrap().is_some() {}
            }
        });
        assert!(cost.bytes_max < 8192, "{dialect:?}: {cost:?}");
    }
}

/// Were what waits moved at each of these calls, this would take hours.
#[test]
fn a_hundred_thousand_frames_in_one_piece_are_taken_one_by_one() {
    for &dialect in Dialect::ALL {
        let bytes = stream(dialect, 100_000, 0);
        let mut decoder = Decoder::new(dialect, Limits::default());
        decoder.feed(&bytes);
        let mut frames = 0;
        let cost = measure(|| {
            let mut trickle = bytes.iter();
            while let Some(frame) = decoder.next_frame().unwrap() {
                assert_eq!(frame.header.kind, 0);
                frames += 1;
                if let Some(byte) = trickle.next() {
                    decoder.feed(std::slice::from_ref(byte));
                }
            }
        });
        assert!(frames > 100_000, "{dialect:?}: {frames}");
        assert!(cost.count_total < 8, "{dialect:?}: {cost:?}");
    }
}
