//! Why it is not known what a coordinator speaks.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use dmtcp_proto::{Dialect, ProbeError, Release};

use crate::process::ProcessError;
use crate::tools::ToolsError;

/// Why it is not known what a coordinator speaks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetectError {
    /// The caller is wrong about a coordinator of this host. Nothing was sent.
    #[error(
        "the coordinator at {addr} is {found} ({} with pid {pid}) and speaks {}, not {told:?}: \
         speaking {told:?} with it could end it",
        program.display(), spoken(found)
    )]
    Contradiction {
        /// Where.
        addr: SocketAddr,
        /// What the caller expected.
        told: Dialect,
        /// What was seen.
        found: Release,
        /// The coordinator's executable.
        program: PathBuf,
        /// Its pid.
        pid: i32,
    },
    /// The environment: it runs on this host, and its executable would not tell its version.
    /// Nothing was sent, as it may be one that ends of any question.
    #[error(
        "{} is the coordinator and cannot be asked for its version; name its dialect",
        program.display()
    )]
    Executable {
        /// The executable.
        program: PathBuf,
        /// What happened.
        source: ProcessError,
    },
    /// The environment: it runs on this host, and its executable says something else. Nothing was
    /// sent.
    #[error(
        "{} is the coordinator and does not tell its version as DMTCP does ({output:?}); name its \
         dialect",
        program.display()
    )]
    NoVersion {
        /// The executable.
        program: PathBuf,
        /// The beginning of what it printed.
        output: String,
    },
    /// It runs on this host and is too old. Nothing was sent.
    #[error("the coordinator at {addr} is {release} ({}); 2.4 and later are supported", program.display())]
    NotSupported {
        /// Where.
        addr: SocketAddr,
        /// What it is.
        release: Release,
        /// Its executable.
        program: PathBuf,
    },
    /// The environment: the tools that the caller named do not say what they speak. Nothing was
    /// sent.
    #[error("the tools do not tell what the coordinator speaks")]
    Tools(#[from] ToolsError),
    /// The host cannot be reached. Where nobody listens, see [`Answer`](Self::Answer).
    #[error("cannot reach a coordinator at {addr}")]
    Connect {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The connection broke in a way that says nothing about the coordinator.
    #[error("the connection to the coordinator at {addr} failed")]
    Io {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The peer: no answer in time. It is no coordinator, or one that somebody else's connection
    /// blocks.
    #[error(
        "waited {limit:?} for {awaited} of the coordinator at {addr}, to learn its dialect: it is \
         no coordinator, or blocked by somebody's connection"
    )]
    TimedOut {
        /// Where.
        addr: SocketAddr,
        /// What was waited for.
        awaited: &'static str,
        /// How long all of it was allowed to take.
        limit: Duration,
    },
    /// The peer: it was asked, and what came back does not tell its dialect.
    #[error("asked {addr} for its dialect in vain")]
    Answer {
        /// Where.
        addr: SocketAddr,
        /// What came back.
        source: ProbeError,
    },
}

fn spoken(release: &Release) -> String {
    release
        .dialect
        .map_or_else(|| "nothing known".to_owned(), |d| format!("{d:?}"))
}
