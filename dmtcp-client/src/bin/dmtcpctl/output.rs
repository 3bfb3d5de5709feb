//! Writing to stdout and stderr: whole documents, and nobody's fault if nobody reads them.

use crate::failure::{Failure, Problem};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use std::io::{self, ErrorKind, Write as _};

/// Writes text to stdout.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    // Whoever read has seen enough.
    print_line(text).map(drop)
}

/// The same for one of many: says whether anybody reads.
pub(crate) fn print_line(text: &str) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(
            "output",
            format!("cannot write to stdout: {error}"),
        )),
        Ok(()) => Ok(true),
    }
}

/// Whether somebody may read stdout still: no pipe whose other end is closed.
pub(crate) fn is_read() -> bool {
    let out = io::stdout();
    let mut out = [PollFd::new(&out, PollFlags::empty())];
    // If it cannot be told, the next that is written tells.
    let told = poll(&mut out, Some(&Timespec::default()));
    told.is_err() || !out.iter().any(|out| out.revents().contains(PollFlags::ERR))
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

/// Writes one of many such objects, each in a line of its own: says whether anybody reads.
pub(crate) fn print_json_line<T: Serialize>(command: &str, content: &T) -> Result<bool, Failure> {
    let document = Document {
        command,
        schema: SCHEMA,
        content,
    };
    let text = serde_json::to_string(&document)
        .map_err(|error| Failure::new("output", format!("cannot make JSON: {error}")))?;
    print_line(&(text + "\n"))
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
        crate::text::lines(&problem.text)
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
