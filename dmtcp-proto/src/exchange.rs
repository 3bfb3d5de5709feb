//! One user command as steps.
//!
//! An [`Exchange`] says what to do next ([`Step`]) and is told what came back. It hides that some
//! releases need two connections for one command, and checks that the answer is one. It does not
//! connect, wait or know the time: drivers do, and a coordinator that never answers is theirs.

use alloc::string::String;
use bytes::{Bytes, BytesMut};

use crate::command::{AfterCheckpoint, Checkpointed, Command, Reply, Status, Verb};
use crate::dialect::{Candidates, Dialect};
use crate::error::{CommandError, DecodeError, EncodeError};
use crate::guard;
use crate::ids::UniquePid;
use crate::interval::Interval;
use crate::kind::Kind;
use crate::message::{Body, CommandStatus, Message, UserCommand, UserResult};
use crate::text::Text;
use crate::wire::{Decoder, Frame, Limits, encode};
use crate::worker_list::{self, WorkerListError};

/// What the driver has to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a driver that forgets one must not compile"
)]
pub enum Step {
    /// Open a connection to the coordinator; drop the one before, if any.
    Connect,
    /// Send all of these bytes, then ask for the next step.
    Send(Bytes),
    /// Wait for bytes ([`Exchange::received`]) or the end of the connection
    /// ([`Exchange::closed`]), then ask for the next step.
    Receive,
    /// Drop the connection; this is the outcome. Repeated at every later call.
    Done(Result<Reply, ExchangeError>),
}

