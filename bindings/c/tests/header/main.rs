//! The header is what `src/` says, and the README what the header says.

mod generate;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dmtcp_rs::codes::ResultCode;

fn in_crate(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The sources, but for those of `ffi`.
fn sources() -> Vec<(PathBuf, String)> {
    let files = fs::read_dir(in_crate("src")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let sources: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let text = read(&path);
            (path, text)
        })
        .collect();
    assert!(sources.len() > 20, "{sources:?}");
    sources
}

/// With `DMTCP_RS_WRITE_HEADER` set, writes it instead.
#[test]
fn the_header_is_that_of_the_sources() {
    let path = in_crate("include/dmtcp_rs.h");
    let generated = generate::header(&in_crate(""));
    if std::env::var_os("DMTCP_RS_WRITE_HEADER").is_some() {
        fs::write(&path, generated).unwrap();
        return;
    }
    assert!(
        read(&path) == generated,
        "include/dmtcp_rs.h is not what the sources say: run this test with DMTCP_RS_WRITE_HEADER=1"
    );
}

#[test]
fn every_function_of_the_sources_is_in_the_header() {
    let header = read(&in_crate("include/dmtcp_rs.h"));
    let mut count = 0;
    for (path, text) in sources() {
        for function in text.split("#[unsafe(no_mangle)]\n").skip(1) {
            let name = function.strip_prefix("pub extern \"C\" fn ").unwrap();
            let name = name.split_once('(').unwrap().0;
            let declared = format!("{name}(");
            assert!(header.contains(&declared), "{name} of {}", path.display());
            count += 1;
        }
    }
    assert!(count > 90, "{count}");
}

/// The macros say that a struct may grow; this is what they cannot look at.
#[test]
fn structs_that_grow_are_laid_out_as_in_c() {
    let mut count = 0;
    for (path, text) in sources() {
        for (macro_name, end) in [("\ngrowing!(", ','), ("\nfilled_in!(", ':')] {
            for part in text.split(macro_name).skip(1) {
                let name = part.split_once(end).unwrap().0;
                let laid_out = format!("#[repr(C)]\n#[non_exhaustive]\npub struct {name} {{");
                assert!(text.contains(&laid_out), "{name} of {}", path.display());
                count += 1;
            }
        }
    }
    assert!(count > 15, "{count}");
}

#[test]
fn unsafe_code_is_in_one_folder_and_every_function_in_the_boundary() {
    for (path, text) in sources() {
        for word in ["unsafe {", "unsafe impl", "unsafe fn", "unsafe extern"] {
            assert!(!text.contains(word), "{word} in {}", path.display());
        }
        for function in text.split("#[unsafe(no_mangle)]\n").skip(1) {
            let body = function.split_once("{\n").unwrap().1;
            // The release is a constant: there is nothing in it to go wrong.
            let bounded = ["call(|| ", "contain(", "VERSION.as_ptr()"];
            let body = body.split_once("\n}").unwrap().0;
            let bounded = bounded.iter().any(|start| body.contains(start));
            assert!(bounded, "outside the boundary: {function}");
        }
    }
}

#[test]
fn the_readme_lists_all_codes() {
    let readme = read(&in_crate("README.md"));
    let listed: BTreeSet<(String, i32)> = readme
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let number = cells.next()?.parse().ok()?;
            Some((cells.next()?.trim_matches('`').to_owned(), number))
        })
        .collect();
    let codes: BTreeSet<(String, i32)> = ResultCode::ALL
        .iter()
        .map(|code| (code.name().to_str().unwrap().to_owned(), code.value()))
        .collect();
    assert_eq!(listed, codes);
}

#[test]
fn the_readme_shows_the_example_as_it_is() {
    let readme = read(&in_crate("README.md"));
    let shown = readme.split_once("```c\n").expect("a C block").1;
    let shown = shown.split_once("```").expect("its end").0;
    let example = read(&in_crate("examples/status.c"));
    assert!(example.contains(shown), "not in examples/status.c: {shown}");
}

/// What the header has a `_free` for has an owner in C++.
#[test]
fn every_object_has_an_owner_in_cpp() {
    let header = read(&in_crate("include/dmtcp_rs.h"));
    let owners = read(&in_crate("include/dmtcp_rs.hpp"));
    let mut count = 0;
    for line in header.lines() {
        let Some((name, _)) = line
            .strip_prefix("void dmtcp_")
            .and_then(|rest| rest.split_once("_free("))
        else {
            continue;
        };
        assert!(owners.contains(&format!("using {name} = owner<")), "{name}");
        count += 1;
    }
    assert!(count > 15, "{count}");
}
