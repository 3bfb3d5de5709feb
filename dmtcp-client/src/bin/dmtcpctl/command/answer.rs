//! What `dmtcp_command` prints and exits with.

use super::words::{Asked, Verb};
use dmtcp_client::Status;
use serde::Serialize;

/// What came of it.
#[derive(Debug)]
pub(super) enum Outcome {
    Status(Status),
    List(String),
    /// A checkpoint began or was taken, of so many processes.
    Peers(u32),
    Interval(u32),
    Said,
    Version(&'static str),
    Wrong,
    NotRunning(String),
    NotFound(String),
    Failed(String),
}

#[derive(Debug)]
pub(super) struct Answer<'a> {
    asked: &'a Asked,
    outcome: Outcome,
}

/// One line of JSON; what does not belong to a command is left out.
#[derive(Debug, Serialize)]
struct Json<'a> {
    schema_version: u32,
    command: &'a str,
    command_status: &'a str,
    coordinator_host: &'a str,
    coordinator_port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_peers: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint_interval: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    workers: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
}

impl<'a> Answer<'a> {
    pub(super) fn new(asked: &'a Asked, outcome: Outcome) -> Self {
        Self { asked, outcome }
    }

    pub(super) fn exit_code(&self) -> u8 {
        match self.outcome {
            Outcome::Wrong | Outcome::NotRunning(_) | Outcome::NotFound(_) | Outcome::Failed(_) => {
                2
            }
            _ => 0,
        }
    }

    pub(super) fn json(&self) -> String {
        let mut json = Json {
            schema_version: 1,
            command: self.asked.verb.name(),
            command_status: match &self.outcome {
                Outcome::Wrong => "DMT_COORD_INVALID_COMMAND",
                // The stock program has no other word for a command that was not carried out.
                Outcome::NotRunning(_) | Outcome::Failed(_) => "DMT_COORD_NOT_RUNNING",
                Outcome::NotFound(_) => "DMT_COORD_NOT_FOUND",
                _ => "DMT_COORD_SUCCESS",
            },
            coordinator_host: &self.asked.host,
            coordinator_port: self.asked.port,
            num_peers: None,
            running: None,
            checkpoint_interval: None,
            workers: None,
            version: None,
        };
        match &self.outcome {
            Outcome::Status(status) => {
                json.num_peers = Some(status.peers);
                json.running = Some(status.running);
                json.checkpoint_interval = Some(interval(status));
            }
            Outcome::List(workers) => json.workers = Some(workers),
            Outcome::Peers(peers) => json.num_peers = Some(*peers),
            Outcome::Interval(seconds) => json.checkpoint_interval = Some(*seconds),
            Outcome::Version(version) => json.version = Some(version),
            _ => {}
        }
        // Numbers and text: nothing of that can fail.
        serde_json::to_string(&json).unwrap_or_default() + "\n"
    }

    pub(super) fn text(&self) -> String {
        let Asked { host, port, .. } = self.asked;
        let of = format!("Coordinator:\n  Host: {host}\n  Port: {port}\n");
        match &self.outcome {
            Outcome::Status(status) => {
                let interval = match interval(status) {
                    0 => "0 (checkpoint manually)".to_owned(),
                    seconds => seconds.to_string(),
                };
                format!(
                    "{of}Status...\n  NUM_PEERS={}\n  RUNNING={}\n  CKPT_INTERVAL={interval}\n",
                    status.peers,
                    if status.running { "yes" } else { "no" }
                )
            }
            Outcome::List(workers) => of + workers,
            Outcome::Interval(seconds) => format!("Interval changed to {seconds}\n"),
            Outcome::Peers(_) if self.asked.verb == Verb::KillAfter => {
                "Computation was checkpointed and killed.\n".to_owned()
            }
            _ => String::new(),
        }
    }

    pub(super) fn complaint(&self) -> String {
        match &self.outcome {
            Outcome::NotRunning(text) | Outcome::NotFound(text) | Outcome::Failed(text) => {
                format!("dmtcp_command: {text}\n")
            }
            _ => String::new(),
        }
    }
}

/// 0: never, or not told.
fn interval(status: &Status) -> u32 {
    u32::try_from(status.interval.to_wire()).unwrap_or(0)
}
