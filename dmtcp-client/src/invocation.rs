//! What a call of `dmtcp_launch` and one of `dmtcp_restart` have in common. Not public: its
//! options are those of [`Launch`](crate::Launch) and [`Restart`](crate::Restart).

use std::{
    env,
    ffi::{OsStr, OsString},
    io,
    net::SocketAddr,
    path::{Path, PathBuf, absolute},
    process::Command,
};

use dmtcp_proto::Interval;
use thiserror::Error;

use crate::NotExecutable;
use crate::process::{Child, FAIL_CODE, ProcessError, Stream, clean_environment};

/// Which of DMTCP's own messages appear on a computation's standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Messages {
    /// Notes, warnings and errors: DMTCP's default and ours.
    #[default]
    All,
    /// Warnings and errors.
    Warnings,
    /// Errors only.
    Errors,
}

impl Messages {
    fn level(self) -> &'static str {
        match self {
            Self::All => "0",
            Self::Warnings => "1",
            Self::Errors => "2",
        }
    }
}

/// Why a computation was not launched or restarted. Nothing was started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The caller named no coordinator. DMTCP's own default would look for one on port 7779,
    /// which may be a stranger's.
    #[error("no coordinator given; call join with its address")]
    NoCoordinator,
    /// The caller: DMTCP speaks IPv4 only.
    #[error("coordinator address {0} is not IPv4, the only kind that DMTCP can use")]
    NotIpv4(SocketAddr),
    /// The caller: DMTCP would take the program for an option of its own.
    #[error("program name {0:?} is empty or starts with '-'; give a path to it")]
    ProgramName(OsString),
    /// The caller, or the program's file: it cannot be started. DMTCP itself would fail without
    /// saying so, and nobody would join.
    #[error(transparent)]
    Program(#[from] NotExecutable),
    /// The caller gave no image.
    #[error("no checkpoint image given")]
    NoImages,
    /// The caller: `dmtcp_restart` only takes names that end in `.dmtcp`.
    #[error("{} is not named *.dmtcp, as dmtcp_restart requires", .0.display())]
    ImageName(PathBuf),
    /// The environment: an image is missing or may not be looked at.
    #[error("cannot use checkpoint image {}", path.display())]
    Image {
        /// The image.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The caller: a path is empty, or the current directory is gone.
    #[error("cannot make {} absolute", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The environment: the DMTCP program could not be run, or not with these streams.
    #[error("the DMTCP program did not start")]
    Process(#[from] ProcessError),
}

#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    pub(crate) tool: PathBuf,
    pub(crate) coordinator: Option<SocketAddr>,
    pub(crate) interval: Interval,
    pub(crate) checkpoint_dir: Option<PathBuf>,
    pub(crate) tmpdir: Option<PathBuf>,
    pub(crate) messages: Messages,
    pub(crate) raw_options: Vec<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) stdin: Stream,
    pub(crate) stdout: Stream,
    pub(crate) stderr: Stream,
}

impl Invocation {
    pub(crate) fn new(tool: PathBuf) -> Self {
        Self {
            tool,
            coordinator: None,
            interval: Interval::Unchanged,
            checkpoint_dir: None,
            tmpdir: None,
            messages: Messages::default(),
            raw_options: Vec::new(),
            env: Vec::new(),
            stdin: Stream::Null,
            stdout: Stream::Inherit,
            stderr: Stream::Inherit,
        }
    }

    /// The tool with everything before its own operands.
    pub(crate) fn to_command(&self) -> Result<Command, StartError> {
        let coordinator = self.coordinator.ok_or(StartError::NoCoordinator)?;
        if !coordinator.is_ipv4() {
            return Err(StartError::NotIpv4(coordinator));
        }
        let mut command = Command::new(&self.tool);
        clean_environment(&mut command, env::vars_os());
        command
            .args(["--join-coordinator", "--coord-host"])
            .arg(coordinator.ip().to_string())
            .arg("--coord-port")
            .arg(coordinator.port().to_string());
        if self.interval != Interval::Unchanged {
            command
                .arg("--interval")
                .arg(self.interval.to_wire().to_string());
        }
        if let Some(dir) = &self.checkpoint_dir {
            command.arg("--ckptdir").arg(absolute_path(dir)?);
        }
        command.args(&self.raw_options);
        if let Some(dir) = &self.tmpdir {
            command.env("DMTCP_TMPDIR", absolute_path(dir)?);
        }
        command
            .env("DMTCP_FAIL_RC", FAIL_CODE.to_string())
            .env("DMTCP_QUIET", self.messages.level())
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// Connects the streams and starts. Files are only opened here, so that looking at a
    /// command creates none.
    pub(crate) fn spawn(&self, mut command: Command) -> Result<Child, StartError> {
        if self.stderr.is_pipe() {
            // DMTCP up to 4.2 takes a pipe for none of its business, and says nothing unless it is told to.
            command.env("JALIB_STDERR_PATH", "/proc/self/fd/2");
        }
        let streams = [&self.stdin, &self.stdout, &self.stderr];
        Ok(Child::spawn_clean(command, streams)?)
    }

    pub(crate) fn set_env(&mut self, name: &OsStr, value: &OsStr) {
        self.env.push((name.to_owned(), value.to_owned()));
    }
}

/// The tools and the program may run in another directory than this program.
pub(crate) fn absolute_path(path: &Path) -> Result<PathBuf, StartError> {
    absolute(path).map_err(|source| StartError::Path {
        path: path.to_owned(),
        source,
    })
}
