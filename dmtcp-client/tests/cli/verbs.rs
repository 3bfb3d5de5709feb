//! `docs/VERBS.md` against the sources of all languages: nothing of the Rust types is missing in it, and
//! what it names is there.

mod names;

use crate::run::run;
use names::{Classes, c_names, python_classes, rust_functions};
use std::collections::{BTreeMap, BTreeSet};

/// A type as the page has it, and where its methods are.
struct Type {
    heading: &'static str,
    /// In `dmtcp-client/src/`.
    files: &'static [&'static str],
    /// Functions of these files that belong to it, too.
    functions: &'static [&'static str],
    /// In `dmtcp-client/src/aio/`.
    aio: Option<&'static str>,
    python: &'static str,
}

const fn of(heading: &'static str, files: &'static [&'static str], python: &'static str) -> Type {
    Type {
        heading,
        files,
        functions: &[],
        aio: None,
        python,
    }
}

const fn awaited(t: Type, file: &'static str) -> Type {
    Type {
        aio: Some(file),
        ..t
    }
}

const TYPES: [Type; 16] = [
    awaited(
        of(
            "Coordinator",
            &[
                "coordinator/mod.rs",
                "coordinator/checkpoint.rs",
                "coordinator/detect/mod.rs",
            ],
            "Coordinator",
        ),
        "coordinator.rs",
    ),
    awaited(
        of("ForeignSets", &["foreign/sets.rs"], "ForeignSets"),
        "foreign.rs",
    ),
    awaited(of("Server", &["server/mod.rs"], "Server"), "server.rs"),
    awaited(
        of(
            "Computation",
            &[
                "server/computation.rs",
                "server/watching.rs",
                "server/observe/mod.rs",
            ],
            "Computation",
        ),
        "server.rs",
    ),
    of("HelperCoordinator", &["helper/mod.rs"], "HelperCoordinator"),
    of(
        "HelperSettings",
        &["helper/settings.rs"],
        "HelperCoordinator",
    ),
    of("Job", &["job/settings.rs"], "Job"),
    awaited(
        of("RunningJob", &["job/running.rs"], "RunningJob"),
        "job.rs",
    ),
    awaited(
        of("JobControl", &["job/control.rs"], "RunningJob"),
        "job.rs",
    ),
    Type {
        functions: &["job/contact.rs", "job/stop.rs"],
        ..of("Contact", &["job/contact.rs"], "Contact")
    },
    of("SetStore", &["set/store.rs", "set/retain.rs"], "SetStore"),
    of(
        "CheckpointSet",
        &[
            "set/checkpoint_set.rs",
            "set/archive/pack.rs",
            "set/compatibility.rs",
        ],
        "CheckpointSet",
    ),
    of("Worker", &["native/worker.rs"], "NativeWorker"),
    of("Launch", &["launch.rs"], "Launch"),
    of("Restart", &["restart.rs"], "Restart"),
    of("Tools", &["tools.rs"], "Tools"),
];

/// A row: the cells of the languages, and why some are empty.
struct Row {
    rust: Vec<String>,
    aio: Vec<String>,
    c: Vec<String>,
    python: Vec<String>,
    command_line: Vec<String>,
}

/// The rows below each heading; a `–` has its reason.
fn page() -> BTreeMap<String, Vec<Row>> {
    let mut page: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let text = include_str!("../../../docs/VERBS.md");
    for part in text.split("\n## ").skip(1) {
        let mut lines = part.lines();
        let heading = lines.next().unwrap();
        let rows = lines.filter(|line| line.starts_with("| `"));
        for line in rows {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, rust, aio, c, python, command_line, why, _] = cells[..] else {
                panic!("{heading}: {line}");
            };
            let empty = [aio, c, python, command_line].contains(&"–");
            assert_eq!(
                empty,
                !why.is_empty(),
                "{heading}: a reason for each –: {line}"
            );
            let names = |cell: &str| -> Vec<String> {
                let names: Vec<String> = cell
                    .split('`')
                    .skip(1)
                    .step_by(2)
                    .map(str::to_owned)
                    .collect();
                assert!(cell == "–" || !names.is_empty(), "{heading}: {line}");
                names
            };
            page.entry(heading.to_owned()).or_default().push(Row {
                rust: names(rust),
                aio: names(aio),
                c: names(c),
                python: names(python),
                command_line: names(command_line),
            });
        }
    }
    page
}

fn all(rows: &[Row], column: fn(&Row) -> &Vec<String>) -> BTreeSet<&str> {
    rows.iter().flat_map(column).map(String::as_str).collect()
}

