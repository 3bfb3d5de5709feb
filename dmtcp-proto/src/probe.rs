//! Asking a coordinator which dialect it speaks, as steps.
//!
//! A [`Probing`] says what to do next ([`ProbeStep`]) and is told what came back. Nothing it sends
//! ends a coordinator of 2.5.1 or later; what that means for the older ones, and why the order is
//! the one it is, stands in `docs/PROTOCOL.md`, "Asking a coordinator without harm". It does not
//! connect, wait or know the time: drivers do.

use bytes::{Bytes, BytesMut};

use crate::command::{Status, Verb};
use crate::dialect::{Candidates, Dialect};
use crate::error::{DecodeError, EncodeError};
use crate::ids::UniquePid;
use crate::kind::Kind;
use crate::message::{Body, CommandStatus, Message, UserCommand, UserResult};
use crate::wire::{Decoder, Frame, Limits, encode};

/// A status request for coordinators whose dialect is not known.
///
/// All are 208 bytes and must go out in one write, on a connection that stays open until the answer
/// or its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Probe {
    /// 2.5.1 to 4.2.0 answer; the development head closes without a word. **2.4.0 to 2.5.0 end.**
    From2_5_1,
    /// 2.4.0 to 2.5.0 and 3.0.0 to 4.2.0 answer; the development head closes without a word.
    /// **2.5.1 to 2.6.0 end.**
    From2_4,
    /// The development head answers, and 4.x closes. **Everything before 4.0.0 ends**: only for
    /// who has closed upon one of the others.
    Head,
}

impl Probe {
    /// The bytes to send.
    ///
    /// The first two are a request of `V3` laid over an older one: each stands in bytes that the
    /// readers of the other do not look at.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if a table lacks the status request; none does.
    pub fn bytes(self) -> Result<Bytes, EncodeError> {
        let status = |dialect: Dialect| {
            let command = Body::UserCommand(UserCommand::new(Verb::Status));
            Message::new(UniquePid::NULL, command).to_frame(dialect)
        };
        let older = match self {
            Self::Head => return bytes_of(Dialect::V5, &status(Dialect::V5)?).map(Bytes::from),
            Self::From2_5_1 => status(Dialect::V2_5)?,
            Self::From2_4 => {
                // 2.4 reads the kind only; the longer header is what was tried.
                let mut frame = status(Dialect::V2_5)?;
                frame.header.kind = status(Dialect::V2_4)?.header.kind;
                frame
            }
        };
        let mut bytes = bytes_of(Dialect::V3, &status(Dialect::V3)?)?;
        for (byte, under) in bytes.iter_mut().zip(bytes_of(Dialect::V2_5, &older)?) {
            // Where both have something it is the magic, the same in all.
            *byte |= under;
        }
        Ok(bytes.freeze())
    }

    /// The dialects to which this is a status request.
    #[must_use]
    pub fn asks(self) -> Candidates {
        let dialects: &[Dialect] = match self {
            Self::From2_5_1 => &[Dialect::V2_5, Dialect::V2_6, Dialect::V3],
            Self::From2_4 => &[Dialect::V2_4, Dialect::V3],
            Self::Head => &[Dialect::V5],
        };
        dialects.iter().copied().collect()
    }

    /// The releases that end upon it, in words, as far as somebody who does not know may meet them.
    fn ends(self) -> &'static str {
        match self {
            Self::From2_5_1 => "2.4.0 to 2.5.0",
            Self::From2_4 => "2.5.1 to 2.6.0",
            Self::Head => "before 4.0.0",
        }
    }
}

/// What the driver has to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a driver that forgets one must not compile"
)]
pub enum ProbeStep {
    /// Open a connection to the coordinator ([`Probing::refused`] if nobody listens); drop the
    /// one before, if any.
    Connect,
    /// Send all of these bytes in one write, then ask for the next step.
    Send(Bytes),
    /// Wait for bytes ([`Probing::received`]) or the end of the connection
    /// ([`Probing::closed`]), then ask for the next step.
    Receive,
    /// Drop the connection; this is the outcome. Repeated at every later call.
    Done(Result<Probed, ProbeError>),
}

