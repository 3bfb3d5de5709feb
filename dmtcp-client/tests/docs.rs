//! What `docs/ARCHITECTURE.md` sends people to exists, and so do the tests that `docs/PROTOCOL.md`
//! names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_file_that_the_architecture_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = include_str!("../../docs/ARCHITECTURE.md");
    let mut checked = 0;
    for row in text.lines().filter(|line| line.starts_with('|')) {
        // A name without a folder, or with a part of one, follows a whole path in the same row.
        let mut base = root.to_owned();
        for name in row.split('`').skip(1).step_by(2) {
            let path = name.trim_end_matches('/');
            if !name.ends_with('/') && !path.ends_with(".rs") && !path.ends_with(".md") {
                continue;
            }
            let candidates = [root.join(path), base.join(path), base.join("..").join(path)];
            let found = candidates.iter().find(|candidate| candidate.exists());
            let found = found.unwrap_or_else(|| panic!("{name} in {row}"));
            base = if found.is_dir() {
                found.clone()
            } else {
                found.parent().unwrap().to_owned()
            };
            checked += 1;
        }
    }
    assert!(checked > 30, "only {checked} names found");
}

/// Weaknesses and the files with tests named after them, as the documentation has them.
fn documented_weaknesses(root: &Path) -> BTreeSet<(u32, PathBuf)> {
    let text = include_str!("../../docs/PROTOCOL.md");
    let (_, table) = text.split_once("## Weaknesses of stock").unwrap();
    let rows = table.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let number: u32 = cells.get(1)?.parse().ok()?;
        Some((number, cells[4].to_owned()))
    });
    let rows: Vec<(u32, String)> = rows.collect();
    let numbers: Vec<u32> = rows.iter().map(|&(number, _)| number).collect();
    assert_eq!(numbers, (1..=43).collect::<Vec<_>>());
    let mut found = BTreeSet::new();
    for (number, cell) in rows {
        let files = cell.split('`').skip(1).step_by(2);
        found.extend(files.map(|file| (number, root.join(file))));
        assert!(!cell.is_empty(), "{number} has neither a test nor a reason");
    }
    found
}

/// The same as the tests have them.
fn tested_weaknesses(dir: &Path, found: &mut BTreeSet<(u32, PathBuf)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tested_weaknesses(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text
                .lines()
                .filter_map(|line| line.trim().strip_prefix("fn w"));
            let numbers = names.filter_map(|name| name.split('_').next()?.parse().ok());
            found.extend(numbers.map(|number| (number, path.clone())));
        }
    }
}

#[test]
fn every_weakness_has_the_tests_that_are_said_to_show_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut tested = BTreeSet::new();
    for dir in [
        "dmtcp-proto/src",
        "dmtcp-proto/tests",
        "dmtcp-client/tests",
        "bindings/c/tests",
    ] {
        tested_weaknesses(&root.join(dir), &mut tested);
    }
    let documented = documented_weaknesses(root);
    let untested: Vec<_> = documented.difference(&tested).collect();
    assert!(untested.is_empty(), "no such tests: {untested:#?}");
    let undocumented: Vec<_> = tested.difference(&documented).collect();
    assert!(
        undocumented.is_empty(),
        "not in the table: {undocumented:#?}"
    );
}
