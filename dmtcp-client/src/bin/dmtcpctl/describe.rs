//! `dmtcpctl completions` and `dmtcpctl man`: what the command line itself says, for shells and for
//! `man`.

use crate::failure::Failure;
use crate::output;
use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write completions for a shell to stdout
///
/// For bash: dmtcpctl completions bash > ~/.local/share/bash-completion/completions/dmtcpctl
#[derive(Debug, Args)]
pub(crate) struct CompletionArguments {
    /// The shell
    shell: Shell,
}

/// Write the manual page to stdout: `dmtcpctl man | man -l -`
#[derive(Debug, Args)]
pub(crate) struct ManArguments {
    /// The page of this subcommand
    #[arg(value_name = "SUBCOMMAND")]
    subcommand: Option<String>,
    /// Write the pages of all subcommands into this directory instead, such as
    /// ~/.local/share/man/man1
    #[arg(long, value_name = "DIR", conflicts_with = "subcommand")]
    all: Option<PathBuf>,
}

pub(crate) fn completions(
    arguments: &CompletionArguments,
    mut command: Command,
) -> Result<ExitCode, Failure> {
    let mut text = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(arguments.shell, &mut command, name, &mut text);
    print(&text)
}

pub(crate) fn man(arguments: &ManArguments, mut command: Command) -> Result<ExitCode, Failure> {
    if let Some(dir) = &arguments.all {
        let written = clap_mangen::generate_to(command, dir);
        written.map_err(|error| failed(&format!("to {}", dir.display()), &error))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) = &arguments.subcommand {
        // Gives the subcommands their full names.
        command.build();
        let found = command.find_subcommand(name).cloned();
        command = found.ok_or_else(|| {
            let text = format!("there is no subcommand {name:?}");
            Failure::new("no-subcommand", text).hint("`dmtcpctl --help` lists them")
        })?;
    }
    let mut text = Vec::new();
    let rendered = Man::new(command).render(&mut text);
    rendered.map_err(|error| failed("", &error))?;
    print(&text)
}

fn print(text: &[u8]) -> Result<ExitCode, Failure> {
    output::print(&String::from_utf8_lossy(text))?;
    Ok(ExitCode::SUCCESS)
}

fn failed(place: &str, error: &io::Error) -> Failure {
    Failure::new(
        "output",
        format!("cannot write the manual {place}: {error}"),
    )
}