/// A command has no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The coordinator understood, and did not carry it out.
    #[error("the coordinator did not carry out the command")]
    Command(#[source] CommandError),
    /// The connection ended without an answer.
    #[error(
        "the coordinator closed the connection without an answer to {verb:?}: it ended, or does \
         not speak {dialect:?}; find out what it speaks before asking again"
    )]
    NoReply {
        /// The dialect we spoke.
        dialect: Dialect,
        /// The command.
        verb: Verb,
    },
    /// The connection ended in the middle of the answer.
    #[error("the coordinator closed the connection after {received} bytes of an answer")]
    CutOff {
        /// Bytes that had come.
        received: usize,
    },
    /// The answer is one of another dialect.
    #[error("the coordinator answered in {found:?}, and was asked in {spoken:?}: ask in {found:?}")]
    WrongDialect {
        /// The dialect we spoke.
        spoken: Dialect,
        /// The dialect it answered in.
        found: Dialect,
    },
    /// The answer is a message, but not an answer.
    #[error(
        "expected the answer to {verb:?} in {dialect:?}, got {found:?}: the peer is no coordinator, \
         or is about to end"
    )]
    Unexpected {
        /// The dialect we spoke.
        dialect: Dialect,
        /// The command.
        verb: Verb,
        /// What came.
        found: Kind,
    },
    /// The answer is to another command.
    #[error("expected the answer to {sent:?}, got one to {answered:?}")]
    WrongVerb {
        /// The command.
        sent: Verb,
        /// The command that was answered.
        answered: Verb,
    },
    /// What came is not a message of this dialect.
    #[error(
        "what the peer sent is no message of {dialect:?}: is it a coordinator of this dialect?"
    )]
    Decode {
        /// The dialect we spoke.
        dialect: Dialect,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// The answer to [`Command::List`] has no list. The status tells how many workers there are.
    #[error(
        "the coordinator told no list of workers in {dialect:?}: 2.4 shows it on its own terminal \
         only; ask for its status instead"
    )]
    NoList {
        /// The dialect we spoke.
        dialect: Dialect,
    },
    /// The list of workers cannot be read.
    #[error("the coordinator's list of workers cannot be read")]
    List(#[source] WorkerListError),
    /// This dialect cannot say the command.
    #[error("the command cannot be said in this dialect")]
    Encode(#[source] EncodeError),
}

/// One user command, from the first connection to the answer.
///
/// What the answer to a checkpoint means depends on the release, and the reply says which:
///
/// | asked for | [`Reply`] | releases |
/// |---|---|---|
/// | [`ReplyAtOnce`](AfterCheckpoint::ReplyAtOnce) | `Started` | all |
/// | [`ReplyWhenDone`](AfterCheckpoint::ReplyWhenDone) | `Checkpointed` | 2.x, 3.0.0, development head, this library's coordinator |
/// | | `Started`: only the start is known | 3.1.0 to 4.2.0 |
/// | [`KillWorkers`](AfterCheckpoint::KillWorkers) | `Checkpointed` | this library's coordinator |
/// | | `Started`: only the start is known | all stock ones |
///
/// Traps of stock coordinators, none of which an exchange can avoid:
///
/// - A refused `KillWorkers` is remembered, and the next checkpoint of anybody kills the workers.
///   2.4 does not even forget it with the computation.
/// - 2.x and 3.0.0 never answer a `ReplyWhenDone` that they refuse, and remember that somebody
///   waits: the exchange ends when the next round of anybody does, or never. Look at the status
///   and ask only when the workers run. What remains is the moment between the two: somebody
///   else's checkpoint, or the interval's, that begins in it. Its end is then taken for ours.
/// - There, somebody else's round may also use the prefix up; then only the start is known, and
///   the reply is `Started`. And somebody else's prefix may count for our `ReplyAtOnce`, whose
///   answer then comes at the end, with no peers.
/// - All of those, and the development head, forget a waiting `ReplyWhenDone` when the computation
///   dies; the head also when anybody else asks for one.
///
/// ```
/// use dmtcp_proto::{Command, Dialect, Exchange, Step, UniquePid};
/// let mut exchange = Exchange::new(Dialect::V5, UniquePid::NULL, Command::Status);
/// assert_eq!(exchange.step(), Step::Connect);
/// assert!(matches!(exchange.step(), Step::Send(bytes) if bytes.len() == 208));
/// assert_eq!(exchange.step(), Step::Receive);
/// exchange.closed();
/// assert!(matches!(exchange.step(), Step::Done(Err(_))));
/// ```
#[derive(Clone, Debug)]
pub struct Exchange {
    dialect: Dialect,
    from: UniquePid,
    command: Command,
    /// The message under way.
    verb: Verb,
    /// Whether the answer to `verb` waits for the end of the checkpoint.
    withheld: bool,
    stage: Stage,
    decoder: Decoder,
    /// The beginning of the answer, as long as it may be one of another dialect.
    beginning: Option<Decoder>,
    received: usize,
    computation: UniquePid,
}

#[derive(Clone, Debug)]
enum Stage {
    Connect,
    Send,
    Receive,
    Done(Result<Reply, ExchangeError>),
}

impl Exchange {
    /// An exchange that has not begun.
    ///
    /// `from` names the asking process. Tools are told apart by it where one command takes two
    /// connections, so it should differ from one exchange to the next, in the lower half of its
    /// time: `V3` and `V5` have no room for the upper one, because a status request for 2.5.1 to
    /// 2.6.0 lies under every command. Those then answer it, and go on, where they would end.
    #[must_use]
    pub fn new(dialect: Dialect, from: UniquePid, command: Command) -> Self {
        let verb = first_verb(dialect, command);
        Self {
            dialect,
            from,
            command,
            verb,
            withheld: verb == Verb::BlockingCheckpoint,
            stage: Stage::Connect,
            decoder: Decoder::new(dialect, Limits::default()),
            beginning: Some(Decoder::detecting(Limits::default())),
            received: 0,
            computation: UniquePid::NULL,
        }
    }

    /// What to do next. [`Step::Connect`] and [`Step::Send`] count as done once returned.
    pub fn step(&mut self) -> Step {
        match &self.stage {
            // Whoever connects and then has nothing to say ends a coordinator before 4.0.0.
            Stage::Connect => match self.message() {
                Ok(_) => {
                    self.stage = Stage::Send;
                    Step::Connect
                }
                Err(error) => self.end(Err(ExchangeError::Encode(error))),
            },
            Stage::Send => match self.message() {
                Ok(bytes) => {
                    self.stage = Stage::Receive;
                    Step::Send(bytes)
                }
                Err(error) => self.end(Err(ExchangeError::Encode(error))),
            },
            Stage::Receive => Step::Receive,
            Stage::Done(result) => Step::Done(result.clone()),
        }
    }

    /// Takes bytes from the coordinator; any split. Ignored unless the step is to receive.
    pub fn received(&mut self, bytes: &[u8]) {
        if !matches!(self.stage, Stage::Receive) {
            return;
        }
        self.received += bytes.len();
        self.decoder.feed(bytes);
        let outcome = match self.is_in_our_header(bytes) {
            Ok(false) => return,
            Ok(true) => match self.decoder.next_frame() {
                Ok(None) => return,
                Ok(Some(frame)) => self.answered(&frame),
                Err(source) => Err(self.not_decoded(source)),
            },
            Err(error) => Err(error),
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(reply)) => self.stage = Stage::Done(Ok(reply)),
            Err(error) => self.stage = Stage::Done(Err(error)),
        }
    }

    /// The connection ended, in whatever way, or broke while sending.
    ///
    /// That is success for [`Command::Quit`], which stock coordinators do not answer; whether the
    /// coordinator is really gone is the driver's to see.
    pub fn closed(&mut self) {
        if !matches!(self.stage, Stage::Receive) {
            return;
        }
        self.stage = Stage::Done(match (self.received, self.verb) {
            (0, Verb::Quit) => Ok(Reply::Done),
            (0, verb) => Err(ExchangeError::NoReply {
                dialect: self.dialect,
                verb,
            }),
            (received, _) => Err(ExchangeError::CutOff { received }),
        });
    }

    /// Whether the message under way only announces the one behind it. Nothing should come between
    /// the two: what the coordinator remembers of the first may change somebody else's command.
    #[must_use]
    pub fn is_announcing(&self) -> bool {
        matches!(self.verb, Verb::BlockingPrefix | Verb::KillingPrefix)
            && !matches!(self.stage, Stage::Done(_))
    }

    /// The computation that the coordinator named in its latest answer, with its generation.
    ///
    /// Stock coordinators name none in the answers to commands; this library's does.
    #[must_use]
    pub fn computation(&self) -> Option<UniquePid> {
        Some(self.computation).filter(|id| !id.is_null())
    }

    fn message(&self) -> Result<Bytes, EncodeError> {
        let interval = match self.command {
            Command::SetInterval(interval) => interval,
            _ => Interval::Unchanged,
        };
        let log_mask = match self.command {
            Command::SetLogMask(mask) => mask,
            _ => 0,
        };
        let command = UserCommand {
            interval,
            log_mask,
            ..UserCommand::new(self.verb)
        };
        let message = Message::new(self.from, Body::UserCommand(command));
        let mut bytes = BytesMut::new();
        encode(self.dialect, &message.to_frame(self.dialect)?, &mut bytes)?;
        guard::lay_under(self.dialect, &mut bytes)?;
        Ok(bytes.freeze())
    }

    /// What the answer means; `None`: the command goes on with another message.
    fn answered(&mut self, frame: &Frame) -> Result<Option<Reply>, ExchangeError> {
        let result = self.result(frame)?;
        if let Some(answered) = result.verb.filter(|&verb| verb != self.verb) {
            return Err(ExchangeError::WrongVerb {
                sent: self.verb,
                answered,
            });
        }
        match (self.verb, result.status) {
            (Verb::BlockingPrefix, CommandStatus::Success) => Ok(self.go_on(true)),
            // 3.1.0 to 4.2.0 have lost the prefix: the answer will come at once.
            (Verb::BlockingPrefix, CommandStatus::Invalid) => Ok(self.go_on(false)),
            (Verb::KillingPrefix, CommandStatus::Success) => Ok(self.go_on(false)),
            // 3.0.0 has only taken note: there it is a prefix, and answers as one.
            (Verb::CheckpointAndKill, CommandStatus::Success)
                if result.peers == 0 && has_prefixes(self.dialect) =>
            {
                Ok(self.go_on(false))
            }
            (_, CommandStatus::Success) => self.reply(&result).map(Some),
            (_, CommandStatus::Invalid) => Err(ExchangeError::Command(CommandError::Unsupported)),
            (_, CommandStatus::NotRunning) => Err(ExchangeError::Command(CommandError::NotRunning)),
            (_, CommandStatus::NotPermitted) => {
                Err(ExchangeError::Command(CommandError::NotPermitted))
            }
            (_, CommandStatus::CheckpointFailed) => {
                let reason = "the coordinator's own log or events say why".into();
                Err(ExchangeError::Command(CommandError::CheckpointFailed {
                    reason,
                }))
            }
            (_, CommandStatus::Other(status)) => {
                Err(ExchangeError::Command(CommandError::Other(status)))
            }
        }
    }

    fn result(&mut self, frame: &Frame) -> Result<UserResult, ExchangeError> {
        let message = Message::parse(self.dialect, frame).map_err(|e| self.not_decoded(e))?;
        if let Body::UserResult(result) = message.body {
            self.computation = message.group;
            return Ok(result);
        }
        let number = frame.header.kind;
        let same_header = |other: &Dialect| other.header_len() == self.dialect.header_len();
        let found = Dialect::ALL
            .iter()
            .copied()
            .filter(same_header)
            .find(|other| other.kind(number) == Kind::UserResult);
        Err(match found {
            Some(found) => ExchangeError::WrongDialect {
                spoken: self.dialect,
                found,
            },
            None => ExchangeError::Unexpected {
                dialect: self.dialect,
                verb: self.verb,
                found: self.dialect.kind(number),
            },
        })
    }

    /// The second connection of a checkpoint.
    fn go_on(&mut self, withheld: bool) -> Option<Reply> {
        self.verb = Verb::Checkpoint;
        self.withheld = withheld;
        self.stage = Stage::Connect;
        self.decoder = Decoder::new(self.dialect, Limits::default());
        self.beginning = Some(Decoder::detecting(Limits::default()));
        self.received = 0;
        None
    }

    fn reply(&self, result: &UserResult) -> Result<Reply, ExchangeError> {
        let peers = result.peers;
        Ok(match self.command {
            Command::Status => Reply::Status(Status::new(peers, result.running, result.interval)),
            Command::List if result.text.is_empty() => {
                let dialect = self.dialect;
                return Err(ExchangeError::NoList { dialect });
            }
            Command::List => {
                let text = String::from_utf8_lossy(&result.text);
                Reply::Workers(worker_list::parse(&text).map_err(ExchangeError::List)?)
            }
            // The coordinator that names its computation answers this one at the end, too.
            Command::Checkpoint(AfterCheckpoint::KillWorkers) if self.computation().is_some() => {
                Reply::Checkpointed(Checkpointed::new(peers, None))
            }
            Command::Checkpoint(_) if self.withheld && self.comes_at_the_end(result) => {
                Reply::Checkpointed(Checkpointed::new(peers, None))
            }
            Command::Checkpoint(_) => Reply::Started { peers },
            Command::CheckpointDir => {
                // A coordinator that is busy says nothing, and calls it a success.
                let dir = Text::take(&mut result.text.clone());
                let busy = ExchangeError::Command(CommandError::NotRunning);
                Reply::CheckpointDir(dir.ok_or(busy)?)
            }
            Command::SetInterval(_) | Command::SetLogMask(_) | Command::Kill | Command::Quit => {
                Reply::Done
            }
        })
    }

    /// Whether this is the answer that the prefix has held back. Stock coordinators count nobody in
    /// it, and somebody in one that comes at once: then another round has used the prefix up.
    fn comes_at_the_end(&self, result: &UserResult) -> bool {
        !has_prefixes(self.dialect) || result.peers == 0 || self.computation().is_some()
    }

    /// Whether the answer has a header of our dialect, or of none; `false` until enough has come
    /// to tell. Bytes that are no frame of ours may well be one of another.
    fn is_in_our_header(&mut self, bytes: &[u8]) -> Result<bool, ExchangeError> {
        let Some(beginning) = &mut self.beginning else {
            return Ok(true);
        };
        beginning.feed(bytes);
        let outcome = beginning.next_frame();
        let candidates = beginning.candidates();
        if outcome == Ok(None) && candidates == Candidates::all() {
            return Ok(false);
        }
        self.beginning = None;
        let spoken = self.dialect;
        match candidates.iter().next() {
            Some(found) if !candidates.contains(spoken) => {
                Err(ExchangeError::WrongDialect { spoken, found })
            }
            _ => Ok(true),
        }
    }

    fn not_decoded(&self, source: DecodeError) -> ExchangeError {
        ExchangeError::Decode {
            dialect: self.dialect,
            source,
        }
    }

    fn end(&mut self, result: Result<Reply, ExchangeError>) -> Step {
        self.stage = Stage::Done(result.clone());
        Step::Done(result)
    }
}

