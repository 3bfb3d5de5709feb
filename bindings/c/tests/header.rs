//! The header and the README against the code: functions with their types, and all constants.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use dmtcp_rs::checkpoint::EVIDENCE;
use dmtcp_rs::coordinator::DIALECTS;
use dmtcp_rs::error::ResultCode;
use dmtcp_rs::workers::STATES;

/// What a function takes and returns, in C's words, by its name.
type Functions = BTreeMap<String, String>;

fn in_crate(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The header without comments, preprocessor lines, and what is only for C++.
fn header() -> String {
    let text = read(&in_crate("include/dmtcp_rs.h"));
    let mut code = String::new();
    let mut rest = text.as_str();
    while let Some((before, comment)) = rest.split_once("/*") {
        code.push_str(before);
        rest = comment.split_once("*/").expect("an open comment").1;
    }
    code.push_str(rest);
    code.lines()
        .filter(|line| !line.starts_with('#') && !line.starts_with("extern") && *line != "}")
        .collect::<Vec<_>>()
        .join("\n")
}

fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Prototypes: statements with parentheses.
fn declared() -> Functions {
    let header = header();
    let prototypes = header.split(';').filter_map(|statement| {
        let (head, arguments) = statement.split_once('(')?;
        let head = spaced(head.rsplit('}').next()?);
        let at = head.rfind([' ', '*'])? + 1;
        let (result, name) = head.split_at(at);
        let arguments = spaced(arguments.trim().strip_suffix(')')?);
        Some((name.to_owned(), format!("{}({arguments})", result.trim())))
    });
    prototypes.collect()
}

/// Exported functions of the sources.
fn exported() -> Functions {
    let mut functions = Functions::new();
    for file in fs::read_dir(in_crate("src")).unwrap() {
        let text = read(&file.unwrap().path());
        for part in text.split("#[unsafe(no_mangle)]\n").skip(1) {
            let part = part
                .strip_prefix("pub extern \"C\" fn ")
                .unwrap_or_else(|| panic!("not a function for C: {part}"));
            let (name, rest) = part.split_once('(').unwrap();
            let (arguments, rest) = rest.split_once(')').unwrap();
            let (result, _) = rest.split_once('{').unwrap();
            let result = result.trim().trim_start_matches("-> ");
            let arguments: Vec<String> = arguments
                .split(',')
                .map(str::trim)
                .filter(|argument| !argument.is_empty())
                .map(|argument| {
                    let (name, rust) = argument.split_once(": ").unwrap();
                    let c = in_c(rust, name);
                    let space = if c.ends_with('*') { "" } else { " " };
                    format!("{c}{space}{name}")
                })
                .collect();
            let arguments = if arguments.is_empty() {
                "void".to_owned()
            } else {
                arguments.join(", ")
            };
            let signature = format!("{}({arguments})", in_c(result, ""));
            let before = functions.insert(name.to_owned(), signature);
            assert_eq!(before, None, "{name} twice");
        }
    }
    functions
}

/// A type of a signature as the header has to write it.
fn in_c(rust: &str, argument: &str) -> String {
    let generic = |name: &str| {
        rust.strip_prefix(name)?
            .strip_prefix('<')?
            .strip_suffix('>')
    };
    let typedef = |name: &str| match name {
        "Coordinator" | "Workers" | "Worker" | "Server" | "Computation" | "Status" => {
            format!("dmtcp_{}", name.to_lowercase())
        }
        "CheckpointReport" => "dmtcp_checkpoint_report".to_owned(),
        other => panic!("{other} has no name in C: add it here"),
    };
    if let Some(object) = generic("In").or_else(|| generic("Owned")) {
        return format!("{} *", typedef(object));
    }
    if let Some(filled) = generic("GrowingOut") {
        return format!("{} *", typedef(filled));
    }
    if let Some(value) = generic("Out") {
        return match value.strip_prefix("*mut ") {
            Some(object) => format!("{} **", typedef(object)),
            None => format!("{} *", in_c(value, "")),
        };
    }
    match (rust, argument) {
        ("i32", "dialect") => "dmtcp_dialect",
        ("i32", "code") | ("ResultCode", _) => "dmtcp_result",
        ("i32", _) => "int32_t",
        ("u32", _) => "uint32_t",
        ("u64", _) => "uint64_t",
        ("usize", _) => "size_t",
        ("", _) => "void",
        ("Text", _) => "const char *",
        ("*const c_char", _) => "const char *",
        (other, _) => panic!("{other} has no type in C: add it here"),
    }
    .to_owned()
}

#[test]
fn functions_are_those_of_the_header() {
    let (declared, exported) = (declared(), exported());
    assert!(exported.len() > 20, "{exported:#?}");
    for (name, signature) in &exported {
        assert_eq!(declared.get(name), Some(signature), "{name}");
    }
    for name in declared.keys() {
        assert!(exported.contains_key(name), "{name} is only declared");
    }
}

#[test]
fn unsafe_code_is_in_one_file_and_every_function_in_the_boundary() {
    for file in fs::read_dir(in_crate("src")).unwrap() {
        let path = file.unwrap().path();
        let text = read(&path);
        if !path.ends_with("ffi.rs") {
            for word in ["unsafe {", "unsafe impl", "unsafe fn", "unsafe extern"] {
                assert!(!text.contains(word), "{word} in {}", path.display());
            }
        }
        for function in text.split("#[unsafe(no_mangle)]\n").skip(1) {
            let body = function.split_once("{\n").unwrap().1.trim_start();
            // The release is a constant: there is nothing in it to go wrong.
            let bounded = ["call(|| ", "contain(", "VERSION.as_ptr()"];
            let bounded = bounded.iter().any(|start| body.starts_with(start));
            assert!(bounded, "outside the boundary: {function}");
        }
    }
}

#[test]
fn constants_are_those_of_the_header() {
    let mut code: BTreeSet<(String, i32)> = ResultCode::ALL
        .iter()
        .map(|(code, name)| (name.to_str().unwrap().to_owned(), code.value()))
        .collect();
    let named = |(name, number): (&str, i32)| (name.to_owned(), number);
    code.extend(EVIDENCE.iter().copied().map(named));
    code.extend(DIALECTS.iter().map(|(n, i, _)| named((n, *i))));
    code.extend(STATES.iter().map(|(n, i, _)| named((n, *i))));
    let header = header();
    let declared: BTreeSet<(String, i32)> = header
        .split([',', '{', '}'])
        .filter_map(|item| {
            let (name, number) = item.split_once(" = ")?;
            Some((spaced(name), number.trim().parse().unwrap()))
        })
        .collect();
    assert_eq!(declared, code);
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
        .map(|(code, name)| (name.to_str().unwrap().to_owned(), code.value()))
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
