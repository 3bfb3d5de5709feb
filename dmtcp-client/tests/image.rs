//! What is read from images, and that nothing but a whole image passes as one.

mod sample_images;

use dmtcp_client::image::native::{self, NativeHeader};
use dmtcp_client::image::{self, Format, ImageError};
use sample_images::{computation, gzip, process, v2, v2_of_2_x, v4};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join("image");
        fs::write(&path, bytes).unwrap();
        path
    }
}

#[test]
fn v4_says_who_is_in_it() {
    let dir = Dir::new();
    let plain = v4(process(41000), computation(3));
    for (bytes, compressed) in [(plain.clone(), false), (gzip(&plain), true)] {
        let path = dir.file(&bytes);
        let header = image::check_whole(&path).unwrap();
        assert_eq!(header, image::read_header(&path).unwrap());
        assert_eq!(header.format, Format::V4);
        assert_eq!(header.compressed, compressed);
        assert_eq!(header.process, process(41000));
        assert_eq!(header.computation, computation(3));
        assert_eq!((header.virtual_pid, header.virtual_ppid), (41000, 7));
        assert_eq!((header.is_root, header.peers), (true, 3));
        assert_eq!(header.program, "counter");
        assert_eq!(header.executable, Path::new("/usr/bin/counter"));
    }
}

#[test]
fn both_layouts_of_3_x_are_told_apart() {
    let dir = Dir::new();
    for vclock in [false, true] {
        let plain = v2(process(41000), computation(5), vclock);
        for bytes in [plain.clone(), gzip(&plain)] {
            let header = image::check_whole(&dir.file(&bytes)).unwrap();
            assert_eq!(header.format, Format::V2);
            assert_eq!(header.process, process(41000));
            assert_eq!(header.computation, computation(5));
            assert_eq!((header.virtual_pid, header.virtual_ppid), (41000, 8));
            assert_eq!(header.host, Some("node1".into()));
            assert_eq!(header.executable, Path::new("/usr/bin/counter"));
        }
    }
}

#[test]
fn the_header_of_every_2_x_is_read() {
    let dir = Dir::new();
    for release in [(2, 4, 0), (2, 4, 9), (2, 5, 0), (2, 5, 2), (2, 6, 0)] {
        let plain = v2_of_2_x(release, process(41000), computation(5));
        for bytes in [plain.clone(), gzip(&plain)] {
            let header = image::read_header(&dir.file(&bytes))
                .unwrap_or_else(|error| panic!("{release:?}: {error}"));
            assert_eq!(header.format, Format::V2);
            assert_eq!(header.process, process(41000));
            assert_eq!(header.computation, computation(5));
            assert_eq!((header.virtual_pid, header.virtual_ppid), (41000, 8));
            assert_eq!((header.peers, header.host), (3, Some("node1".into())));
        }
    }
}

/// Every end that comes from losing bytes is seen, wherever it falls.
#[test]
fn a_cut_image_is_refused_at_every_page_and_around() {
    let dir = Dir::new();
    let plain = v4(process(41000), computation(1));
    let old = v2(process(41000), computation(1), true);
    let packed = gzip(&plain);
    for (bytes, step) in [(&plain, 4096), (&old, 4096), (&packed, packed.len() / 40)] {
        let mut ends: Vec<_> = (0..bytes.len()).step_by(step).collect();
        ends.extend([
            1,
            20,
            31,
            4097,
            8191,
            8193,
            bytes.len() - 8,
            bytes.len() - 1,
        ]);
        for end in ends {
            let path = dir.file(&bytes[..end]);
            let error = image::check_whole(&path).unwrap_err();
            assert!(
                error.to_string().contains(path.to_str().unwrap()),
                "{error}"
            );
            // So short that it is no image yet.
            let nothing = matches!(error, ImageError::NotAnImage { .. }) && end < 32;
            assert!(
                nothing || matches!(error, ImageError::Cut { .. }),
                "{end}: {error}"
            );
            assert!(image::checksum_whole(&path, None).is_err());
        }
    }
}

