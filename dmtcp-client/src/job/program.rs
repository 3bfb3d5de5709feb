//! What a job runs, kept so that it can be started more than once.

use std::{
    env,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::record::{ProgramKind, ProgramRecord};
use crate::{
    Launch,
    attempt::Program,
    executable::NotExecutable,
    process::{SharedStream, Stream, clean_environment},
};

/// A program that can be started again and again.
#[derive(Clone, Debug)]
pub(super) enum Template {
    Dmtcp(Box<Launch>),
    Native(NativeCommand),
    OnHost { host: OsString, program: Box<Self> },
}

/// A command of the standard library, which cannot be cloned.
#[derive(Clone, Debug)]
pub(super) struct NativeCommand {
    program: OsString,
    args: Vec<OsString>,
    /// `None`: removed.
    env: Vec<(OsString, Option<OsString>)>,
    directory: Option<PathBuf>,
}

/// Where a program reads from and writes to.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    pub(super) stdin: Stream,
    pub(super) stdout: SharedStream,
    pub(super) stderr: SharedStream,
}

impl Streams {
    pub(super) fn all(&self) -> [Stream; 3] {
        [
            self.stdin.clone(),
            Stream::Shared(self.stdout.clone()),
            Stream::Shared(self.stderr.clone()),
        ]
    }
}

impl From<Program> for Template {
    fn from(program: Program) -> Self {
        match program {
            Program::Dmtcp(launch) => Self::Dmtcp(Box::new(launch)),
            Program::Native(command) => Self::Native(NativeCommand::of(&command)),
            Program::OnHost { host, program } => Self::OnHost {
                host,
                program: Box::new((*program).into()),
            },
        }
    }
}

impl Template {
    pub(super) fn record(&self) -> io::Result<ProgramRecord> {
        let here = |dir: Option<PathBuf>| match dir {
            Some(dir) => std::path::absolute(dir),
            None => env::current_dir(),
        };
        Ok(match self {
            Self::Dmtcp(launch) => {
                let dir = here(launch.directory().map(Into::into))?;
                ProgramRecord::new(ProgramKind::Dmtcp, launch.argv(), dir)
            }
            Self::Native(command) => {
                let argv = std::iter::once(&command.program).chain(&command.args);
                let dir = here(command.directory.clone())?;
                ProgramRecord::new(ProgramKind::Native, argv.cloned().collect(), dir)
            }
            Self::OnHost { program, .. } => return program.record(),
        })
    }

    /// Where it starts, if that was said.
    pub(super) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Dmtcp(launch) => launch.directory(),
            Self::Native(command) => command.directory.as_deref(),
            Self::OnHost { program, .. } => program.directory(),
        }
    }

    /// Looks whether there is such a program, where nobody else would tell.
    pub(super) fn look_for_program(&self) -> Result<(), NotExecutable> {
        match self {
            Self::Dmtcp(launch) => launch.look_for_program(),
            // The system tells of the one, and the other one's files are not seen here.
            Self::Native(_) | Self::OnHost { .. } => Ok(()),
        }
    }

    /// One more of it, with these streams.
    pub(super) fn program(&self, streams: &Streams) -> io::Result<Program> {
        Ok(match self {
            Self::Dmtcp(launch) => {
                let [stdin, stdout, stderr] = streams.all();
                let launch = Launch::clone(launch)
                    .stdin(stdin)
                    .stdout(stdout)
                    .stderr(stderr);
                launch.into()
            }
            Self::Native(command) => command.to_command(streams)?.into(),
            Self::OnHost { host, program } => program.program(streams)?.on_host(host),
        })
    }
}

impl NativeCommand {
    fn of(command: &Command) -> Self {
        let env = command.get_envs();
        Self {
            program: command.get_program().to_owned(),
            args: command.get_args().map(Into::into).collect(),
            env: env
                .map(|(name, value)| (name.to_owned(), value.map(Into::into)))
                .collect(),
            directory: command.get_current_dir().map(Into::into),
        }
    }

    fn to_command(&self, streams: &Streams) -> io::Result<Command> {
        let mut command = Command::new(&self.program);
        command.args(&self.args);
        clean_environment(&mut command, env::vars_os());
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let stdin = match &streams.stdin {
            Stream::Inherit => Stdio::inherit(),
            Stream::File(path) => std::fs::File::open(path)?.into(),
            Stream::Shared(shared) => shared.to_stdio()?,
            // Nobody has the other end of a pipe.
            Stream::Null | Stream::Pipe => Stdio::null(),
        };
        command
            .stdin(stdin)
            .stdout(streams.stdout.to_stdio()?)
            .stderr(streams.stderr.to_stdio()?);
        Ok(command)
    }
}
