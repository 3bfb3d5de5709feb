//! The options of `run`, `start` and `restart`.

use super::telling::Talk;
use crate::duration;
use clap::Args;
use dmtcp_client::job::pace::{AutoInterval, IntervalPolicy};
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Start a program under DMTCP, or go on from its newest checkpoint set: the same command line each
/// time, until it is done
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    pub(super) job: JobArguments,
    #[command(flatten)]
    pub(super) program: ProgramArguments,
}

/// Start a program afresh; refused where it could go on
#[derive(Debug, Args)]
pub(crate) struct StartArguments {
    #[command(flatten)]
    pub(super) job: JobArguments,
    /// Also where there are sets: they are not gone on from any more
    #[arg(long)]
    pub(super) fresh: bool,
    #[command(flatten)]
    pub(super) program: ProgramArguments,
}

/// Go on from the newest checkpoint set; without one it fails
#[derive(Debug, Args)]
pub(crate) struct RestartArguments {
    #[command(flatten)]
    pub(super) job: JobArguments,
    /// The command that was started, of which the state directory has its name; not needed with
    /// --state-dir
    #[arg(
        last = true,
        value_name = "PROGRAM",
        required_unless_present = "state_dir"
    )]
    pub(super) program: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct ProgramArguments {
    /// The program is a worker by itself, as the library makes it, and needs no DMTCP
    #[arg(long)]
    pub(super) native: bool,
    /// Do not compress images: faster, and several times larger
    #[arg(long, conflicts_with = "native")]
    pub(super) no_gzip: bool,
    /// Images hold the contents of open files, too
    #[arg(long, conflicts_with = "native")]
    pub(super) checkpoint_open_files: bool,
    /// The program and its arguments
    #[arg(last = true, value_name = "PROGRAM", required = true)]
    pub(super) program: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct JobArguments {
    /// Where all of it is kept; default: output_PROGRAM_ID_ARGUMENTS in the working directory
    #[arg(long, value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// A name that tells this job from others of the same program
    #[arg(long, value_name = "TAG")]
    pub(super) id: Option<String>,
    /// Time between checkpoints; `auto`: as costs the least time, from what they cost and how often
    /// the job is interrupted; `never`
    #[arg(long, value_name = "TIME", default_value = "auto", value_parser = interval)]
    pub(super) interval: IntervalPolicy,
    /// With `auto`: mean time between interruptions; default: learned, beginning with a day
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(super) mean_time: Option<Duration>,
    /// Signals at which it checkpoints and stops, or `none`; a second INT or TERM kills it, as INT,
    /// TERM and HUP do that are not among them
    #[arg(long = "on-signal", value_name = "SIGNALS", default_value = "TERM,INT,HUP,USR1",
        value_delimiter = ',', value_parser = signal, action = clap::ArgAction::Set)]
    on_signal: Vec<Option<Signal>>,
    /// How long the last checkpoint may take, and how long before the end it begins at the latest
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = duration::parse)]
    pub(super) grace: Duration,
    /// When all is killed: seconds since 1970, ISO 8601, or `+` and the time from now; default: what
    /// Slurm says, if it is a job of Slurm's. `none`
    #[arg(long, value_name = "TIME")]
    pub(super) walltime_end: Option<String>,
    /// Checkpoint and stop once this file appears or changes
    #[arg(long, value_name = "FILE")]
    pub(super) notice_file: Option<PathBuf>,
    /// Keep the newest N sets
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(super) keep: usize,
    /// Stop behind the first complete set
    #[arg(long)]
    pub(super) stop_after_checkpoint: bool,
    /// Kill it after this time, without a checkpoint
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(super) timeout: Option<Duration>,
    /// How long a fresh start may take until all processes run
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    pub(super) ready_timeout: Duration,
    /// Give up after N restarts in a row without a newer set
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(super) restarts: u32,
    /// Another exit code for an outcome, such as `checkpointed=99`; again for more
    #[arg(long, value_name = "OUTCOME=CODE", value_parser = exit_code)]
    pub(super) exit_code: Vec<(String, u8)>,
    /// The folder of DMTCP's programs; default: DMTCP_BIN, then PATH
    #[arg(long, value_name = "DIR")]
    pub(super) dmtcp_bin: Option<PathBuf>,
    /// The program reads what this command reads; default: it reads nothing
    #[arg(long)]
    pub(super) stdin: bool,
    /// Write down here where the time of the last checkpoints went: `dmtcpctl trace`, Perfetto
    #[arg(long, value_name = "FILE")]
    pub(super) trace: Option<PathBuf>,
    /// Write counters here for the textfile collector of Prometheus' node_exporter (NAME.prom)
    #[arg(long, value_name = "FILE")]
    pub(super) metrics: Option<PathBuf>,
    /// Say nothing on stderr but what the program says
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Say what is done, as execution.log does
    #[arg(short, long)]
    verbose: bool,
}

