//! `dmtcpctl`: the library on the command line.
//!
//! Only arguments, text and JSON are here, one file for each subcommand; what is done is the
//! library's. The JSON is described in `docs/CLI.md`.
#![forbid(unsafe_code)]

mod archive;
mod ask;
mod bar;
mod bytes;
mod checkpoint;
mod command;
mod coordinator;
mod describe;
mod doctor;
mod duration;
mod failure;
mod inspect;
mod job_view;
mod list;
mod logs;
mod output;
mod prune;
mod run;
mod sets;
mod state_dir;
mod status;
mod stop;
mod text;
mod trace;
mod verify;
mod wait;
mod watch;
mod workers;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use failure::Failure;
use std::ffi::OsString;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "dmtcpctl", version, about = ABOUT, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Run(run::RunArguments),
    Start(run::StartArguments),
    Restart(run::RestartArguments),
    Inspect(inspect::Arguments),
    Sets(sets::Arguments),
    Verify(verify::Arguments),
    Prune(prune::Arguments),
    Pack(archive::PackArguments),
    Unpack(archive::UnpackArguments),
    Status(status::Arguments),
    Workers(workers::Arguments),
    Watch(watch::Arguments),
    Checkpoint(checkpoint::Arguments),
    List(list::Arguments),
    Wait(wait::Arguments),
    Stop(stop::Arguments),
    Logs(logs::Arguments),
    Doctor(doctor::Arguments),
    /// A coordinator, in place of DMTCP's `dmtcp_coordinator`, with its options; this program is
    /// that when it is called by that name
    #[command(disable_help_flag = true)]
    Coordinator(Words),
    /// Ask a coordinator, in place of DMTCP's `dmtcp_command`, with its options and its output;
    /// this program is that when it is called by that name
    #[command(disable_help_flag = true)]
    Command(Words),
    Trace(trace::Arguments),
    Completions(describe::CompletionArguments),
    Man(describe::ManArguments),
}

/// Options that are not ours.
#[derive(Debug, Args)]
struct Words {
    /// As those of the program that it replaces; `--help` lists them
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "OPTIONS"
    )]
    words: Vec<OsString>,
}

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    // Else who starts a process says why it does not.
    let _ = run::hear_of_children();
    if coordinator::is_called(&name) {
        return coordinator::run(&words.collect::<Vec<_>>());
    }
    if command::is_called(&name) {
        return command::run(&words.collect::<Vec<_>>());
    }
    let done = match Cli::parse().task {
        Task::Run(arguments) => run::run(&arguments),
        Task::Start(arguments) => run::start(&arguments),
        Task::Restart(arguments) => run::restart(&arguments),
        Task::Inspect(arguments) => inspect::run(&arguments),
        Task::Sets(arguments) => sets::run(&arguments),
        Task::Verify(arguments) => verify::run(&arguments),
        Task::Prune(arguments) => prune::run(&arguments),
        Task::Pack(arguments) => archive::pack(&arguments),
        Task::Unpack(arguments) => archive::unpack(&arguments),
        Task::Status(arguments) => status::run(&arguments),
        Task::Workers(arguments) => workers::run(&arguments),
        Task::Watch(arguments) => watch::run(&arguments),
        Task::Checkpoint(arguments) => checkpoint::run(&arguments),
        Task::List(arguments) => list::run(&arguments),
        Task::Wait(arguments) => wait::run(&arguments),
        Task::Stop(arguments) => stop::run(&arguments),
        Task::Logs(arguments) => logs::run(&arguments),
        Task::Trace(arguments) => trace::run(&arguments),
        Task::Completions(arguments) => describe::completions(&arguments, Cli::command()),
        Task::Man(arguments) => describe::man(&arguments, Cli::command()),
        Task::Doctor(arguments) => doctor::run(&arguments),
        Task::Coordinator(Words { words }) => return coordinator::run(&words),
        Task::Command(Words { words }) => return command::run(&words),
    };
    done.unwrap_or_else(|failure: Failure| failure.report())
}

const ABOUT: &str = "DMTCP computations: coordinators, checkpoint images, checkpoint sets";

const EXIT_CODES: &str = "\
Exit codes:
  0    done; everything that was looked at is whole
  1    not done, or something is wrong with what was looked at
  2    wrong use of the command line
  75   not now: somebody else is at it, or not all processes run; try again
  124  the time that was allowed is over

`run`, `start`, `restart` and `wait` exit with the code of the job's outcome:
  N    that of the program itself; 128 + N: signal N ended it
  85   a complete checkpoint set was taken and the program stopped: run it again
  75   not done, and no set is lost: run it again
  124  the run's own --timeout is over
  170  it could not be started
  171  no checkpoint set could be restarted

Errors are on stderr, as `dmtcpctl: NAME: what happened`; the NAME of a kind of error does not change.";
