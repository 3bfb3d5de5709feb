//! One user command with whatever a coordinator answers.

use alloc::vec::Vec;
use bytes::Bytes;

use super::input::Script;
use super::wire::encoded;
use crate::command::{AfterCheckpoint, Command, Reply, Verb};
use crate::dialect::Dialect;
use crate::exchange::{Exchange, ExchangeError, Step};
use crate::ids::UniquePid;
use crate::interval::Interval;
use crate::message::{Body, CommandStatus, Message, UserCommand, UserResult};
use crate::wire::{Decoder, Limits};

const FROM: UniquePid = UniquePid {
    host_id: 7,
    time: 8,
    pid: 9,
    generation: 0,
};
const LIST: &[u8] =
    b"Client List:\n#, PROG[virtPID:realPID]@HOST, DMTCP-UNIQUEPID, STATE, BARRIER\n\
    1, counter[40000:18740]@vm, 98ff-40000-3c56b2b7515, WorkerState::RUNNING, \n";

/// A command ends, whatever is answered; any split of an answer means the same; success is a
/// whole answer that says so, to the command that was sent.
pub fn exchange(data: &[u8]) {
    let mut script = Script::new(data);
    let dialect = script.dialect();
    let command = command(&mut script);
    let seed = script.byte();
    let answers = [Answer::new(&mut script), Answer::new(&mut script)];
    let whole = run(dialect, command, &answers, None);
    let in_pieces = run(dialect, command, &answers, Some(seed));
    assert_eq!(whole, in_pieces, "the split changes the outcome");
}

fn command(script: &mut Script<'_>) -> Command {
    let every = Interval::from_wire(script.byte().into());
    script.choose(&[
        Command::Status,
        Command::List,
        Command::Checkpoint(AfterCheckpoint::ReplyAtOnce),
        Command::Checkpoint(AfterCheckpoint::ReplyWhenDone),
        Command::Checkpoint(AfterCheckpoint::KillWorkers),
        Command::SetInterval(Interval::Never),
        Command::SetInterval(every),
        Command::Kill,
        Command::Quit,
    ])
}

/// What the coordinator says on one connection, made once the command's verb is known.
struct Answer<'a> {
    dialect: Dialect,
    kind: u8,
    verb: Option<Verb>,
    result: UserResult,
    group: UniquePid,
    /// Bytes to change, or all of them.
    raw: &'a [u8],
}

impl<'a> Answer<'a> {
    fn new(script: &mut Script<'a>) -> Self {
        let kind = script.byte() % 8;
        let dialect = script.dialect();
        let verb = script.choose(&[
            None,
            None,
            None,
            Some(Verb::Status),
            Some(Verb::Checkpoint),
            Some(Verb::BlockingCheckpoint),
            Some(Verb::BlockingPrefix),
            Some(Verb::Unknown(77)),
        ]);
        let status = script.choose(&[
            CommandStatus::Success,
            CommandStatus::Success,
            CommandStatus::Success,
            CommandStatus::Invalid,
            CommandStatus::NotRunning,
            CommandStatus::CheckpointFailed,
            CommandStatus::NotPermitted,
            CommandStatus::Other(-3),
        ]);
        let mut result = UserResult::new(status);
        result.peers = u32::from(script.byte() % 4);
        result.running = script.flag();
        result.interval = script.choose(&[Interval::Unchanged, Interval::Never]);
        result.text = match script.byte() % 4 {
            0 => Bytes::new(),
            1 => Bytes::from_static(LIST),
            _ => Bytes::from_static(&LIST[..LIST.len() - 20]),
        };
        let pid = i32::from(script.flag());
        let len = script.byte();
        Self {
            dialect,
            kind,
            verb,
            result,
            group: UniquePid {
                pid,
                ..UniquePid::NULL
            },
            raw: script.bytes(len.into()),
        }
    }

    fn bytes(&self, spoken: Dialect, sent: Option<Verb>) -> Vec<u8> {
        let result = |dialect| {
            let result = UserResult {
                verb: self.verb.or(sent),
                ..self.result.clone()
            };
            let message = Message::new(FROM, Body::UserResult(result)).in_group(self.group);
            encoded(dialect, &message).map_or_else(Vec::new, |bytes| bytes.to_vec())
        };
        match self.kind {
            0..=2 => result(spoken),
            3 => result(self.dialect),
            4 => {
                let mut bytes = result(spoken);
                for change in self.raw.chunks_exact(2) {
                    if let Some(byte) = bytes.get_mut(usize::from(change[0])) {
                        *byte = change[1];
                    }
                }
                bytes
            }
            5 => [&result(spoken), self.raw].concat(),
            6 => {
                let mut bytes = result(spoken);
                bytes.truncate(self.raw.len());
                bytes
            }
            _ => self.raw.to_vec(),
        }
    }
}

/// The outcome, and what was sent on the way to it.
type Outcome = (Result<Reply, ExchangeError>, Vec<Bytes>);

