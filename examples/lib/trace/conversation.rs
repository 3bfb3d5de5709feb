//! Both directions of one connection, decoded: which dialect, which frames, what is left over.

use bytes::{Buf as _, Bytes, BytesMut};
use dmtcp_proto::{Candidates, Decoder, Dialect, Frame, Kind, Limits};

use super::event::Direction;

/// Every header of every dialect begins like this.
const MAGIC: &[u8] = b"DMTCP_CKPT_V0\n\0";

/// A piece of what went one way.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "made for one example")]
pub enum Item {
    /// A whole frame.
    Frame {
        /// What it can be in.
        dialects: Candidates,
        /// The frame.
        frame: Frame,
    },
    /// Bytes that are no frame.
    Raw {
        /// The bytes.
        bytes: Bytes,
        /// Why; `None`: as those before.
        why: Option<String>,
    },
}

/// What is known of one connection.
///
/// The client's first messages narrow its dialect, and what the coordinator answers does. Once
/// bytes are no frame, everything is raw up to a piece that begins like a frame.
#[derive(Debug)]
pub struct Conversation {
    forced: Option<Dialect>,
    limits: Limits,
    candidates: Candidates,
    /// Number of the client's first message.
    first: Option<u32>,
    client: Side,
    coordinator: Side,
}

#[derive(Debug)]
struct Side {
    decoder: Option<Decoder>,
    /// Bytes of the frame that is not whole yet: the decoder does not give them back.
    held: BytesMut,
}

impl Conversation {
    /// One of which nothing is known but the dialect, if it is forced.
    #[must_use]
    pub fn new(forced: Option<Dialect>, limits: Limits) -> Self {
        let side = || Side {
            decoder: Some(decoder(forced, limits)),
            held: BytesMut::new(),
        };
        Self {
            forced,
            limits,
            candidates: forced.map_or_else(Candidates::all, Candidates::from),
            first: None,
            client: side(),
            coordinator: side(),
        }
    }

    /// Takes bytes that went one way, and gives what is whole now.
    pub fn take(&mut self, direction: Direction, bytes: &[u8]) -> Vec<Item> {
        let fresh = decoder(self.forced, self.limits);
        let side = self.side(direction);
        if side.decoder.is_none() && bytes.starts_with(MAGIC) {
            side.decoder = Some(fresh);
        }
        let Some(decoder) = &mut side.decoder else {
            let bytes = Bytes::copy_from_slice(bytes);
            return vec![Item::Raw { bytes, why: None }];
        };
        decoder.feed(bytes);
        side.held.extend_from_slice(bytes);
        let mut items = Vec::new();
        loop {
            let side = self.side(direction);
            let Some(decoder) = &mut side.decoder else {
                return items;
            };
            match decoder.next_frame() {
                Ok(None) => return items,
                Ok(Some(frame)) => {
                    let header = decoder.candidates();
                    side.held.advance(side.held.len() - decoder.pending());
                    if side.held.is_empty() {
                        side.held = BytesMut::new();
                    }
                    let dialects = self.narrow(direction, header, &frame);
                    items.push(Item::Frame { dialects, frame });
                }
                Err(error) => items.extend(self.give_up(direction, &error.to_string())),
            }
        }
    }

    /// Shows what is held of an incomplete frame as it is, and decodes no more of what follows.
    pub fn give_up(&mut self, direction: Direction, why: &str) -> Option<Item> {
        let side = self.side(direction);
        side.decoder = None;
        let bytes = std::mem::take(&mut side.held).freeze();
        let why = Some(why.to_owned());
        (!bytes.is_empty()).then_some(Item::Raw { bytes, why })
    }

