//! Images made by code from the layout, so that tests need no DMTCP.

#![expect(dead_code, reason = "every test file uses a part")]

use dmtcp_proto::UniquePid;
use flate2::{Compression, write::GzEncoder};
use std::io::Write;

/// A process of the tests' computation.
pub(crate) fn process(pid: i32) -> UniquePid {
    UniquePid {
        host_id: 0x98ff,
        time: 0xe235_cb49c5,
        pid,
        generation: 0,
    }
}

/// The tests' computation in a round.
pub(crate) fn computation(generation: u32) -> UniquePid {
    UniquePid {
        time: 0xe233_a7fff0,
        ..process(40000)
    }
    .with_generation(generation)
}

/// The name that DMTCP would give.
pub(crate) fn name(process: UniquePid) -> String {
    format!("ckpt_counter_{process}.dmtcp")
}

/// A plain v4.0 image with every kind of memory area.
pub(crate) fn v4(process: UniquePid, computation: UniquePid) -> Vec<u8> {
    let mut header = vec![0; 4096];
    put(&mut header, 0, b"DMTCP_CHECKPOINT_IMAGE_v4.0\n");
    put_id(&mut header, 32, process);
    put_id(&mut header, 80, computation);
    put(&mut header, 104, &process.pid.to_le_bytes());
    put(&mut header, 108, &7i32.to_le_bytes());
    put(&mut header, 124, &1u32.to_le_bytes());
    put(&mut header, 128, &3u32.to_le_bytes());
    put(&mut header, 132, &1u32.to_le_bytes());
    put(&mut header, 256, b"counter");
    put(&mut header, 1280, b"/usr/bin/counter");
    let mut image = header.repeat(2);
    areas(&mut image);
    image
}

/// A plain v4.0 image with one large area of memory that does not compress.
pub(crate) fn v4_of_size(
    out: &mut impl Write,
    process: UniquePid,
    computation: UniquePid,
    size: usize,
) -> std::io::Result<()> {
    let small = v4(process, computation);
    let header = &small[..2 * 4096];
    let end = &small[small.len() - 4096..];
    out.write_all(header)?;
    let mut record = Vec::new();
    area(&mut record, 0x20000, size as u64, -1, 4, b"[heap]", 0);
    out.write_all(&record)?;
    let mut state = 1u64;
    let mut block = vec![0; 1 << 20];
    let mut left = size;
    while left > 0 {
        for word in block.chunks_exact_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        let len = left.min(block.len());
        out.write_all(&block[..len])?;
        left -= len;
    }
    out.write_all(end)
}

/// Memory areas as 3.0 and later write them, with their end marker.
pub(crate) fn areas(image: &mut Vec<u8>) {
    // A file mapped whole, and one whose mapping is longer than the file.
    area(image, 0x1000, 8192, 8192, 0, b"/usr/bin/counter", 8192);
    area(image, 0x8000, 12288, 5000, 0, b"/usr/lib/libc.so", 5000);
    // Anonymous memory: a parent, a run of data, a run of zeros.
    area(image, 0x20000, 1 << 20, -1, 2, b"[heap]", 0);
    area(image, 0x20000, 70_000, -1, 4, b"[heap]", 70_000);
    area(image, 0x31170, (1 << 20) - 70_000, -1, 5, b"[heap]", 0);
    area(image, 0x7fff_0000, 4096, -1, 0, b"[stack]", 4096);
    let mut end = vec![0xAB; 4096];
    put(&mut end, 0, &0u64.to_le_bytes());
    put(&mut end, 16, &u64::MAX.to_le_bytes());
    image.extend(end);
}

