//! A job as `list` and `status` show it: in words and in JSON.

use crate::failure::Problem;
use crate::text::{counted, moment, printable, printable_os, quoted, size};
use dmtcp_client::job::{Contact, JobRecord, Outcome, SetRecord};
use serde::Serialize;
use serde_json::Value;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Fields that are not known are `null`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct JobView {
    directory: String,
    state: &'static str,
    host: Option<String>,
    pid: Option<i32>,
    address: Option<SocketAddr>,
    id: Option<String>,
    /// As in `job.json`.
    program: Option<Value>,
    dmtcp: Option<String>,
    runs: u64,
    attempts: u64,
    restarts: u64,
    sets_sealed: u64,
    last_set: Option<SetRecord>,
    created_unix_ms: Option<u64>,
    updated_unix_ms: Option<u64>,
    outcome: Option<Outcome>,
    pub(crate) error: Option<Problem>,
    /// The program as a shell would take it.
    #[serde(skip)]
    command: String,
}

impl JobView {
    /// One of which nothing more is known.
    pub(crate) fn unseen(directory: &Path, host: &OsStr, state: &'static str) -> Self {
        Self {
            directory: directory.to_string_lossy().into_owned(),
            state,
            host: Some(host.to_string_lossy().into_owned()),
            ..Self::default()
        }
    }

    pub(crate) fn of(contact: &Contact) -> Self {
        let (record, standing) = (contact.record(), contact.standing());
        let outcome = contact.outcome();
        let owner = standing.owner();
        let address = record.coordinator.as_ref();
        let runs_here = standing.slug() == "running";
        Self {
            directory: contact.directory().to_string_lossy().into_owned(),
            state: match (standing.slug(), outcome) {
                ("not-running", Some(_)) => "ended",
                ("not-running", None) => "never-run",
                (slug, _) => slug,
            },
            host: owner.map(|owner| owner.host.to_string_lossy().into_owned()),
            pid: owner.map(|owner| owner.pid),
            address: address.filter(|_| runs_here).map(|found| found.address),
            id: record.id.clone(),
            program: program(record),
            dmtcp: record.dmtcp.clone(),
            runs: record.runs,
            attempts: record.attempts,
            restarts: record.restarts,
            sets_sealed: record.sets_sealed,
            last_set: contact.last_set().cloned(),
            created_unix_ms: Some(record.created_unix_ms),
            updated_unix_ms: Some(record.updated_unix_ms),
            outcome: outcome.cloned(),
            error: None,
            command: command(record),
        }
    }

    /// Whether a process of this or another host is at it.
    pub(crate) fn runs(&self) -> bool {
        matches!(self.state, "running" | "elsewhere")
    }

    pub(crate) const HEADING: [&'static str; 8] = [
        "state",
        "last set",
        "size",
        "host",
        "pid",
        "port",
        "directory",
        "program",
    ];

    /// A row of a table.
    pub(crate) fn row(&self) -> Vec<String> {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let set = self.last_set.as_ref();
        vec![
            self.state_in_words(),
            or_none(set.map(|set| age(set.sealed_unix_ms))),
            or_none(set.map(|set| size(set.bytes))),
            or_none(self.host.as_deref().map(printable)),
            or_none(self.pid.map(|pid| pid.to_string())),
            or_none(self.address.map(|address| address.port().to_string())),
            printable(&self.directory),
            match &self.error {
                Some(error) => printable(&error.text),
                None => self.command.clone(),
            },
        ]
    }

    /// Rows of name and value.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
        row("job", printable(&self.directory));
        if let Some(id) = &self.id {
            row("id", printable(id));
        }
        row("program", self.command.clone());
        let who = match (&self.host, self.pid) {
            (Some(host), Some(pid)) => format!(", pid {pid} on {}", printable(host)),
            _ => String::new(),
        };
        row("state", self.state_in_words() + &who);
        if let Some(outcome) = &self.outcome {
            row(
                "ended",
                format!(
                    "{}, {}",
                    moment(outcome.ended_unix_ms),
                    printable(&outcome.text)
                ),
            );
        }
        let set = self.last_set.as_ref().map(|set| {
            let (sealed, age) = (moment(set.sealed_unix_ms), age(set.sealed_unix_ms));
            format!(
                "{} of {sealed}, {age} old, {}",
                set.sequence,
                size(set.bytes)
            )
        });
        row("last set", set.unwrap_or_else(|| "none".to_owned()));
        row(
            "so far",
            format!(
                "{}, {}, {}, {} sealed",
                counted(self.runs, "run"),
                counted(self.attempts, "attempt"),
                counted(self.restarts, "restart"),
                counted(self.sets_sealed, "set")
            ),
        );
        rows
    }

    fn state_in_words(&self) -> String {
        match &self.outcome {
            Some(outcome) => outcome.kind.slug().to_owned(),
            None => self.state.to_owned(),
        }
    }
}

/// The object in `job.json`, which has the rules for what is not UTF-8.
fn program(record: &JobRecord) -> Option<Value> {
    serde_json::to_value(&record.program).ok()
}

fn command(record: &JobRecord) -> String {
    let words = record.program.argv.iter().map(|word| quoted(word));
    let text = words.collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        return printable_os("-");
    }
    text
}

/// How long ago that was, in one unit.
pub(crate) fn age(unix_ms: u64) -> String {
    let then = UNIX_EPOCH.checked_add(Duration::from_millis(unix_ms));
    let age = then.and_then(|then| SystemTime::now().duration_since(then).ok());
    // A clock that is ahead.
    in_one_unit(age.unwrap_or_default())
}

fn in_one_unit(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7199 => format!("{} min", seconds / 60),
        seconds @ 7200..=172_799 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_in_the_unit_that_tells_most() {
        for (seconds, expected) in [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7199, "119 min"),
            (7200, "2 h"),
            (172_800, "2 d"),
        ] {
            assert_eq!(in_one_unit(Duration::from_secs(seconds)), expected);
        }
        assert_eq!(age(u64::MAX), "0 s");
    }
}
