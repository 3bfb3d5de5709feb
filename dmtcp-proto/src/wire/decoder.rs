//! Bytes, split anywhere, to frames.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::{Buf as _, Bytes};

use super::frame::Frame;
use super::framing::{Extent, Framing, Limits};
use super::header;
use crate::dialect::{Candidates, Dialect, Layout};
use crate::error::DecodeError;

/// Cuts a stream into frames.
///
/// Once all whole frames are taken it holds at most one incomplete one. Its memory grows with the
/// bytes that have arrived, never with what a header announces, and is at most 4 KiB while nothing
/// waits. A payload has memory of its own, at most twice its size: whoever keeps it keeps nothing
/// of what arrived beside it. After an error the stream is dead and every later call repeats the
/// error.
///
/// ```
/// use dmtcp_proto::{Decoder, Dialect, Frame, Limits, encode};
/// let mut bytes = bytes::BytesMut::new();
/// encode(Dialect::V5, &Frame::default(), &mut bytes)?;
///
/// let mut decoder = Decoder::new(Dialect::V5, Limits::default());
/// decoder.feed(&bytes[..100]);
/// assert_eq!(decoder.next_frame(), Ok(None));
/// decoder.feed(&bytes[100..]);
/// assert_eq!(decoder.next_frame(), Ok(Some(Frame::default())));
/// # Ok::<(), dmtcp_proto::EncodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    framing: Framing,
    /// What waits begins at `start`; in front of it are frames that have been taken.
    buffer: Vec<u8>,
    start: usize,
    dead: Option<DecodeError>,
}

/// An empty buffer keeps so much room; a larger payload is not copied out of a buffer of its own.
const SMALL: usize = 4096;

impl Decoder {
    /// A decoder for a peer whose dialect is known.
    #[must_use]
    pub fn new(dialect: Dialect, limits: Limits) -> Self {
        Self::of(Candidates::from(dialect), limits)
    }

    /// A decoder for a peer of any dialect: the first header tells its layout.
    ///
    /// What the numbers mean is then still open; see [`candidates`](Self::candidates).
    #[must_use]
    pub fn detecting(limits: Limits) -> Self {
        Self::of(Candidates::all(), limits)
    }

    fn of(candidates: Candidates, limits: Limits) -> Self {
        Self {
            framing: Framing::new(candidates, limits),
            buffer: Vec::new(),
            start: 0,
            dead: None,
        }
    }

