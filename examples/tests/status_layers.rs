//! The benchmark of layers runs, and says what it leaves out.

mod built;

use built::example;
use std::process::{Command, Stdio};

#[test]
fn every_layer_is_measured_or_named() {
    let mut command = Command::new(example("status_layers"));
    let output = command
        .args(["--calls", "50", "--c", "/bin/cat"])
        .env("DMTCP_BIN", "/nowhere")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    // `cat` is given the address for a file.
    assert!(!output.status.success(), "{output:?}");

    let mut command = Command::new(example("status_layers"));
    let output = command
        .args(["--calls", "50"])
        .env("DMTCP_BIN", "/nowhere")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    for layer in ["bare ", "Rust "] {
        assert!(said.lines().any(|line| line.starts_with(layer)), "{said}");
    }
    for layer in ["C", "Python", "spawn"] {
        assert!(
            said.contains(&format!("left out: {layer}; to have it: ")),
            "{said}"
        );
    }
    let (left_out, measured) = (said.contains("left out: async"), said.contains("\nasync "));
    assert!(left_out != measured, "{said}");
}
