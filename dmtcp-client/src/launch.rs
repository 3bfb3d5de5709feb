//! A typed command line of `dmtcp_launch`: starts an unmodified program under DMTCP.

use std::{
    env,
    ffi::{OsStr, OsString},
    net::SocketAddr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use dmtcp_proto::Interval;

use crate::{
    Tools,
    executable::{self, NotExecutable},
    invocation::{Invocation, Messages, StartError},
    process::{Child, Stream},
};

/// Starts a program under DMTCP as a new worker of a running coordinator.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::path::Path;
/// use dmtcp_client::{Launch, Tools};
///
/// # let Ok(tools) = Tools::find(None) else { return Ok(()) };
/// let command = Launch::new(&tools, "sleep")
///     .arg("10")
///     .join("127.0.0.1:7779".parse()?)
///     .gzip(false)
///     .to_command()?;
/// assert_eq!(command.get_args().last().unwrap(), "10");
/// # Ok(())
/// # }
/// ```
///
/// The program runs in its own process group, with no input unless [`stdin`](Self::stdin) says
/// otherwise, and in this program's environment except for what another DMTCP left there
/// ([`KEPT_VARIABLES`](crate::process::KEPT_VARIABLES) lists what stays). It gets no descriptor of
/// this program but the three streams, since one that several computations share spoils their
/// images ([`inherited_descriptors`](crate::process::inherited_descriptors)). DMTCP's own fatal
/// errors end it with [`FAIL_CODE`](crate::process::FAIL_CODE).
///
/// `dmtcp_launch` *becomes* the program: the child's number, its exit code and the signal that
/// ends it are the program's own. Two exceptions: a program ended through the coordinator
/// (kill, quit, kill after a checkpoint) exits with 0, and [`FAIL_CODE`](crate::process::FAIL_CODE)
/// as said.
#[derive(Clone, Debug)]
#[must_use = "nothing runs until `spawn`"]
pub struct Launch {
    invocation: Invocation,
    program: OsString,
    args: Vec<OsString>,
    current_dir: Option<PathBuf>,
    gzip: bool,
    open_files: bool,
}

impl Launch {
    /// `program` under the `dmtcp_launch` of `tools`. A name without a slash is looked up in
    /// PATH by DMTCP. It must be dynamically linked; a script puts its interpreter under DMTCP.
    pub fn new(tools: &Tools, program: impl Into<OsString>) -> Self {
        Self {
            invocation: Invocation::new(tools.launch()),
            program: program.into(),
            args: Vec::new(),
            current_dir: None,
            gzip: true,
            open_files: false,
        }
    }

    /// One more argument of the program.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// More arguments of the program.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// The coordinator to join, which must run already; there is no default. IPv4 only.
    pub fn join(mut self, coordinator: SocketAddr) -> Self {
        self.invocation.coordinator = Some(coordinator);
        self
    }

    /// Where the program starts. Default: this program's current directory.
    pub fn current_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.current_dir = Some(dir.into());
        self
    }

    /// Sets one environment variable of the program. These come last, so that they also
    /// override what this type sets (`DMTCP_FAIL_RC` and the like). The image keeps them: a
    /// restarted program has the variables of its launch.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.invocation.set_env(name.as_ref(), value.as_ref());
        self
    }

    /// Where the images go; it must exist. A relative path is taken from this program's current
    /// directory. Default: the directory the program starts in.
    pub fn checkpoint_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.invocation.checkpoint_dir = Some(dir.into());
        self
    }

    /// Whether images are compressed with gzip. Default: true, as DMTCP's. Without it a
    /// checkpoint is several times faster and the images several times larger.
    pub fn gzip(mut self, on: bool) -> Self {
        self.gzip = on;
        self
    }

    /// Whether images hold the contents of open files too, for programs whose files must go
    /// back to their state at the checkpoint. Default: false.
    pub fn checkpoint_open_files(mut self, on: bool) -> Self {
        self.open_files = on;
        self
    }

    /// The checkpoint interval to tell the coordinator, in whole seconds, rounded up. Default:
    /// [`Interval::Unchanged`].
    ///
    /// It is the *coordinator's* interval, for all its workers. DMTCP's help says that it is not
    /// allowed when joining, but every release sends it and every stock coordinator takes it.
    /// Better set the interval at the coordinator.
    pub fn interval(mut self, interval: Interval) -> Self {
        self.invocation.interval = interval;
        self
    }

    /// The directory for DMTCP's temporary files (`DMTCP_TMPDIR`), the same for all processes
    /// of a computation and best for no other:
    /// [`ComputationTmp`](crate::process::ComputationTmp). Default: DMTCP's own, one for all
    /// computations of the user.
    pub fn tmpdir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.invocation.tmpdir = Some(dir.into());
        self
    }

    /// Which of DMTCP's messages appear among the program's errors. Default: all.
    pub fn messages(mut self, messages: Messages) -> Self {
        self.invocation.messages = messages;
        self
    }

    /// The program's standard input. Default: [`Stream::Null`].
    pub fn stdin(mut self, stream: Stream) -> Self {
        self.invocation.stdin = stream;
        self
    }

    /// The program's standard output. Default: [`Stream::Inherit`].
    pub fn stdout(mut self, stream: Stream) -> Self {
        self.invocation.stdout = stream;
        self
    }

    /// The program's standard error, and DMTCP's. Default: [`Stream::Inherit`]. DMTCP 3.0 to
    /// 4.2 lose the text of a fatal error on a pipe.
    pub fn stderr(mut self, stream: Stream) -> Self {
        self.invocation.stderr = stream;
        self
    }

    /// One more option (or value of one) of `dmtcp_launch`, after all others, for what this
    /// type does not model; `dmtcp_launch --help` lists them. Nothing is checked.
    pub fn raw_option(mut self, option: impl Into<OsString>) -> Self {
        self.invocation.raw_options.push(option.into());
        self
    }

    /// Exactly what [`spawn`](Self::spawn) would run, except for the streams and the process
    /// group.
    ///
    /// # Errors
    /// [`StartError`], for a mistake of the caller.
    pub fn to_command(&self) -> Result<Command, StartError> {
        self.check_name()?;
        let mut command = self.invocation.to_command()?;
        command.arg(if self.gzip { "--gzip" } else { "--no-gzip" });
        if self.open_files {
            command.arg("--checkpoint-open-files");
        }
        command.arg(&self.program).args(&self.args);
        if let Some(dir) = &self.current_dir {
            command.current_dir(dir);
        }
        Ok(command)
    }

    fn check_name(&self) -> Result<(), StartError> {
        // 4.2.0 has no `--` to end its options.
        if self.program.is_empty() || self.program.as_bytes().starts_with(b"-") {
            return Err(StartError::ProgramName(self.program.clone()));
        }
        Ok(())
    }

    /// Whether the program can be started on this host, as far as that shows beforehand.
    pub(crate) fn check_program(&self) -> Result<(), StartError> {
        self.check_name()?;
        Ok(self.look_for_program()?)
    }

    /// The program and its arguments.
    pub(crate) fn argv(&self) -> Vec<OsString> {
        let program = std::iter::once(self.program.clone());
        program.chain(self.args.iter().cloned()).collect()
    }

    /// Where the program starts; `None`: in this program's current directory.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.current_dir.as_deref()
    }

    /// Looks for the program as `dmtcp_launch` will, which does not say that there is none.
    ///
    /// # Errors
    /// Why it cannot be started.
    pub(crate) fn look_for_program(&self) -> Result<(), NotExecutable> {
        let mut told = self.invocation.env.iter().rev();
        let told = told.find(|(name, _)| name == "PATH");
        let path = told.map(|(_, path)| path.clone());
        let path = path.or_else(|| env::var_os("PATH"));
        let path = path.unwrap_or_else(|| DEFAULT_PATH.into());
        let directory = self.directory().unwrap_or_else(|| Path::new("."));
        let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.into());
        executable::find(&self.program, Some(&path), Some(&directory)).map(|_| ())
    }

    /// Runs a command that was made of [`to_command`](Self::to_command)'s, with the same streams.
    pub(crate) fn spawn_command(&self, command: Command) -> Result<Child, StartError> {
        self.invocation.spawn(command)
    }

    /// Starts it. That it joined the coordinator is for the coordinator to tell.
    ///
    /// # Errors
    /// [`StartError`]; [`StartError::Program`] where the program's file is not there, or cannot be
    /// started by this user.
    pub fn spawn(self) -> Result<Child, StartError> {
        let command = self.to_command()?;
        self.check_program()?;
        self.invocation.spawn(command)
    }
}

/// The C library's, where there is no PATH.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

#[cfg(test)]
mod tests;