    /// Other limits for what comes next.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.framing.limits = limits;
    }

    /// The dialects whose headers fit what has arrived so far.
    #[must_use]
    pub fn candidates(&self) -> Candidates {
        self.framing.candidates
    }

    /// Bytes that wait to be taken, or for the rest of their frame.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Takes bytes from the peer.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.dead.is_none() {
            self.make_room();
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next whole frame; `None` until more bytes arrive.
    ///
    /// # Errors
    ///
    /// Bad magic, a header length that fits no candidate, or a payload over the limit; now and at
    /// every later call.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, DecodeError> {
        self.next_frame_from(&mut &[][..])
    }

    /// The next whole frame of a stream that goes on with `input`, which then begins behind it.
    /// `None`: all of `input` was taken in, and more bytes are needed.
    ///
    /// The same as to [`feed`](Self::feed) all of `input` and take one frame, but what lies whole
    /// in `input` is read there and never copied into the decoder, which is much faster.
    ///
    /// ```
    /// # use dmtcp_proto::{Decoder, Dialect, Frame, Limits, encode};
    /// # let mut bytes = bytes::BytesMut::new();
    /// # encode(Dialect::V5, &Frame::default(), &mut bytes)?;
    /// # encode(Dialect::V5, &Frame::default(), &mut bytes)?;
    /// let mut decoder = Decoder::new(Dialect::V5, Limits::default());
    /// let mut input = &bytes[..300];
    /// assert_eq!(decoder.next_frame_from(&mut input)?, Some(Frame::default()));
    /// assert_eq!(input.len(), 300 - Dialect::V5.header_len());
    /// assert_eq!(decoder.next_frame_from(&mut input)?, None);
    /// assert_eq!((input.len(), decoder.pending()), (0, 92));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As of [`next_frame`](Self::next_frame).
    pub fn next_frame_from(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, DecodeError> {
        if let Some(error) = &self.dead {
            return Err(error.clone());
        }
        if self.pending() > 0 {
            return self.complete(input);
        }
        if input.is_empty() {
            return Ok(None);
        }
        match self.framing.layout {
            Some(layout) => self.read(input, layout),
            None => self.complete(input),
        }
    }

    /// The frame at the start of `input`, while nothing waits.
    #[inline(always)]
    fn read(&mut self, input: &mut &[u8], layout: &Layout) -> Result<Option<Frame>, DecodeError> {
        match layout.len {
            136 => self.read_as::<136>(input),
            144 => self.read_as::<144>(input),
            _ => self.read_as::<208>(input),
        }
    }

    /// The same for headers of one length, whose offsets are constants then. Not inlined, so that
    /// it builds the frame where the caller wants it: to move one takes as long as to read one.
    #[inline(never)]
    fn read_as<const LEN: usize>(
        &mut self,
        input: &mut &[u8],
    ) -> Result<Option<Frame>, DecodeError> {
        let layout = const { header::layout::<LEN>() };
        match self.framing.measure_as(input, layout) {
            Ok(Extent::Whole {
                header,
                payload,
                behind,
                ..
            }) => {
                *input = behind;
                let payload = match payload {
                    [] => Bytes::new(),
                    _ => Bytes::from(Box::<[u8]>::from(payload)),
                };
                Ok(Some(Frame {
                    header: header::read(header, layout),
                    payload,
                }))
            }
            Ok(Extent::AtLeast(_)) => {
                self.buffer.extend_from_slice(input);
                *input = &[];
                Ok(None)
            }
            Err(error) => Err(self.die(error)),
        }
    }

    /// The frame whose beginning waits, or the first of all: takes from `input` only what that lacks.
    #[inline(never)]
    fn complete(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, DecodeError> {
        loop {
            let waiting = self.buffer.get(self.start..).unwrap_or_default();
            let lacks = match self.framing.measure(waiting) {
                Ok(Extent::Whole {
                    layout,
                    payload,
                    behind,
                    ..
                }) => {
                    let alone = self.start == 0 && behind.is_empty();
                    let large = payload.len() > SMALL && self.buffer.capacity() / 2 < payload.len();
                    return match alone && large {
                        true => self.hand_over(layout),
                        false => self.cut(layout),
                    };
                }
                Ok(Extent::AtLeast(len)) => len.saturating_sub(waiting.len()),
                Err(error) => return Err(self.die(error)),
            };
            if input.is_empty() {
                return Ok(None);
            }
            let (first, rest) = input.split_at(lacks.min(input.len()));
            self.make_room();
            if self.buffer.capacity() - self.buffer.len() < first.len() {
                // For this frame and no more, so that a large payload can have the buffer.
                let all = self.buffer.len().saturating_add(lacks);
                let room = self.buffer.capacity().saturating_mul(2).min(all);
                let more = room.saturating_sub(self.buffer.len());
                self.buffer.reserve_exact(more.max(first.len()));
            }
            self.buffer.extend_from_slice(first);
            *input = rest;
        }
    }

    /// The whole frame that waits, which is large and alone: its payload keeps the buffer.
    fn hand_over(&mut self, layout: &Layout) -> Result<Option<Frame>, DecodeError> {
        let mut payload = Bytes::from(core::mem::take(&mut self.buffer));
        let header = header::read(&payload, layout);
        payload.advance(layout.len);
        Ok(Some(Frame { header, payload }))
    }

    /// The whole frame that waits.
    #[inline(never)]
    fn cut(&mut self, layout: &Layout) -> Result<Option<Frame>, DecodeError> {
        let buffer = core::mem::take(&mut self.buffer);
        let mut waiting = buffer.get(self.start..).unwrap_or_default();
        self.start = 0;
        let frame = self.read(&mut waiting, layout);
        if !waiting.is_empty() {
            self.start = buffer.len() - waiting.len();
            self.buffer = buffer;
        } else if buffer.capacity() <= SMALL {
            self.buffer = buffer;
            self.buffer.clear();
        }
        frame
    }

    /// Forgets the frames that have been taken if what waits is shorter: no byte is moved more
    /// often than another was taken, so the time of a stream is linear, however it is split.
    fn make_room(&mut self) {
        if self.start > 0 && self.start >= self.pending() {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
    }

    #[cold]
    fn die(&mut self, error: DecodeError) -> DecodeError {
        self.buffer = Vec::new();
        self.start = 0;
        self.dead = Some(error.clone());
        error
    }
}
