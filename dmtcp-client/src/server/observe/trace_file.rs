//! What a [`ChromeTrace`](super::ChromeTrace) says, read back from its file: where the time of each
//! round went, without a viewer.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::chrome_trace::{BARRIERS, COORDINATOR, ROUNDS, SEALING};

/// A round in a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TracedRound {
    /// Its number.
    pub round: u64,
    /// Its generation.
    pub generation: u64,
    /// How many workers were told.
    pub workers: u64,
    /// `complete`, `under way`, or `failed: ` and why.
    pub outcome: String,
    /// From the order until all ran again.
    pub took: Duration,
    /// How long the images were made a set.
    pub sealing: Option<Duration>,
    /// Its barriers, in their order.
    pub barriers: Vec<TracedBarrier>,
}

/// A barrier that the workers of a round went through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TracedBarrier {
    /// Its name.
    pub name: String,
    /// From the release of the one before, or the order, until its own.
    pub took: Duration,
    /// For how long the first one there waited for the last.
    pub waited: Duration,
    /// How many there are.
    pub workers: u64,
    /// Who came last.
    pub last: Option<TracedWorker>,
}

/// A worker in a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TracedWorker {
    /// Its program.
    pub program: String,
    /// Its host.
    pub host: String,
    /// Its pid there; -1: unknown.
    pub real_pid: i64,
}

/// Why a trace cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TraceFileError {
    /// The environment: the file cannot be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The caller: there is no trace of a computation in the file.
    #[error("{} is no trace of a coordinator's rounds", path.display())]
    NotATrace {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: Option<serde_json::Error>,
    },
}

/// The rounds of a trace that [`ChromeTrace::write_file`](super::ChromeTrace::write_file) wrote,
/// oldest first.
///
/// # Errors
/// [`TraceFileError`]. A file of more than 1 GiB is none.
pub fn read_trace(path: &Path) -> Result<Vec<TracedRound>, TraceFileError> {
    let failed = |source| TraceFileError::Io {
        path: path.to_owned(),
        source,
    };
    let mut text = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MOST_BYTES)
        .read_to_end(&mut text)
        .map_err(failed)?;
    let not_a_trace = |source| TraceFileError::NotATrace {
        path: path.to_owned(),
        source,
    };
    let trace: Trace = serde_json::from_slice(&text).map_err(|e| not_a_trace(Some(e)))?;
    rounds(trace).ok_or_else(|| not_a_trace(None))
}

/// `None`: a barrier or a sealing is of no round.
fn rounds(trace: Trace) -> Option<Vec<TracedRound>> {
    let mut rounds: Vec<TracedRound> = Vec::new();
    let slices = trace.events.into_iter();
    for slice in slices.filter(|event| event.kind == "X" && event.group == COORDINATOR) {
        let took = slice.duration();
        let about = slice.about;
        match slice.line {
            ROUNDS => rounds.push(TracedRound {
                round: about.round?,
                generation: about.generation?,
                workers: about.workers?,
                outcome: about.outcome?,
                took,
                sealing: None,
                barriers: Vec::new(),
            }),
            BARRIERS => rounds.last_mut()?.barriers.push(TracedBarrier {
                name: slice.name,
                took,
                waited: micros(about.last_there? - about.first_there?),
                workers: about.workers?,
                last: about.last_program.map(|program| TracedWorker {
                    program,
                    host: about.last_host.unwrap_or_default(),
                    real_pid: about.last_real_pid.unwrap_or(-1),
                }),
            }),
            SEALING => rounds.last_mut()?.sealing = Some(took),
            _ => {}
        }
    }
    Some(rounds)
}

#[derive(Debug, Deserialize)]
struct Trace {
    #[serde(rename = "traceEvents")]
    events: Vec<Slice>,
}

/// Any event; what a slice has of the coordinator's lines.
#[derive(Debug, Deserialize)]
struct Slice {
    #[serde(rename = "ph")]
    kind: String,
    name: String,
    #[serde(rename = "pid")]
    group: u64,
    #[serde(rename = "tid", default)]
    line: u64,
    #[serde(rename = "dur", default)]
    length: f64,
    #[serde(rename = "args", default)]
    about: About,
}

#[derive(Debug, Default, Deserialize)]
struct About {
    round: Option<u64>,
    generation: Option<u64>,
    workers: Option<u64>,
    outcome: Option<String>,
    #[serde(rename = "first_there_us")]
    first_there: Option<f64>,
    #[serde(rename = "last_there_us")]
    last_there: Option<f64>,
    last_program: Option<String>,
    last_host: Option<String>,
    last_real_pid: Option<i64>,
}

impl Slice {
    fn duration(&self) -> Duration {
        micros(self.length)
    }
}

/// What is no length of time is none.
fn micros(count: f64) -> Duration {
    Duration::try_from_secs_f64(count / 1e6).unwrap_or_default()
}

const MOST_BYTES: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<Vec<TracedRound>> {
        rounds(serde_json::from_str(text).ok()?)
    }

    #[test]
    fn what_is_no_trace_of_ours() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"traceEvents": 7}"#,
            r#"{"traceEvents": [{}]}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        // A barrier without a round.
        let text = r#"{"traceEvents": [{"ph": "X", "name": "A", "pid": 1, "tid": 2}]}"#;
        assert_eq!(read(text), None);
        assert_eq!(read(r#"{"traceEvents": []}"#), Some(Vec::new()));
        let missing = read_trace(Path::new("/dev/null/trace"));
        assert!(matches!(missing, Err(TraceFileError::Io { .. })));
        let empty = read_trace(Path::new("/dev/null"));
        assert!(matches!(empty, Err(TraceFileError::NotATrace { .. })));
    }

    proptest! {
        #[test]
        fn any_numbers_are_read(dur: f64, first: f64, last: f64) {
            let event = |line: u64, about: serde_json::Value| serde_json::json!({
                "ph": "X", "name": "B", "pid": COORDINATOR, "tid": line, "dur": dur, "args": about,
            });
            let round = event(ROUNDS, serde_json::json!({
                "round": 1, "generation": 1, "workers": 1, "outcome": "complete",
            }));
            let barrier = event(BARRIERS, serde_json::json!({
                "first_there_us": first, "last_there_us": last, "workers": 1,
            }));
            let text = serde_json::json!({ "traceEvents": [round, barrier] }).to_string();
            // Not a number is null in JSON, and then there is no trace.
            let _ = read(&text);
        }
    }
}
