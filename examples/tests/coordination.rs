//! The benchmark of coordination runs, and says what it leaves out.

mod built;

use built::example;
use std::process::{Command, Stdio};

#[test]
fn ours_is_measured_where_there_is_no_other() {
    let output = Command::new(example("coordination"))
        .args(["--turns", "1", "--rounds", "2", "3", "20"])
        .env("DMTCP_BIN", "/nowhere")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("SKIPPED: no DMTCP"), "{said}");
    let of = |name: &str| {
        let lines = said.lines().map(str::trim);
        lines.filter(|line| line.starts_with(name)).count()
    };
    for told in ["joins", "round", "processor time", "status idle", "keys"] {
        assert_eq!(of(told), 2, "{told}: {said}");
    }
    assert!(!said.contains("NaN"), "{said}");
}
