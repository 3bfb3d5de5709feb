//! [`Metrics`] in the text format that Prometheus reads.

use std::{
    fmt::{self, Write as _},
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use super::{Metrics, ReportError};
use crate::durable;

/// Metrics of any number of computations as text: Prometheus' text exposition format, 0.0.4,
/// which is what [`Display`](fmt::Display) writes.
///
/// Every sample has the label `coordinator`, the address at which the computation listens. Times
/// are seconds. Write it to a file for the textfile collector of node_exporter, have it fetched from
/// a [`MetricsEndpoint`](super::MetricsEndpoint), or give it to the HTTP server that your program has.
///
/// ```
/// use dmtcp_client::server::{ComputationConfig, Exposition, Server};
///
/// let server = Server::start()?;
/// let computation = server.open(ComputationConfig::default())?;
/// let text = Exposition::of(&[computation.metrics()?]).to_string();
/// assert!(text.contains("# TYPE dmtcp_rounds_started_total counter"));
/// # Ok::<(), dmtcp_client::server::ServerError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Exposition<'a> {
    metrics: &'a [Metrics],
}

impl<'a> Exposition<'a> {
    /// Those of these computations.
    #[must_use]
    pub fn of(metrics: &'a [Metrics]) -> Self {
        Self { metrics }
    }

    /// Writes it to a file that everybody may read, as far as the process's umask lets them:
    /// collectors run as another user. It is whole or as before at any time: it is written aside,
    /// as `<path>.temp`, synced and renamed. The textfile collector reads names that end in
    /// `.prom`.
    ///
    /// # Errors
    /// [`ReportError::File`].
    pub fn write_file(&self, path: &Path) -> Result<(), ReportError> {
        durable::write_aside_for(path, 0o644, |file| write!(file, "{self}"))?;
        Ok(())
    }
}

impl fmt::Display for Exposition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for family in FAMILIES {
            let Family {
                name,
                kind,
                help,
                samples,
            } = family;
            writeln!(f, "# HELP {name} {help}")?;
            writeln!(f, "# TYPE {name} {kind}")?;
            for metrics in self.metrics {
                for (label, value) in samples(metrics) {
                    write!(f, "{name}{{coordinator=\"{}\"", metrics.addr)?;
                    if let Some((label, text)) = label {
                        write!(f, ",{label}=\"")?;
                        escape(f, &text)?;
                        f.write_char('"')?;
                    }
                    writeln!(f, "}} {value}")?;
                }
            }
        }
        Ok(())
    }
}

/// A label's value, in which three characters have another meaning.
fn escape(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for char in text.chars() {
        match char {
            '\\' => f.write_str("\\\\")?,
            '"' => f.write_str("\\\"")?,
            '\n' => f.write_str("\\n")?,
            char => f.write_char(char)?,
        }
    }
    Ok(())
}

