//! One frame in words: as a line, as JSON, as annotated bytes. For people and their tools.
//!
//! Reads headers through the dialect's own table, so that a message nobody has a word for is
//! shown as well: then every field off its default is. Decides nothing and refuses nothing; what a
//! message means to a peer is [`Message`]'s matter.

mod hex;
mod json;
mod line;
mod places;
mod uses;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::fmt;

use crate::dialect::{Candidates, Dialect};
use crate::kind::Kind;
use crate::message::{Body, CommandStatus, KeyValueResponse, Message};
use crate::wire::{Frame, encode};
use places::{Form, Place};

/// A frame that is shown.
///
/// ```
/// use dmtcp_proto::{Body, Dialect, Dump, Message, Name, UniquePid, WorkerState};
/// let barrier = Body::Barrier(Name::new("DMT:SUSPEND")?);
/// let from: UniquePid = "98ff-40000-3c1".parse().unwrap();
/// let message = Message::new(from, barrier).in_state(WorkerState::PreSuspend);
/// let frame = message.to_frame(Dialect::V5)?;
/// let dump = Dump::new(Dialect::V5, &frame);
/// let line = r#"V5 Barrier PRESUSPEND from=98ff-40000-3c1 name="DMT:SUSPEND""#;
/// assert_eq!(dump.line().to_string(), line);
/// # Ok::<(), dmtcp_proto::EncodeError>(())
/// ```
#[derive(Debug)]
pub struct Dump<'a> {
    frame: &'a Frame,
    /// Oldest first, all with the same header; never empty.
    dialects: Vec<Dialect>,
    /// What the frame is in these, each once; never empty.
    kinds: Vec<Kind>,
    /// What it says in the first of them that understands it; else what is wrong with it.
    message: Result<Message, String>,
    places: Vec<Place>,
    header: BytesMut,
    default_header: BytesMut,
}

