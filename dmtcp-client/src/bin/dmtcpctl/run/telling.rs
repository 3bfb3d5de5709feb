//! What is said on stderr while a job runs, and at its end.

use crate::output;
use crate::text::printable;
use dmtcp_client::job::{JobEvent, JobEvents, Outcome, OutcomeKind, Reason};
use std::io;
use std::thread::{self, JoinHandle};

/// How much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Talk {
    Nothing,
    /// What is wrong, and an outcome that is not the program's own.
    Trouble,
    All,
}

/// Says what happens until the job ends; on a thread, since stderr may be slow.
pub(super) fn tell(events: JobEvents, talk: Talk) -> io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name("events".to_owned())
        .spawn(move || {
            for (_, event) in events {
                let least = match &event {
                    // It is told as the outcome.
                    JobEvent::Ended(_) => continue,
                    JobEvent::PassedOver { .. }
                    | JobEvent::CheckpointFailed { .. }
                    | JobEvent::Again { .. }
                    | JobEvent::Stalled { .. }
                    | JobEvent::Trouble { .. } => Talk::Trouble,
                    _ => Talk::All,
                };
                if talk >= least {
                    // Not of the form of an error.
                    output::print_error(&format!(
                        "dmtcpctl run: {}\n",
                        printable(&event.to_string())
                    ));
                }
            }
        })
}

pub(super) fn end(told: io::Result<JoinHandle<()>>, outcome: &Outcome, talk: Talk) {
    if let Ok(told) = told {
        // The job has ended, and so the events.
        let _ = told.join();
    }
    let is_the_programs =
        matches!(outcome.kind, OutcomeKind::Finished) && outcome.reason != Reason::FinishedBefore;
    let least = match is_the_programs {
        true => Talk::All,
        false => Talk::Trouble,
    };
    if talk < least {
        return;
    }
    let slug = outcome.kind.slug();
    output::print_error(&format!("dmtcpctl: {slug}: {}\n", printable(&outcome.text)));
    let hint = outcome.hint.as_ref();
    if let Some(hint) = hint {
        output::print_error(&format!("  hint: {}\n", printable(hint)));
    }
}
