//! How fast frames are read and written, and what they allocate, beside the least it can cost.
//!
//! The floor to read a frame copies its bytes to a buffer that is kept, and reads each field there
//! with `from_le_bytes`; to write one, it writes each field with `to_le_bytes`, and copies the
//! payload, to a buffer that is kept. It checks nothing, allocates nothing and takes the stream as
//! a whole. Goals: at most twice the floor's time, and no allocation but one for each payload. The
//! row "with a slice" says what that one costs: there the floor copies the payload into one too.
//!
//! `cargo bench -p dmtcp-proto --bench codec`. Both sides run in turn, and the ratio is the median
//! over pairs, because the speed of a shared machine drifts. An allocation costs the codec about
//! 2 ns more here than elsewhere, because it is asked whether to count. Fails when there are
//! allocations too many, never because of time.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use bytes::BytesMut;
use dmtcp_proto::{Decoder, Dialect, Frame, Header, Kind, Limits, UniquePid, WorkerState, encode};

const PAIRS: usize = 1001;
/// Frames of each timed run: long beside the clock's resolution, short beside a time slice.
const FRAMES: usize = 200;
/// What a socket gives in one go.
const READ: usize = 16 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    println!("                                              ns per frame        per frame");
    println!("dialect what                                codec  floor ratio  allocations bytes");
    let mut too_many = 0;
    for &dialect in Dialect::ALL {
        for (name, payload) in [("barrier", 0), ("1 KiB payload", 1024)] {
            let frame = frame(dialect, payload)?;
            let len = dialect.header_len() + payload;
            for (way, read, slice) in [
                ("16 KiB reads", READ, false),
                ("a read each", len, false),
                ("with a slice", len, true),
            ] {
                let row = format!("decode {name}, {way}");
                if payload > 0 || !slice {
                    let used = decode(dialect, &frame, read, slice)?;
                    too_many += used.print(dialect, &row, usize::from(payload > 0));
                }
            }
            let used = write(dialect, &frame)?;
            too_many += used.print(dialect, &format!("encode {name}"), 0);
        }
    }
    match too_many {
        0 => Ok(()),
        rows => Err(format!("{rows} rows allocate more than the payloads").into()),
    }
}

/// A worker arrives at a barrier. Fields that this leaves open, and the payload, differ from each
/// other, so that none can be mistaken for another.
fn frame(dialect: Dialect, payload: usize) -> Result<Frame, Box<dyn Error>> {
    let mut frame = Frame::default();
    let header = &mut frame.header;
    header.name[..7].copy_from_slice(b"SUSPEND");
    let kinds = [Kind::Barrier, Kind::Ok];
    let mut kinds = kinds.iter().filter_map(|&kind| dialect.kind_number(kind));
    header.kind = kinds.next().ok_or("no such kind")?;
    let suspended = dialect.state_number(WorkerState::Suspended);
    header.state = suspended.ok_or("no such state")?;
    header.from = UniquePid {
        host_id: 0x98ff,
        time: 0x14d_2d64_226d,
        pid: 40_000,
        generation: 1,
    };
    header.group = header.from.with_generation(2);
    (header.magic_residue, header.ip) = (3, [127, 0, 0, 4]);
    (header.key_value_code, header.key_value_residue) = (5, 6);
    (header.virtual_pid, header.real_pid) = (7, 8);
    (header.key_len, header.value_len) = (9, 10);
    (header.peers, header.running) = (11, 12);
    (header.verb, header.status) = (13, 14);
    (header.time_stamp, header.interval) = (15, 16);
    (header.unique_id_offset, header.log_mask) = (17, 18);
    header.then_exit = 19;
    frame.payload = (0..payload).map(|n| n as u8).collect();
    // Without the fields that the dialect lacks.
    let mut bytes = BytesMut::new();
    encode(dialect, &frame, &mut bytes)?;
    let decoded = Decoder::new(dialect, Limits::default()).next_frame_from(&mut &bytes[..])?;
    Ok(decoded.ok_or("half a frame")?)
}

