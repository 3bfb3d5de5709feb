//! Reads a trace as its viewers do, and checks what they rely on.

#![allow(dead_code, reason = "each test crate uses its own part of this")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Begin, end and name.
pub(crate) type Slice = (f64, f64, String);

/// A trace, by the names of groups and lines.
pub(crate) struct Trace {
    /// Names of the groups, in the order in which they are shown.
    pub(crate) groups: Vec<String>,
    /// Slices of each line, in order of time.
    pub(crate) lines: BTreeMap<(String, String), Vec<Slice>>,
    pub(crate) instants: Vec<String>,
}

impl Trace {
    /// Panics when it is not well-formed.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let trace: Value = serde_json::from_slice(text).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let mut groups = BTreeMap::new();
        let mut names = BTreeMap::new();
        let mut slices: BTreeMap<_, Vec<Slice>> = BTreeMap::new();
        let mut instants = Vec::new();
        for event in events {
            let pid = event["pid"].as_u64().unwrap();
            assert!(pid > 0, "taken for the idle process: {event}");
            let name = event["name"].as_str().unwrap().to_owned();
            let given = || event["args"]["name"].as_str().unwrap().to_owned();
            let line = || (pid, event["tid"].as_u64().unwrap());
            match event["ph"].as_str().unwrap() {
                "M" => match &*name {
                    "process_name" => assert_eq!(groups.insert(pid, given()), None),
                    "thread_name" => assert_eq!(names.insert(line(), given()), None),
                    "process_sort_index" | "thread_sort_index" => {
                        assert!(event["args"]["sort_index"].is_u64());
                    }
                    other => panic!("{other}"),
                },
                "X" => {
                    let number = |key: &str| event[key].as_f64().filter(|n| *n >= 0.0).unwrap();
                    let (begin, length) = (number("ts"), number("dur"));
                    let slices = slices.entry(line()).or_default();
                    slices.push((begin, begin + length, name));
                }
                "i" => {
                    assert!(event["ts"].is_f64() && event["s"] == "t");
                    assert!(names.contains_key(&line()));
                    instants.push(name);
                }
                other => panic!("{other}"),
            }
        }
        let tids: BTreeSet<u64> = names.keys().map(|&(_, tid)| tid).collect();
        assert_eq!(tids.len(), names.len(), "a number for two lines");
        for slices in slices.values() {
            for pair in slices.windows(2) {
                // Half a nanosecond is lost where numbers become decimal.
                assert!(pair[0].1 <= pair[1].0 + 0.002, "they overlap: {pair:?}");
            }
        }
        let named = |(line, slices): ((u64, u64), _)| {
            let name = names.get(&line).expect("a line without a name");
            ((groups[&line.0].clone(), name.clone()), slices)
        };
        let lines: BTreeMap<_, _> = slices.into_iter().map(named).collect();
        Self {
            groups: groups.into_values().collect(),
            lines,
            instants,
        }
    }

    /// Names of the slices of a line.
    pub(crate) fn slices(&self, group: &str, line: &str) -> Vec<&str> {
        let slices = &self.lines[&(group.to_owned(), line.to_owned())];
        slices.iter().map(|(.., name)| &**name).collect()
    }
}