    /// Bytes held of incomplete frames.
    #[must_use]
    pub fn held(&self) -> usize {
        self.client.held.len() + self.coordinator.held.len()
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::ToCoordinator => &mut self.client,
            Direction::ToClient => &mut self.coordinator,
        }
    }

    /// The dialects of a frame; what it says of its connection's is remembered.
    fn narrow(&mut self, direction: Direction, header: Candidates, frame: &Frame) -> Candidates {
        let Some(known) = both(self.candidates, header) else {
            // The two sides do not speak the same: each is shown in its own.
            return match direction {
                Direction::ToCoordinator => header,
                Direction::ToClient => self.answers(header, frame).unwrap_or(header),
            };
        };
        let narrowed = match direction {
            Direction::ToCoordinator => {
                let narrowed = match self.first {
                    _ if known.only().is_some() => known,
                    None => known.narrow_by_first(frame),
                    Some(_) => known.narrow_by_later(frame),
                };
                self.first.get_or_insert(frame.header.kind);
                narrowed.iter().next().map(|_| narrowed)
            }
            Direction::ToClient => self.answers(known, frame),
        };
        if let Some(narrowed) = narrowed {
            self.candidates = narrowed;
            return narrowed;
        }
        // In none of them can it stand here. Perhaps in another one of the same header can it.
        match direction {
            Direction::ToCoordinator => known,
            Direction::ToClient => self.answers(header, frame).unwrap_or(known),
        }
    }

    /// Those in which a coordinator can say this on this connection.
    fn answers(&self, candidates: Candidates, frame: &Frame) -> Option<Candidates> {
        let possible = candidates.iter().filter(|dialect| {
            let kind = dialect.kind(frame.header.kind);
            let asked = |first| dialect.kind(first) == Kind::UserCommand;
            let fits = self
                .first
                .is_none_or(|first| asked(first) == (kind == Kind::UserResult));
            fits && !only_clients_send(kind)
        });
        some(possible.collect())
    }
}

fn decoder(forced: Option<Dialect>, limits: Limits) -> Decoder {
    match forced {
        Some(dialect) => Decoder::new(dialect, limits),
        None => Decoder::detecting(limits),
    }
}

fn some(candidates: Candidates) -> Option<Candidates> {
    candidates.iter().next().map(|_| candidates)
}

fn both(one: Candidates, other: Candidates) -> Option<Candidates> {
    some(
        one.iter()
            .filter(|&dialect| other.contains(dialect))
            .collect(),
    )
}