/// One label of its own, perhaps, and the value.
type Sample = (Option<(&'static str, String)>, f64);

/// Metrics of one name.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    samples: fn(&Metrics) -> Vec<Sample>,
}

fn one(value: u64) -> Vec<Sample> {
    vec![(None, value as f64)]
}

fn maybe(value: Option<f64>) -> Vec<Sample> {
    value.map(|value| (None, value)).into_iter().collect()
}

fn labelled(label: &'static str, all: &[(&str, u64)]) -> Vec<Sample> {
    let sample = |&(text, value): &(&str, u64)| (Some((label, text.to_owned())), value as f64);
    all.iter().map(sample).collect()
}

fn seconds(time: Option<Duration>) -> Vec<Sample> {
    maybe(time.map(|time| time.as_secs_f64()))
}

const COUNTER: &str = "counter";
const GAUGE: &str = "gauge";

const FAMILIES: &[Family] = &[
    Family {
        name: "dmtcp_workers",
        kind: GAUGE,
        help: "Workers that are connected, by state.",
        samples: |metrics| {
            let by_state = metrics.workers.iter();
            by_state
                .map(|(state, &count)| (Some(("state", state.clone())), count as f64))
                .collect()
        },
    },
    Family {
        name: "dmtcp_connections",
        kind: GAUGE,
        help: "Connections of workers, tools and strangers.",
        samples: |metrics| one(metrics.connections),
    },
    Family {
        name: "dmtcp_rounds_started_total",
        kind: COUNTER,
        help: "Checkpoint rounds that have begun.",
        samples: |metrics| one(metrics.rounds_started),
    },
    Family {
        name: "dmtcp_rounds_complete_total",
        kind: COUNTER,
        help: "Checkpoint rounds with a complete set.",
        samples: |metrics| one(metrics.rounds_complete),
    },
    Family {
        name: "dmtcp_rounds_failed_total",
        kind: COUNTER,
        help: "Checkpoint rounds without a complete set, by reason.",
        samples: |metrics| {
            let failed = metrics.rounds_failed;
            let by_reason = [
                ("peer_lost", failed.peer_lost),
                ("no_image", failed.no_image),
                ("seal", failed.seal),
                ("stalled", failed.stalled),
                ("killed", failed.killed),
                ("other", failed.other),
            ];
            labelled("reason", &by_reason)
        },
    },
    Family {
        name: "dmtcp_restarts_started_total",
        kind: COUNTER,
        help: "Restarts that have begun.",
        samples: |metrics| one(metrics.restarts_started),
    },
    Family {
        name: "dmtcp_restarts_complete_total",
        kind: COUNTER,
        help: "Restarts whose processes have all come to run.",
        samples: |metrics| one(metrics.restarts_complete),
    },
    Family {
        name: "dmtcp_last_round_duration_seconds",
        kind: GAUGE,
        help: "How long the last complete round took, from the order until it was sealed.",
        samples: |metrics| seconds(metrics.last_round_took),
    },
    Family {
        name: "dmtcp_last_complete_timestamp_seconds",
        kind: GAUGE,
        help: "When the last round was complete, in seconds since 1970.",
        samples: |metrics| {
            let complete = metrics.last_complete;
            seconds(complete.and_then(|time| time.duration_since(UNIX_EPOCH).ok()))
        },
    },
    Family {
        name: "dmtcp_since_last_complete_seconds",
        kind: GAUGE,
        help: "How long ago the last round was complete when this was written.",
        samples: |metrics| seconds(metrics.since_complete),
    },
    Family {
        name: "dmtcp_last_set_number",
        kind: GAUGE,
        help: "Number of the last set in its store.",
        samples: |metrics| maybe(metrics.last_set.map(|number| number as f64)),
    },
    Family {
        name: "dmtcp_last_set_bytes",
        kind: GAUGE,
        help: "Bytes of the last set.",
        samples: |metrics| maybe(metrics.last_set_bytes.map(|bytes| bytes as f64)),
    },
    Family {
        name: "dmtcp_last_seal_duration_seconds",
        kind: GAUGE,
        help: "How long sealing the last set took.",
        samples: |metrics| seconds(metrics.last_seal),
    },
    Family {
        name: "dmtcp_seal_seconds_total",
        kind: COUNTER,
        help: "How long sealing took for all rounds together, failed ones included.",
        samples: |metrics| seconds(Some(metrics.sealing)),
    },
    Family {
        name: "dmtcp_connections_accepted_total",
        kind: COUNTER,
        help: "Connections that were accepted.",
        samples: |metrics| one(metrics.peers.accepted),
    },
    Family {
        name: "dmtcp_workers_joined_total",
        kind: COUNTER,
        help: "Workers that joined.",
        samples: |metrics| one(metrics.peers.joined),
    },
    Family {
        name: "dmtcp_workers_left_total",
        kind: COUNTER,
        help: "Workers whose connection ended.",
        samples: |metrics| one(metrics.peers.left),
    },
    Family {
        name: "dmtcp_peers_refused_total",
        kind: COUNTER,
        help: "Peers that were turned away or cut off, by reason.",
        samples: |metrics| {
            let peers = metrics.peers;
            let by_reason = [
                ("access", peers.refused_access),
                ("rejected", peers.refused),
                ("protocol_error", peers.misbehaved),
                ("silent", peers.silent),
                ("not_reading", peers.not_reading),
            ];
            labelled("reason", &by_reason)
        },
    },
    Family {
        name: "dmtcp_accept_pauses_total",
        kind: COUNTER,
        help: "Times at which no connection could be accepted for a while.",
        samples: |metrics| one(metrics.peers.accept_paused),
    },
    Family {
        name: "dmtcp_stuck_processes_total",
        kind: COUNTER,
        help: "Processes that no message could free, by what was done.",
        samples: |metrics| {
            let peers = metrics.peers;
            labelled(
                "done",
                &[("killed", peers.killed), ("spared", peers.spared)],
            )
        },
    },
    Family {
        name: "dmtcp_messages_total",
        kind: COUNTER,
        help: "Whole messages that were read.",
        samples: |metrics| one(metrics.traffic.messages),
    },
    Family {
        name: "dmtcp_store_requests_total",
        kind: COUNTER,
        help: "Requests to the key-value store or the name service.",
        samples: |metrics| one(metrics.traffic.store_requests),
    },
    Family {
        name: "dmtcp_commands_total",
        kind: COUNTER,
        help: "Commands of tools.",
        samples: |metrics| one(metrics.traffic.commands),
    },
    Family {
        name: "dmtcp_events_total",
        kind: COUNTER,
        help: "Events that were told to the embedding program.",
        samples: |metrics| one(metrics.events),
    },
];

#[cfg(test)]
mod tests {
    use crate::server::{ComputationConfig, Server};

    use super::*;

    #[test]
    fn labels_are_escaped_and_what_is_unknown_is_left_out() {
        let server = Server::start().unwrap();
        let computation = server.open(ComputationConfig::default()).unwrap();
        let mut metrics = computation.metrics().unwrap();
        metrics.workers.insert("a\\b\"c\nd".to_owned(), 3);
        let addr = metrics.addr;
        let text = Exposition::of(&[metrics]).to_string();
        let line = format!("dmtcp_workers{{coordinator=\"{addr}\",state=\"a\\\\b\\\"c\\nd\"}} 3\n");
        assert!(text.contains(&line), "{text}");
        assert!(!text.contains("\ndmtcp_last_set_bytes{"), "{text}");
        assert_eq!(text.matches("# TYPE ").count(), FAMILIES.len());
    }
}
