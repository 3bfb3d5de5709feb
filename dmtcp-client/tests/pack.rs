//! Sets as archives: there and back, and what is refused.

mod sample_images;
mod state;

use dmtcp_client::set::{CheckpointSet, Manifest, PackError, SetError, SetStore};
use state::{State, flip};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A set of two images, one with saved files, one of which has a long name.
fn a_set(state: &State, store: &SetStore) -> CheckpointSet {
    let saved = state.saved_files(40001);
    let deep = saved.join("deep").join("d".repeat(120));
    fs::create_dir_all(&deep).unwrap();
    fs::write(saved.join("log_1"), "line 1\n").unwrap();
    fs::write(deep.join("f".repeat(200)), [7; 1024]).unwrap();
    fs::write(saved.join("script"), "").unwrap();
    fs::set_permissions(saved.join("script"), Permissions::from_mode(0o755)).unwrap();
    let mut round = state.round(4);
    round.parent = Some(3);
    round.dmtcp = Some("4.2.0".to_owned());
    store.seal(&round).unwrap()
}

fn packed(state: &State) -> (CheckpointSet, PathBuf) {
    let set = a_set(state, &state.store());
    let archive = state.raw.join("set.tar");
    set.pack(&archive).unwrap();
    (set, archive)
}

#[test]
fn a_set_comes_out_as_it_went_in() {
    let (here, there) = (State::new(), State::new());
    let (set, archive) = packed(&here);
    let again = here.raw.join("again.tar");
    let bytes = set.pack(&again).unwrap();
    assert_eq!(bytes, fs::metadata(&again).unwrap().len());
    assert_eq!(fs::read(&archive).unwrap(), fs::read(&again).unwrap());

    let store = there.store();
    for generation in 1..=2 {
        store.seal(&there.round(generation)).unwrap();
    }
    let unpacked = store.unpack(&archive).unwrap();
    unpacked.verify().unwrap();
    assert_eq!(unpacked.sequence(), 3);
    assert_eq!(CheckpointSet::open(unpacked.dir()).unwrap(), unpacked);
    let mut expected = set.manifest().clone();
    expected.sequence = 3;
    expected.parent = None;
    expected.packed_as = Some(1);
    assert_eq!(unpacked.manifest(), &expected);
    for (one, other) in set.images().iter().zip(unpacked.images()) {
        assert_eq!(fs::read(one).unwrap(), fs::read(other).unwrap());
    }
    let script = set.manifest().images[1].saved_files.iter();
    let mut script = script.filter(|file| file.file.ends_with("script"));
    let script = unpacked.dir().join(&script.next().unwrap().file);
    assert_eq!(
        fs::metadata(script).unwrap().permissions().mode() & 0o777,
        0o755
    );
    // It is the newest, and what a restart would take.
    assert_eq!(store.newest_verified().unwrap().set.unwrap(), unpacked);
    let latest = fs::canonicalize(store.dir().join("latest")).unwrap();
    assert_eq!(latest, fs::canonicalize(unpacked.dir()).unwrap());
    fs::remove_dir_all(&here.raw).unwrap();
    let staged = unpacked.stage_into(&there.raw.join("attempt")).unwrap();
    assert_eq!(staged.len(), 2);
    assert_eq!(
        fs::read(here.saved_files(40001).join("log_1")).unwrap(),
        b"line 1\n"
    );
}

#[test]
fn any_tar_makes_a_set_of_it() {
    let (here, there) = (State::new(), State::new());
    let (set, archive) = packed(&here);
    let sets = there.store().dir().to_owned();
    let tar = Command::new("tar")
        .arg("-C")
        .arg(&sets)
        .arg("-xf")
        .arg(&archive)
        .output();
    let Ok(output) = tar else {
        println!("SKIPPED: no tar");
        return;
    };
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    let copy = CheckpointSet::open(&sets.join("000001")).unwrap();
    copy.verify().unwrap();
    assert_eq!(copy.manifest(), set.manifest());
}

