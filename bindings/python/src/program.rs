//! What is to be run, as the package says it.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
    process::Command,
};

use dmtcp_client::{Launch, Messages, Tools, process::Stream};
use pyo3::prelude::*;

use crate::failure::Failure;

/// A program with arguments, variables and directory.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Program {
    argv: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: Option<PathBuf>,
    gzip: bool,
    open_files: bool,
    messages: String,
    raw_options: Vec<OsString>,
}

impl Program {
    /// A program that is a worker by itself.
    pub(crate) fn native(&self) -> Result<Command, Failure> {
        let (program, args) = self.parts()?;
        let mut command = Command::new(program);
        command.args(args);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        Ok(command)
    }

    /// Any program, under DMTCP.
    pub(crate) fn launch(&self, tools: &Tools) -> Result<Launch, Failure> {
        let (program, args) = self.parts()?;
        let mut launch = Launch::new(tools, program)
            .args(args)
            .gzip(self.gzip)
            .checkpoint_open_files(self.open_files)
            .messages(messages(&self.messages)?);
        for (name, value) in &self.env {
            launch = launch.env(name, value);
        }
        for option in &self.raw_options {
            launch = launch.raw_option(option);
        }
        if let Some(cwd) = &self.cwd {
            launch = launch.current_dir(cwd);
        }
        Ok(launch)
    }

    fn parts(&self) -> Result<(&OsString, &[OsString]), Failure> {
        let has_nul = |text: &OsStr| text.as_bytes().contains(&0);
        let env = self.env.iter().flat_map(|(name, value)| [name, value]);
        if self.argv.iter().chain(env).any(|text| has_nul(text)) {
            let text = "a NUL byte in an argument or a variable of the program";
            return Err(Failure::caller("argument", text));
        }
        self.argv
            .split_first()
            .ok_or_else(|| Failure::caller("argument", "no program is given"))
    }
}

/// Which of DMTCP's messages appear.
pub(crate) fn messages(name: &str) -> Result<Messages, Failure> {
    match name {
        "all" => Ok(Messages::All),
        "warnings" => Ok(Messages::Warnings),
        "errors" => Ok(Messages::Errors),
        _ => Err(Failure::caller(
            "argument",
            format!("{name:?} is not one of all, warnings, errors"),
        )),
    }
}

/// Standard input, output and error.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Streams {
    stdin: StreamName,
    stdout: StreamName,
    stderr: StreamName,
}

impl Streams {
    pub(crate) fn all(&self) -> [Stream; 3] {
        [&self.stdin, &self.stdout, &self.stderr].map(StreamName::stream)
    }
}

/// `True`: that of this process; `False`: nothing; a path: a file.
#[derive(FromPyObject)]
enum StreamName {
    Inherited(bool),
    File(PathBuf),
}

impl StreamName {
    fn stream(&self) -> Stream {
        match self {
            Self::Inherited(true) => Stream::Inherit,
            Self::Inherited(false) => Stream::Null,
            Self::File(path) => Stream::File(path.clone()),
        }
    }
}