/// What a coordinator's answer to a probe tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probed {
    /// The dialects that it can be speaking; never empty. More than one where its answers to
    /// commands are the same in all of them: 2.5 and 2.6.
    pub candidates: Candidates,
    /// One of them. To ask in, any will do.
    pub dialect: Dialect,
    /// The coordinator's own id. It changes when the coordinator is started again.
    pub coordinator: UniquePid,
    /// The status, which was asked for on the way. `None`: it is killing its workers and says
    /// nothing else.
    pub status: Option<Status>,
}

/// A coordinator's dialect could not be learnt by asking.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Nobody listens.
    #[error("nobody listens there")]
    NobodyListens,
    /// It closed upon the probe, and nobody listens behind that.
    #[error(
        "nobody listens any more behind the question for the dialect: that has most likely ended a \
         coordinator of {releases}, and its computation; name the dialect of such coordinators"
    )]
    Ended {
        /// Those that end upon the question.
        releases: &'static str,
    },
    /// It closed upon everything that may be sent without knowing more.
    #[error(
        "the peer answered no question: it is no coordinator, is about to end, or was one of \
         {releases}, which end upon the question for the dialect; name the dialect of such \
         coordinators"
    )]
    NoAnswer {
        /// Those that end upon the question.
        releases: &'static str,
    },
    /// The connection ended in the middle of the answer.
    #[error("the peer closed the connection after {received} bytes of an answer")]
    CutOff {
        /// Bytes that had come.
        received: usize,
    },
    /// What came is no message of any dialect.
    #[error("what the peer sent is no message of a known dialect: it is no coordinator")]
    Foreign(#[source] DecodeError),
    /// A message, but no answer to a status request.
    #[error(
        "the peer sent message {kind} in {header_len} bytes, which is no answer: is it a coordinator?"
    )]
    Unexpected {
        /// Its number.
        kind: u32,
        /// Length of its header.
        header_len: usize,
    },
    /// It answered and did not say the status.
    #[error("the coordinator answered a status request with status {status}")]
    Refused {
        /// The number.
        status: i32,
    },
    /// An unreleased build between 4.2.0 and the development head.
    #[error(
        "the coordinator is an unreleased build that numbers messages as 4.2.0 and commands as \
         5.0; only its own dmtcp_command can speak to it"
    )]
    Mixture,
    /// A table lacks the request.
    #[error("the question cannot be said")]
    Encode(#[source] EncodeError),
}

/// The way from a connection to a dialect: the probe, and behind a silent end the request of the
/// development head.
///
/// ```
/// use dmtcp_proto::{Probe, ProbeStep, Probing};
/// let mut probing = Probing::new(Probe::From2_5_1);
/// assert_eq!(probing.step(), ProbeStep::Connect);
/// assert!(matches!(probing.step(), ProbeStep::Send(bytes) if bytes.len() == 208));
/// assert_eq!(probing.step(), ProbeStep::Receive);
/// probing.closed();
/// assert_eq!(probing.step(), ProbeStep::Connect);
/// ```
#[derive(Debug)]
pub struct Probing {
    first: Probe,
    probe: Probe,
    stage: Stage,
    decoder: Decoder,
    received: usize,
}

#[derive(Debug)]
enum Stage {
    Connect,
    Send,
    Receive,
    Done(Result<Probed, ProbeError>),
}

impl Probing {
    /// One that has not begun, and begins with `probe`.
    #[must_use]
    pub fn new(probe: Probe) -> Self {
        Self {
            first: probe,
            probe,
            stage: Stage::Connect,
            decoder: decoder(),
            received: 0,
        }
    }

