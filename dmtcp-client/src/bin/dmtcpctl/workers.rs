//! `dmtcpctl workers`: the processes of a coordinator.

use crate::ask::Where;
use crate::failure::Failure;
use crate::output;
use crate::text::{printable, table};
use clap::Args;
use dmtcp_client::WorkerInfo;
use serde::Serialize;
use std::net::SocketAddr;
use std::process::ExitCode;

/// List the processes of a coordinator, of any release that tells (2.4 does not)
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    at: Where,
    /// JSON instead of text: one object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Workers {
    address: SocketAddr,
    workers: Vec<Worker>,
}

/// One of them as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Worker {
    pub(crate) number: u64,
    program: String,
    host: String,
    real_pid: i32,
    virtual_pid: i32,
    id: String,
    state: String,
    barrier: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let coordinator = arguments.at.coordinator()?.coordinator;
    let workers = coordinator.workers()?;
    let workers = Workers {
        address: coordinator.addr(),
        workers: workers.into_iter().map(Worker::from).collect(),
    };
    if arguments.json {
        output::print_json("workers", &workers)?;
    } else if workers.workers.is_empty() {
        output::print("no processes\n")?;
    } else {
        let heading = [
            "program", "host", "pid", "virtual", "state", "barrier", "id",
        ];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        rows.extend(workers.workers.iter().map(Worker::row));
        output::print(&table(&rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl From<WorkerInfo> for Worker {
    fn from(worker: WorkerInfo) -> Self {
        Self {
            number: worker.number,
            state: worker.state.to_string(),
            id: worker.id.to_string(),
            program: worker.program,
            host: worker.host,
            real_pid: worker.real_pid,
            virtual_pid: worker.virtual_pid,
            barrier: worker.barrier,
        }
    }
}

impl Worker {
    fn row(&self) -> Vec<String> {
        vec![
            printable(&self.program),
            printable(&self.host),
            self.real_pid.to_string(),
            self.virtual_pid.to_string(),
            self.state.clone(),
            self.barrier
                .as_deref()
                .map_or_else(|| "-".to_owned(), printable),
            self.id.clone(),
        ]
    }
}
