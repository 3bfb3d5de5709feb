//! The command line of `trace`.

use std::{
    ffi::{OsStr, OsString},
    net::SocketAddr,
    path::PathBuf,
    str::FromStr,
};

use dmtcp_proto::{Dialect, Limits};

use super::printer::Format;

/// What to do.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "made for one example")]
pub enum Request {
    /// Stand between clients and this coordinator.
    Proxy(Options, String),
    /// Show what a file holds.
    Read(Options, PathBuf),
    /// Say how it is used.
    Help,
}

/// What can be chosen.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How events are shown.
    pub format: Format,
    /// The dialect of all connections; `None`: told from what they say.
    pub dialect: Option<Dialect>,
    /// The largest payload that is decoded.
    pub limits: Limits,
    /// Where to listen.
    pub listen: SocketAddr,
    /// A file for the port.
    pub port_file: Option<PathBuf>,
    /// A file for everything that is forwarded.
    pub record: Option<PathBuf>,
    /// Connections at a time.
    pub connections: usize,
}

/// How it is used.
pub const USAGE: &str = "\
usage: trace [--format FORMAT] [--dialect DIALECT] [--max-payload BYTES]
             [--listen ADDR] [--port-file FILE] [--record FILE] [--connections N]
             COORDINATOR
       trace [--format FORMAT] [--dialect DIALECT] [--max-payload BYTES] --read FILE

Stands between DMTCP's programs and a coordinator (HOST:PORT): forwards every byte
both ways, unchanged and at once, and prints what is said. Point dmtcp_launch,
dmtcp_restart and dmtcp_command at its port. Ctrl-C ends it, and with it all
connections through it: workers that are connected through it end then.

  --format line     one line a frame                           (default)
  --format json     one JSON object a line: event \"frame\" with time, connection,
                    direction and the members that dmtcp_proto::Dump documents;
                    \"raw\" for bytes that are no frame; \"opened\", \"ended\", \"closed\",
                    \"lost\"; \"trace\" at first
  --format hex      lines, and below each every byte with its field
  --record FILE     write all bytes to a new file, as JSON lines (event \"data\")
  --read FILE       decode such a file, the output of --format json, or a file of
                    captured frames
  --dialect D       V2_4, V2_5, V2_6, V3 or V5: do not guess
  --max-payload N   frames with more are shown as raw bytes    (default: 1048576)
  --listen ADDR     IP:PORT                                    (default: 127.0.0.1:0)
  --port-file FILE  write the port there once it listens
  --connections N   more than so many at a time have to wait   (default: 400)

What cannot be decoded is shown as raw bytes and forwarded all the same.";

impl Options {
    fn new() -> Self {
        Self {
            format: Format::Line,
            dialect: None,
            limits: Limits::default().max_payload(1 << 20),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            port_file: None,
            record: None,
            connections: 400,
        }
    }
}

/// Understands a command line, without the name of the program.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let mut args = args.into_iter();
    let mut options = Options::new();
    let mut read = None;
    let mut coordinator = None;
    while let Some(arg) = args.next() {
        let Some(name) = arg.to_str() else {
            return Err(format!("{} is not a HOST:PORT", arg.to_string_lossy()));
        };
        let mut value = || args.next().ok_or_else(|| format!("{name} needs a value"));
        match name {
            "-h" | "--help" => return Ok(Request::Help),
            "--format" => options.format = format(&value()?)?,
            "--dialect" => options.dialect = Some(dialect(&value()?)?),
            "--max-payload" => {
                options.limits = options.limits.max_payload(parsed(&value()?, "a number")?);
            }
            "--listen" => options.listen = parsed(&value()?, "an IP:PORT")?,
            "--port-file" => options.port_file = Some(value()?.into()),
            "--record" => options.record = Some(value()?.into()),
            "--read" => read = Some(PathBuf::from(value()?)),
            "--connections" => {
                options.connections = parsed(&value()?, "a number").and_then(at_least_one)?;
            }
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            addr if coordinator.is_none() => coordinator = Some(addr.to_owned()),
            more => return Err(format!("{more}: one coordinator is enough")),
        }
    }
    match (read, coordinator) {
        (Some(file), None) => Ok(Request::Read(options, file)),
        (None, Some(coordinator)) => Ok(Request::Proxy(options, coordinator)),
        (Some(_), Some(_)) => Err("either a coordinator or --read".into()),
        (None, None) => Err("no coordinator".into()),
    }
}

fn format(text: &OsStr) -> Result<Format, String> {
    match text.to_str() {
        Some("line") => Ok(Format::Line),
        Some("json") => Ok(Format::Json),
        Some("hex") => Ok(Format::Hex),
        _ => Err(format!("{}: line, json or hex", text.to_string_lossy())),
    }
}

fn dialect(text: &OsStr) -> Result<Dialect, String> {
    let word = text.to_string_lossy();
    let named = |dialect: &&Dialect| format!("{dialect:?}").eq_ignore_ascii_case(&word);
    Dialect::ALL.iter().find(named).copied().ok_or_else(|| {
        let all: Vec<String> = Dialect::ALL.iter().map(|d| format!("{d:?}")).collect();
        format!("{word} is none of the dialects {}", all.join(", "))
    })
}

fn parsed<T: FromStr>(text: &OsStr, what: &str) -> Result<T, String> {
    let value = text.to_str().and_then(|text| text.parse().ok());
    value.ok_or_else(|| format!("{} is not {what}", text.to_string_lossy()))
}

fn at_least_one(number: usize) -> Result<usize, String> {
    if number == 0 {
        return Err("--connections must be at least 1".into());
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn what_is_understood() {
        let options = Options {
            format: Format::Json,
            dialect: Some(Dialect::V5),
            limits: Limits::default().max_payload(7),
            listen: "[::1]:5".parse().unwrap(),
            port_file: Some("p".into()),
            record: Some("r".into()),
            connections: 2,
        };
        let line = "--format json --dialect v5 --max-payload 7 --listen [::1]:5 --port-file p \
                    --record r host:7779 --connections 2";
        assert_eq!(
            parsed(line),
            Ok(Request::Proxy(options, "host:7779".into()))
        );
        let read = Request::Read(Options::new(), "f".into());
        assert_eq!(parsed("--read f"), Ok(read));
        assert_eq!(parsed("a:1 --help"), Ok(Request::Help));
    }

    #[test]
    fn every_dialect_has_a_name() {
        for dialect in Dialect::ALL {
            assert!(USAGE.contains(&format!("{dialect:?}")), "{dialect:?}");
        }
    }

    #[test]
    fn what_is_refused() {
        for line in [
            "",
            "a:1 b:2",
            "--read f a:1",
            "--format",
            "--format xml a:1",
            "--dialect V9 a:1",
            "--max-payload -1 a:1",
            "--listen 7779 a:1",
            "--connections 0 a:1",
            "--foo a:1",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