    /// What to do next. [`ProbeStep::Connect`] and [`ProbeStep::Send`] count as done once
    /// returned.
    pub fn step(&mut self) -> ProbeStep {
        match &self.stage {
            Stage::Connect => {
                self.stage = Stage::Send;
                ProbeStep::Connect
            }
            Stage::Send => match self.probe.bytes() {
                Ok(bytes) => {
                    self.stage = Stage::Receive;
                    ProbeStep::Send(bytes)
                }
                Err(error) => {
                    self.stage = Stage::Done(Err(ProbeError::Encode(error)));
                    self.step()
                }
            },
            Stage::Receive => ProbeStep::Receive,
            Stage::Done(result) => ProbeStep::Done(result.clone()),
        }
    }

    /// Nobody listens: the connection that was asked for was refused.
    pub fn refused(&mut self) {
        if matches!(self.stage, Stage::Send) {
            let error = if self.probe == self.first {
                ProbeError::NobodyListens
            } else {
                ProbeError::Ended {
                    releases: self.first.ends(),
                }
            };
            self.stage = Stage::Done(Err(error));
        }
    }

    /// Takes bytes from the coordinator; any split. Ignored unless the step is to receive.
    pub fn received(&mut self, bytes: &[u8]) {
        if !matches!(self.stage, Stage::Receive) {
            return;
        }
        self.received += bytes.len();
        self.decoder.feed(bytes);
        match self.decoder.next_frame() {
            Ok(None) => {}
            Ok(Some(frame)) => self.stage = Stage::Done(self.answered(&frame)),
            Err(error) => self.stage = Stage::Done(Err(ProbeError::Foreign(error))),
        }
    }

    /// The connection ended, in whatever way, or broke while sending.
    pub fn closed(&mut self) {
        if !matches!(self.stage, Stage::Receive) {
            return;
        }
        let releases = self.first.ends();
        self.stage = match (self.received, self.probe) {
            (0, Probe::Head) => Stage::Done(Err(ProbeError::NoAnswer { releases })),
            (0, _) => {
                self.probe = Probe::Head;
                self.decoder = decoder();
                Stage::Connect
            }
            (received, _) => Stage::Done(Err(ProbeError::CutOff { received })),
        };
    }

    fn answered(&self, frame: &Frame) -> Result<Probed, ProbeError> {
        let asked = self.probe.asks();
        let candidates: Candidates = self
            .decoder
            .candidates()
            .iter()
            .filter(|&dialect| match dialect.kind(frame.header.kind) {
                Kind::UserResult => asked.contains(dialect),
                // To one that kills its workers all are workers but who asks in its own dialect.
                Kind::KillPeer => !asked.contains(dialect),
                _ => false,
            })
            .collect();
        let Some(dialect) = candidates.iter().next() else {
            let any = self.decoder.candidates().iter().next();
            return Err(ProbeError::Unexpected {
                kind: frame.header.kind,
                header_len: any.map_or(0, Dialect::header_len),
            });
        };
        let message = Message::parse(dialect, frame).map_err(ProbeError::Foreign)?;
        let status = match message.body {
            Body::UserResult(result) => Some(self.status(dialect, frame, &result)?),
            _ => None,
        };
        Ok(Probed {
            candidates,
            dialect,
            coordinator: message.from,
            status,
        })
    }

    fn status(
        &self,
        dialect: Dialect,
        frame: &Frame,
        result: &UserResult,
    ) -> Result<Status, ProbeError> {
        let repeated = Some(frame.header.verb) == dialect.verb_number(Verb::Status);
        match result.status {
            CommandStatus::Success => {
                Ok(Status::new(result.peers, result.running, result.interval))
            }
            CommandStatus::Invalid if repeated && !dialect.reply_echoes_verb() => {
                Err(ProbeError::Mixture)
            }
            _ => Err(ProbeError::Refused {
                status: frame.header.status,
            }),
        }
    }
}

/// Answers to a status request carry nothing behind the header.
fn decoder() -> Decoder {
    Decoder::detecting(Limits::default().max_payload(0))
}

fn bytes_of(dialect: Dialect, frame: &Frame) -> Result<BytesMut, EncodeError> {
    let mut bytes = BytesMut::new();
    encode(dialect, frame, &mut bytes)?;
    Ok(bytes)
}