fn area(
    image: &mut Vec<u8>,
    address: u64,
    size: u64,
    file_size: i64,
    properties: u64,
    name: &[u8],
    data: usize,
) {
    let mut record = vec![0; 4096];
    put(&mut record, 0, &address.to_le_bytes());
    put(&mut record, 8, &(address + size).to_le_bytes());
    put(&mut record, 16, &size.to_le_bytes());
    put(&mut record, 72, &file_size.to_le_bytes());
    put(&mut record, 80, &properties.to_le_bytes());
    put(&mut record, 88, name);
    image.extend(record);
    // Compresses, but not to nothing.
    image.extend((0..data).map(|i| ((i * i) >> 7) as u8));
}

/// A 3.x image: a packed stream, uninitialised padding, the MTCP page, areas.
pub(crate) fn v2(process: UniquePid, computation: UniquePid, vclock: bool) -> Vec<u8> {
    let mut image = b"DMTCP_CHECKPOINT_IMAGE_v2.0\n".to_vec();
    let out = &mut image;
    out.extend(b"ProcessInfo:\0");
    for value in [
        1,
        1,
        process.pid as u32,
        7,
        8,
        9,
        10,
        computation.generation,
    ] {
        out.extend(value.to_le_bytes());
    }
    for text in ["counter", "/usr/bin/counter", "node1", "/home", "/home"] {
        string(out, text);
    }
    id(out, process);
    id(out, UniquePid::NULL);
    out.extend([0; 32]);
    id(out, computation.with_generation(0));
    out.extend(3u32.to_le_bytes());
    // Restore buffer, six addresses, stack end; newer ones also the clock page.
    out.extend(vec![0x11; 8 * if vclock { 10 } else { 8 }]);
    for text in ["/ckpt", "ckpt_counter.dmtcp", "ckpt_counter_files"] {
        string(out, text);
    }
    out.extend(b"map:\0");
    out.extend(1u32.to_le_bytes());
    out.extend(b"[\0");
    string(out, "key");
    out.extend(b",\0");
    string(out, "value");
    out.extend(b"]\0end::map\0EOF\0");
    let padding = 4096 - out.len() % 4096;
    out.extend(vec![0xEE; padding]);
    let mut page = b"MTCP_HEADER_v2.2\n".to_vec();
    page.resize(4096, 0);
    out.extend(page);
    areas(out);
    image
}

/// An image of 2.x up to its memory areas: each release has more fields, and all keep child
/// processes where 3.x keeps keys and values.
pub(crate) fn v2_of_2_x(
    release: (u32, u32, u32),
    process: UniquePid,
    computation: UniquePid,
) -> Vec<u8> {
    let since = |first| release >= first;
    let mut image = b"DMTCP_CHECKPOINT_IMAGE_v2.0\n".to_vec();
    let out = &mut image;
    out.extend(b"ProcessInfo:\0");
    for value in [1, 1, process.pid as u32, 7, 8, 9, 10] {
        out.extend(value.to_le_bytes());
    }
    let mut id_with = computation;
    if since((2, 4, 1)) {
        out.extend(computation.generation.to_le_bytes());
        id_with.generation = 0;
    }
    string(out, "counter");
    if since((2, 5, 0)) {
        string(out, "/usr/bin/counter");
    }
    for text in ["node1", "/home", "/home"] {
        string(out, text);
    }
    id(out, process);
    id(out, UniquePid::NULL);
    if since((2, 5, 1)) {
        out.extend([0; 32]);
    }
    id(out, id_with);
    out.extend(3u32.to_le_bytes());
    // No coordinator, sizes of arguments and environment; the restore buffer.
    out.extend([0x22; 12 + 8]);
    if since((2, 5, 0)) {
        out.extend(1023u32.to_le_bytes());
    }
    out.extend(vec![0x11; 8 * if since((2, 6, 0)) { 7 } else { 6 }]);
    for text in ["/ckpt", "ckpt_counter.dmtcp", "ckpt_counter_files"] {
        string(out, text);
    }
    out.extend(b"dmtcp::map:\0");
    out.extend(1u32.to_le_bytes());
    out.extend(b"[\0");
    out.extend(41_001u32.to_le_bytes());
    out.extend(b",\0");
    id(out, process);
    out.extend(b"]\0endmap\0EOF\0");
    let padding = 4096 - out.len() % 4096;
    out.extend(vec![0xEE; padding]);
    let mut page = b"MTCP_HEADER_v2.2\n".to_vec();
    page.resize(4096, 0);
    out.extend(page);
    image
}

