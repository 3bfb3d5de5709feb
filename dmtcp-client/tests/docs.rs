//! What `docs/ARCHITECTURE.md` sends people to exists.

use std::path::Path;

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
