//! Where the examples are.

use std::path::{Path, PathBuf};

/// `cargo test` builds the examples of a package next to its tests; with `--test`, they may be of before,
/// or missing.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let example = folder.join("examples").join(name);
    assert!(example.is_file(), "{} is not built", example.display());
    example
}