/// Reads of so many bytes; whether the floor gives the payload a slice of its own.
fn decode(
    dialect: Dialect,
    frame: &Frame,
    read: usize,
    slice: bool,
) -> Result<Figures, Box<dyn Error>> {
    let mut stream = BytesMut::new();
    for _ in 0..FRAMES {
        encode(dialect, frame, &mut stream)?;
    }
    let mut decoder = Decoder::new(dialect, Limits::default());
    let mut codec = || {
        let mut frames = 0;
        for mut piece in black_box(&stream).chunks(read) {
            while let Ok(Some(frame)) = &decoder.next_frame_from(&mut piece) {
                frames += usize::from(black_box(frame).payload.len() < READ);
            }
        }
        assert_eq!(frames, FRAMES);
    };
    let floor_of = floor::of(dialect).ok_or("no floor for a header of this length")?;
    let mut buffer = Vec::with_capacity(READ);
    let mut header = Header::default();
    let read_all = [floor_of.decode, floor_of.decode_to_slices][usize::from(slice)];
    let mut floor = || {
        let frames = read_all(black_box(&stream), &mut buffer, &mut header);
        assert_eq!(frames, FRAMES);
    };
    let figures = Figures::of(&mut codec, &mut floor);
    assert_eq!(header, frame.header, "the floor does something else");
    Ok(figures)
}

fn write(dialect: Dialect, frame: &Frame) -> Result<Figures, Box<dyn Error>> {
    let batch = READ / (dialect.header_len() + frame.payload.len());
    let mut out = BytesMut::with_capacity(READ);
    let mut codec = || {
        for n in 0..FRAMES {
            if n % batch == 0 {
                out.clear();
            }
            assert!(encode(dialect, black_box(frame), &mut out).is_ok());
        }
        black_box(&out);
    };
    let floor_of = floor::of(dialect).ok_or("no floor for a header of this length")?;
    let mut buffer = Vec::with_capacity(READ);
    let mut floor = || {
        for n in 0..FRAMES {
            if n % batch == 0 {
                buffer.clear();
            }
            (floor_of.encode)(black_box(frame), &mut buffer);
        }
        black_box(&buffer);
    };
    let figures = Figures::of(&mut codec, &mut floor);
    assert_eq!(out, buffer, "the floor does something else");
    Ok(figures)
}

/// What a frame costs.
struct Figures {
    codec_ns: f64,
    floor_ns: f64,
    ratio: f64,
    allocations: u64,
    bytes: u64,
}

impl Figures {
    fn of(codec: &mut dyn FnMut(), floor: &mut dyn FnMut()) -> Self {
        codec();
        floor();
        let used = allocation_counter::measure(&mut *codec);
        let mut pairs = Vec::with_capacity(PAIRS);
        allocation_counter::opt_out(|| {
            pairs.extend((0..PAIRS).map(|_| (time(codec), time(floor))));
        });
        let median = |figure: fn(&(f64, f64)) -> f64| {
            let mut figures: Vec<f64> = pairs.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[PAIRS / 2]
        };
        Self {
            codec_ns: median(|pair| pair.0),
            floor_ns: median(|pair| pair.1),
            ratio: median(|pair| pair.0 / pair.1),
            allocations: used.count_total,
            bytes: used.bytes_total,
        }
    }

    /// 1 if there were more allocations than these for each frame, else 0.
    fn print(&self, dialect: Dialect, row: &str, allowed: usize) -> usize {
        let each = |total: u64| total as f64 / FRAMES as f64;
        let (allocations, bytes) = (each(self.allocations), each(self.bytes));
        println!(
            "{:7} {row:35} {:>5.1}  {:>5.1}  {:>4.2}  {allocations:>11.3} {bytes:>5.0}",
            format!("{dialect:?}"),
            self.codec_ns,
            self.floor_ns,
            self.ratio,
        );
        usize::from(self.allocations > (allowed * FRAMES) as u64)
    }
}

