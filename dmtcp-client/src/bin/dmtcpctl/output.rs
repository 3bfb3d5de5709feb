//! Writing to stdout and stderr: whole documents, and nobody's fault if nobody reads them.

use crate::failure::{Failure, Problem};
use serde::Serialize;
use std::io::{self, ErrorKind, Write as _};

/// Writes text to stdout.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        // Whoever read has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(
            "output",
            format!("cannot write to stdout: {error}"),
        )),
        Ok(()) => Ok(()),
    }
}

/// What is written with `--json`: an object that says what it is and in which version.
#[derive(Debug, Serialize)]
struct Document<'a, T> {
    command: &'a str,
    schema: u32,
    #[serde(flatten)]
    content: &'a T,
}

/// Writes the JSON of a subcommand to stdout.
pub(crate) fn print_json<T: Serialize>(command: &str, content: &T) -> Result<(), Failure> {
    let document = Document {
        command,
        schema: SCHEMA,
        content,
    };
    let text = serde_json::to_string_pretty(&document)
        .map_err(|error| Failure::new("output", format!("cannot make JSON: {error}")))?;
    print(&(text + "\n"))
}

/// Writes text to stderr, for what has its own form of errors.
pub(crate) fn print_error(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes an error to stderr, where there may be nobody either.
pub(crate) fn complain(problem: &Problem, hint: Option<&str>) {
    let mut text = format!(
        "dmtcpctl: {}: {}\n",
        problem.slug,
        crate::text::printable(&problem.text)
    );
    if let Some(hint) = hint {
        text += "  hint: ";
        text += hint;
        text += "\n";
    }
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Of every document; it rises when a field goes away or changes its meaning.
pub(crate) const SCHEMA: u32 = 1;
