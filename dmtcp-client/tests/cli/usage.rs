//! Wrong use, help, and a reader that goes away.

use crate::run::{command, run};
use crate::sample_images::{computation, process, v4};
use std::fs;
use std::process::Stdio;

#[test]
fn wrong_use_is_2_and_help_is_0() {
    let wrong: [&[&str]; 16] = [
        &[],
        &["unheard-of"],
        &["inspect"],
        &["prune", "dir"],
        &["prune", "dir", "--keep", "many"],
        &["prune", "dir", "--keep-younger", "5"],
        &["checkpoint", "--limit", "soon"],
        &["prune", "dir", "--max-bytes", "10 boxes"],
        &["status", "--dialect", "9"],
        &["status", "-p", "none"],
        &["status", "-p", "99999"],
        &["status", "-p", "0"],
        // A program comes behind `--` only.
        &["run", "--stop-after-checkpoint", "3s", "--", "true"],
        &["start", "-id", "a", "true"],
        &["run", "true"],
        &["restart", "true"],
    ];
    for arguments in wrong {
        let ran = run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{ran:?}");
    }
    let help = run(["--help"]);
    assert_eq!((help.code, help.err.as_str()), (0, ""));
    for code in ["0  ", "1  ", "2  ", "75 ", "124"] {
        assert!(help.out.contains(&format!("\n  {code}")), "{}", help.out);
    }
    let version = run(["--version"]);
    assert_eq!(
        version.out,
        concat!("dmtcpctl ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn every_command_is_documented() {
    let help = run(["help"]);
    let commands = help.out.split("Commands:").nth(1).unwrap();
    let commands = commands.split("\n\n").next().unwrap();
    let commands = commands
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let page = include_str!("../../../docs/CLI.md");
    let mut seen = 0;
    for name in commands.filter(|name| *name != "help") {
        assert!(page.contains(&format!("`{name}")), "{name}");
        seen += 1;
    }
    assert!(seen >= 9, "{}", help.out);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image.dmtcp");
    fs::write(&path, v4(process(41000), computation(3))).unwrap();
    let mut child = command(["inspect", "--json"])
        // More than a pipe holds, so that it is still writing.
        .args(vec![&path; 200])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