fn run(
    dialect: Dialect,
    command: Command,
    answers: &[Answer<'_>; 2],
    split: Option<u8>,
) -> Outcome {
    let mut exchange = Exchange::new(dialect, FROM, command);
    let mut sent: Vec<Bytes> = Vec::new();
    let mut verb = None;
    let mut connections = 0;
    let mut answer = Vec::new();
    let mut delivered = 0;
    for _ in 0..4096 {
        match exchange.step() {
            Step::Connect => {
                assert_eq!(connections, sent.len(), "a connection for nothing");
                connections += 1;
            }
            Step::Send(bytes) => {
                sent.push(bytes.clone());
                assert_eq!(connections, sent.len(), "two commands on one connection");
                let said = said(dialect, &bytes);
                match command {
                    Command::SetInterval(interval) => assert_eq!(said.interval, interval),
                    _ => assert_eq!(said.interval, Interval::Unchanged, "alters the interval"),
                }
                let number = answers.get(sent.len() - 1).expect("a third connection");
                answer = number.bytes(dialect, Some(said.verb));
                delivered = 0;
                verb = Some(said.verb);
            }
            Step::Receive if delivered == answer.len() => exchange.closed(),
            Step::Receive => {
                let rest = &answer[delivered..];
                let len = split.map_or(rest.len(), |seed| 1 + (usize::from(seed) + delivered) % 97);
                let piece = &rest[..len.min(rest.len())];
                delivered += piece.len();
                exchange.received(piece);
            }
            Step::Done(outcome) => {
                let before = Step::Done(outcome.clone());
                assert_eq!(exchange.step(), before, "another outcome");
                exchange.received(&answer);
                exchange.closed();
                assert_eq!(exchange.step(), before, "an outcome that changes");
                check(dialect, command, verb, &answer, &outcome);
                return (outcome, sent);
            }
        }
    }
    panic!("an exchange that does not end");
}

/// The only message in these bytes.
fn said(dialect: Dialect, bytes: &[u8]) -> UserCommand {
    let mut decoder = Decoder::new(dialect, Limits::default());
    decoder.feed(bytes);
    let frame = decoder.next_frame().expect("our frame").expect("whole");
    assert_eq!(decoder.pending(), 0, "more than one message");
    let message = Message::parse(dialect, &frame).expect("our own message");
    let (from, half) = (message.from, message.from.time >> 32);
    assert_eq!((from.host_id, from.pid), (FROM.host_id, FROM.pid));
    // In long headers the lower half of the time stands where the upper one was.
    assert!([from.time, half].contains(&FROM.time), "{from:?}");
    match message.body {
        Body::UserCommand(command) => command,
        other => panic!("not a command: {other:?}"),
    }
}

fn check(
    dialect: Dialect,
    command: Command,
    verb: Option<Verb>,
    answer: &[u8],
    outcome: &Result<Reply, ExchangeError>,
) {
    let Some(verb) = verb else {
        assert!(
            matches!(outcome, Err(ExchangeError::Encode(_))),
            "{outcome:?}"
        );
        return;
    };
    let success = success(dialect, verb, answer);
    match (outcome, &success) {
        (Ok(Reply::Done), None) if command == Command::Quit && answer.is_empty() => {}
        (Ok(reply), None) => panic!("{reply:?} to {answer:?}"),
        (Ok(reply), Some(result)) => assert!(is_answer(command, reply, result), "{reply:?}"),
        (Err(ExchangeError::List(_)), Some(_)) => assert_eq!(command, Command::List),
        (Err(ExchangeError::NoList { .. }), Some(result)) => {
            assert_eq!(command, Command::List);
            assert!(result.text.is_empty(), "there is a list");
        }
        (Err(error), Some(_)) => panic!("carried out, and {error:?}"),
        (Err(_), None) => {}
    }
}

/// The first message of an answer, if it says that this command is carried out.
fn success(dialect: Dialect, verb: Verb, answer: &[u8]) -> Option<UserResult> {
    // Of two headers that the same bytes can be, the longer one counts: it has its length where a
    // shorter one has a name, which is printable.
    const LONGER: (usize, u32) = (88, 208);
    let length = answer.get(LONGER.0..).and_then(<[u8]>::first_chunk);
    if length.is_some_and(|&length| u32::from_le_bytes(length) == LONGER.1)
        && dialect.header_len() < LONGER.1 as usize
    {
        return None;
    }
    let mut decoder = Decoder::new(dialect, Limits::default());
    decoder.feed(answer);
    let frame = decoder.next_frame().ok()??;
    match Message::parse(dialect, &frame).ok()?.body {
        Body::UserResult(result) if result.status == CommandStatus::Success => {
            Some(result).filter(|result| result.verb.is_none_or(|answered| answered == verb))
        }
        _ => None,
    }
}

fn is_answer(command: Command, reply: &Reply, result: &UserResult) -> bool {
    match (command, reply) {
        (Command::Status, Reply::Status(status)) => {
            (status.peers, status.running) == (result.peers, result.running)
                && status.interval == result.interval
        }
        (Command::List, Reply::Workers(_)) => true,
        (Command::Checkpoint(_), Reply::Started { peers }) => *peers == result.peers,
        (Command::Checkpoint(after), Reply::Checkpointed(done)) => {
            after != AfterCheckpoint::ReplyAtOnce && done.peers == result.peers
        }
        (Command::SetInterval(_) | Command::Kill | Command::Quit, Reply::Done) => true,
        _ => false,
    }
}
