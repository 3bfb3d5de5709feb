//! A typed command line of `dmtcp_restart`: brings processes back from their images. Which
//! images, whether they are whole, and whether the processes really run again is decided
//! above; this is the command only.

use std::{
    env,
    ffi::OsString,
    fs::OpenOptions,
    io,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use dmtcp_proto::{Interval, Release};
use nix::fcntl::OFlag;
use nix::unistd::{geteuid, getuid};

use crate::{
    Tools,
    invocation::{Invocation, Messages, StartError, absolute_path},
    process::{Child, Stream},
};

/// Restarts the processes of one host from their images, as workers of a running coordinator.
///
/// **That it started means nothing yet.** A restart can hang, on main even with one trivial
/// process; it is done when the coordinator sees all peers running. Give it a bound, kill what
/// is left ([`kill_members`](crate::process::kill_members)) and try again.
///
/// `dmtcp_restart` *becomes* the root process of the computation, so the child's exit code or
/// signal is the program's own, with one image as with many; its children are its children
/// again. But when the root had already ended at the checkpoint, no process is left to become:
/// `dmtcp_restart` then exits **with 0 at once**, while the processes run on as children of
/// init. For DMTCP's own errors see [`FAIL_CODE`](crate::process::FAIL_CODE); an image that is
/// cut off ends it with a signal.
///
/// The environment of the restarted program is that of its launch. Standard streams that were
/// this program's at launch are those given here.
#[derive(Clone, Debug)]
#[must_use = "nothing runs until `spawn`"]
pub struct Restart {
    tools: Tools,
    invocation: Invocation,
    images: Vec<PathBuf>,
    strict: bool,
}

impl Restart {
    /// All `images` of one computation on this host, by the `dmtcp_restart` of `tools`, which
    /// must be of the release that wrote them.
    ///
    /// Relative paths are taken from this program's current directory. Names end in `.dmtcp`.
    pub fn new<I: Into<PathBuf>>(tools: &Tools, images: impl IntoIterator<Item = I>) -> Self {
        Self {
            tools: tools.clone(),
            invocation: Invocation::new(tools.restart()),
            images: images.into_iter().map(Into::into).collect(),
            strict: true,
        }
    }

    /// The coordinator to join, which must run already; there is no default. IPv4 only; it need
    /// not have the port of the launch.
    pub fn join(mut self, coordinator: SocketAddr) -> Self {
        self.invocation.coordinator = Some(coordinator);
        self
    }

    /// Where later images go; it must exist. Default: where they went before.
    pub fn checkpoint_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.invocation.checkpoint_dir = Some(dir.into());
        self
    }

    /// Whether to refuse images of another user and warn when run as root. Default: true.
    ///
    /// The `dmtcp_restart` of 2.4 does nothing for root, successfully, unless it is told to; root tells
    /// it, and it then takes the images of anybody.
    pub fn strict_checking(mut self, on: bool) -> Self {
        self.strict = on;
        self
    }

    /// The checkpoint interval to tell the coordinator; see [`Launch::interval`](crate::Launch::interval).
    /// Default: [`Interval::Unchanged`].
    pub fn interval(mut self, interval: Interval) -> Self {
        self.invocation.interval = interval;
        self
    }

    /// The directory for DMTCP's temporary files; see [`Launch::tmpdir`](crate::Launch::tmpdir).
    /// It need not be that of the launch.
    pub fn tmpdir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.invocation.tmpdir = Some(dir.into());
        self
    }

    /// Which of DMTCP's messages appear among the program's errors until it runs. Default: all.
    pub fn messages(mut self, messages: Messages) -> Self {
        self.invocation.messages = messages;
        self
    }

    /// The restarted program's standard input. Default: [`Stream::Null`].
    pub fn stdin(mut self, stream: Stream) -> Self {
        self.invocation.stdin = stream;
        self
    }

    /// The restarted program's standard output. Default: [`Stream::Inherit`].
    pub fn stdout(mut self, stream: Stream) -> Self {
        self.invocation.stdout = stream;
        self
    }

    /// The restarted program's standard error, and DMTCP's. Default: [`Stream::Inherit`].
    pub fn stderr(mut self, stream: Stream) -> Self {
        self.invocation.stderr = stream;
        self
    }

    /// One more option (or value of one) of `dmtcp_restart`, before the images, for what this
    /// type does not model; `dmtcp_restart --help` lists them. Nothing is checked.
    pub fn raw_option(mut self, option: impl Into<OsString>) -> Self {
        self.invocation.raw_options.push(option.into());
        self
    }

    /// Exactly what [`spawn`](Self::spawn) would run, except for the streams and the process
    /// group. Does not look at the images.
    ///
    /// # Errors
    /// [`StartError`], for a mistake of the caller.
    pub fn to_command(&self) -> Result<Command, StartError> {
        if self.images.is_empty() {
            return Err(StartError::NoImages);
        }
        let mut command = self.invocation.to_command()?;
        let release = self.tools.version().ok();
        let quirks = release.as_ref().and_then(Release::quirks);
        if quirks.is_some_and(|quirks| quirks.restart_refuses_root) {
            if geteuid().is_root() || getuid().is_root() {
                command.arg("--run-as-root");
            }
            if !self.strict {
                command.arg("--no-strict-uid-checking");
            }
        } else if !self.strict {
            command.arg("--no-strict-checking");
        }
        // 2.x puts the memory back under the restartable sequence that the C library (2.35 and
        // later) has registered for dmtcp_restart; the kernel then kills the process.
        if release.is_some_and(|release| release.major < 3) {
            command.env(TUNABLES, without_rseq(env::var_os(TUNABLES)));
        }
        for image in &self.images {
            if image
                .extension()
                .is_none_or(|extension| extension != "dmtcp")
            {
                return Err(StartError::ImageName(image.clone()));
            }
            command.arg(absolute_path(image)?);
        }
        Ok(command)
    }

    /// Starts it, after a look whether all images are there and readable.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn spawn(self) -> Result<Child, StartError> {
        let command = self.to_command()?;
        self.spawn_command(command)
    }

    /// Runs a command that was made of [`to_command`](Self::to_command)'s, with the same streams.
    pub(crate) fn spawn_command(&self, command: Command) -> Result<Child, StartError> {
        for path in &self.images {
            readable_file(path).map_err(|source| StartError::Image {
                path: path.clone(),
                source,
            })?;
        }
        self.invocation.spawn(command)
    }
}

const TUNABLES: &str = "GLIBC_TUNABLES";

fn without_rseq(inherited: Option<OsString>) -> OsString {
    let mut tunables = inherited.unwrap_or_default();
    if !tunables.is_empty() {
        tunables.push(":");
    }
    tunables.push("glibc.pthread.rseq=0");
    tunables
}

/// A FIFO would hold whoever opens it to read it.
fn readable_file(path: &Path) -> io::Result<()> {
    let nonblocking = OFlag::O_NONBLOCK.bits();
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(nonblocking).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

#[cfg(test)]
mod tests;