impl JobArguments {
    pub(super) fn talk(&self) -> Talk {
        match (self.quiet, self.verbose) {
            (true, _) => Talk::Nothing,
            (_, true) => Talk::All,
            _ => Talk::Trouble,
        }
    }

    pub(super) fn stop_signals(&self) -> Vec<Signal> {
        self.on_signal.iter().copied().flatten().collect()
    }
}

fn interval(text: &str) -> Result<IntervalPolicy, String> {
    match text {
        "auto" => Ok(IntervalPolicy::Auto(AutoInterval::new())),
        "never" => Ok(IntervalPolicy::Never),
        text => duration::parse(text).map(IntervalPolicy::Every),
    }
}

fn signal(text: &str) -> Result<Option<Signal>, String> {
    let upper = text.to_ascii_uppercase();
    if upper == "NONE" {
        return Ok(None);
    }
    let name = match upper.starts_with("SIG") {
        true => upper,
        false => format!("SIG{upper}"),
    };
    let signal: Signal = name
        .parse()
        .map_err(|_| format!("`{text}` is no signal: try TERM, INT, HUP or USR1"))?;
    match signal {
        Signal::SIGKILL | Signal::SIGSTOP => Err(format!("nothing can be done at {signal}")),
        // What the program itself is to blame for.
        Signal::SIGSEGV | Signal::SIGBUS | Signal::SIGFPE | Signal::SIGILL | Signal::SIGCHLD => {
            Err(format!("{signal} is not sent to stop a program"))
        }
        signal => Ok(Some(signal)),
    }
}

fn exit_code(text: &str) -> Result<(String, u8), String> {
    let wrong = || {
        format!(
            "`{text}` is not of the form OUTCOME=CODE, of checkpointed, try-again, \
             failed-before-ready, failed-to-restore and timed-out, and 0 to 255"
        )
    };
    let (outcome, code) = text.split_once('=').ok_or_else(wrong)?;
    let known = [
        "checkpointed",
        "try-again",
        "failed-before-ready",
        "failed-to-restore",
        "timed-out",
    ];
    if !known.contains(&outcome) {
        return Err(wrong());
    }
    Ok((outcome.to_owned(), code.parse().map_err(|_| wrong())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_their_names() {
        assert_eq!(signal("usr1"), Ok(Some(Signal::SIGUSR1)));
        assert_eq!(signal("SIGTERM"), Ok(Some(Signal::SIGTERM)));
        assert_eq!(signal("none"), Ok(None));
        for wrong in ["KILL", "STOP", "SEGV", "9", "", "TERMINATE"] {
            assert!(signal(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn codes_of_known_outcomes() {
        assert_eq!(
            exit_code("checkpointed=99"),
            Ok(("checkpointed".to_owned(), 99))
        );
        for wrong in ["99", "checkpointed", "finished=1", "try-again=256"] {
            assert!(exit_code(wrong).is_err(), "{wrong}");
        }
    }
}
