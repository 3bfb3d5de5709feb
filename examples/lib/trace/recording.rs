//! A recording: one JSON object a line, written as it happens and read again later.
//!
//! What is read may also be what `trace` printed as JSON, where frames stand instead of data, or
//! a file of captured frames: any object with `hex` is data. One without `connection` is a
//! connection of its own.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;

use super::event::{Direction, Event};

/// The longest line that is read, in bytes.
const MAX_LINE: u64 = 256 << 20;

/// A recording that cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file system refused.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A line is not one of a recording.
    #[error("{}, line {line}: {why}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// A recording that is being written.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Recording {
    /// A new file at `path`.
    ///
    /// # Errors
    ///
    /// When it exists already, or cannot be made.
    pub fn create(path: &Path) -> Result<Self, RecordingError> {
        let path = path.to_owned();
        match File::create_new(&path) {
            Ok(file) => Ok(Self {
                path,
                file: BufWriter::new(file),
            }),
            Err(source) => Err(RecordingError::Io {
                what: "create",
                path,
                source,
            }),
        }
    }

    /// Appends an event; it may stay in memory until [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&mut self, event: &Event) -> Result<(), RecordingError> {
        let done = writeln!(self.file, "{event}");
        self.checked(done)
    }

    /// Passes on to the system what is in memory.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn flush(&mut self) -> Result<(), RecordingError> {
        let done = self.file.flush();
        self.checked(done)
    }

    /// Makes sure that everything is on disk.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn finish(&mut self) -> Result<(), RecordingError> {
        self.flush()?;
        let done = self.file.get_ref().sync_all();
        self.checked(done)
    }

    fn checked(&self, done: io::Result<()>) -> Result<(), RecordingError> {
        done.map_err(|source| RecordingError::Io {
            what: "write",
            path: self.path.clone(),
            source,
        })
    }
}

/// The events of a file, one after the other.
#[derive(Debug)]
pub struct Recorded {
    path: PathBuf,
    file: BufReader<File>,
    line: u64,
    /// Data without a connection so far.
    unnamed: u64,
    next: Vec<Event>,
}

impl Recorded {
    /// The recording at `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let path = path.to_owned();
        match File::open(&path) {
            Ok(file) => Ok(Self {
                path,
                file: BufReader::new(file),
                line: 0,
                unnamed: 0,
                next: Vec::new(),
            }),
            Err(source) => Err(RecordingError::Io {
                what: "open",
                path,
                source,
            }),
        }
    }

    /// The next event; `None` at the end. A last line that was cut off counts as the end.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or a line is none of a recording.
    pub fn next_event(&mut self) -> Result<Option<Event>, RecordingError> {
        loop {
            if let Some(event) = self.next.pop() {
                return Ok(Some(event));
            }
            let mut text = Vec::new();
            let read = self
                .file
                .by_ref()
                .take(MAX_LINE)
                .read_until(b'\n', &mut text);
            read.map_err(|source| RecordingError::Io {
                what: "read",
                path: self.path.clone(),
                source,
            })?;
            if text.is_empty() {
                return Ok(None);
            }
            self.line += 1;
            let whole = text.ends_with(b"\n");
            match self.events(&text) {
                Ok(events) => self.next = events,
                Err(_) if !whole && text.len() < MAX_LINE as usize => return Ok(None),
                Err(why) => {
                    return Err(RecordingError::Line {
                        path: self.path.clone(),
                        line: self.line,
                        why,
                    });
                }
            }
        }
    }

    /// What a line says, the last event first.
    fn events(&mut self, text: &[u8]) -> Result<Vec<Event>, String> {
        let line: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        let word = |member: &str| line[member].as_str().map(str::to_owned);
        let time = micros(&line["time"]);
        let direction = || match line["direction"].as_str() {
            Some("c2s") => Ok(Direction::ToCoordinator),
            Some("s2c") => Ok(Direction::ToClient),
            _ => Err("\"direction\" is neither \"c2s\" nor \"s2c\"".to_owned()),
        };
        if let Some(hex) = line["hex"].as_str() {
            let (direction, bytes) = (direction()?, from_hex(hex)?);
            let data = |connection| Event::Data {
                time,
                connection,
                direction,
                bytes,
            };
            if let Some(connection) = line["connection"].as_u64() {
                return Ok(vec![data(connection)]);
            }
            self.unnamed += 1;
            let connection = self.unnamed;
            let opened = Event::Opened {
                time,
                connection,
                peer: word("name").unwrap_or_default(),
            };
            let closed = Event::Closed { time, connection };
            return Ok(vec![closed, data(connection), opened]);
        }
        let event = word("event").ok_or("neither \"event\" nor \"hex\"")?;
        if event == "trace" {
            if line["version"] != 1 {
                return Err(format!("version {}, not 1", line["version"]));
            }
            let unix_micros = micros(&line["started"]).as_micros();
            return Ok(vec![Event::Started {
                coordinator: word("coordinator").unwrap_or_default(),
                unix_micros: u64::try_from(unix_micros).unwrap_or(u64::MAX),
            }]);
        }
        let connection = line["connection"].as_u64().ok_or("no \"connection\"")?;
        Ok(vec![match event.as_str() {
            "opened" => Event::Opened {
                time,
                connection,
                peer: word("peer").unwrap_or_default(),
            },
            "lost" => Event::Lost {
                time,
                connection,
                direction: direction()?,
                bytes: line["bytes"].as_u64().unwrap_or_default(),
            },
            "ended" => Event::Ended {
                time,
                connection,
                direction: direction()?,
                error: word("error"),
            },
            "closed" => Event::Closed { time, connection },
            other => return Err(format!("unknown event {other:?}")),
        }])
    }
}