#[test]
fn what_is_not_whole_is_not_packed() {
    let state = State::new();
    let (set, archive) = packed(&state);
    let before = fs::read(&archive).unwrap();
    let image = set.images().remove(0);
    flip(&image, 50);
    let error = set.pack(&archive).unwrap_err();
    assert!(
        matches!(&error, PackError::Set(SetError::Checksum { path, .. }) if *path == image),
        "{error}"
    );
    flip(&image, 50);
    fs::write(state.raw.join("keep"), fs::read(&image).unwrap()).unwrap();
    fs::remove_file(&image).unwrap();
    let error = set.pack(&archive).unwrap_err();
    assert!(
        matches!(error, PackError::Set(SetError::Missing { .. })),
        "{error}"
    );
    fs::rename(state.raw.join("keep"), &image).unwrap();

    let saved = set.manifest().images[1].saved_files[0].file.clone();
    let link = set.dir().join(saved).with_file_name("link");
    symlink("/etc/passwd", &link).unwrap();
    let error = set.pack(&archive).unwrap_err();
    assert!(
        matches!(&error, PackError::Link { path } if *path == link),
        "{error}"
    );
    fs::remove_file(&link).unwrap();

    let nowhere = state.raw.join("no/such/set.tar");
    let error = set.pack(&nowhere).unwrap_err();
    assert!(
        matches!(
            error,
            PackError::Io {
                action: "create",
                ..
            }
        ),
        "{error}"
    );
    // The archive that was there is still there, and no half of another.
    assert_eq!(fs::read(&archive).unwrap(), before);
    let names = fs::read_dir(&state.raw).unwrap();
    let mut names = names.map(|entry| entry.unwrap().file_name());
    assert!(!names.any(|name| name.to_str().unwrap().contains(".temp")));
    fs::remove_dir_all(set.dir()).unwrap();
    let error = set.pack(&archive).unwrap_err();
    assert!(
        matches!(error, PackError::Set(SetError::NoManifest { .. })),
        "{error}"
    );
}

/// Unpacks bytes into a fresh store, and makes sure that a refusal leaves nothing anywhere.
fn unpack(bytes: &[u8]) -> Result<Manifest, PackError> {
    let state = State::new();
    let store = state.store();
    let archive = state.raw.join("archive");
    fs::write(&archive, bytes).unwrap();
    let result = store.unpack(&archive).map(|set| {
        set.verify().unwrap();
        set.manifest().clone()
    });
    let entries = |dir: &Path| fs::read_dir(dir).unwrap().count();
    if result.is_err() {
        assert_eq!(entries(store.dir()), 1, "only the lock");
    }
    assert_eq!((entries(&state.root), entries(&state.raw)), (1, 1));
    assert_eq!(entries(state.root.parent().unwrap()), 2);
    result
}

#[test]
fn cut_anywhere_it_is_refused() {
    let bytes = fs::read(packed(&State::new()).1).unwrap();
    unpack(&bytes).unwrap();
    let blocks = (0..bytes.len()).step_by(512);
    // All of the beginning and the end, some of the images.
    let near = |at: usize| at < 12_000 || at + 12_000 > bytes.len() || at % 7 == 0;
    for at in blocks.filter(|at| near(*at)) {
        for at in [at.max(1), at + 100] {
            let error = unpack(&bytes[..at]).unwrap_err();
            assert!(matches!(error, PackError::Cut { .. }), "{at}: {error}");
        }
    }
}

#[test]
fn what_is_short_and_no_archive_is_not_called_a_cut_one() {
    for bytes in [
        &b""[..],
        b"\n",
        b"a short text\n",
        b"000007/readme",
        &[0; 200],
    ] {
        let error = unpack(bytes).unwrap_err();
        assert!(
            matches!(error, PackError::NotAnArchive { .. }),
            "{bytes:?}: {error}"
        );
    }
}