/// As `gzip -1` would write it.
pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn put(page: &mut [u8], at: usize, bytes: &[u8]) {
    page[at..at + bytes.len()].copy_from_slice(bytes);
}

fn put_id(page: &mut [u8], at: usize, value: UniquePid) {
    let mut bytes = Vec::new();
    id(&mut bytes, value);
    put(page, at, &bytes);
}

fn id(out: &mut Vec<u8>, value: UniquePid) {
    out.extend(value.host_id.to_le_bytes());
    out.extend(value.time.to_le_bytes());
    out.extend(value.pid.to_le_bytes());
    out.extend(value.generation.to_le_bytes());
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

/// Where the stacks of [`with_stack`] end.
pub(crate) const STACK_END: u64 = 0x7ffd_1000_0000;

/// A v4.0 image with nothing but a stack, which holds `top` at its end: as the kernel names it
/// before a restart, as it is after one otherwise.
pub(crate) fn with_stack(top: &[u8], is_named: bool) -> Vec<u8> {
    let mut image = v4(process(41000), computation(3));
    image.truncate(8192);
    for header in [0, 4096] {
        put(&mut image, header + 240, &STACK_END.to_le_bytes());
    }
    let name: &[u8] = if is_named { b"[stack]" } else { b"" };
    // Grown to 8 MiB and used at both ends only.
    let (size, first) = (8u64 << 20, 4096u64);
    let last = top.len() as u64;
    let start = STACK_END - size;
    area(&mut image, start, size, -1, 2, name, 0);
    area(&mut image, start, first, -1, 4, name, first as usize);
    area(
        &mut image,
        start + first,
        size - first - last,
        -1,
        5,
        name,
        0,
    );
    area(&mut image, STACK_END - last, last, -1, 4, name, 0);
    image.extend(top);
    let mut end = vec![0; 4096];
    put(&mut end, 16, &u64::MAX.to_le_bytes());
    image.extend(end);
    image
}

/// The last page or pages of a stack as Linux lays them out; `unset` of the environment's pointers
/// have been taken out by `unsetenv`.
pub(crate) fn stack_top(arguments: &[&str], environment: &[&str], unset: usize) -> Vec<u8> {
    let mut strings = Vec::new();
    let mut places = Vec::new();
    for text in arguments.iter().chain(environment).chain(&["/bin/counter"]) {
        places.push(strings.len() as u64);
        strings.extend(text.as_bytes());
        strings.push(0);
    }
    strings.extend([0; 8]);
    let base = STACK_END - strings.len() as u64;
    let pointer = |place: u64| base + place;
    let mut words = vec![arguments.len() as u64];
    words.extend(places.iter().take(arguments.len()).map(|&p| pointer(p)));
    words.push(0);
    let variables = places.iter().skip(arguments.len()).take(environment.len());
    words.extend(variables.skip(unset).map(|&p| pointer(p)));
    words.extend(vec![0; unset + 1]);
    let executed = pointer(places[places.len() - 1]);
    // Of the vdso, page size, random bytes, the executed file, the end.
    words.extend([
        33,
        0x7ffd_2000_0000,
        6,
        4096,
        25,
        base - 64,
        31,
        executed,
        0,
        0,
    ]);
    let used = words.len() * 8 + 128 + strings.len();
    let mut top = vec![0xA5; used.next_multiple_of(4096) - used];
    top.truncate(top.len() / 8 * 8);
    top.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    // Platform, random bytes, and what aligns the strings.
    top.resize(used.next_multiple_of(4096) - strings.len(), 0x5A);
    top.extend(strings);
    top
}
