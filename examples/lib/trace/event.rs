//! What happens on the connections through a proxy, and how it stands in a recording.

use std::fmt;
use std::time::Duration;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Direction {
    /// From the tool or worker to the coordinator: `c2s`, `>`.
    ToCoordinator,
    /// From the coordinator to the tool or worker: `s2c`, `<`.
    ToClient,
}

impl Direction {
    /// The word in recordings: `c2s` or `s2c`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ToCoordinator => "c2s",
            Self::ToClient => "s2c",
        }
    }

    /// The sign in a line: `>` or `<`.
    #[must_use]
    pub fn arrow(self) -> char {
        match self {
            Self::ToCoordinator => '>',
            Self::ToClient => '<',
        }
    }
}

/// One thing that happened. Connections are numbered from 1 in the order of their coming.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "made for one example")]
pub enum Event {
    /// The trace began; the first event of a recording.
    Started {
        /// Where everything is forwarded to, as it was named.
        coordinator: String,
        /// When, in microseconds since 1970.
        unix_micros: u64,
    },
    /// Somebody connected.
    Opened {
        /// Since the start.
        time: Duration,
        /// Its number.
        connection: u64,
        /// The peer's address.
        peer: String,
    },
    /// Bytes arrived, in one piece, and were passed on.
    Data {
        /// Since the start.
        time: Duration,
        /// On which connection.
        connection: u64,
        /// Which way.
        direction: Direction,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Bytes were passed on that are not recorded, because recording could not keep up.
    Lost {
        /// Since the start.
        time: Duration,
        /// On which connection.
        connection: u64,
        /// Which way.
        direction: Direction,
        /// How many.
        bytes: u64,
    },
    /// No more bytes go this way.
    Ended {
        /// Since the start.
        time: Duration,
        /// On which connection.
        connection: u64,
        /// Which way.
        direction: Direction,
        /// What broke it; `None`: the sender ended it in order.
        error: Option<String>,
    },
    /// The connection is gone.
    Closed {
        /// Since the start.
        time: Duration,
        /// Its number.
        connection: u64,
    },
}

impl Event {
    /// When it happened, since the start.
    #[must_use]
    pub fn time(&self) -> Duration {
        match self {
            Self::Started { .. } => Duration::ZERO,
            Self::Opened { time, .. }
            | Self::Data { time, .. }
            | Self::Lost { time, .. }
            | Self::Ended { time, .. }
            | Self::Closed { time, .. } => *time,
        }
    }
}

/// The event as one JSON object.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started {
                coordinator,
                unix_micros,
            } => write!(
                f,
                "{{\"event\":\"trace\",\"version\":1,\"coordinator\":{},\"started\":{}}}",
                serde_json::Value::from(coordinator.as_str()),
                Seconds(Duration::from_micros(*unix_micros)),
            ),
            Self::Opened {
                time,
                connection,
                peer,
            } => {
                start(f, "opened", *time, *connection)?;
                write!(f, ",\"peer\":{}}}", serde_json::Value::from(peer.as_str()))
            }
            Self::Data {
                time,
                connection,
                direction,
                bytes,
            } => {
                start(f, "data", *time, *connection)?;
                let direction = direction.word();
                write!(
                    f,
                    ",\"direction\":\"{direction}\",\"hex\":\"{}\"}}",
                    Hex(bytes)
                )
            }
            Self::Lost {
                time,
                connection,
                direction,
                bytes,
            } => {
                start(f, "lost", *time, *connection)?;
                let direction = direction.word();
                write!(f, ",\"direction\":\"{direction}\",\"bytes\":{bytes}}}")
            }
            Self::Ended {
                time,
                connection,
                direction,
                error,
            } => {
                start(f, "ended", *time, *connection)?;
                let error = serde_json::Value::from(error.as_deref());
                let direction = direction.word();
                write!(f, ",\"direction\":\"{direction}\",\"error\":{error}}}")
            }
            Self::Closed { time, connection } => {
                start(f, "closed", *time, *connection)?;
                f.write_str("}")
            }
        }
    }
}

/// The members that all events on connections have.
fn start(f: &mut fmt::Formatter<'_>, event: &str, time: Duration, connection: u64) -> fmt::Result {
    let time = Seconds(time);
    write!(
        f,
        "{{\"event\":\"{event}\",\"time\":{time},\"connection\":{connection}"
    )
}

/// Seconds with six decimals, whatever their number.
pub(super) struct Seconds(pub(super) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:06}", self.0.as_secs(), self.0.subsec_micros());
        f.pad(&text)
    }
}

/// Bytes in hexadecimal.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