#[test]
fn a_changed_bit_is_found_wherever_it_matters() {
    let bytes = fs::read(packed(&State::new()).1).unwrap();
    let good = unpack(&bytes).unwrap();
    let mut refused = 0;
    for at in (0..bytes.len()).step_by(997) {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        match unpack(&bad) {
            // What fills up a block is nothing.
            Ok(manifest) => assert_eq!((bytes[at], manifest), (0, good.clone()), "{at}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 100, "{refused}");
}

/// One entry of a tar, as anybody could write it.
fn entry(name: &str, kind: u8, size: u64, content: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644\x000000000\x000000000\0");
    match size < 1 << 33 {
        true => put(124, format!("{size:011o}").as_bytes()),
        false => put(124, &[&[0x80, 0, 0, 0][..], &size.to_be_bytes()].concat()),
    }
    put(136, b"00000000000");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, b"/etc/passwd");
    put(257, b"ustar  \0");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block.extend_from_slice(content);
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    entry(name, b'0', content.len() as u64, content)
}

/// A manifest of these files, each with the content `x`.
fn manifest(files: &[&str]) -> Vec<u8> {
    let id = r#"{"id": "98ff-40000-e235cb49c5", "generation": 1}"#;
    let sum = crc32fast::hash(b"x");
    let images: Vec<_> = files
        .iter()
        .map(|file| {
            format!(
                r#"{{"file": "{file}", "kind": "dmtcp", "format": "", "compressed": false,
                "process": {id}, "host": "h", "program": "p", "virtual_pid": 1, "real_pid": 1,
                "size": 1, "crc32": {sum}, "written_in": "/tmp", "saved_files": []}}"#
            )
        })
        .collect();
    let images = images.join(",");
    let text = format!(
        r#"{{"schema": 1, "sequence": 7, "computation": {id}, "round": 1, "started_unix_ms": 0,
        "created_unix_ms": 0, "seal_ms": 0, "images": [{images}], "total_bytes": 99}}"#
    );
    file("000007/manifest.json", text.as_bytes())
}

fn end() -> Vec<u8> {
    vec![0; 1024]
}

#[test]
fn what_somebody_made_up_is_refused() {
    let good = [
        manifest(&["a", "b"]),
        file("000007/a", b"x"),
        file("000007/b", b"x"),
        end(),
    ];
    // What is refused below is refused for what is wrong with it.
    let unpacked = unpack(&good.concat()).unwrap();
    assert_eq!((unpacked.packed_as, unpacked.total_bytes), (Some(7), 2));

    let a = || file("000007/a", b"x");
    let one = |second: Vec<u8>| vec![manifest(&["a"]), second, end()];
    let long = |text: &str| entry("././@LongLink", b'L', text.len() as u64, text.as_bytes());
    let cases: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("to the root", one(file("/tmp/a", b"x"))),
        ("above", one(file("000007/../a", b"x"))),
        ("another name", one(file("000007/./a", b"x"))),
        ("another case", one(file("000007//a", b"x"))),
        (
            "above by a long name",
            vec![manifest(&["a"]), long("000007/../a\0"), a(), end()],
        ),
        (
            "two long names",
            vec![
                manifest(&["a"]),
                long("x\0"),
                long("000007/a\0"),
                a(),
                end(),
            ],
        ),
        (
            "a name without end",
            vec![manifest(&["a"]), entry("", b'L', 1 << 40, b""), end()],
        ),
        ("a symbolic link", one(entry("000007/a", b'2', 0, b""))),
        ("a hard link", one(entry("000007/a", b'1', 0, b""))),
        (
            "a hard link with content",
            one(entry("000007/a", b'1', 1, b"x")),
        ),
        ("a device", one(entry("000007/a", b'3', 0, b""))),
        ("a FIFO", one(entry("000007/a", b'6', 0, b""))),
        ("a directory", one(entry("000007/a", b'5', 0, b""))),
        ("a sparse file", one(entry("000007/a", b'S', 1, b"x"))),
        ("other attributes", one(entry("000007/a", b'x', 1, b"x"))),
        (
            "a size beyond all disks",
            one(entry("000007/a", b'0', 1 << 60, b"x")),
        ),
        ("another size", one(file("000007/a", b"xx"))),
        ("other content", one(file("000007/a", b"y"))),
        (
            "one too many",
            vec![manifest(&["a"]), a(), file("000007/b", b"x"), end()],
        ),
        ("one too few", vec![manifest(&["a", "b"]), a(), end()]),
        (
            "another order",
            vec![manifest(&["a", "b"]), file("000007/b", b"x"), a(), end()],
        ),
        (
            "the same twice",
            vec![manifest(&["a", "a"]), a(), a(), end()],
        ),
        (
            "a second manifest",
            vec![
                manifest(&["manifest.json"]),
                file("000007/manifest.json", b"x"),
                end(),
            ],
        ),
        (
            "a file that is a directory",
            vec![
                manifest(&["a", "a/b"]),
                a(),
                file("000007/a/b", b"x"),
                end(),
            ],
        ),
        (
            "a manifest that leads out",
            vec![manifest(&["../a"]), file("000007/../a", b"x"), end()],
        ),
        (
            "a manifest that leads to the root",
            vec![manifest(&["/tmp/a"]), file("/tmp/a", b"x"), end()],
        ),
        ("no manifest", vec![a(), end()]),
        (
            "a manifest beyond all memory",
            vec![entry("000007/manifest.json", b'0', 1 << 60, b"{}"), end()],
        ),
        ("no JSON", vec![file("000007/manifest.json", b"{"), end()]),
        (
            "another number",
            vec![manifest(&["a"]).replace(b"000007", b"000008"), a(), end()],
        ),
        ("no end", vec![manifest(&["a"]), a()]),
        (
            "more behind the end",
            vec![manifest(&["a"]), a(), end(), b"x".to_vec()],
        ),
        ("nothing", vec![]),
        ("only an end", vec![end()]),
        ("something else", vec![b"\x1f\x8b".repeat(1000)]),
    ];
    for (what, parts) in cases {
        let error = unpack(&parts.concat()).unwrap_err();
        println!("{what}: {error}");
        let is_environment = matches!(error, PackError::Io { .. });
        assert!(
            !is_environment || what == "a file that is a directory",
            "{what}: {error}"
        );
    }
}

