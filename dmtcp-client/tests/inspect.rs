//! What is read from an image without restoring it, and that no file makes that fail badly.

mod sample_images;

use allocation_counter::measure;
use dmtcp_client::image::native::{self, NativeHeader};
use dmtcp_client::image::{AreaTotal, Format, ImageError, Inspection, inspect};
use proptest::prelude::*;
use sample_images::{
    STACK_END, computation, gzip, process, stack_top, v2, v2_of_2_x, v4, with_stack,
};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join("ckpt_counter.dmtcp");
        fs::write(&path, bytes).unwrap();
        path
    }

    fn inspect(&self, bytes: &[u8]) -> Inspection {
        inspect(&self.file(bytes)).unwrap()
    }
}

fn total(areas: u64, bytes: u64, stored_bytes: u64) -> AreaTotal {
    let mut total = AreaTotal::default();
    (total.areas, total.bytes, total.stored_bytes) = (areas, bytes, stored_bytes);
    total
}

#[test]
fn memory_is_added_up_by_what_it_is() {
    let dir = Dir::new();
    let images = [
        v4(process(41000), computation(3)),
        v2(process(41000), computation(5), true),
    ];
    for plain in images {
        for bytes in [plain.clone(), gzip(&plain)] {
            let inspection = dir.inspect(&bytes);
            assert!(inspection.fault.is_none(), "{:?}", inspection.fault);
            assert_eq!(inspection.size, bytes.len() as u64);
            let memory = inspection.memory.unwrap();
            assert_eq!(memory.files, total(2, 8192 + 12288, 8192 + 5000));
            assert_eq!(memory.heap, total(1, 1 << 20, 70_000));
            assert_eq!(memory.stack, total(1, 4096, 4096));
            assert_eq!(memory.anonymous, total(0, 0, 0));
            assert_eq!(memory.total.areas, 4);
            let mapped: Vec<_> = memory.mapped.iter().map(|file| &file.path).collect();
            assert_eq!(
                mapped,
                [Path::new("/usr/bin/counter"), Path::new("/usr/lib/libc.so")]
            );
            assert_eq!(memory.mapped[1].total, total(1, 12288, 5000));
            assert_eq!(inspection.details.unwrap().bits, Some(64));
            assert_eq!(inspection.start, None, "nothing is in this stack");
        }
    }
}

