//! Events as text: decoded, in one of three forms.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write},
    time::Duration,
};

use dmtcp_proto::{Dialect, Dump, Limits};

use super::conversation::{Conversation, Item};
use super::event::{Direction, Event, Hex, Seconds};

/// Bytes held of incomplete frames at most, over all connections.
const MAX_HELD: usize = 64 << 20;
/// Raw bytes that a line shows.
const LINE_BYTES: usize = 32;

/// How events are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "made for one example")]
pub enum Format {
    /// One line an event: seconds, connection, direction, what it says.
    Line,
    /// One JSON object an event.
    Json,
    /// As `Line`, with all bytes below.
    Hex,
}

/// Decodes events and writes what they say.
#[derive(Debug)]
pub struct Printer<W> {
    format: Format,
    forced: Option<Dialect>,
    limits: Limits,
    conversations: BTreeMap<u64, Conversation>,
    /// Bytes that all of them hold.
    held: usize,
    out: W,
}

impl<W: Write> Printer<W> {
    /// One that knows of no connection yet.
    pub fn new(out: W, format: Format, forced: Option<Dialect>, limits: Limits) -> Self {
        Self {
            format,
            forced,
            limits,
            conversations: BTreeMap::new(),
            held: 0,
            out,
        }
    }

    /// Shows one event.
    ///
    /// # Errors
    ///
    /// When what is written to fails.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Data {
                time,
                connection,
                direction,
                bytes,
            } => {
                let mut items = self.with(*connection, |talk| talk.take(*direction, bytes));
                if self.held > MAX_HELD {
                    let why = "incomplete frames of all connections are over the limit";
                    items.extend(self.with(*connection, |talk| talk.give_up(*direction, why)));
                }
                for item in &items {
                    self.item(*time, *connection, *direction, item)?;
                }
                Ok(())
            }
            Event::Lost {
                time,
                connection,
                direction,
                ..
            }
            | Event::Ended {
                time,
                connection,
                direction,
                ..
            } => {
                self.give_up(*time, *connection, *direction)?;
                self.other(event)
            }
            Event::Closed { time, connection } => {
                self.give_up(*time, *connection, Direction::ToCoordinator)?;
                self.give_up(*time, *connection, Direction::ToClient)?;
                self.conversations.remove(connection);
                self.other(event)
            }
            Event::Started { .. } | Event::Opened { .. } => self.other(event),
        }
    }

    /// Shows what is left of frames that never became whole.
    ///
    /// # Errors
    ///
    /// When what is written to fails.
    pub fn finish(&mut self, time: Duration) -> io::Result<()> {
        let connections: Vec<u64> = self.conversations.keys().copied().collect();
        for connection in connections {
            self.give_up(time, connection, Direction::ToCoordinator)?;
            self.give_up(time, connection, Direction::ToClient)?;
        }
        self.flush()
    }

    /// Passes on what is buffered.
    ///
    /// # Errors
    ///
    /// When what is written to fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn with<T>(&mut self, connection: u64, act: impl FnOnce(&mut Conversation) -> T) -> T {
        let new = || Conversation::new(self.forced, self.limits);
        let talk = self.conversations.entry(connection).or_insert_with(new);
        let before = talk.held();
        let result = act(talk);
        self.held = (self.held + talk.held()).saturating_sub(before);
        result
    }

    fn give_up(&mut self, time: Duration, connection: u64, direction: Direction) -> io::Result<()> {
        let left = self.with(connection, |talk| talk.give_up(direction, "incomplete"));
        match left {
            Some(item) => self.item(time, connection, direction, &item),
            None => Ok(()),
        }
    }

    fn item(
        &mut self,
        time: Duration,
        connection: u64,
        direction: Direction,
        item: &Item,
    ) -> io::Result<()> {
        let time = Seconds(time);
        let (arrow, word) = (direction.arrow(), direction.word());
        let out = &mut self.out;
        match (self.format, item) {
            (Format::Json, Item::Frame { dialects, frame }) => {
                let members = Dump::new(*dialects, frame);
                let members = members.json_members();
                writeln!(
                    out,
                    "{{\"event\":\"frame\",\"time\":{time},\"connection\":{connection},\
                     \"direction\":\"{word}\",{members}}}"
                )
            }
            (Format::Json, Item::Raw { bytes, why }) => {
                let why = serde_json::Value::from(why.as_deref());
                let hex = Hex(bytes);
                writeln!(
                    out,
                    "{{\"event\":\"raw\",\"time\":{time},\"connection\":{connection},\
                     \"direction\":\"{word}\",\"why\":{why},\"hex\":\"{hex}\"}}"
                )
            }
            (Format::Line, Item::Frame { dialects, frame }) => {
                let dump = Dump::new(*dialects, frame);
                writeln!(out, "{time:>13} #{connection} {arrow} {}", dump.line())
            }
            (Format::Hex, Item::Frame { dialects, frame }) => {
                let dump = Dump::new(*dialects, frame);
                writeln!(out, "{time:>13} #{connection} {arrow} {}", dump.annotated())
            }
            (_, Item::Raw { bytes, why }) => {
                let shown = bytes.get(..LINE_BYTES).unwrap_or(bytes);
                let cut = if shown.len() < bytes.len() { "…" } else { "" };
                write!(
                    out,
                    "{time:>13} #{connection} {arrow} raw {} bytes \"{}\"{cut}",
                    bytes.len(),
                    shown.escape_ascii()
                )?;
                match why {
                    Some(why) => writeln!(out, ": {why}")?,
                    None => writeln!(out)?,
                }
                if self.format == Format::Hex {
                    writeln!(out, "{}", Rows(bytes))?;
                }
                Ok(())
            }
        }
    }

    fn other(&mut self, event: &Event) -> io::Result<()> {
        let out = &mut self.out;
        if self.format == Format::Json {
            return writeln!(out, "{event}");
        }
        match event {
            Event::Started { coordinator, .. } => {
                writeln!(out, "trace of {}", coordinator.escape_debug())
            }
            Event::Opened {
                time,
                connection,
                peer,
            } => {
                let (time, peer) = (Seconds(*time), peer.escape_debug());
                writeln!(out, "{time:>13} #{connection} opened by {peer}")
            }
            Event::Lost {
                time,
                connection,
                direction,
                bytes,
            } => {
                let (time, arrow) = (Seconds(*time), direction.arrow());
                writeln!(
                    out,
                    "{time:>13} #{connection} {arrow} {bytes} bytes are not recorded: too fast"
                )
            }
            Event::Ended {
                time,
                connection,
                direction,
                error,
            } => {
                let (time, arrow) = (Seconds(*time), direction.arrow());
                let error = error
                    .as_deref()
                    .map(|error| format!(": {}", error.escape_debug()));
                let error = error.unwrap_or_default();
                writeln!(out, "{time:>13} #{connection} {arrow} end{error}")
            }
            Event::Closed { time, connection } => {
                writeln!(out, "{:>13} #{connection} closed", Seconds(*time))
            }
            Event::Data { .. } => Ok(()),
        }
    }
}

/// Bytes in rows of 16, with their offsets and characters.
struct Rows<'a>(&'a [u8]);

impl fmt::Display for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, row) in self.0.chunks(16).enumerate() {
            let mut digits = String::new();
            let mut text = String::new();
            for &byte in row {
                digits.push_str(&format!("{byte:02x} "));
                let printable = byte == b' ' || byte.is_ascii_graphic();
                text.push(if printable { char::from(byte) } else { '.' });
            }
            writeln!(f, "{:>7}  {digits:<48} {text}", index * 16)?;
        }
        Ok(())
    }
}