fn only_clients_send(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Null
            | Kind::NewWorker
            | Kind::NameServiceWorker
            | Kind::RestartWorker
            | Kind::ProcessAfterFork
            | Kind::ProcessAfterExec
            | Kind::GetCheckpointDir
            | Kind::SetCheckpointDir
            | Kind::CheckpointFile
            | Kind::UniqueCheckpointFile
            | Kind::UserCommand
            | Kind::Barrier
            | Kind::WorkerResuming
            | Kind::KeyValueRequest
            | Kind::SetGlobalCheckpointDir
            | Kind::Ok
            | Kind::NameServiceRegister
            | Kind::NameServiceRegisterSync
            | Kind::NameServiceQuery
            | Kind::NameServiceUniqueIdQuery
            | Kind::Unknown(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{ToClient, ToCoordinator};
    use dmtcp_proto::encode;

    fn frame(kind: u32, payload: &'static [u8]) -> Vec<u8> {
        frame_of(Dialect::V3, kind, payload)
    }

    /// Dialects with the same header write the same bytes.
    fn frame_of(dialect: Dialect, kind: u32, payload: &'static [u8]) -> Vec<u8> {
        let mut frame = Frame::default();
        frame.header.kind = kind;
        frame.payload = Bytes::from_static(payload);
        let mut bytes = BytesMut::new();
        encode(dialect, &frame, &mut bytes).unwrap();
        bytes.to_vec()
    }

    fn conversation() -> Conversation {
        Conversation::new(None, Limits::default().max_payload(1000))
    }

    /// Dialects and kinds of what one piece of data shows.
    fn shown(items: Vec<Item>) -> Vec<String> {
        let word = |item: Item| match item {
            Item::Frame { dialects, frame } => {
                let words: Vec<String> = dialects.iter().map(|d| format!("{d:?}")).collect();
                format!("{} {}", words.join("|"), frame.header.kind)
            }
            Item::Raw { bytes, why } => format!("raw {} {}", bytes.len(), why.unwrap_or_default()),
        };
        items.into_iter().map(word).collect()
    }

    #[test]
    fn a_worker_is_open_until_its_second_message() {
        let mut talk = conversation();
        assert_eq!(shown(talk.take(ToCoordinator, &frame(1, b""))), ["V3|V5 1"]);
        assert_eq!(shown(talk.take(ToClient, &frame(4, b""))), ["V3|V5 4"]);
        let second = frame(10, b"program\0");
        assert_eq!(shown(talk.take(ToCoordinator, &second)), ["V5 10"]);
        assert_eq!(shown(talk.take(ToClient, &frame(18, b""))), ["V5 18"]);
    }

    #[test]
    fn the_two_with_144_bytes_are_told_apart_by_what_only_one_says() {
        let frame = |kind, payload| frame_of(Dialect::V2_5, kind, payload);
        let mut talk = conversation();
        let hello = talk.take(ToCoordinator, &frame(1, b""));
        assert_eq!(shown(hello), ["V2_5|V2_6 1"]);
        assert_eq!(shown(talk.take(ToClient, &frame(4, b""))), ["V2_5|V2_6 4"]);
        let started = frame(9, b"program\0");
        assert_eq!(shown(talk.take(ToCoordinator, &started)), ["V2_5|V2_6 9"]);
        assert_eq!(
            shown(talk.take(ToCoordinator, &frame(37, b""))),
            ["V2_6 37"]
        );
        assert_eq!(shown(talk.take(ToClient, &frame(23, b""))), ["V2_6 23"]);
        let mut old = conversation();
        let hello = old.take(ToCoordinator, &frame_of(Dialect::V2_4, 1, b""));
        assert_eq!(shown(hello), ["V2_4 1"]);
    }

    #[test]
    fn an_answer_narrows_as_well() {
        let mut talk = conversation();
        talk.take(ToCoordinator, &frame(1, b""));
        // In V5 this number is the answer to a command, which this client did not give.
        assert_eq!(shown(talk.take(ToClient, &frame(17, b""))), ["V3 17"]);
        assert_eq!(shown(talk.take(ToCoordinator, &frame(18, b""))), ["V3 18"]);
    }

    #[test]
    fn each_side_is_shown_in_its_own_dialect() {
        let mut talk = conversation();
        assert_eq!(shown(talk.take(ToCoordinator, &frame(16, b""))), ["V5 16"]);
        let mut wrong = conversation();
        assert_eq!(shown(wrong.take(ToCoordinator, &frame(15, b""))), ["V3 15"]);
        // Nothing a coordinator of that dialect sends.
        assert_eq!(shown(wrong.take(ToClient, &frame(22, b""))), ["V5 22"]);
    }

    #[test]
    fn frames_are_whole_however_they_are_cut() {
        let stream = [frame(15, b""), frame(15, b"")].concat();
        for cut in 0..=stream.len() {
            let mut talk = conversation();
            let mut items = talk.take(ToCoordinator, &stream[..cut]);
            items.extend(talk.take(ToCoordinator, &stream[cut..]));
            assert_eq!(shown(items), ["V3 15", "V3 15"], "cut at {cut}");
            assert_eq!(talk.held(), 0);
        }
    }

    #[test]
    fn garbage_is_raw_and_the_other_side_goes_on() {
        let mut talk = conversation();
        let why = "bad magic: the peer does not speak DMTCP's protocol";
        let garbage = talk.take(ToCoordinator, b"GET / HTTP/1.1");
        assert_eq!(shown(garbage), [format!("raw 14 {why}")]);
        assert_eq!(shown(talk.take(ToCoordinator, b"more")), ["raw 4 "]);
        assert_eq!(shown(talk.take(ToClient, &frame(4, b""))), ["V3|V5 4"]);
        // A piece that begins like a frame is one.
        assert_eq!(shown(talk.take(ToCoordinator, &frame(15, b""))), ["V3 15"]);

        let mut talk = conversation();
        let mut both = frame(15, b"");
        both.extend_from_slice(b"DMTCP?");
        let items = shown(talk.take(ToCoordinator, &both));
        assert_eq!(items, ["V3 15".to_owned(), format!("raw 6 {why}")]);
    }

    #[test]
    fn no_more_is_held_than_the_limit() {
        let mut talk = conversation();
        let mut large = frame(15, b"");
        large[92..96].copy_from_slice(&1001u32.to_le_bytes());
        let items = shown(talk.take(ToCoordinator, &large));
        assert_eq!(
            items,
            ["raw 208 payload of 1001 bytes is over the limit of 1000"]
        );
        assert_eq!(talk.held(), 0);

        let mut talk = conversation();
        large[92..96].copy_from_slice(&1000u32.to_le_bytes());
        assert!(talk.take(ToCoordinator, &large).is_empty());
        assert_eq!(talk.held(), 208);
        assert_eq!(
            shown(talk.give_up(ToCoordinator, "end").into_iter().collect()),
            ["raw 208 end"]
        );
        assert!(talk.give_up(ToCoordinator, "end").is_none());
    }

    #[test]
    fn a_forced_dialect_is_not_doubted() {
        let mut talk = Conversation::new(Some(Dialect::V5), Limits::default());
        assert_eq!(shown(talk.take(ToCoordinator, &frame(15, b""))), ["V5 15"]);
        assert_eq!(shown(talk.take(ToClient, &frame(16, b""))), ["V5 16"]);
    }
}
