//! `inspect`.

use crate::run::run;
use crate::sample_images::{computation, gzip, process, stack_top, v2, v4, with_stack};
use dmtcp_client::image::native::{self, NativeHeader};
use std::fs;
use std::path::PathBuf;

fn file(dir: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn every_kind_of_image_in_one_document() {
    let dir = tempfile::tempdir().unwrap();
    let top = stack_top(&["counter", "-n", "a b"], &["HOME=/", "A=b"], 0);
    let native_image = dir.path().join("native.dmtcp");
    let mut header = NativeHeader::new(process(41000), computation(2));
    header.program = "/usr/bin/worker".into();
    native::write(&native_image, &header, b"state").unwrap();
    let files = [
        file(&dir, "stack.dmtcp", &gzip(&with_stack(&top, true))),
        file(&dir, "v2.dmtcp", &v2(process(41001), computation(5), true)),
        native_image,
    ];
    let mut arguments: Vec<_> = vec!["inspect".into(), "--json".into()];
    arguments.extend(files.iter().cloned().map(PathBuf::into_os_string));
    let ran = run(&arguments);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let json = ran.json("inspect");
    let images = json["images"].as_array().unwrap();
    assert_eq!(images.len(), 3);
    for (image, file) in images.iter().zip(&files) {
        assert_eq!(image["path"], file.to_str().unwrap());
        assert_eq!(image["whole"], true);
        assert!(image["error"].is_null());
    }
    assert_eq!(images[0]["start"]["arguments"][2], "a b");
    assert_eq!(images[0]["start"]["environment"][1], "A=b");
    assert_eq!(images[0]["compressed"], true);
    assert_eq!(images[0]["computation"]["generation"], 3);
    assert_eq!(images[1]["memory"]["heap"]["stored_bytes"], 70_000);
    assert_eq!(images[1]["details"]["plugin_values"][0]["key"], "key");
    assert_eq!(images[1]["host"], "node1");
    assert_eq!(images[2]["native"]["payload_len"], 5);
    assert!(images[2]["memory"].is_null());
}

#[test]
fn text_says_what_people_ask_first() {
    let dir = tempfile::tempdir().unwrap();
    let top = stack_top(&["counter", "-n", "a b"], &["HOME=/", "A=b"], 0);
    let path = file(&dir, "stack.dmtcp", &with_stack(&top, true));
    let short = run(["inspect".as_ref(), path.as_os_str()]);
    assert_eq!(short.code, 0);
    for part in [
        "whole         yes",
        "program       counter (/usr/bin/counter)",
        "command line  counter -n 'a b'",
        "environment   2 variables at its start",
        "generation 3, 3 processes",
    ] {
        assert!(short.out.contains(part), "no {part} in\n{}", short.out);
    }
    assert!(!short.out.contains("HOME=/"));
    let long = run(["inspect".as_ref(), "--long".as_ref(), path.as_os_str()]);
    assert!(long.out.contains("variable      HOME=/"), "{}", long.out);
}

#[test]
fn what_is_wrong_is_told_of_each_file_and_by_the_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let whole = v4(process(41000), computation(3));
    let files = [
        file(&dir, "whole.dmtcp", &whole),
        file(&dir, "cut.dmtcp", &whole[..whole.len() - 1]),
        file(&dir, "other", b"text"),
        dir.path().join("nowhere"),
    ];
    let mut arguments: Vec<_> = vec!["inspect".into()];
    arguments.extend(files.into_iter().map(PathBuf::into_os_string));
    let ran = run(&arguments);
    assert_eq!(ran.code, 1);
    for slug in ["image-cut: ", "not-an-image: ", "io: "] {
        assert!(
            ran.err.contains(&format!("dmtcpctl: {slug}")),
            "{}",
            ran.err
        );
    }
    arguments.push("--json".into());
    let ran = run(&arguments);
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    let json = ran.json("inspect");
    let slug = |index: usize| json["images"][index]["error"]["slug"].as_str();
    assert_eq!(slug(0), None);
    assert_eq!(slug(1), Some("image-cut"));
    assert_eq!(json["images"][1]["program"], "counter", "as far as it goes");
    assert_eq!(slug(2), Some("not-an-image"));
    assert_eq!(slug(3), Some("io"));
}

#[test]
fn nothing_from_a_file_reaches_the_terminal_as_a_command() {
    let dir = tempfile::tempdir().unwrap();
    let top = stack_top(&["\x1b[2J", "x\ny"], &["A=\x07"], 0);
    let path = file(&dir, "evil\n.dmtcp", &with_stack(&top, true));
    let ran = run(["inspect".as_ref(), "--long".as_ref(), path.as_os_str()]);
    assert_eq!(ran.code, 0);
    let is_harmless = |c: char| c == '\n' || !c.is_control();
    assert!(ran.out.chars().all(is_harmless), "{}", ran.out);
    assert!(ran.out.contains(r"'\u{1b}[2J' 'x\ny'"), "{}", ran.out);
    assert!(ran.out.contains("evil\\n.dmtcp\n"), "{}", ran.out);
}