trait Replace {
    fn replace(self, from: &[u8], to: &[u8]) -> Self;
}

impl Replace for Vec<u8> {
    /// In the header, whose checksum is mended.
    fn replace(self, from: &[u8], to: &[u8]) -> Self {
        assert!(self.starts_with(from));
        let end = self[..100].iter().position(|byte| *byte == 0).unwrap();
        let name = [to, &self[from.len()..end]].concat();
        let size = u64::from_str_radix(std::str::from_utf8(&self[124..135]).unwrap(), 8).unwrap();
        entry(
            std::str::from_utf8(&name).unwrap(),
            b'0',
            size,
            &self[512..512 + usize::try_from(size).unwrap()],
        )
    }
}

#[test]
fn what_is_no_file_is_neither_waited_for_nor_read() {
    let state = State::new();
    let store = state.store();
    let fifo = state.raw.join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    for path in [&fifo, &state.raw, Path::new("/dev/zero")] {
        let error = store.unpack(path).unwrap_err();
        assert!(matches!(error, PackError::NotAnArchive { .. }), "{error}");
    }
    let error = store.unpack(&state.raw.join("missing")).unwrap_err();
    assert!(
        matches!(error, PackError::Io { action: "open", .. }),
        "{error}"
    );
}

/// It is data to the program that is restarted, and must not lead to files elsewhere.
#[test]
fn nothing_beside_a_native_image_is_put_anywhere() {
    let state = State::new();
    let (set, _archive) = packed(&state);
    let path = set.dir().join("manifest.json");
    // Schema 1 has no checksum in its second line.
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    assert!(lines.remove(1).contains("crc32"));
    let text = lines
        .join("\n")
        .replace("\"schema\": 2", "\"schema\": 1")
        .replace("\"kind\": \"dmtcp\"", "\"kind\": \"native\"");
    fs::write(&path, text).unwrap();
    let set = CheckpointSet::open(set.dir()).unwrap();
    assert!(!set.manifest().images[1].saved_files.is_empty());

    let elsewhere = state.saved_files(40001);
    fs::create_dir_all(&elsewhere).unwrap();
    fs::write(elsewhere.join("mine"), "mine").unwrap();
    set.stage_into(&state.raw.join("attempt")).unwrap();
    assert_eq!(fs::read(elsewhere.join("mine")).unwrap(), b"mine");
}