fn first_verb(dialect: Dialect, command: Command) -> Verb {
    match command {
        Command::Status => Verb::Status,
        Command::List => Verb::List,
        Command::Checkpoint(AfterCheckpoint::ReplyAtOnce) => Verb::Checkpoint,
        Command::Checkpoint(AfterCheckpoint::ReplyWhenDone) if has_prefixes(dialect) => {
            Verb::BlockingPrefix
        }
        Command::Checkpoint(AfterCheckpoint::ReplyWhenDone) => Verb::BlockingCheckpoint,
        Command::Checkpoint(AfterCheckpoint::KillWorkers) => {
            let prefix = dialect.verb_number(Verb::KillingPrefix);
            prefix.map_or(Verb::CheckpointAndKill, |_| Verb::KillingPrefix)
        }
        Command::SetInterval(_) => Verb::SetInterval,
        Command::Kill => Verb::Kill,
        Command::Quit => Verb::Quit,
        Command::CheckpointDir => Verb::GetCheckpointDir,
        Command::SetLogMask(_) => Verb::SetLogMask,
    }
}

/// Whether some commands change the meaning of the next one, on a connection of its own.
fn has_prefixes(dialect: Dialect) -> bool {
    dialect.verb_number(Verb::BlockingPrefix).is_some()
}