/// Nanoseconds a frame.
fn time(run: &mut dyn FnMut()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_nanos() as f64 / FRAMES as f64
}

/// The least that reading and writing a frame can cost.
mod floor {
    use std::hint::black_box;

    use dmtcp_proto::{Dialect, Frame, Header, UniquePid};

    pub(super) struct Floor {
        /// Counts the frames of a stream; copies each to the buffer and its fields to the header.
        pub(super) decode: fn(&[u8], &mut Vec<u8>, &mut Header) -> usize,
        /// The same, with a copy of the payload for the caller to keep.
        pub(super) decode_to_slices: fn(&[u8], &mut Vec<u8>, &mut Header) -> usize,
        /// Appends a frame.
        pub(super) encode: fn(&Frame, &mut Vec<u8>),
    }

    pub(super) fn of(dialect: Dialect) -> Option<Floor> {
        Some(match dialect.header_len() {
            208 => Floor {
                decode: decode::<208, 16, 64, 88, 160, false>,
                decode_to_slices: decode::<208, 16, 64, 88, 160, true>,
                encode: encode::<208, 16, 64, 88, 160>,
            },
            144 => Floor {
                decode: decode::<144, 88, 8, 16, 96, false>,
                decode_to_slices: decode::<144, 88, 8, 16, 96, true>,
                encode: encode::<144, 88, 8, 16, 96>,
            },
            136 => Floor {
                decode: decode::<136, 88, 8, 16, 96, false>,
                decode_to_slices: decode::<136, 88, 8, 16, 96, true>,
                encode: encode::<136, 88, 8, 16, 96>,
            },
            _ => return None,
        })
    }

    /// `L`: length of a header. `N`, `W`: place and width of the name. `A`: place of the lengths and
    /// what follows, `B`: of the key's length and what follows. `S`: with slices.
    fn decode<
        const L: usize,
        const N: usize,
        const W: usize,
        const A: usize,
        const B: usize,
        const S: bool,
    >(
        stream: &[u8],
        buffer: &mut Vec<u8>,
        header: &mut Header,
    ) -> usize {
        let mut rest = stream;
        let mut frames = 0;
        while let Some((bytes, behind)) = rest.split_first_chunk::<L>() {
            let payload_len = u32_at(bytes, A + 4) as usize;
            let Some((payload, behind)) = behind.split_at_checked(payload_len) else {
                break;
            };
            buffer.clear();
            buffer.extend_from_slice(bytes);
            buffer.extend_from_slice(payload);
            let Some((bytes, payload)) = black_box(&buffer).split_first_chunk::<L>() else {
                break;
            };
            header.magic_residue = bytes[15];
            header.name[..W].copy_from_slice(&bytes[N..N + W]);
            header.kind = u32_at(bytes, A + 8);
            header.state = u32_at(bytes, A + 12);
            header.from = id_at(bytes, A + 16);
            header.group = id_at(bytes, A + 40);
            header.virtual_pid = u32_at(bytes, A + 64) as i32;
            header.real_pid = u32_at(bytes, A + 68) as i32;
            header.key_len = u32_at(bytes, B);
            header.value_len = u32_at(bytes, B + 4);
            header.peers = u32_at(bytes, B + 8);
            header.running = u32_at(bytes, B + 12);
            header.verb = u32_at(bytes, B + 16);
            header.status = u32_at(bytes, B + 20) as i32;
            header.time_stamp = u64_at(bytes, B + 24);
            header.interval = u32_at(bytes, B + 32) as i32;
            header.ip = u32_at(bytes, B + 36).to_le_bytes();
            if L == 208 {
                header.key_value_code = u32_at(bytes, 80);
                header.key_value_residue = u32_at(bytes, 84);
                header.then_exit = u32_at(bytes, 204);
            }
            if L == 144 {
                header.log_mask = u32_at(bytes, 140);
            }
            if L > 136 {
                header.unique_id_offset = u32_at(bytes, B + 40);
            }
            black_box((&*header, payload));
            if S {
                black_box(Box::<[u8]>::from(payload));
            }
            rest = behind;
            frames += 1;
        }
        frames
    }

