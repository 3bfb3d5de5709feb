//! `dmtcpctl logs`: what a job has left for people to read.

use crate::failure::Failure;
use crate::output;
use crate::state_dir::StateDir;
use clap::{Args, ValueEnum};
use dmtcp_client::job::{Contact, LogKind, LogTail, Standing};
use serde::Serialize;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

/// Print a log of a job: what its program has written, what was done about it, or what happened in its
/// computation
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    at: StateDir,
    /// Which one
    #[arg(long, value_enum, default_value = "application")]
    which: Which,
    /// Go on until the job has ended
    #[arg(short, long)]
    follow: bool,
    /// Only so many lines at the end, and what follows
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    lines: Option<u64>,
    /// JSON instead of text: an object for each line, in a line of its own
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    Application,
    Execution,
    Coordinator,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    command: &'static str,
    schema: u32,
    which: &'static str,
    /// Of the other two than the program's output.
    time: Option<&'a str>,
    text: &'a str,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let directory = arguments.at.path();
    let contact = Contact::open(directory)?;
    let kind = match arguments.which {
        Which::Application => LogKind::Application,
        Which::Execution => LogKind::Execution,
        Which::Coordinator => LogKind::Coordinator,
    };
    let tail = LogTail::open(directory, kind)?;
    let mut tail = match arguments.lines {
        Some(lines) => tail.last_lines(lines)?,
        None => tail,
    };
    let mut printer = Printer {
        which: arguments.which,
        json: arguments.json,
        rest: Vec::new(),
    };
    let mut runs = is_there_more(&contact);
    loop {
        let bytes = tail.read()?;
        if !bytes.is_empty() {
            if !printer.print(&bytes)? {
                return Ok(ExitCode::SUCCESS);
            }
            continue;
        }
        if !arguments.follow || !runs {
            break;
        }
        thread::sleep(LOOK);
        // What it wrote last is read once more behind this.
        runs = is_there_more(&Contact::open(directory)?);
    }
    printer.end()?;
    Ok(ExitCode::SUCCESS)
}

fn is_there_more(contact: &Contact) -> bool {
    matches!(
        contact.standing(),
        Standing::Running(_) | Standing::Elsewhere(_)
    )
}

struct Printer {
    which: Which,
    json: bool,
    /// The beginning of a line.
    rest: Vec<u8>,
}

impl Printer {
    /// False: nobody reads any more.
    fn print(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        if !self.json {
            // The program's output, byte for byte.
            return written(bytes);
        }
        self.rest.extend(bytes);
        let mut text = Vec::new();
        let mut from = 0;
        while let Some(len) = self.rest.get(from..).and_then(end_of_line) {
            let line = self.rest.get(from..from + len).unwrap_or_default();
            text.extend(self.line(line)?);
            from += len + 1;
        }
        self.rest.drain(..from);
        written(&text)
    }

    /// What is no whole line.
    fn end(&mut self) -> Result<(), Failure> {
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() {
            written(&self.line(&rest)?)?;
        }
        Ok(())
    }

    fn line(&self, line: &[u8]) -> Result<Vec<u8>, Failure> {
        let text = String::from_utf8_lossy(line);
        let (which, timed) = match self.which {
            Which::Application => ("application", None),
            Which::Execution => ("execution", text.split_once(' ')),
            Which::Coordinator => ("coordinator", text.split_once(' ')),
        };
        let line = Line {
            command: "logs",
            schema: output::SCHEMA,
            which,
            time: timed.map(|(time, _)| time),
            text: timed.map_or(&text, |(_, text)| text),
        };
        let mut json = serde_json::to_vec(&line)
            .map_err(|error| Failure::new("output", format!("cannot make JSON: {error}")))?;
        json.push(b'\n');
        Ok(json)
    }
}

fn end_of_line(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

/// Whether anybody reads.
fn written(bytes: &[u8]) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(
            "output",
            format!("cannot write to stdout: {error}"),
        )),
        Ok(()) => Ok(true),
    }
}

/// The system tells of a file that another host writes only when it is looked at.
const LOOK: Duration = Duration::from_millis(200);
