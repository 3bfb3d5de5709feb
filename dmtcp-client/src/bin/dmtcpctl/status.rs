//! `dmtcpctl status`: what a coordinator says of itself, or how a job stands.

use crate::ask::{Asked, Where};
use crate::failure::Failure;
use crate::job_view::JobView;
use crate::output;
use crate::text::{printable, table};
use clap::Args;
use dmtcp_client::Interval;
use dmtcp_client::job::{Contact, Standing};
use serde::Serialize;
use std::net::SocketAddr;
use std::process::ExitCode;

/// Ask a coordinator, of any release, how many processes it has and whether they run; or how the job in a
/// state directory stands, be it that it does not run
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    at: Where,
    /// JSON instead of text: one object
    #[arg(long)]
    json: bool,
}

/// What a coordinator says.
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

/// How a job stands.
#[derive(Debug, Serialize)]
struct JobStatus {
    job: JobView,
    /// `None`: it does not run here, or was not reached.
    coordinator: Option<Status>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    if let Some(directory) = arguments.at.job() {
        return of_job(&Contact::open(directory)?, arguments);
    }
    let status = Status::of(&arguments.at.coordinator()?)?;
    if arguments.json {
        output::print_json("status", &status)?;
    } else {
        output::print(&table(&status.rows()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn of_job(contact: &Contact, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let asked = match contact.standing() {
        Standing::Running(_) => Asked::of_job(contact.clone(), arguments.at.timeout)
            .map_err(Failure::from)
            .and_then(|asked| Status::of(&asked))
            .map(Some),
        _ => Ok(None),
    };
    let (coordinator, failure) = match asked {
        Ok(coordinator) => (coordinator, None),
        Err(failure) => (None, Some(failure)),
    };
    let mut job = JobView::of(contact);
    job.error = failure.as_ref().map(|failure| failure.problem().clone());
    let status = JobStatus { job, coordinator };
    if arguments.json {
        output::print_json("status", &status)?;
    } else {
        let coordinator = status.coordinator.as_ref().map(Status::rows);
        let mut rows = status.job.rows();
        rows.extend(coordinator.unwrap_or_default());
        output::print(&table(&rows))?;
    }
    // How the job stands was told, and that its coordinator was not reached, too.
    failure.map_or(Ok(ExitCode::SUCCESS), Err)
}

impl Status {
    fn of(asked: &Asked) -> Result<Self, Failure> {
        let coordinator = &asked.coordinator;
        let status = coordinator.status()?;
        Ok(Self {
            address: coordinator.addr(),
            dialect: format!("{:?}", coordinator.dialect()),
            known_by: asked.known_by,
            release: coordinator.release().map(ToString::to_string),
            pid: asked.pid,
            peers: status.peers,
            running: status.running,
            interval_s: match status.interval {
                Interval::Every(period) => Some(period.as_secs()),
                Interval::Never => Some(0),
                Interval::Unchanged => None,
            },
        })
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let release = self.release.as_deref().map(printable);
        let release = release.map_or_else(String::new, |release| format!(", {release}"));
        let pid = self
            .pid
            .map_or_else(String::new, |pid| format!(", pid {pid}"));
        let row = |name: &str, value: String| vec![name.to_owned(), value];
        vec![
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
        ]
    }
}
