//! `dmtcpctl list`: all jobs of this user.

use crate::failure::{Failure, Problem};
use crate::job_view::JobView;
use crate::output;
use crate::text::table;
use clap::Args;
use dmtcp_client::job::{RegisteredJob, Registry, Seen};
use serde::Serialize;
use std::process::ExitCode;

/// List the jobs of this user that were begun on this host, or on others that share its home directory:
/// which run, where, and how old the last set is
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only those that run
    #[arg(long)]
    running: bool,
    /// JSON instead of text: one object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct List {
    jobs: Vec<JobView>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let jobs = Registry::of_this_user()?.jobs()?;
    let mut jobs: Vec<JobView> = jobs.iter().map(view).collect();
    if arguments.running {
        jobs.retain(JobView::runs);
    }
    // Stable: those of one kind stay newest first.
    jobs.sort_by_key(|job| !job.runs());
    if arguments.json {
        output::print_json("list", &List { jobs })?;
    } else if jobs.is_empty() {
        output::print("no jobs\n")?;
    } else {
        let mut rows = vec![JobView::HEADING.map(str::to_owned).to_vec()];
        rows.extend(jobs.iter().map(JobView::row));
        output::print(&table(&rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn view(job: &RegisteredJob) -> JobView {
    let unseen = |state| JobView::unseen(&job.directory, &job.host, state);
    match &job.seen {
        Seen::Job(contact) => JobView::of(contact),
        Seen::Unreadable(error) => {
            let mut view = unseen("unreadable");
            view.error = Some(Problem::from(error));
            view
        }
        Seen::NoAnswer => unseen("no-answer"),
        _ => unseen("not-here"),
    }
}
