//! A coordinator of this library in a process of its own, which goes on when its caller ends.
//!
//! An embedded [`Server`](crate::server::Server) ends with its program. Where a coordinator is to
//! outlive whoever started it, as for a script, a notebook, or a program in C or Python, the
//! program `dmtcpctl` is it: [`HelperCoordinator::start`]. What it serves is a
//! [`standalone`](crate::standalone) coordinator, with restart scripts instead of sets;
//! [`ForeignSets`](crate::foreign::ForeignSets) makes sets under it. Not here: the program itself,
//! and how it is spoken to ([`coordinator`](crate::coordinator)).

mod error;
mod program;
mod said;
mod settings;
mod start;

pub use error::HelperError;
pub use settings::HelperSettings;

use crate::coordinator::Coordinator;
use crate::process::{Identity, ProcessError};
use dmtcp_proto::Dialect;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A coordinator in a process of its own.
///
/// **Dropping it does not end it**, nor does the end of this program, be it by SIGKILL to its
/// whole process group: [`Coordinator::quit`] does, or what was decided at its start
/// ([`HelperSettings`]). By default it ends when it had no processes for eight hours.
///
/// ```no_run
/// use dmtcp_client::helper::HelperCoordinator;
/// use std::time::Duration;
///
/// let helper = HelperCoordinator::start(Duration::from_secs(10))?;
/// println!("{} is served by process {}", helper.addr(), helper.pid());
/// println!("{:?}", helper.coordinator().status()?);
/// helper.coordinator().quit()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct HelperCoordinator {
    addr: SocketAddr,
    process: Identity,
    program: PathBuf,
}

impl HelperCoordinator {
    /// Starts one with all defaults: on a free port of 127.0.0.1, for processes of this user and of
    /// root on this host. Returns when it serves, at most `limit` later.
    ///
    /// # Errors
    /// As [`HelperSettings::start`].
    pub fn start(limit: Duration) -> Result<Self, HelperError> {
        HelperSettings::new().start(limit)
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The number of its process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Its process, which is recognised also when its number is another's.
    #[must_use]
    pub fn process(&self) -> Identity {
        self.process
    }

    /// The program that it runs.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A handle to it.
    #[must_use]
    pub fn coordinator(&self) -> Coordinator {
        // It answers in every dialect.
        Coordinator::new(start::reached_at(self.addr), Dialect::V5)
    }

    /// Whether its process runs.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn is_running(&self) -> Result<bool, ProcessError> {
        self.process.is_alive()
    }
}
