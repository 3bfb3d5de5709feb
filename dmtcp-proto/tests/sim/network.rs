//! Connections: what is under way in both directions, in order within each.

use bytes::{Bytes, BytesMut};
use dmtcp_proto::{Decoder, Dialect, Limits, Message, WorkerState, encode};
use std::collections::VecDeque;

/// One whole message under way; without a meaning if it is noise.
#[derive(Clone)]
pub(crate) struct Packet {
    pub(crate) bytes: Bytes,
    pub(crate) message: Option<Message>,
}

impl std::fmt::Debug for Packet {
    /// The bytes follow from the message.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.message {
            Some(message) => message.fmt(f),
            None => self.bytes.fmt(f),
        }
    }
}

/// Who connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Process(usize),
    Tool(usize),
    Stranger,
}

/// One connection to the coordinator.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) owner: Owner,
    pub(crate) dialect: Dialect,
    pub(crate) up: VecDeque<Packet>,
    /// How much of the first message the coordinator already has.
    pub(crate) fed: usize,
    pub(crate) down: VecDeque<Packet>,
    /// The state in the last message that reached the coordinator.
    pub(crate) state: WorkerState,
    /// The peer has ended it; the coordinator learns that behind what is under way.
    pub(crate) hung_up: bool,
    /// The coordinator has ended it, or knows of its end.
    pub(crate) closed: bool,
}

impl Link {
    pub(crate) fn new(owner: Owner, dialect: Dialect) -> Self {
        Self {
            owner,
            dialect,
            up: VecDeque::new(),
            fed: 0,
            down: VecDeque::new(),
            state: WorkerState::Unknown,
            hung_up: false,
            closed: false,
        }
    }

    /// Whether the coordinator has something to read, be it the end. What was under way when it
    /// ended the connection may still arrive.
    pub(crate) fn has_up(&self) -> bool {
        !self.up.is_empty() || self.hung_up && !self.closed
    }

    /// The same for the peer.
    pub(crate) fn has_down(&self) -> bool {
        !self.hung_up && (!self.down.is_empty() || self.closed)
    }

    /// The state in the last message that was sent.
    pub(crate) fn sent_state(&self) -> WorkerState {
        let states = self.up.iter().rev();
        let mut states = states.filter_map(|packet| packet.message.as_ref());
        states.next().map_or(self.state, |message| message.state)
    }
}

pub(crate) fn packet(dialect: Dialect, message: Message) -> Packet {
    let mut bytes = BytesMut::new();
    let frame = message.to_frame(dialect).expect("our own message");
    encode(dialect, &frame, &mut bytes).expect("our own message");
    Packet {
        bytes: bytes.freeze(),
        message: Some(message),
    }
}

/// What was sent at once, message by message; `None` if it is not whole messages of this dialect.
pub(crate) fn packets(dialect: Dialect, bytes: &[u8]) -> Option<Vec<Packet>> {
    let mut decoder = Decoder::new(dialect, Limits::default());
    decoder.feed(bytes);
    let (mut all, mut start) = (Vec::new(), 0);
    while let Some(frame) = decoder.next_frame().ok()? {
        let end = bytes.len() - decoder.pending();
        all.push(Packet {
            bytes: Bytes::copy_from_slice(&bytes[start..end]),
            message: Some(Message::parse(dialect, &frame).ok()?),
        });
        start = end;
    }
    (decoder.pending() == 0).then_some(all)
}
