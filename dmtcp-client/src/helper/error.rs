//! Why there is no helper.

use crate::process::{Exit, ProcessError};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Why a coordinator in a process of its own did not start. None is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HelperError {
    /// The environment: the program is not there, or may not be executed.
    #[error(
        "no program dmtcpctl to be the coordinator, as named by {named_by}: install it with `cargo install \
         --path dmtcp-client --features cli` or with the Python package dmtcp, and put it on PATH, or name \
         its file in the variable DMTCPCTL or in HelperSettings::program"
    )]
    NoProgram {
        /// `the caller`, `DMTCPCTL` or `PATH`.
        named_by: &'static str,
        /// What was seen.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The caller: DMTCP speaks IPv4 only.
    #[error("{0} is not IPv4, the only kind of address that DMTCP can use")]
    NotIpv4(SocketAddr),
    /// The caller or the environment: the address is taken, or not of this host.
    #[error("cannot listen on {addr}; port 0 takes one that is free")]
    Listen {
        /// Where.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The caller or the environment: a path is empty, or a file cannot be made or removed.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, in words that follow "cannot".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The environment: the program did not start, or cannot be watched.
    #[error("cannot run {} as a coordinator", program.display())]
    Process {
        /// The program.
        program: PathBuf,
        /// What happened.
        source: ProcessError,
    },
    /// The program ended instead of serving: it is another one, or says why itself.
    #[error("{} did not stay as a coordinator ({exit}){}", program.display(), quoted(said))]
    Ended {
        /// The program.
        program: PathBuf,
        /// How it ended.
        exit: Exit,
        /// The end of what it wrote to its standard error, or to the log.
        said: String,
    },
    /// The program runs and did not serve in time, as another program would. It was killed.
    #[error("{} did not serve as a coordinator within {limit:?}{}", program.display(), quoted(said))]
    TimedOut {
        /// The program.
        program: PathBuf,
        /// What the caller allowed.
        limit: Duration,
        /// The end of what it wrote to its standard error, or to the log.
        said: String,
        /// Why it could not be asked.
        source: Option<Box<crate::coordinator::Error>>,
    },
}

fn quoted(said: &str) -> String {
    match said.trim() {
        "" => String::new(),
        text => format!(": {text}"),
    }
}
