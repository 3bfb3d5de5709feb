//! What is decided about a helper at its start.

use super::HelperCoordinator;
use super::error::HelperError;
use super::start::start;
use crate::server::Network;
use dmtcp_proto::Interval;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// What is decided about a [`HelperCoordinator`] before it starts.
#[derive(Clone, Debug)]
pub struct HelperSettings {
    pub(super) program: Option<PathBuf>,
    pub(super) addr: SocketAddr,
    pub(super) options: Vec<OsString>,
    pub(super) checkpoint_dir: PathBuf,
    pub(super) port_file: Option<PathBuf>,
    pub(super) log_file: Option<PathBuf>,
}

impl Default for HelperSettings {
    fn default() -> Self {
        Self::new()
    }
}

impl HelperSettings {
    /// All defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            program: None,
            addr: (Ipv4Addr::LOCALHOST, 0).into(),
            options: Vec::new(),
            checkpoint_dir: PathBuf::from("."),
            port_file: None,
            log_file: None,
        }
    }

    /// The file of `dmtcpctl`, or its name to be looked for in PATH. Default: what the environment
    /// variable `DMTCPCTL` names, and if that is not set or empty, `dmtcpctl` in PATH.
    #[must_use]
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Where it listens, IPv4. Default: a free port of 127.0.0.1.
    #[must_use]
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.addr = addr;
        self
    }

    /// Peers of these hosts may connect, too; can be given several times. Default: processes of this
    /// user and of root on this host only.
    #[must_use]
    pub fn allow(self, network: Network) -> Self {
        self.raw_option("--allow").raw_option(network.to_string())
    }

    /// Everybody who can reach it may connect, as with DMTCP's own.
    #[must_use]
    pub fn open(self) -> Self {
        self.raw_option("--open")
    }

    /// Periodic checkpoints, in whole seconds. Default: never.
    #[must_use]
    pub fn interval(self, interval: Interval) -> Self {
        match interval {
            Interval::Unchanged => self,
            other => self
                .raw_option("--interval")
                .raw_option(other.to_wire().to_string()),
        }
    }

    /// Where the restart script goes. Images go where their processes were told. Default: this
    /// program's current directory.
    #[must_use]
    pub fn checkpoint_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.checkpoint_dir = dir.into();
        self
    }

    /// It ends with its last process. Default: no.
    #[must_use]
    pub fn exit_on_last(self) -> Self {
        self.raw_option("--exit-on-last")
    }

    /// It ends after this time without processes, at least a second; `None`: never. Default: 8 hours.
    #[must_use]
    pub fn stale_timeout(self, limit: Option<Duration>) -> Self {
        let seconds = match limit {
            Some(limit) => limit.as_secs().max(1).to_string(),
            None => "-1".to_owned(),
        };
        self.raw_option("--stale-timeout").raw_option(seconds)
    }

    /// A file with the number of the port, which is there when it serves and is removed when it ends in
    /// order. Default: none.
    #[must_use]
    pub fn port_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.port_file = Some(path.into());
        self
    }

    /// A file to which it adds what happens; made for this user only. Default: none, and nothing is
    /// written down.
    #[must_use]
    pub fn log_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.log_file = Some(path.into());
        self
    }

    /// One more option (or value of one) of `dmtcpctl coordinator`, for what this type does not model;
    /// `dmtcpctl coordinator --help` lists them. Nothing is checked.
    #[must_use]
    pub fn raw_option(mut self, option: impl Into<OsString>) -> Self {
        self.options.push(option.into());
        self
    }

    /// Starts it, in a process group of its own, in the directory `/`, without descriptors or DMTCP's
    /// variables of this program. Returns when it answers, at most `limit` later.
    ///
    /// As long as this program lives, a small thread waits for the process, so that its end leaves no
    /// zombie.
    ///
    /// # Errors
    /// [`HelperError`]; nothing runs then.
    pub fn start(&self, limit: Duration) -> Result<HelperCoordinator, HelperError> {
        start(self, limit)
    }
}
