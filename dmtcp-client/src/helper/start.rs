//! Starting a helper, and waiting until it serves.
//!
//! The socket listens before the program starts and is handed on, so that the address is known, errors
//! about it are told here, and nobody else can come to be asked at that port.

use super::error::HelperError;
use super::program;
use super::said::Said;
use super::{HelperCoordinator, HelperSettings};
use crate::coordinator::{self, Coordinator};
use crate::deadline::Deadline;
use crate::process::{Child, Exit, Identity, ProcessError, Stream, clean_environment};
use crate::server;
use dmtcp_proto::Dialect;
use std::env;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf, absolute};
use std::process::Command;
use std::time::Duration;

pub(super) fn start(
    settings: &HelperSettings,
    limit: Duration,
) -> Result<HelperCoordinator, HelperError> {
    let deadline = Deadline::after(limit);
    let path = env::var_os("PATH");
    let named = settings.program.as_deref();
    let program = program::find(named, env::var_os(program::VARIABLE), path.as_deref())?;
    if !settings.addr.is_ipv4() {
        return Err(HelperError::NotIpv4(settings.addr));
    }
    let not_listening = |source| HelperError::Listen {
        addr: settings.addr,
        source,
    };
    let listener = server::bind(settings.addr).map_err(not_listening)?;
    let addr = listener.local_addr().map_err(not_listening)?;
    let port_file = settings.port_file.as_deref().map(whole).transpose()?;
    if let Some(file) = &port_file {
        // That of another one would be taken for ours.
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(file_error("remove the port file", file)(error));
            }
            _ => {}
        }
    }
    let command = command(settings, &program, addr, port_file.as_deref())?;
    let failed = |source| HelperError::Process {
        program: program.clone(),
        source,
    };
    let (child, said) = {
        let stdin = Stream::Shared(OwnedFd::from(listener).into());
        let log = settings.log_file.as_deref().map(open_log).transpose()?;
        let (stdout, stderr) = match &log {
            Some((stream, _)) => (stream.clone(), stream.clone()),
            None => (Stream::Null, Stream::Pipe),
        };
        let child = Child::spawn_clean(command, [&stdin, &stdout, &stderr]);
        let mut child = child.map_err(failed)?;
        let said = match (log, child.take_stderr()) {
            (Some((_, said)), _) => said,
            (None, Some(pipe)) => Said::Pipe(pipe),
            (None, None) => Said::Nowhere,
        };
        (child, said)
        // From here on, only the helper has the socket: its end is noticed by who asks.
    };
    let waiting = Waiting {
        child: &child,
        addr,
        port_file: port_file.as_deref(),
        deadline,
    };
    let unserved = match waiting.until_it_serves().map_err(failed)? {
        Ok(process) => {
            child.into_detached();
            return Ok(HelperCoordinator {
                addr,
                process,
                program,
            });
        }
        Err(unserved) => unserved,
    };
    // Dropping it kills what is left, so that all that it has said is there.
    drop(child);
    let said = said.text();
    Err(match unserved {
        Unserved::Ended(exit) => HelperError::Ended {
            program,
            exit,
            said,
        },
        Unserved::NotInTime(source) => HelperError::TimedOut {
            program,
            limit,
            said,
            source,
        },
    })
}

fn command(
    settings: &HelperSettings,
    program: &Path,
    addr: SocketAddr,
    port_file: Option<&Path>,
) -> Result<Command, HelperError> {
    let mut command = Command::new(program);
    clean_environment(&mut command, env::vars_os());
    // Who may connect is the caller's to say.
    command.env_remove("DMTCPCTL_OPEN").current_dir("/");
    command
        .args(["coordinator", LISTENER_IS_STDIN])
        .args(["--port", &addr.port().to_string(), "--ckptdir"])
        .arg(whole(&settings.checkpoint_dir)?);
    if let Some(file) = port_file {
        command.arg("--port-file").arg(file);
    }
    command.args(&settings.options);
    Ok(command)
}

/// A child that is to become a helper.
struct Waiting<'a> {
    child: &'a Child,
    addr: SocketAddr,
    port_file: Option<&'a Path>,
    deadline: Deadline,
}

/// What it came to instead.
enum Unserved {
    Ended(Exit),
    NotInTime(Option<Box<coordinator::Error>>),
}

impl Waiting<'_> {
    fn until_it_serves(&self) -> Result<Result<Identity, Unserved>, ProcessError> {
        let coordinator = Coordinator::new(reached_at(self.addr), Dialect::V5);
        let mut last = None;
        loop {
            if let Some(exit) = self.child.try_wait()? {
                return Ok(Err(Unserved::Ended(exit)));
            }
            let Some(left) = self.deadline.remaining() else {
                return Ok(Err(Unserved::NotInTime(last)));
            };
            // Not one long question: somebody else may hold the socket of one that has ended.
            match coordinator.clone().timeout(left.min(QUESTION)).status() {
                Ok(_) if self.is_port_written() => {
                    if let Some(process) = Identity::of(self.child.id())? {
                        return Ok(Ok(process));
                    }
                }
                Ok(_) => {}
                Err(error) => last = Some(Box::new(error)),
            }
            self.deadline.pause(POLL);
        }
    }

    /// It comes behind the first answer.
    fn is_port_written(&self) -> bool {
        self.port_file.is_none_or(Path::exists)
    }
}

/// Where this host reaches a socket that listens there.
pub(super) fn reached_at(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    addr
}

/// The helper is in another directory.
fn whole(path: &Path) -> Result<PathBuf, HelperError> {
    absolute(path).map_err(file_error("make absolute", path))
}

fn open_log(path: &Path) -> Result<(Stream, Said), HelperError> {
    let open = || {
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).read(true).mode(0o600);
        let file: File = file.open(path)?;
        let said = Said::Log(file.try_clone()?, file.metadata()?.len());
        Ok((Stream::Shared(OwnedFd::from(file).into()), said))
    };
    open().map_err(file_error("open the log", path))
}

fn file_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HelperError {
    let path = path.to_owned();
    move |source| HelperError::File {
        action,
        path,
        source,
    }
}

/// As `dmtcpctl coordinator` is started where it goes on in the background: its standard input is a
/// socket that listens, nothing is typed, and a terminal that goes away does not end it.
const LISTENER_IS_STDIN: &str = "--listener-is-stdin";
const QUESTION: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(5);
