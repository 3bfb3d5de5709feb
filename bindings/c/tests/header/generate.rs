//! The header by cbindgen, with the pointer types of `ffi` replaced by what they are.

use std::path::Path;

use cbindgen::{Builder, Config};

/// The sources with something for C in it, in the order in which the header has it.
const SOURCES: &[&str] = &[
    "ffi/object.rs",
    "ffi/text.rs",
    "ffi/callback.rs",
    "ffi/memory.rs",
    "ffi/growing.rs",
    "codes.rs",
    "boundary.rs",
    "version.rs",
    "text.rs",
    "bytes.rs",
    "dialect.rs",
    "coordinator.rs",
    "status.rs",
    "checkpoint.rs",
    "workers.rs",
    "foreign_sets.rs",
    "set.rs",
    "set_list.rs",
    "set_store.rs",
    "server.rs",
    "computation.rs",
    "events.rs",
    "key_values.rs",
    "helper.rs",
    "tools.rs",
    "launch.rs",
    "restart.rs",
    "child.rs",
    "job_settings.rs",
    "job.rs",
    "job_events.rs",
    "job_contact.rs",
    "outcome.rs",
    "native_worker.rs",
];

/// Names of `ffi`'s types, as cbindgen makes them for each use.
const POINTERS: &[&str] = &[
    "In_",
    "Owned_",
    "Out_",
    "GrowingIn_",
    "GrowingOut_",
    "Text",
    "TextList",
    "OwnedText",
    "Memory",
    "Context",
];

/// What `include/dmtcp_rs.h` has to be.
pub(crate) fn header(root: &Path) -> String {
    let config = Config::from_file(root.join("cbindgen.toml")).unwrap();
    let builder = SOURCES
        .iter()
        .fold(Builder::new().with_config(config), |builder, source| {
            builder.with_src(root.join("src").join(source))
        });
    let mut header = Vec::new();
    builder.generate().unwrap().write(&mut header);
    tidy(&replace_pointers(&String::from_utf8(header).unwrap()))
}

/// Takes the typedefs of `ffi`'s types out, with their comments, and puts what they stand for in the
/// place of their uses.
fn replace_pointers(header: &str) -> String {
    let mut pointers = Vec::new();
    let mut blocks = Vec::new();
    for block in header.split("\n\n") {
        let typedef = block.lines().last().and_then(|line| {
            let typedef = line.strip_prefix("typedef ")?.strip_suffix(';')?;
            // Functions keep a name, which is theirs in C.
            let at = typedef.rfind([' ', '*'])? + 1;
            let (target, name) = typedef.split_at(at);
            let known = |known: &&str| match known.ends_with('_') {
                true => name.starts_with(known),
                false => name == *known,
            };
            POINTERS
                .iter()
                .any(known)
                .then_some((name, target.trim_end()))
        });
        match typedef {
            Some(pointer) => pointers.push(pointer),
            None => blocks.push(block),
        }
    }
    let mut text = blocks.join("\n\n");
    // Those that are made of others last; the longest names first.
    pointers.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    for _ in 0..2 {
        for (name, target) in &pointers {
            text = replace_word(&text, name, target);
        }
    }
    let callbacks = [
        ("Callback_JobEvent", "dmtcp_job_event_callback"),
        ("Callback_Event", "dmtcp_event_callback"),
    ];
    for (name, c) in callbacks {
        text = replace_word(&text, name, c);
    }
    text
}

/// `name` as a whole word, with the space behind it where a pointer has none.
fn replace_word(text: &str, name: &str, target: &str) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, found) = rest.split_at(at);
        let behind = &found[name.len()..];
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let is_word = !before.ends_with(is_part) && !behind.starts_with(is_part);
        replaced.push_str(before);
        rest = behind;
        if is_word {
            replaced.push_str(target);
            if target.ends_with('*') {
                rest = behind.trim_start_matches(' ');
            }
        } else {
            replaced.push_str(name);
        }
    }
    replaced + rest
}

/// Rust's marks in comments, and the line breaks of prototypes, which were made for longer names.
fn tidy(header: &str) -> String {
    let mut text = String::new();
    let mut lines = header.lines();
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("//") {
            text.push_str(&line.replace("[`", "").replace("`]", ""));
        } else if line.starts_with(|c: char| c.is_alphabetic())
            && line.contains("dmtcp_")
            && line.contains('(')
            && !line.starts_with("typedef")
        {
            let mut prototype = line.to_owned();
            while !prototype.ends_with(';') {
                prototype.push(' ');
                prototype.push_str(lines.next().expect("an open prototype").trim_start());
            }
            text.push_str(&wrapped(&prototype));
        } else {
            text.push_str(line);
        }
        text.push('\n');
    }
    text
}

/// As many arguments on a line as go into 100 columns.
fn wrapped(prototype: &str) -> String {
    let indent = prototype.find('(').expect("a prototype") + 1;
    let mut lines = vec![String::new()];
    for part in prototype.split_inclusive(", ") {
        let line = lines.last_mut().expect("one at least");
        if !line.is_empty() && line.len() + part.trim_end().len() > 100 {
            lines.push(" ".repeat(indent) + part);
        } else {
            line.push_str(part);
        }
    }
    let lines: Vec<_> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
}