#[test]
fn the_header_says_more_in_some_releases() {
    let dir = Dir::new();
    let details = |bytes: &[u8]| dir.inspect(bytes).details.unwrap();
    let v4 = details(&v4(process(41000), computation(3)));
    assert_eq!((v4.directory, v4.checkpoint_dir), (None, None));
    let v3 = details(&v2(process(41000), computation(5), false));
    assert_eq!(
        (v3.session, v3.process_group, v3.foreground_group),
        (7, 9, 10)
    );
    assert_eq!(v3.directory, Some("/home".into()));
    assert_eq!(v3.checkpoint_dir, Some("/ckpt".into()));
    assert_eq!(
        (v3.plugin_values[0].key.to_str(), v3.children.len()),
        (Some("key"), 0)
    );
    let mut v2 = v2_of_2_x((2, 5, 2), process(41000), computation(5));
    let mut end = vec![0; 4096];
    end[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
    v2.extend(end);
    let v2 = details(&v2);
    assert_eq!(v2.children[0].virtual_pid, 41_001);
    assert_eq!(v2.plugin_values.len(), 0);
}

#[test]
fn arguments_and_environment_are_found_on_the_stack() {
    let dir = Dir::new();
    let many: Vec<String> = (0..3000).map(|i| format!("VARIABLE_{i}={i}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let cases: [(&[&str], &[&str], usize); 6] = [
        (&["counter", "-n", "5"], &["HOME=/", "PATH=/bin"], 0),
        (&["counter"], &["HOME=/"], 0),
        (&["counter", "", "a b"], &[], 0),
        (&["counter", "x"], &["LD_PRELOAD=y", "A=", "B=1"], 1),
        (&["counter", "x"], &["A=", "B=1"], 2),
        (&["counter"], &many, 0),
    ];
    for (arguments, environment, unset) in cases {
        let top = stack_top(arguments, environment, unset);
        for is_named in [true, false] {
            let plain = with_stack(&top, is_named);
            for bytes in [gzip(&plain), plain] {
                let inspection = dir.inspect(&bytes);
                assert!(inspection.fault.is_none());
                let memory = inspection.memory.unwrap();
                let stored = 4096 + top.len() as u64;
                assert_eq!(memory.stack, total(1, 8 << 20, stored));
                let start = inspection.start.expect("the start block");
                assert_eq!(start.executed, Path::new("/bin/counter"));
                assert_eq!(start.arguments, arguments);
                assert_eq!(start.environment, environment);
            }
        }
    }
}

#[test]
fn a_variable_that_was_cut_is_not_two() {
    let dir = Dir::new();
    let environment = ["HOME=/", "plain", "LD_PRELOAD=/opt/lib/x.so:"];
    // Whether its pointer is still there or not.
    for first in [0, 2] {
        let mut environment = environment.to_vec();
        environment.rotate_left(first);
        let mut top = stack_top(&["counter"], &environment, first / 2);
        let value = b"/opt/lib";
        let at = top.windows(value.len()).position(|part| part == value);
        top[at.unwrap()] = 0;
        let inspection = dir.inspect(&with_stack(&top, true));
        let start = inspection.start.expect("the start block");
        let mut expected = vec!["HOME=/", "plain", "LD_PRELOAD="];
        expected.rotate_left(first);
        assert_eq!(start.environment, expected);
        assert_eq!(start.executed, Path::new("/bin/counter"));
    }
}

#[test]
fn nothing_is_said_of_a_stack_that_was_written_over() {
    let dir = Dir::new();
    let top = stack_top(&["counter"], &["HOME=/"], 0);
    let cases: [fn(&mut Vec<u8>); 3] = [
        // Not null at its end.
        |top| *top.last_mut().unwrap() = 1,
        // No vectors.
        |top| {
            let end = top.len() - 64;
            top[..end].fill(0);
        },
        // The vector points elsewhere.
        |top| {
            let executed = 31u64.to_le_bytes();
            let at = top.windows(8).position(|word| word == executed).unwrap();
            top[at + 8] ^= 1;
        },
    ];
    for change in cases {
        let mut changed = top.clone();
        change(&mut changed);
        let inspection = dir.inspect(&with_stack(&changed, true));
        assert!(inspection.fault.is_none());
        assert_eq!(inspection.start, None);
    }
}

#[test]
fn of_a_cut_image_its_beginning_is_told() {
    let dir = Dir::new();
    let whole = v4(process(41000), computation(3));
    for bytes in [whole.clone(), gzip(&whole)] {
        let inspection = dir.inspect(&bytes[..bytes.len() - 100]);
        assert!(matches!(inspection.fault, Some(ImageError::Cut { .. })));
        assert_eq!(inspection.header.process, process(41000));
        assert_eq!(inspection.memory.unwrap().files.areas, 2);
    }
    let error = inspect(&dir.file(&whole[..5000])).unwrap_err();
    assert!(matches!(error, ImageError::Cut { .. }), "{error}");
    let error = inspect(&dir.file(b"#!/bin/sh\n")).unwrap_err();
    assert!(matches!(error, ImageError::NotAnImage { .. }), "{error}");
}

#[test]
fn a_native_image_tells_all_of_its_header() {
    let dir = Dir::new();
    let mut header = NativeHeader::new(process(41000), computation(2));
    header.program = "/usr/bin/worker".into();
    header.args = vec!["--fast".into()];
    header.host = "node1".into();
    let path = dir.file(b"");
    native::write(&path, &header, &[7; 100_000]).unwrap();
    let inspection = inspect(&path).unwrap();
    assert!(inspection.fault.is_none());
    assert_eq!(inspection.header.format, Format::Native);
    assert_eq!(inspection.header.program, "worker");
    let native = inspection.native.unwrap();
    assert_eq!(native.args, [OsString::from("--fast")]);
    assert_eq!(native.payload_len, 100_000);
    assert!(inspection.memory.is_none() && inspection.details.is_none());

    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() - 500;
    bytes[middle] ^= 1;
    let inspection = dir.inspect(&bytes);
    assert!(matches!(inspection.fault, Some(ImageError::Damaged { .. })));
    assert_eq!(inspection.native.unwrap().args.len(), 1);
    let inspection = dir.inspect(&bytes[..middle]);
    assert!(matches!(inspection.fault, Some(ImageError::Cut { .. })));
}

#[test]
fn saved_files_are_listed_with_where_they_were() {
    let dir = Dir::new();
    let path = dir.file(&v4(process(41000), computation(3)));
    assert_eq!(inspect(&path).unwrap().saved_files, []);
    let files = dir.0.path().join("ckpt_counter_files");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("log_99001"), b"12345").unwrap();
    fs::write(files.join("old_99002"), b"").unwrap();
    symlink("/etc/passwd", files.join("link_99003")).unwrap();
    let listed = || {
        let saved = inspect(&path).unwrap().saved_files;
        let listed = saved
            .into_iter()
            .map(|file| (file.name, file.size, file.path));
        listed.collect::<Vec<_>>()
    };
    let without = |path: Option<&str>| {
        vec![
            ("log_99001".into(), 5, path.map(PathBuf::from)),
            ("old_99002".into(), 0, None),
        ]
    };
    assert_eq!(listed(), without(None), "links are not followed");
    let info = files.join("fd-info.txt");
    fs::write(&info, "log_99001:/var/log/a:b\nno colon\n:\n").unwrap();
    assert_eq!(listed(), without(Some("/var/log/a:b")));
    fs::remove_file(&info).unwrap();
    symlink("/etc/passwd", &info).unwrap();
    assert_eq!(listed(), without(None), "nor is this one");
}

/// What an image may claim at worst, against the bound that is documented.
#[test]
fn memory_is_bounded_whatever_a_file_claims() {
    let dir = Dir::new();
    let block = (8usize << 20) - 8192;
    // Nothing but empty strings; nothing but places that look like the auxiliary vector; pointers
    // without end.
    let executed = STACK_END - 8 - 13;
    let repeated = |pattern: &[u8]| {
        let mut top: Vec<u8> = pattern.iter().copied().cycle().take(block).collect();
        let end = block - 8 - 13;
        top[end..].copy_from_slice(b"/bin/counter\0\0\0\0\0\0\0\0\0");
        top
    };
    let entry: Vec<u8> = [31, executed]
        .iter()
        .flat_map(|word: &u64| word.to_le_bytes())
        .collect();
    let mut pointers = repeated(&executed.to_le_bytes());
    let at = block - 64;
    pointers[at..at + 16].copy_from_slice(&entry);
    pointers[at - 8..at].fill(0);
    let stacks = [vec![0; block], repeated(&[0]), repeated(&entry), pointers];
    // Other names than there may be, as long as they may be.
    let mut names = v4(process(41000), computation(3));
    names.truncate(8192);
    for number in 0..6000u32 {
        let mut record = vec![0; 4096];
        record[0..8].copy_from_slice(&0x1000u64.to_le_bytes());
        record[8..16].copy_from_slice(&0x2000u64.to_le_bytes());
        record[16..24].copy_from_slice(&0x1000u64.to_le_bytes());
        record[80] = 1;
        record[88..].fill(b'x');
        record[88..98].copy_from_slice(format!("/{number:09}").as_bytes());
        names.extend(record);
    }
    let stacks = stacks.iter().map(|top| with_stack(top, true));
    for image in stacks.chain([names]) {
        let path = dir.file(&gzip(&image));
        drop(image);
        let mut inspected = None;
        let info = measure(|| inspected = Some(inspect(&path)));
        assert!(info.bytes_max < 32 << 20, "{} bytes", info.bytes_max);
        let memory = inspected.unwrap().unwrap().memory.unwrap();
        assert!(memory.mapped.len() <= 4096);
        let areas: u64 = memory.mapped.iter().map(|file| file.total.areas).sum();
        assert_eq!(memory.files.areas, areas + memory.unlisted_areas);
    }
}

fn samples() -> Vec<Vec<u8>> {
    let top = stack_top(&["counter", "-n"], &["HOME=/", "A=b"], 1);
    let mut of_2_4 = v2_of_2_x((2, 4, 9), process(41000), computation(5));
    sample_images::areas(&mut of_2_4);
    vec![
        v4(process(41000), computation(3)),
        with_stack(&top, true),
        with_stack(&top, false),
        v2(process(41000), computation(5), true),
        of_2_4,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Bytes where they matter: headers, records and the end of the stack.
    #[test]
    fn nothing_panics_on_a_changed_image(
        sample in 0usize..5,
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0usize..4, any::<u64>()), 1..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
        compressed: bool,
    ) {
        let mut bytes = samples().swap_remove(sample);
        for (index, place, value) in changes {
            // A quarter each: the header, an aligned word, near the end, anywhere.
            let len = bytes.len();
            let at = match place {
                0 => index.index(700),
                1 => index.index(len / 8) * 8,
                2 => len - 1 - index.index(9000),
                _ => index.index(len),
            };
            let value = value.to_le_bytes();
            let width = 8.min(len - at);
            bytes[at..at + width].copy_from_slice(&value[..width]);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let bytes = if compressed { gzip(&bytes) } else { bytes };
        let dir = Dir::new();
        let path = dir.file(&bytes);
        let mut inspected = None;
        let info = measure(|| inspected = Some(inspect(&path)));
        prop_assert!(info.bytes_max < 32 << 20, "{} bytes", info.bytes_max);
        if let Some(Ok(inspection)) = inspected {
            // What is said can be said to others, too.
            serde_json::to_string(&inspection).unwrap();
        }
    }
}