#[test]
fn a_whole_stream_of_half_an_image_is_refused() {
    // What gzip leaves when its writer dies: its own end is right.
    let plain = v4(process(41000), computation(1));
    let packed = gzip(&plain[..plain.len() / 2]);
    let dir = Dir::new();
    let error = image::check_whole(&dir.file(&packed)).unwrap_err();
    assert!(matches!(error, ImageError::Cut { .. }), "{error}");
    // That may be far behind the end of the file.
    let inspected = image::inspect(&dir.file(&packed)).unwrap().fault.unwrap();
    for error in [error, inspected] {
        let text = error.to_string();
        assert!(text.contains("count its uncompressed content"), "{text}");
    }
    let cut = image::check_whole(&dir.file(&plain[..plain.len() / 2])).unwrap_err();
    assert!(!cut.to_string().contains("compressed"), "{cut}");
}

#[test]
fn bytes_after_the_end_are_refused() {
    let dir = Dir::new();
    let plain = v4(process(41000), computation(1));
    let long = [plain.as_slice(), b"x"].concat();
    let packed_after = [gzip(&plain), b"x".to_vec()].concat();
    for bytes in [long.clone(), gzip(&long), packed_after] {
        let error = image::check_whole(&dir.file(&bytes)).unwrap_err();
        assert!(matches!(error, ImageError::Damaged { .. }), "{error}");
    }
}

#[test]
fn damage_in_structure_or_stream_is_refused() {
    let dir = Dir::new();
    let plain = v4(process(41000), computation(1));
    // The second header, and the end address of the first area.
    for at in [4096 + 300, 8192 + 8] {
        let mut bytes = plain.clone();
        bytes[at] ^= 1;
        let error = image::check_whole(&dir.file(&bytes)).unwrap_err();
        assert!(matches!(error, ImageError::Damaged { .. }), "{at}: {error}");
    }
    let packed = gzip(&plain);
    for at in [
        packed.len() / 3,
        packed.len() / 2,
        packed.len() - 6,
        packed.len() - 2,
    ] {
        let mut bytes = packed.clone();
        bytes[at] ^= 0x10;
        let error = image::check_whole(&dir.file(&bytes)).unwrap_err();
        assert!(
            matches!(error, ImageError::Damaged { .. } | ImageError::Cut { .. }),
            "{at}: {error}"
        );
    }
}

#[test]
fn other_files_are_named_for_what_they_are() {
    let dir = Dir::new();
    for bytes in [b"".as_slice(), b"#!/bin/sh\n", &gzip(b"hello")] {
        let error = image::read_header(&dir.file(bytes)).unwrap_err();
        assert!(matches!(error, ImageError::NotAnImage { .. }), "{error}");
    }
    let error = image::read_header(&dir.file(b"HBICT")).unwrap_err();
    assert!(matches!(error, ImageError::Unsupported { .. }), "{error}");
    let error = image::read_header(dir.0.path()).unwrap_err();
    assert!(matches!(error, ImageError::NotAnImage { .. }), "{error}");
    let missing = dir.0.path().join("missing");
    let error = image::read_header(&missing).unwrap_err();
    assert!(
        matches!(error, ImageError::Io { action: "open", .. }),
        "{error}"
    );
}

#[test]
fn the_checksum_is_of_the_file_and_the_deadline_is_kept() {
    let dir = Dir::new();
    let packed = gzip(&v4(process(41000), computation(1)));
    let path = dir.file(&packed);
    let whole = image::checksum_whole(&path, None).unwrap();
    assert_eq!(whole.size, packed.len() as u64);
    assert_eq!(whole.crc32, crc32fast::hash(&packed));
    let error = image::checksum_whole(&path, Some(Instant::now())).unwrap_err();
    assert!(
        matches!(error, ImageError::TimedOut { done: 0, .. }),
        "{error}"
    );
}

fn native_header() -> NativeHeader {
    let mut header = NativeHeader::new(process(42000), computation(2));
    header.program = PathBuf::from(OsString::from_vec(b"/opt/w\xff/worker".to_vec()));
    header.args = vec!["--rank".into(), OsString::from_vec(vec![0xfe, b'1'])];
    header.directory = "/home".into();
    header.host = "node1".into();
    header.peers = 4;
    header
}

#[test]
fn a_native_image_comes_back_as_it_was() {
    let dir = Dir::new();
    let path = dir.0.path().join("ckpt_worker.dmtcp");
    let payload: Vec<u8> = (0..200_000u32).map(|i| (i % 251) as u8).collect();
    native::write(&path, &native_header(), &payload).unwrap();
    let (header, back) = native::read(&path).unwrap();
    assert_eq!(back, payload);
    let mut expected = native_header();
    expected.payload_len = 200_000;
    assert_eq!(header, expected);
    let image = image::check_whole(&path).unwrap();
    assert_eq!((image.format, image.compressed), (Format::Native, false));
    assert_eq!(
        (image.process, image.computation),
        (process(42000), computation(2))
    );
    assert_eq!(image.program, "worker");
    // The file aside is gone, and an empty payload is one.
    assert_eq!(fs::read_dir(dir.0.path()).unwrap().count(), 1);
    native::write(&path, &native_header(), b"").unwrap();
    assert_eq!(native::read(&path).unwrap().1, b"");
}

