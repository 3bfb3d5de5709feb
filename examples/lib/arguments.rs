//! The command line of `checkpoint_every`.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    time::Duration,
};

/// What to do.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "made for one example")]
pub enum Request {
    /// The built-in computation.
    BuiltIn(Options),
    /// A program under DMTCP, with its arguments.
    Program(Options, OsString, Vec<OsString>),
    /// Say how it is used.
    Help,
}

/// What can be chosen.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Time between checkpoints.
    pub interval: Option<Duration>,
    /// Where the sets are kept.
    pub dir: Option<PathBuf>,
    /// Sets to keep; 0: all.
    pub keep: usize,
    /// Where DMTCP's programs are.
    pub dmtcp_bin: Option<PathBuf>,
    /// Whether DMTCP compresses its images.
    pub gzip: bool,
    /// File that shows how the last checkpoints went, for a trace viewer.
    pub trace: Option<PathBuf>,
    /// File of metrics, for Prometheus.
    pub metrics: Option<PathBuf>,
}

/// How it is used.
pub const USAGE: &str = "\
usage: checkpoint_every [--interval TIME] [--dir DIR] [--keep N]
                        [--trace FILE] [--metrics FILE]
       checkpoint_every [--interval TIME] [--dir DIR] [--keep N]
                        [--trace FILE] [--metrics FILE] [--no-gzip]
                        [--dmtcp-bin DIR] PROGRAM ARGS...

Without a program: three worker processes of its own are checkpointed every
second, killed, restarted, and their result is checked. Needs no DMTCP.

With a program: it runs under DMTCP, is checkpointed every TIME, and goes on from
the newest checkpoint set when the same command is given again. Ctrl-C or SIGTERM
takes one last checkpoint and stops with exit code 85.

  --interval TIME   10, 10s, 5m or 1h      (default: 1s built in, 60s otherwise)
  --dir DIR         where sets are kept    (default: ./checkpoint_every-PROGRAM_ARGS)
  --keep N          sets to keep, 0: all   (default: 3)
  --trace FILE      who was where when in the last four checkpoints: drop it
                    into https://ui.perfetto.dev or chrome://tracing
  --metrics FILE    counters and gauges for Prometheus' textfile collector
  --no-gzip         larger images, faster
  --dmtcp-bin DIR   DMTCP's programs       (default: DMTCP_BIN, then PATH)

Exit code: the program's own, or 128+n if signal n ended it; 85 stopped with a
complete set, run it again; 75 stopped without a new one, try again; 170 could
not be started; 171 could not be restarted; 2 wrong use, or no DMTCP.";

impl Options {
    fn new() -> Self {
        Self {
            interval: None,
            dir: None,
            keep: 3,
            dmtcp_bin: None,
            gzip: true,
            trace: None,
            metrics: None,
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
    while let Some(arg) = args.next() {
        let Some(name) = arg.to_str().filter(|arg| arg.starts_with('-')) else {
            return Ok(Request::Program(options, arg, args.collect()));
        };
        let mut value = || args.next().ok_or_else(|| format!("{name} needs a value"));
        match name {
            "-h" | "--help" => return Ok(Request::Help),
            "--interval" => options.interval = Some(duration(&value()?)?),
            "--dir" => options.dir = Some(value()?.into()),
            "--keep" => options.keep = number(&value()?)?,
            "--dmtcp-bin" => options.dmtcp_bin = Some(value()?.into()),
            "--trace" => options.trace = Some(value()?.into()),
            "--metrics" => options.metrics = Some(value()?.into()),
            "--no-gzip" => options.gzip = false,
            "--" => match args.next() {
                Some(program) => return Ok(Request::Program(options, program, args.collect())),
                None => break,
            },
            other => return Err(format!("unknown option {other}")),
        }
    }
    Ok(Request::BuiltIn(options))
}

fn number(text: &OsStr) -> Result<usize, String> {
    let number = text.to_str().and_then(|text| text.parse().ok());
    number.ok_or_else(|| format!("{} is not a number", text.to_string_lossy()))
}

/// Whole seconds, or a number with `s`, `m` or `h`; at least one second.
fn duration(text: &OsStr) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "{} is not a time of at least a second: try 30s, 5m or 1h",
            text.to_string_lossy()
        )
    };
    let text = text.to_str().ok_or_else(wrong)?;
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "s"),
    };
    let factor = match unit {
        "h" => 3600,
        "m" => 60,
        _ => 1,
    };
    let seconds = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor));
    seconds
        .filter(|&seconds| seconds > 0)
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn options_end_where_the_program_begins() {
        let options = Options {
            interval: Some(Duration::from_secs(600)),
            dir: Some("d".into()),
            keep: 2,
            dmtcp_bin: Some("/b".into()),
            gzip: false,
            trace: Some("t".into()),
            metrics: Some("m".into()),
        };
        let line = "--interval 10m --dir d --keep 2 --dmtcp-bin /b --no-gzip --trace t --metrics m \
                    python3 -u --keep x";
        let args = vec!["-u".into(), "--keep".into(), "x".into()];
        assert_eq!(
            parsed(line),
            Ok(Request::Program(options, "python3".into(), args))
        );
        assert_eq!(parsed(""), Ok(Request::BuiltIn(Options::new())));
        assert_eq!(parsed("--interval 1h -h"), Ok(Request::Help));
    }

    #[test]
    fn what_is_refused() {
        for line in [
            "--interval",
            "--interval 0",
            "--interval x",
            "--interval 1d",
            "--keep -1",
            "--foo",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