    fn encode<const L: usize, const N: usize, const W: usize, const A: usize, const B: usize>(
        frame: &Frame,
        buffer: &mut Vec<u8>,
    ) {
        let header = &frame.header;
        let mut bytes = [0; L];
        bytes[..15].copy_from_slice(b"DMTCP_CKPT_V0\n\0");
        bytes[15] = header.magic_residue;
        bytes[N..N + W].copy_from_slice(&header.name[..W]);
        put(&mut bytes, A, (L as u32).to_le_bytes());
        put(
            &mut bytes,
            A + 4,
            (frame.payload.len() as u32).to_le_bytes(),
        );
        put(&mut bytes, A + 8, header.kind.to_le_bytes());
        put(&mut bytes, A + 12, header.state.to_le_bytes());
        put_id(&mut bytes, A + 16, &header.from);
        put_id(&mut bytes, A + 40, &header.group);
        put(&mut bytes, A + 64, header.virtual_pid.to_le_bytes());
        put(&mut bytes, A + 68, header.real_pid.to_le_bytes());
        put(&mut bytes, B, header.key_len.to_le_bytes());
        put(&mut bytes, B + 4, header.value_len.to_le_bytes());
        put(&mut bytes, B + 8, header.peers.to_le_bytes());
        put(&mut bytes, B + 12, header.running.to_le_bytes());
        put(&mut bytes, B + 16, header.verb.to_le_bytes());
        put(&mut bytes, B + 20, header.status.to_le_bytes());
        put(&mut bytes, B + 24, header.time_stamp.to_le_bytes());
        put(&mut bytes, B + 32, header.interval.to_le_bytes());
        put(&mut bytes, B + 36, header.ip);
        if L == 208 {
            put(&mut bytes, 80, header.key_value_code.to_le_bytes());
            put(&mut bytes, 84, header.key_value_residue.to_le_bytes());
            put(&mut bytes, 204, header.then_exit.to_le_bytes());
        }
        if L == 144 {
            put(&mut bytes, 140, header.log_mask.to_le_bytes());
        }
        if L > 136 {
            put(&mut bytes, B + 40, header.unique_id_offset.to_le_bytes());
        }
        buffer.extend_from_slice(&bytes);
        buffer.extend_from_slice(&frame.payload);
    }

    fn at<const L: usize, const N: usize>(bytes: &[u8; L], at: usize) -> [u8; N] {
        let mut field = [0; N];
        field.copy_from_slice(&bytes[at..at + N]);
        field
    }

    fn u32_at<const L: usize>(bytes: &[u8; L], offset: usize) -> u32 {
        u32::from_le_bytes(at(bytes, offset))
    }

    fn u64_at<const L: usize>(bytes: &[u8; L], offset: usize) -> u64 {
        u64::from_le_bytes(at(bytes, offset))
    }

    fn id_at<const L: usize>(bytes: &[u8; L], offset: usize) -> UniquePid {
        UniquePid {
            host_id: u64_at(bytes, offset),
            time: u64_at(bytes, offset + 8),
            pid: u32_at(bytes, offset + 16) as i32,
            generation: u32_at(bytes, offset + 20),
        }
    }

    fn put<const L: usize, const N: usize>(bytes: &mut [u8; L], at: usize, field: [u8; N]) {
        bytes[at..at + N].copy_from_slice(&field);
    }

    fn put_id<const L: usize>(bytes: &mut [u8; L], at: usize, id: &UniquePid) {
        put(bytes, at, id.host_id.to_le_bytes());
        put(bytes, at + 8, id.time.to_le_bytes());
        put(bytes, at + 16, id.pid.to_le_bytes());
        put(bytes, at + 20, id.generation.to_le_bytes());
    }
}
