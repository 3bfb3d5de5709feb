//! Which dialect a coordinator speaks, learnt without harm to it.
//!
//! The order, and what no order can make safe, stand in `docs/PROTOCOL.md`, "Asking a coordinator
//! without harm": what the caller knows, the executable of a coordinator on this host, and only then
//! a question over the wire. Nothing here looks whether a port is open, closes a connection before
//! its answer or its deadline, or asks anything else than for the status.

mod cache;
mod error;
mod wire;

pub use cache::DialectCache;
pub use error::DetectError;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use dmtcp_proto::{Candidates, Dialect, Kind, Probe, Probed, Release, Status, UniquePid};

use super::Coordinator;
use crate::deadline::Deadline;
use crate::process::{Identity, Listener};
use crate::tools::{Tools, ToolsError};

/// What is known beforehand, and what may be done to learn the rest.
///
/// By default: nothing is known, the executable of a coordinator on this host is asked for its
/// version, and the question that 2.5.1 and everything later survives may be sent. 10 s for all.
#[derive(Clone, Debug)]
pub struct DetectOptions {
    told: Option<Dialect>,
    tools: Option<Tools>,
    look_at_executable: bool,
    first: Probe,
    timeout: Duration,
}

impl Default for DetectOptions {
    fn default() -> Self {
        Self {
            told: None,
            tools: None,
            look_at_executable: true,
            first: Probe::From2_5_1,
            timeout: Duration::from_secs(10),
        }
    }
}

impl DetectOptions {
    /// It speaks this. Nothing is sent; but where the executable of a coordinator on this host says
    /// otherwise, that is an error.
    #[must_use]
    pub fn dialect(self, dialect: Dialect) -> Self {
        Self {
            told: Some(dialect),
            ..self
        }
    }

    /// It was started by these tools and speaks what they speak, unless
    /// [`dialect`](Self::dialect) is given too or its own executable tells. Tools that call
    /// themselves 5.0 are a hint only, and the coordinator is asked: see [`Release::dialect`].
    /// They have five seconds of their own to say their version, the first time.
    #[must_use]
    pub fn tools(self, tools: &Tools) -> Self {
        Self {
            tools: Some(tools.clone()),
            ..self
        }
    }

    /// Looks for no process on this host and runs no executable.
    ///
    /// **Dangerous where no dialect is given**: a coordinator of 2.4.0 to 2.5.0 on this host then
    /// ends of the question, and its computation with it.
    #[must_use]
    pub fn without_executable(self) -> Self {
        Self {
            look_at_executable: false,
            ..self
        }
    }

    /// **Dangerous**: asks over the wire with the question that 2.4.0 to 2.5.0 survive, and of which
    /// 2.5.1 to 2.6.0 **end**, with their computations. For who knows that there are none of these.
    /// Everything from 3.0.0 on survives either question. To name a dialect is better: it needs no
    /// question.
    #[must_use]
    pub fn ask_so_that_2_5_1_to_2_6_0_end(self) -> Self {
        Self {
            first: Probe::From2_4,
            ..self
        }
    }

    /// Another deadline for all of it. Default 10 s.
    #[must_use]
    pub fn timeout(self, limit: Duration) -> Self {
        Self {
            timeout: limit,
            ..self
        }
    }
}

/// What a coordinator speaks, and how that is known.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Detected {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The dialects that it can be speaking; never empty. Two only over the wire: nothing that
    /// tools say tells 2.5.1 and 2.5.2 from 2.6.0, and nothing that they hear either. A *worker*
    /// must know which it is.
    pub candidates: Candidates,
    /// What to ask it in: one of the candidates. If there are two, either is right.
    pub dialect: Dialect,
    /// How it is known.
    pub how: How,
    /// The coordinator's own id, if it was asked and said it. A restart changes it.
    pub coordinator: Option<UniquePid>,
    /// Its status, if it was asked and was not about to kill its workers.
    pub status: Option<Status>,
    /// Its release, where its executable or the tools say it. With a text of `5.0` or later the
    /// dialect is the one that the wire has shown.
    pub release: Option<Release>,
    /// Its process, if it was found on this host.
    pub process: Option<Identity>,
}

/// How a dialect is known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum How {
    /// The caller said so.
    Told,
    /// The tools that the caller named belong to a release that speaks nothing else.
    Tools,
    /// The coordinator runs on this host, and its executable belongs to such a release.
    Executable(PathBuf),
    /// It was asked, and answered.
    Asked,
}

impl Detected {
    /// A handle that speaks it and knows the release, if it is known. Nothing is sent.
    #[must_use]
    pub fn handle(&self) -> Coordinator {
        let handle = Coordinator::new(self.addr, self.dialect);
        match &self.release {
            Some(release) => handle.with_release(release.clone()),
            None => handle,
        }
    }

    /// Whether the process that was found still listens there; `None`: none was found.
    fn is_still_there(&self) -> Option<bool> {
        let process = self.process?;
        let found = Listener::at(self.addr).ok().flatten();
        Some(found.is_some_and(|listener| listener.process == process))
    }
}

impl Coordinator {
    /// A handle to the coordinator at `addr`, in the dialect that [`detect`] finds.
    ///
    /// With [`DetectOptions::dialect`] this is [`new`](Self::new) with a look at who listens: a
    /// wrong dialect ends most coordinators, and one on this host can be known before.
    ///
    /// # Errors
    ///
    /// [`DetectError`].
    pub fn detect(addr: SocketAddr, options: &DetectOptions) -> Result<Self, DetectError> {
        detect(addr, options).map(|detected| detected.handle())
    }
}

