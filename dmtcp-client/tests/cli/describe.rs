//! `completions` and `man`.

use crate::run::run;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

#[test]
fn completions_know_every_subcommand_and_bash_can_read_them() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = run(["completions", shell]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{shell}");
        for name in ["watch", "verify", "coordinator"] {
            assert!(ran.out.contains(name), "{shell}: {name}");
        }
        if shell == "bash" {
            let mut bash = Command::new("bash")
                .arg("-n")
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            let mut input = bash.stdin.take().unwrap();
            input.write_all(ran.out.as_bytes()).unwrap();
            drop(input);
            assert!(bash.wait().unwrap().success());
        }
    }
    assert_eq!(run(["completions", "tcsh"]).code, 2);
}

#[test]
fn there_is_a_page_for_everything() {
    let page = run(["man"]);
    assert_eq!((page.code, page.err.as_str()), (0, ""));
    assert!(page.out.contains(".TH dmtcpctl 1"), "{}", page.out);
    let watch = run(["man", "watch"]);
    assert!(watch.out.contains(".TH dmtcpctl-watch 1"), "{}", watch.out);
    assert!(watch.out.contains(r"\-\-every"), "{}", watch.out);
    let none = run(["man", "unheard-of"]);
    assert_eq!((none.code, none.slug()), (1, "no-subcommand"));

    let dir = tempfile::tempdir().unwrap();
    let all = run(["man", "--all", dir.path().to_str().unwrap()]);
    assert_eq!((all.code, all.err.as_str()), (0, ""));
    let written = fs::read_to_string(dir.path().join("dmtcpctl-watch.1")).unwrap();
    assert_eq!(written, watch.out);
    let nowhere = run(["man", "--all", "/dev/null/man"]);
    assert_eq!((nowhere.code, nowhere.slug()), (1, "output"));
}
