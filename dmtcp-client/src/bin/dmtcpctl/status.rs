//! `dmtcpctl status`: what a coordinator says of itself.

use crate::ask::Where;
use crate::failure::Failure;
use crate::output;
use crate::text::{printable, table};
use clap::Args;
use dmtcp_client::Interval;
use dmtcp_client::coordinator::How;
use serde::Serialize;
use std::net::SocketAddr;
use std::process::ExitCode;

/// Ask a coordinator, of any release, how many processes it has and whether they run
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    at: Where,
    /// JSON instead of text: one object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Status {
    address: SocketAddr,
    dialect: String,
    known_by: &'static str,
    release: Option<String>,
    pid: Option<i32>,
    peers: u32,
    running: bool,
    /// 0: no periodic checkpoints; none: the release does not say.
    interval_s: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (coordinator, detected) = arguments.at.coordinator()?;
    let status = coordinator.status()?;
    let status = Status {
        address: coordinator.addr(),
        dialect: format!("{:?}", coordinator.dialect()),
        known_by: match detected.how {
            How::Told => "told",
            How::Tools => "tools",
            How::Executable(_) => "executable",
            How::Asked => "asked",
            _ => "other",
        },
        release: coordinator.release().map(ToString::to_string),
        pid: detected.process.map(|process| process.pid()),
        peers: status.peers,
        running: status.running,
        interval_s: match status.interval {
            Interval::Every(period) => Some(period.as_secs()),
            Interval::Never => Some(0),
            Interval::Unchanged => None,
        },
    };
    if arguments.json {
        output::print_json("status", &status)?;
    } else {
        output::print(&status.text())?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Status {
    fn text(&self) -> String {
        let release = self.release.as_deref().map(printable);
        let release = release.map_or_else(String::new, |release| format!(", {release}"));
        let pid = self
            .pid
            .map_or_else(String::new, |pid| format!(", pid {pid}"));
        let row = |name: &str, value: String| vec![name.to_owned(), value];
        table(&[
            row(
                "coordinator",
                format!("{}, speaks {}{release}{pid}", self.address, self.dialect),
            ),
            row("processes", self.peers.to_string()),
            row(
                "running",
                match (self.running, self.peers) {
                    (true, _) => "all",
                    (false, 0) => "none is there",
                    (false, _) => "not all",
                }
                .to_owned(),
            ),
            row(
                "interval",
                match self.interval_s {
                    Some(0) => "only when asked".to_owned(),
                    Some(seconds) => format!("{seconds} s"),
                    None => "not told".to_owned(),
                },
            ),
        ])
    }
}
