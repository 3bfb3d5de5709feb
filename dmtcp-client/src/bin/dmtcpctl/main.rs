//! `dmtcpctl`: the library on the command line.
//!
//! Only arguments, text and JSON are here, one file for each subcommand; what is done is the
//! library's. The JSON is described in `docs/CLI.md`.
#![forbid(unsafe_code)]

mod archive;
mod ask;
mod checkpoint;
mod duration;
mod failure;
mod inspect;
mod output;
mod prune;
mod sets;
mod status;
mod text;
mod verify;
mod workers;

use clap::{Parser, Subcommand};
use failure::Failure;
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(name = "dmtcpctl", version, about = ABOUT, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inspect(inspect::Arguments),
    Sets(sets::Arguments),
    Verify(verify::Arguments),
    Prune(prune::Arguments),
    Pack(archive::PackArguments),
    Unpack(archive::UnpackArguments),
    Status(status::Arguments),
    Workers(workers::Arguments),
    Checkpoint(checkpoint::Arguments),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Sets(arguments) => sets::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Prune(arguments) => prune::run(&arguments),
        Command::Pack(arguments) => archive::pack(&arguments),
        Command::Unpack(arguments) => archive::unpack(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Workers(arguments) => workers::run(&arguments),
        Command::Checkpoint(arguments) => checkpoint::run(&arguments),
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

Errors are on stderr, as `dmtcpctl: NAME: what happened`; the NAME of a kind of error does not change.";
