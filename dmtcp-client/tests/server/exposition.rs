//! A strict reader of Prometheus' text exposition format, 0.0.4.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) kind: String,
    /// Labels in order, and the value.
    pub(crate) samples: Vec<(Vec<(String, String)>, f64)>,
}

/// By name. Panics where a scraper would refuse the text.
pub(crate) fn parse(text: &str) -> BTreeMap<String, Family> {
    assert!(text.ends_with('\n'));
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut current = None;
    let mut helped = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(!help.is_empty() && !help.contains('\\'));
            helped = Some(name);
            current = None;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(helped, Some(name), "HELP and TYPE belong together");
            assert!(matches!(kind, "counter" | "gauge"));
            assert_eq!(kind == "counter", name.ends_with("_total"));
            let family = Family {
                kind: kind.to_owned(),
                ..Family::default()
            };
            let twice = families.insert(name.to_owned(), family);
            assert!(twice.is_none(), "{name} comes in two places");
            current = Some(name);
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(seen.insert(series), "{series} comes twice");
            let (name, labels) = labels(series);
            assert_eq!(current, Some(name), "a sample outside of its family");
            assert!(is_name(name, ":"));
            let value: f64 = value.parse().unwrap();
            let family = families.get_mut(name).unwrap();
            assert!(family.kind == "gauge" || value >= 0.0);
            family.samples.push((labels, value));
        }
    }
    families
}

fn is_name(name: &str, more: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || more.contains(c);
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

/// The name in front of the braces, and what is in them.
fn labels(series: &str) -> (&str, Vec<(String, String)>) {
    let Some((name, rest)) = series.split_once('{') else {
        return (series, Vec::new());
    };
    let mut rest = rest.strip_suffix('}').unwrap();
    let mut labels = Vec::new();
    while !rest.is_empty() {
        let (label, behind) = rest.split_once("=\"").unwrap();
        assert!(is_name(label, ""));
        let mut value = String::new();
        let mut chars = behind.char_indices();
        let end = loop {
            match chars.next().expect("a value without an end") {
                (at, '"') => break at,
                (_, '\\') => value.push(match chars.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, c @ ('\\' | '"'))) => c,
                    other => panic!("{other:?} is escaped"),
                }),
                (_, c) => value.push(c),
            }
        };
        labels.push((label.to_owned(), value));
        rest = &behind[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    (name, labels)
}