/// Seconds in JSON, to the microsecond. What is no time is 0.
fn micros(seconds: &Value) -> Duration {
    let micros = (seconds.as_f64().unwrap_or_default() * 1e6).round();
    Duration::from_micros(micros as u64)
}

fn from_hex(hex: &str) -> Result<Vec<u8>, String> {
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |pair: &[u8]| match *pair {
        [high, low] => Some((digit(high)? * 16 + digit(low)?) as u8),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = hex.as_bytes().chunks(2).map(byte).collect();
    bytes.ok_or_else(|| "\"hex\" is not hexadecimal".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Event>, RecordingError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut recorded = Recorded::open(file.path())?;
        let mut events = Vec::new();
        while let Some(event) = recorded.next_event()? {
            events.push(event);
        }
        Ok(events)
    }

    fn events() -> Vec<Event> {
        let time = Duration::from_micros(1_234_567_891);
        let direction = Direction::ToClient;
        vec![
            Event::Started {
                coordinator: "host\"name:7779".into(),
                unix_micros: 1_790_000_000_123_457,
            },
            Event::Opened {
                time: Duration::from_micros(1),
                connection: 1,
                peer: "127.0.0.1:9".into(),
            },
            Event::Data {
                time,
                connection: 1,
                direction: Direction::ToCoordinator,
                bytes: (0..=255).collect(),
            },
            Event::Lost {
                time,
                connection: 1,
                direction,
                bytes: 7,
            },
            Event::Ended {
                time,
                connection: 1,
                direction,
                error: Some("reset\n".into()),
            },
            Event::Closed {
                time,
                connection: 1,
            },
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("recording");
        let mut recording = Recording::create(&path).unwrap();
        for event in events() {
            recording.write(&event).unwrap();
        }
        recording.finish().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(read(&text).unwrap(), events());
        // Cut off in the middle of a line, it is read up to there.
        let cut = &text[..text.len() - 5];
        assert_eq!(read(cut).unwrap(), events()[..5]);
        // One that exists is not overwritten.
        assert!(Recording::create(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn a_captured_frame_is_a_connection_of_its_own() {
        let vector = r#"{"name":"n","hex":"00ff","direction":"c2s"}"#;
        let all = read(&format!("{vector}\n{vector}\n")).unwrap();
        let [opened, data, closed, other, ..] = &all[..] else {
            panic!("{all:?}");
        };
        assert!(matches!(opened, Event::Opened { peer, .. } if peer == "n"));
        assert!(matches!(data, Event::Data { bytes, .. } if bytes == &[0, 255]));
        assert!(matches!(closed, Event::Closed { .. }));
        assert_ne!(other, opened);
    }

    #[test]
    fn what_is_no_recording_is_refused_by_line() {
        for line in [
            "DMTCP",
            "{}",
            r#"{"event":"what","connection":1}"#,
            r#"{"event":"closed"}"#,
            r#"{"event":"trace","version":2}"#,
            r#"{"hex":"00","direction":"up"}"#,
            r#"{"hex":"0","direction":"c2s"}"#,
            r#"{"hex":"0g","direction":"c2s"}"#,
        ] {
            let good = events()[0].to_string();
            let error = read(&format!("{good}\n{line}\n")).unwrap_err();
            assert!(
                matches!(error, RecordingError::Line { line: 2, .. }),
                "{error}"
            );
        }
        let time = r#"{"event":"closed","time":-1e300,"connection":1}"#;
        assert!(read(&format!("{time}\n")).is_ok());
    }
}