impl<'a> Dump<'a> {
    /// What `frame` says to a peer of one of these dialects.
    ///
    /// Where they have several headers those with the newest one count, as that of a frame is
    /// known before its dialect is. None at all counts as every dialect.
    #[must_use]
    pub fn new(dialects: impl Into<Candidates>, frame: &'a Frame) -> Self {
        let given = dialects.into();
        let newest = given.iter().last().unwrap_or(Dialect::V5);
        let mut dialects: Vec<Dialect> = given.iter().collect();
        if dialects.is_empty() {
            dialects = Dialect::ALL.to_vec();
        }
        dialects.retain(|dialect| dialect.header_len() == newest.header_len());

        let mut kinds: Vec<Kind> = Vec::new();
        for dialect in &dialects {
            let kind = dialect.kind(frame.header.kind);
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        let mut message = Err(String::new());
        for &dialect in &dialects {
            match Message::parse(dialect, frame) {
                Ok(meaning) => {
                    message = Ok(meaning);
                    break;
                }
                Err(error) => message = Err(error.to_string()),
            }
        }
        let layout = newest.spec().layout;
        let mut header = header_bytes(newest, frame.header.clone());
        let payload_len = u32::try_from(frame.payload.len()).unwrap_or(u32::MAX);
        if let Some(space) = header.get_mut(layout.payload_len_at..layout.payload_len_at + 4) {
            space.copy_from_slice(&payload_len.to_le_bytes());
        }
        Self {
            frame,
            dialects,
            kinds,
            message,
            places: places::of(layout),
            header,
            default_header: header_bytes(newest, crate::wire::Header::default()),
        }
    }

    /// One line without its end: dialect, kind, state, sender, computation, the header fields
    /// that the kind uses, the texts of the payload, and `!` with what is malformed.
    ///
    /// Where the dialect is open the words of all candidates are given, as in `V3|V5`. Texts are
    /// escaped, and cut off with a count of what is missing.
    pub fn line(&self) -> impl fmt::Display {
        Show(self, line::write)
    }

    /// The members of a JSON object, without its braces, so that others can go in front.
    ///
    /// | Member | What it is |
    /// |---|---|
    /// | `dialect` | string: the dialects that are possible, joined by `\|` |
    /// | `kind` | string: the message in each of them, joined by `\|`, with the names of `docs/PROTOCOL.md` |
    /// | `kind_number` | its number on the wire |
    /// | `state` | string: the sender's state, joined likewise |
    /// | `from` | string: the sender, as `<host hex>-<pid>-<time hex>` |
    /// | `group` | string: the computation; `null` if none is named |
    /// | `generation` | the computation's generation; `null` if none is named |
    /// | `fields` | object: the header fields that the kind uses, by their names in `docs/PROTOCOL.md`; those of unknown messages that are off their default. Numbers, or strings for texts, addresses and what has a word (`verb`, `status`, `key_value_code`) |
    /// | `payload_len` | bytes of payload |
    /// | `payload` | object: its texts by name; `data` where it has no known form. Bytes that are not UTF-8 become U+FFFD |
    /// | `problem` | string: what is malformed; `null` if nothing is |
    /// | `hex` | string: every byte of the frame, in hexadecimal |
    pub fn json_members(&self) -> impl fmt::Display {
        Show(self, json::write)
    }

    /// The line, and below it every byte with its offset and the field it belongs to.
    ///
    /// Fields that the kind does not use and that are off their default are marked: stock
    /// senders leave parts of their stack there. Ends with a line end.
    pub fn annotated(&self) -> impl fmt::Display {
        Show(self, hex::write)
    }

    /// Whether the whole frame is known to be of one kind.
    fn kind(&self) -> Option<Kind> {
        match self.kinds[..] {
            [kind] => Some(kind),
            _ => None,
        }
    }

    /// What each dialect calls something, each word once, joined by `|`.
    fn words(&self, word: impl Fn(Dialect) -> String) -> String {
        let mut words: Vec<String> = Vec::new();
        for &dialect in &self.dialects {
            let word = word(dialect);
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words.join("|")
    }

    fn dialect_words(&self) -> String {
        self.words(|dialect| format!("{dialect:?}"))
    }

    fn kind_words(&self) -> String {
        self.words(|dialect| format!("{:?}", dialect.kind(self.frame.header.kind)))
    }

    fn state_words(&self) -> String {
        self.words(|dialect| dialect.state(self.frame.header.state).to_string())
    }

    /// The header fields worth telling, in the order of the header.
    fn fields(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let used = self.places.iter().filter(|place| self.is_used(place));
        used.map(|place| (place.name, self.value(place)))
    }

    /// Whether the kind uses a field; of an unknown one, whether it is off its default.
    fn is_used(&self, place: &Place) -> bool {
        if place.structural {
            return false;
        }
        let Some(names) = self.kind().and_then(uses::header_fields) else {
            return !place.residue && !self.is_default(place);
        };
        // Not every dialect repeats the command in its answer.
        let answer = place.name == "verb" && self.kind() == Some(Kind::UserResult);
        let mut dialects = self.dialects.iter();
        names.contains(&place.name) && (!answer || dialects.all(|d| d.reply_echoes_verb()))
    }

    fn is_default(&self, place: &Place) -> bool {
        place.bytes(&self.header) == place.bytes(&self.default_header)
    }

    /// A field with its word, if it is one that has words.
    fn value(&self, place: &Place) -> Value {
        let word = match place.name {
            "verb" => {
                Some(self.words(|dialect| format!("{:?}", dialect.verb(self.frame.header.verb))))
            }
            "status" => {
                let status = CommandStatus::from_wire(self.frame.header.status);
                Some(format!("{status:?}"))
            }
            "key_value_code" => self.key_value_word(),
            _ => None,
        };
        word.map_or_else(|| place.value(&self.header), Value::Word)
    }

    fn key_value_word(&self) -> Option<String> {
        match &self.message.as_ref().ok()?.body {
            Body::KeyValueRequest(request) => Some(format!("{:?}", request.op)),
            Body::KeyValueResponse(KeyValueResponse::Value(_)) => Some("Value".into()),
            Body::KeyValueResponse(other) => Some(format!("{other:?}")),
            _ => None,
        }
    }

    /// The payload in pieces, each with its name and without the NUL behind it.
    fn pieces(&self) -> Vec<(&'static str, Bytes)> {
        uses::pieces(self.kind(), self.frame)
    }
}

/// A value of a header field.
enum Value {
    Signed(i64),
    Unsigned(u64),
    /// One of a list that the wire numbers, or an address.
    Word(String),
    /// A peer's own words.
    Text(String),
}

impl Place {
    fn value(&self, header: &[u8]) -> Value {
        let bytes = self.bytes(header);
        let unsigned = || {
            bytes
                .iter()
                .rev()
                .fold(0u64, |sum, &byte| sum << 8 | u64::from(byte))
        };
        match self.form {
            Form::Unsigned => Value::Unsigned(unsigned()),
            Form::Signed => Value::Signed(i64::from(unsigned() as u32 as i32)),
            Form::Address => {
                let parts: Vec<String> = bytes.iter().map(u8::to_string).collect();
                Value::Word(parts.join("."))
            }
            Form::Text => {
                let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
                Value::Text(String::from_utf8_lossy(text).into_owned())
            }
        }
    }
}

/// A header alone, as it stands on the wire. Encoding one without a payload cannot fail.
fn header_bytes(dialect: Dialect, header: crate::wire::Header) -> BytesMut {
    let mut bytes = BytesMut::new();
    let payload = Bytes::new();
    let _encoded = encode(dialect, &Frame { header, payload }, &mut bytes);
    bytes
}

/// Something shown by a function of its own.
struct Show<'a>(
    &'a Dump<'a>,
    fn(&Dump<'_>, &mut fmt::Formatter<'_>) -> fmt::Result,
);

impl fmt::Display for Show<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.1)(self.0, f)
    }
}