#[test]
fn a_native_image_is_refused_for_every_lost_or_flipped_byte() {
    let dir = Dir::new();
    let path = dir.0.path().join("image");
    native::write(&path, &native_header(), b"some state").unwrap();
    let bytes = fs::read(&path).unwrap();
    for end in 0..bytes.len() {
        let path = dir.file(&bytes[..end]);
        assert!(image::check_whole(&path).is_err(), "{end}");
        assert!(native::read(&path).is_err(), "{end}");
    }
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x04;
        let path = dir.file(&bytes);
        assert!(image::check_whole(&path).is_err(), "{at}");
        assert!(native::read(&path).is_err(), "{at}");
    }
}

#[test]
fn lengths_in_a_native_image_are_not_believed() {
    let dir = Dir::new();
    let json = |len: u64| {
        let mut header = native_header();
        header.payload_len = len;
        serde_json::to_vec(&header).unwrap()
    };
    for len in [u64::MAX, 1 << 40, 5] {
        let json = json(len);
        let mut bytes = native::MAGIC.to_vec();
        bytes.extend((json.len() as u32).to_le_bytes());
        bytes.extend(&json);
        bytes.extend([0; 8]);
        let error = native::read(&dir.file(&bytes)).unwrap_err();
        assert!(matches!(error, ImageError::Cut { .. }), "{len}: {error}");
    }
    let mut bytes = native::MAGIC.to_vec();
    bytes.extend(u32::MAX.to_le_bytes());
    let error = native::read(&dir.file(&bytes)).unwrap_err();
    assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");

    let path = dir.0.path().join("large");
    native::write(&path, &native_header(), &[1; 100]).unwrap();
    let error = native::read_within(&path, 99).unwrap_err();
    assert!(
        matches!(
            error,
            ImageError::TooLarge {
                len: 100,
                limit: 99,
                ..
            }
        ),
        "{error}"
    );
    assert!(native::read_within(&path, 100).is_ok());
}

#[test]
fn a_failed_write_leaves_the_image_before() {
    let dir = Dir::new();
    let path = dir.0.path().join("image");
    native::write(&path, &native_header(), b"before").unwrap();
    // The file aside cannot be made.
    fs::create_dir(dir.0.path().join("image.temp")).unwrap();
    let error = native::write(&path, &native_header(), b"after").unwrap_err();
    assert!(error.to_string().contains("image.temp"), "{error}");
    assert_eq!(native::read(&path).unwrap().1, b"before");
}

#[test]
fn the_documented_native_layout_is_the_one_that_is_written() {
    let document = include_str!("../../docs/IMAGE.md");
    let dir = Dir::new();
    let path = dir.0.path().join("image");
    native::write(&path, &native_header(), b"state").unwrap();
    let bytes = fs::read(&path).unwrap();
    let magic = std::str::from_utf8(native::MAGIC).unwrap().trim_end();
    let row = format!("| {} | `{magic}` and a newline |", native::MAGIC.len());
    assert!(document.contains(&row), "{row}");
    let (front, trailer) = bytes.split_at(bytes.len() - 4);
    assert_eq!(trailer, crc32fast::hash(front).to_le_bytes());
    assert!(front.ends_with(b"state"));
    let json = &front[native::MAGIC.len() + 4..front.len() - 5];
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(json).unwrap();
    for field in fields.keys() {
        assert!(document.contains(&format!("`{field}`")), "{field}");
    }
}

#[test]
fn a_header_that_seems_to_end_on_every_page_is_not_read_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let page = |text: &[u8]| {
        let mut page = text.to_vec();
        page.resize(4096, 0);
        page
    };
    let mut bytes = page(b"DMTCP_CHECKPOINT_IMAGE_v2.0\n");
    for _ in 0..20 {
        bytes.extend_from_slice(&page(b"MTCP_HEADER_v2.2\n"));
    }
    fs::write(&path, bytes).unwrap();
    let error = image::read_header(&path).unwrap_err();
    assert!(matches!(error, ImageError::Damaged { .. }), "{error:?}");
}