/// Finds out what the coordinator at `addr` speaks.
///
/// **What is not safe**: a coordinator of 2.4.0 to 2.5.0 ends of the question. So name the dialect
/// ([`DetectOptions::dialect`]) of one that runs on another host, in another container, under
/// another user, or under another name than `dmtcp_coordinator`. Every later one goes on,
/// its computation too. Side effects on them: the development head writes a line into its log; 2.x
/// and 3.0.0 start the time of a set interval anew.
///
/// An executable on this host is run, with `--version`, only if it belongs to this process's user or
/// to root.
///
/// # Errors
///
/// [`DetectError`].
pub fn detect(addr: SocketAddr, options: &DetectOptions) -> Result<Detected, DetectError> {
    let deadline = Deadline::after(options.timeout);
    let mut found = look(addr, options, deadline)?;
    if let Some((listener, release)) = found.process() {
        if let Some(told) = options.told.filter(|&told| !can_be(told, release)) {
            return Err(DetectError::Contradiction {
                addr,
                told,
                found: release.clone(),
                program: listener.program.clone(),
                pid: listener.process.pid(),
            });
        }
        if let Some(dialect) = certain(release) {
            let how = How::Executable(listener.program.clone());
            return Ok(found.known(addr, dialect, how));
        }
    }
    if let Some(told) = options.told {
        return Ok(found.known(addr, told, How::Told));
    }
    if let Some(tools) = options.tools.as_ref().filter(|_| found.release.is_none()) {
        let release = tools.version()?;
        let dialect = certain(&release);
        if release.dialect.is_none() {
            return Err(DetectError::Tools(ToolsError::NotSupported {
                version: release.text,
            }));
        }
        found.release = Some(release);
        if let Some(dialect) = dialect {
            return Ok(found.known(addr, dialect, How::Tools));
        }
    }
    let probed = wire::ask(addr, options.first, deadline)?;
    Ok(found.asked(addr, probed))
}

/// What is known of the coordinator without a connection to it.
#[derive(Debug, Default)]
struct Found {
    listener: Option<Listener>,
    release: Option<Release>,
}

impl Found {
    /// The process, if it has told its release.
    fn process(&self) -> Option<(&Listener, &Release)> {
        self.listener.as_ref().zip(self.release.as_ref())
    }

    fn known(self, addr: SocketAddr, dialect: Dialect, how: How) -> Detected {
        Detected {
            addr,
            candidates: dialect.into(),
            dialect,
            how,
            coordinator: None,
            status: None,
            release: self.release,
            process: self.listener.map(|listener| listener.process),
        }
    }

    fn asked(self, addr: SocketAddr, probed: Probed) -> Detected {
        Detected {
            addr,
            candidates: probed.candidates,
            dialect: probed.dialect,
            how: How::Asked,
            // Some say nothing of themselves while they kill their workers.
            coordinator: Some(probed.coordinator).filter(|id| !id.is_null()),
            status: probed.status,
            release: self.release.map(|release| release.on_wire(probed.dialect)),
            process: self.listener.map(|listener| listener.process),
        }
    }
}

/// The process at `addr` and its release, if it is a stock coordinator of this host.
fn look(
    addr: SocketAddr,
    options: &DetectOptions,
    deadline: Deadline,
) -> Result<Found, DetectError> {
    if !options.look_at_executable {
        return Ok(Found::default());
    }
    // Without /proc this is as any other host.
    let Some(listener) = Listener::at(addr).ok().flatten() else {
        return Ok(Found::default());
    };
    let Some(executable) = listener.executable() else {
        return Ok(Found {
            listener: Some(listener),
            release: None,
        });
    };
    let limit = deadline.left().min(VERSION_LIMIT);
    let output = executable
        .ask_version(limit)
        .map_err(|source| DetectError::Executable {
            program: listener.program.clone(),
            source,
        });
    // A new coordinator may have taken the place of one that has just ended, and its number.
    if !listener.process.is_alive().unwrap_or(false) {
        return Ok(Found::default());
    }
    let output = output?;
    if output.starts_with(OURS) {
        return Ok(Found {
            listener: Some(listener),
            release: None,
        });
    }
    let release = Release::parse(&String::from_utf8_lossy(&output)).ok_or_else(|| {
        DetectError::NoVersion {
            program: listener.program.clone(),
            output: shown(&output),
        }
    })?;
    if release.dialect.is_none() {
        return Err(DetectError::NotSupported {
            addr,
            release,
            program: listener.program,
        });
    }
    Ok(Found {
        listener: Some(listener),
        release: Some(release),
    })
}

/// What this release speaks, where its name alone says so: builds that call themselves 5.0 speak one
/// dialect or another.
fn certain(release: &Release) -> Option<Dialect> {
    release.dialect.filter(|&dialect| dialect != Dialect::V5)
}

/// Whether a coordinator of this release can understand tools that speak `told`.
fn can_be(told: Dialect, release: &Release) -> bool {
    release.dialect.is_none_or(|dialect| {
        let same_header = dialect.header_len() == told.header_len();
        let same_kind =
            dialect.kind_number(Kind::UserCommand) == told.kind_number(Kind::UserCommand);
        same_header && (same_kind || certain(release).is_none())
    })
}

fn shown(output: &[u8]) -> String {
    let shown = output.get(..200).unwrap_or(output);
    String::from_utf8_lossy(shown).into_owned()
}

/// Our own coordinator, copied under the name of the stock one. It speaks what its workers speak.
const OURS: &[u8] = b"dmtcpctl ";
const VERSION_LIMIT: Duration = Duration::from_secs(5);
