//! The names of errors, which stand in the sources of `dmtcpctl` and of the Python package: whoever reads them
//! in a log and in a program meets the same.

use std::collections::{BTreeMap, BTreeSet};

const COMMAND_LINE: &str = include_str!("../../src/bin/dmtcpctl/failure.rs");
const PYTHON: &str = include_str!("../../../bindings/python/src/failures.rs");

/// By type and variant (`_` for the rest): the names; none where another function is asked.
type Named<'a> = BTreeMap<&'a str, BTreeMap<&'a str, BTreeSet<&'a str>>>;

#[test]
fn an_error_has_one_name_in_every_language() {
    let (command_line, python) = (named(COMMAND_LINE), named(PYTHON));
    let mut compared = 0;
    for (of, here) in &command_line {
        let Some(there) = python.get(of) else {
            continue;
        };
        let variants: BTreeSet<_> = here.keys().chain(there.keys()).collect();
        for variant in variants {
            let [here, there] =
                [here, there].map(|names| names.get(variant).or_else(|| names.get("_")));
            assert_eq!(here, there, "{of}::{variant}: dmtcpctl and Python");
            compared += usize::from(here.is_some_and(|names| !names.is_empty()));
        }
    }
    assert!(
        compared > 60,
        "only {compared}: {command_line:?} {python:?}"
    );
}

#[test]
fn names_are_found_in_matches() {
    let names = named(
        r#"
        fn a(error: &Error) -> Kind {
            type E = other::Error;
            match error {
                E::One { .. } | E::Two(Inner::Three) => ("Class", "one-two", Peer),
                E::Four(error) => a(error), // "not-this"
                E::Five { source, .. } => match source {
                    Inner::Six => { Self::of("Class", "six") }
                    _ => "seven",
                },
                _ => Failure::of("eight").hint("a hint"),
            }
        }
        "#,
    );
    let name = |of: &str, variant: &str| -> Vec<&str> {
        let names = &names[of][variant];
        names.iter().copied().collect()
    };
    for (variant, expected) in [
        ("One", &["one-two"][..]),
        ("Two", &["one-two"]),
        ("Four", &[]),
        ("Five", &[]),
        ("_", &["eight"]),
    ] {
        assert_eq!(name("other::Error", variant), expected, "{variant}");
    }
    assert_eq!(name("Inner", "Six"), ["six"]);
    assert_eq!(name("Inner", "_"), ["seven"]);
    assert!(!names["Inner"].contains_key("Three"));
}

/// What is between two braces.
#[derive(Default)]
struct Block<'a> {
    /// Paths since the last comma: a pattern, if an arrow follows.
    paths: Vec<(&'a str, &'a str)>,
    /// The type that is matched.
    of: Option<&'a str>,
    /// The pattern of the arm, until it has its name.
    arm: Option<Vec<(&'a str, &'a str)>>,
}

/// The arms of all matches of a source as rustfmt lays it out, by types and their variants.
fn named(source: &str) -> Named<'_> {
    let tokens = tokens(source);
    let mut named = Named::new();
    let mut blocks = vec![Block::default()];
    let mut alias = "";
    for (at, token) in tokens.iter().enumerate() {
        let before = |back: usize| at.checked_sub(back).map_or("", |at| tokens[at]);
        let depth = blocks.len() - 1;
        let block = &mut blocks[depth];
        match *token {
            "{" | "(" | "[" => blocks.push(Block::default()),
            "}" | ")" | "]" => {
                blocks.pop();
                assert!(!blocks.is_empty(), "a bracket too many");
            }
            "," | ";" => {
                block.paths.clear();
                block.arm = None;
            }
            "_" => block.paths.extend(block.of.map(|of| (of, "_"))),
            "=>" => {
                let arm = std::mem::take(&mut block.paths);
                block.of = arm.first().map(|(of, _)| *of).or(block.of);
                for (of, variant) in &arm {
                    named.entry(of).or_default().entry(variant).or_default();
                }
                block.arm = Some(arm);
            }
            text if text.starts_with('"') => {
                let text = text.trim_matches('"');
                let arm = blocks.iter_mut().rev().find_map(|block| block.arm.as_mut());
                if let Some(arm) = arm.filter(|_| is_name(text)) {
                    for (of, variant) in arm.drain(..) {
                        let variants = named.entry(of).or_default();
                        variants.entry(variant).or_default().insert(text);
                    }
                }
            }
            path if before(3) == "type" && before(2) == "E" => alias = path,
            path => {
                if let Some((of, variant)) = path.rsplit_once("::") {
                    let of = if of == "E" { alias } else { of };
                    block.paths.push((of, variant));
                }
            }
        }
    }
    named
}

/// As names of errors are written; classes of exceptions and hints are not.
fn is_name(text: &str) -> bool {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(letters)
}

/// Paths, texts with their quotes, arrows and single signs, without comments.
fn tokens(source: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = source.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if first == '"' {
            let mut escaped = false;
            let end = rest.char_indices().skip(1).find(|(_, c)| {
                let ends = *c == '"' && !escaped;
                escaped = *c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |(end, _)| end + 1)
        } else if rest.starts_with("=>") {
            2
        } else {
            let in_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            let end = rest.find(|c| !in_path(c)).unwrap_or(rest.len());
            end.max(first.len_utf8())
        };
        let (token, behind) = rest.split_at(end);
        if !token.starts_with("//") {
            tokens.push(token);
        }
        rest = behind.trim_start();
    }
    tokens
}