#[test]
fn rust_and_its_asynchronous_types_are_all_there() {
    let page = page();
    let headings: BTreeSet<&str> = page.keys().map(String::as_str).collect();
    assert_eq!(headings, TYPES.iter().map(|t| t.heading).collect());
    for t in &TYPES {
        let rows = &page[t.heading];
        let mut methods = BTreeSet::new();
        for file in t.files {
            methods.extend(rust_functions(file, Some(t.heading)));
        }
        for file in t.functions {
            methods.extend(rust_functions(file, None));
        }
        let told: BTreeSet<String> = rows.iter().flat_map(|row| row.rust.clone()).collect();
        assert_eq!(told, methods, "{} in Rust", t.heading);

        let mut awaited = BTreeSet::from(["unblock".to_owned()]);
        if let Some(file) = t.aio {
            awaited.extend(rust_functions(&format!("aio/{file}"), Some(t.heading)));
        } else if t.heading == "Job" {
            awaited = rust_functions("aio/job.rs", Some("RunningJob"));
        }
        for name in all(rows, |row| &row.aio) {
            assert!(awaited.contains(name), "{}: no {name} in async", t.heading);
        }
        let told = all(rows, |row| &row.aio);
        let told_by_job = all(&page["Job"], |row| &row.aio);
        let untold = awaited.iter().filter(|name| {
            let elsewhere = t.heading == "RunningJob" && told_by_job.contains(name.as_str());
            !told.contains(name.as_str())
                && !elsewhere
                && !EVERYWHERE_IN_ASYNC.contains(&name.as_str())
        });
        let untold: Vec<_> = untold.collect();
        assert!(
            untold.is_empty(),
            "async {}: not in the table: {untold:?}",
            t.heading
        );
    }
}

/// Ways between the blocking and the asynchronous types.
const EVERYWHERE_IN_ASYNC: [&str; 3] = ["handle", "on", "unblock"];

#[test]
fn c_is_all_there() {
    let (functions, fields) = c_names();
    let page = page();
    let told: BTreeSet<&str> = page
        .values()
        .flat_map(|rows| all(rows, |row| &row.c))
        .collect();
    for name in &told {
        let there = match name.split_once('.') {
            Some(_) => fields.contains(*name),
            None => functions.contains(*name),
        };
        assert!(there, "no {name} in C");
    }
    // What only C has: parts of values, the end of objects, and what its children need.
    let plumbing = |name: &str| {
        ["_free", "_count", "_get"]
            .iter()
            .any(|end| name.ends_with(end))
            || ["dmtcp_child_", "dmtcp_bytes_", "dmtcp_subscription_"]
                .iter()
                .any(|start| name.starts_with(start))
            || ONLY_IN_C.contains(&name)
    };
    let untold = functions.iter().map(String::as_str);
    let untold: Vec<_> = untold
        .filter(|name| !told.contains(name) && !plumbing(name))
        .collect();
    assert!(untold.is_empty(), "C: not in the table: {untold:?}");
}

const ONLY_IN_C: [&str; 6] = [
    "dmtcp_result_name",
    "dmtcp_last_error_message",
    "dmtcp_version",
    "dmtcp_sets_broken",
    "dmtcp_native_worker_unregister",
    "dmtcp_native_worker_exit_code",
];

#[test]
fn python_is_all_there() {
    let classes: Classes = python_classes();
    let page = page();
    let told: BTreeSet<&str> = page
        .values()
        .flat_map(|rows| all(rows, |row| &row.python))
        .collect();
    for name in &told {
        let there = match (name.split_once('('), name.split_once('.')) {
            (Some((called, parameter)), _) => {
                let (class, method) = called.split_once('.').unwrap_or((called, "__init__"));
                let parameter = parameter.trim_end_matches(')');
                let class = classes.get(class);
                class.is_some_and(|class| class.has_parameter(method, parameter))
            }
            (None, Some((class, member))) => {
                classes.get(class).is_some_and(|class| class.has(member))
            }
            (None, None) => classes.contains_key(*name),
        };
        assert!(there, "no {name} in Python");
    }
    for t in &TYPES {
        let class = &classes[t.python];
        let untold: Vec<_> = class
            .methods()
            .filter(|method| {
                let whole = format!("{}.{method}", t.python);
                let begin = format!("{whole}(");
                let is_told = told
                    .iter()
                    .any(|name| **name == whole || name.starts_with(&begin));
                !is_told && !ONLY_IN_PYTHON.contains(&whole.as_str())
            })
            .collect();
        assert!(
            untold.is_empty(),
            "Python {}: not in the table: {untold:?}",
            t.python
        );
    }
}

/// Comforts: words for what others have, or what a language without destructors and types needs.
const ONLY_IN_PYTHON: [&str; 10] = [
    "CheckpointSet.created",
    "Computation.environment",
    "HelperCoordinator.port",
    "HelperCoordinator.quit",
    "Job.sets",
    "NativeWorker.was_launched",
    "RunningJob.state_dir",
    "SetStore.close",
    "SetStore.peek",
    "Contact.is_running",
];

#[test]
fn the_command_line_has_what_is_named() {
    let page = page();
    let told: BTreeSet<&str> = page
        .values()
        .flat_map(|rows| all(rows, |row| &row.command_line))
        .collect();
    let mut helps: BTreeMap<&str, String> = BTreeMap::new();
    for name in told {
        let (subcommand, options) = name.split_once(' ').unwrap_or((name, ""));
        let help = helps.entry(subcommand).or_insert_with(|| {
            let ran = run([subcommand, "--help"]);
            assert!(ran.out.contains("Usage"), "{subcommand}: {ran:?}");
            ran.out
        });
        for option in options.split(' ').filter(|option| !option.is_empty()) {
            let mut words = help.split(|c: char| c.is_whitespace() || ",[]<>".contains(c));
            assert!(
                words.any(|word| word == option),
                "dmtcpctl {subcommand} has no {option}"
            );
        }
    }
    assert!(helps.len() > 15, "only {:?}", helps.keys());
}
