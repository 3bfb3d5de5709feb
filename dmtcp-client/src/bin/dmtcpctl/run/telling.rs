//! What is said on stderr while a job runs, and at its end.

use crate::output;
use crate::text::{lines, printable, printable_os};
use dmtcp_client::job::{JobEvent, JobEvents, Outcome, OutcomeKind, Reason};
use nix::sys::signal::Signal;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Talk {
    Nothing,
    /// What is wrong, and an outcome that is not the program's own.
    Trouble,
    All,
}

/// Says what happens until the job ends; on a thread, since stderr may be slow.
pub(super) fn tell(events: JobEvents, talk: Talk, dir: &Path) -> io::Result<JoinHandle<()>> {
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let dir = printable_os(dir);
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
                let begun = match &event {
                    JobEvent::Started { .. } => Some("starts afresh".to_owned()),
                    JobEvent::Restarted { set, .. } => Some(format!("goes on from set {set}")),
                    _ => None,
                };
                if let Some(begun) = begun.filter(|_| talk >= Talk::Trouble) {
                    output::print_error(&format!("dmtcpctl run: {begun}; all is in {dir}\n"));
                }
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

/// Says that it is stopping, and how not to wait for that.
pub(super) fn last_checkpoint(signal: Signal, grace: Duration, talk: Talk) {
    if talk < Talk::Trouble {
        return;
    }
    let by = match signal {
        Signal::SIGINT => "interrupted",
        other => other.as_str(),
    };
    let text = format!(
        "dmtcpctl run: {by}: taking a last checkpoint, for up to {grace:?}; \
         Ctrl-C or TERM once more kills without it\n"
    );
    // A terminal has shown `^C` in this line.
    let text = match signal == Signal::SIGINT && io::stderr().is_terminal() {
        true => format!("\n{text}"),
        false => text,
    };
    // Whoever waits for signals must not wait for a slow terminal.
    drop(thread::Builder::new().spawn(move || output::print_error(&text)));
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
    output::print_error(&format!("dmtcpctl: {slug}: {}\n", lines(&outcome.text)));
    let hint = outcome.hint.as_ref();
    if let Some(hint) = hint {
        output::print_error(&format!("  hint: {}\n", printable(hint)));
    }
}
