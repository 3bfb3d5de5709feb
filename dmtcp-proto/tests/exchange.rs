//! An exchange sends what stock tools send, and understands every captured answer.

use bytes::Bytes;
use dmtcp_proto::{
    AfterCheckpoint, Body, Checkpointed, Command, CommandError, Decoder, Dialect, Exchange,
    ExchangeError, Frame, Interval, Kind, Limits, Message, Reply, Status, Step, Text, UniquePid,
    UserCommand, Verb, encode,
};
use serde_json::Value;
use std::time::Duration;

const FROM: UniquePid = UniquePid {
    host_id: 0x98ff,
    time: 7,
    pid: 42,
    generation: 0,
};
/// What the captured command sets.
const LOG_MASK: u32 = 0;
const CHECKPOINT: Command = Command::Checkpoint(AfterCheckpoint::ReplyAtOnce);
const BLOCKING: Command = Command::Checkpoint(AfterCheckpoint::ReplyWhenDone);
const KILLING: Command = Command::Checkpoint(AfterCheckpoint::KillWorkers);

/// The captured frame of this name, without the prefix that says its dialect.
fn captured(dialect: Dialect, name: &str) -> Vec<u8> {
    let (text, prefix) = match dialect {
        Dialect::V2_4 => (include_str!("../vectors/v2_4.jsonl"), "a136"),
        Dialect::V2_5 => (include_str!("../vectors/v2_5.jsonl"), "a144-2.5.2"),
        Dialect::V2_6 => (include_str!("../vectors/v2_6.jsonl"), "a144-2.6.0"),
        Dialect::V3 => (include_str!("../vectors/v3.jsonl"), "b"),
        Dialect::V5 => (include_str!("../vectors/v5.jsonl"), "c"),
        other => panic!("no vectors for {other:?}"),
    };
    let name = format!("{prefix}-{name}");
    let sidecar = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|sidecar| sidecar["name"] == name.as_str())
        .unwrap_or_else(|| panic!("no vector {name}"));
    let hex = sidecar["hex"].as_str().unwrap();
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digits).collect()
}

fn answer(dialect: Dialect, name: &str) -> Vec<u8> {
    captured(dialect, &format!("s2c-USER_CMD_RESULT-{name}"))
}

fn decode(dialect: Dialect, bytes: &[u8]) -> Frame {
    let mut decoder = Decoder::new(dialect, Limits::default());
    decoder.feed(bytes);
    decoder.next_frame().unwrap().unwrap()
}

/// The exchange's next message.
fn sent(exchange: &mut Exchange) -> Bytes {
    assert_eq!(exchange.step(), Step::Connect);
    let Step::Send(bytes) = exchange.step() else {
        panic!("nothing is sent");
    };
    assert_eq!(exchange.step(), Step::Receive);
    bytes
}

fn outcome(exchange: &mut Exchange) -> Result<Reply, ExchangeError> {
    match exchange.step() {
        Step::Done(result) => result,
        other => panic!("not done: {other:?}"),
    }
}

/// The outcome of a command that needs one connection and gets this answer.
fn run(dialect: Dialect, command: Command, answer: &[u8]) -> Result<Reply, ExchangeError> {
    let mut exchange = Exchange::new(dialect, FROM, command);
    sent(&mut exchange);
    exchange.received(answer);
    outcome(&mut exchange)
}

#[test]
fn sends_what_stock_tools_send() {
    let seconds = |s| Command::SetInterval(Interval::Every(Duration::from_secs(s)));
    for &dialect in Dialect::ALL {
        let (blocking, killing) = match dialect {
            // Captured from 2.5.2 and 2.6.0 only.
            Dialect::V2_4 => (None, "exit-after-prefix"),
            Dialect::V2_5 | Dialect::V2_6 => (Some("blocking-prefix"), "exit-after-prefix"),
            Dialect::V3 => (Some("blocking-prefix"), "kill-after-checkpoint"),
            _ => (Some("blocking-checkpoint"), "kill-after-checkpoint"),
        };
        let mut commands = vec![
            ("status", Command::Status),
            ("list", Command::List),
            ("checkpoint", CHECKPOINT),
            (killing, KILLING),
            ("interval", seconds(3600)),
            ("kill", Command::Kill),
            ("quit", Command::Quit),
        ];
        commands.extend(blocking.map(|name| (name, BLOCKING)));
        if matches!(dialect, Dialect::V2_5 | Dialect::V2_6) {
            commands.push(("get-ckptdir", Command::CheckpointDir));
            commands.push(("logmask", Command::SetLogMask(LOG_MASK)));
        }
        for (name, command) in commands {
            let stock = captured(dialect, &format!("c2s-USER_CMD-{name}"));
            let stock = decode(dialect, &stock);
            let mut exchange = Exchange::new(dialect, stock.header.from, command);
            let ours = sent(&mut exchange);
            // Bytes that stock tools leave to chance; everything else must be the same.
            let mut expected = stock.clone();
            // Tools of 2.x say that they run; nobody looks.
            expected.header.state = 0;
            expected.header.key_value_code = 0;
            expected.header.key_value_residue = 0;
            expected.header.group.generation = 0;
            expected.header.unique_id_offset = 0;
            expected.header.from = guarded(dialect, expected.header.from);
            if dialect.header_len() == 208 {
                // What those who read 144 bytes find there: length, kind, no pids, no interval.
                expected.header.name[0] = 144;
                expected.header.name[8] = 16;
                expected.header.key_value_code = u32::MAX;
                expected.header.key_value_residue = u32::MAX;
                expected.header.group.host_id = u64::from(u32::MAX);
            }
            let mut bytes = bytes::BytesMut::new();
            encode(dialect, &expected, &mut bytes).unwrap();
            assert_eq!(ours, bytes, "{dialect:?} {name}");
        }
    }
}

/// The id as a command carries it: where there is room for a status request under it, the lower
/// half of the time stands in the upper one.
fn guarded(dialect: Dialect, from: UniquePid) -> UniquePid {
    let time = match dialect.header_len() {
        208 => (from.time << 32) | u64::from(b's'),
        _ => from.time,
    };
    UniquePid { time, ..from }
}

/// Who reads 144 bytes finds a whole status request in them, and nothing that could do harm.
#[test]
fn a_command_asks_older_coordinators_for_their_status_only() {
    let hour = Interval::Every(Duration::from_secs(3600));
    for dialect in [Dialect::V3, Dialect::V5] {
        for command in [
            Command::Status,
            Command::List,
            CHECKPOINT,
            BLOCKING,
            KILLING,
            Command::SetInterval(hour),
            Command::Kill,
            Command::Quit,
        ] {
            let bytes = sent(&mut Exchange::new(dialect, FROM, command));
            assert_eq!(bytes.len(), 208);
            for older in [Dialect::V2_5, Dialect::V2_6] {
                let message = Message::parse(older, &decode(older, &bytes[..144])).unwrap();
                let status = Body::UserCommand(UserCommand::new(Verb::Status));
                assert_eq!(message.body, status, "{dialect:?} {command:?}");
            }
            // It is a command of its own dialect to whoever has to find that out.
            let mut decoder = Decoder::detecting(Limits::default());
            decoder.feed(&bytes);
            let frame = decoder.next_frame().unwrap().unwrap();
            let heard = decoder.candidates().narrow_by_first(&frame);
            assert_eq!(heard.only(), Some(dialect));
        }
    }
}

/// Each asker stays itself, though half of its time is not sent.
#[test]
fn askers_are_told_apart_by_the_lower_half_of_their_time() {
    let ids: Vec<UniquePid> = (0..100)
        .map(|time| {
            let from = UniquePid { time, ..FROM };
            let bytes = sent(&mut Exchange::new(Dialect::V3, from, Command::Status));
            decode(Dialect::V3, &bytes).header.from
        })
        .collect();
    for (index, id) in ids.iter().enumerate() {
        assert!(ids.iter().skip(index + 1).all(|other| !id.same_as(other)));
    }
}

/// An answer in a header of another length names the dialect, as soon as there is enough of it.
#[test]
fn an_answer_in_a_header_of_another_length_names_its_dialect() {
    for (spoken, found) in [
        (Dialect::V3, Dialect::V2_5),
        (Dialect::V5, Dialect::V2_5),
        (Dialect::V3, Dialect::V2_4),
        (Dialect::V2_5, Dialect::V2_4),
        (Dialect::V2_4, Dialect::V2_5),
        (Dialect::V2_4, Dialect::V3),
    ] {
        let mut frame = Frame::default();
        frame.header.kind = found.kind_number(Kind::UserResult).unwrap();
        let mut answer = bytes::BytesMut::new();
        encode(found, &frame, &mut answer).unwrap();
        assert_eq!(
            run(spoken, Command::Status, &answer),
            Err(ExchangeError::WrongDialect { spoken, found })
        );
        // However it is cut; and too little of it is what it was before.
        for len in [1, 23, 24, 91, 92] {
            let mut exchange = Exchange::new(spoken, FROM, Command::Status);
            sent(&mut exchange);
            answer.chunks(len).for_each(|part| exchange.received(part));
            let expected = Err(ExchangeError::WrongDialect { spoken, found });
            assert_eq!(outcome(&mut exchange), expected, "{len}");
            let mut exchange = Exchange::new(spoken, FROM, Command::Status);
            sent(&mut exchange);
            exchange.received(&answer[..len]);
            exchange.closed();
            let error = outcome(&mut exchange).unwrap_err();
            assert_eq!(
                matches!(error, ExchangeError::WrongDialect { .. }),
                len == 92,
                "{len}: {error:?}"
            );
        }
        let error = run(spoken, Command::Status, &[answer[0]; 300]).unwrap_err();
        assert!(matches!(error, ExchangeError::Decode { .. }), "{error:?}");
    }
}

#[test]
fn captured_answers() {
    let status = |peers, running| Ok(Reply::Status(Status::new(peers, running, Interval::Never)));
    for &dialect in Dialect::ALL {
        let run = |command, name: &str| run(dialect, command, &answer(dialect, name));
        assert_eq!(run(Command::Status, "status-0peers"), status(0, false));
        let peers = if dialect == Dialect::V2_4 {
            assert_eq!(run(Command::Status, "status-2peers"), status(2, false));
            2
        } else {
            assert_eq!(run(Command::Status, "status-1peers"), status(1, true));
            1
        };
        let started = Ok(Reply::Started { peers });
        assert_eq!(run(CHECKPOINT, "checkpoint"), started);
        if matches!(dialect, Dialect::V3 | Dialect::V5) {
            assert_eq!(run(CHECKPOINT, "checkpoint-accepted"), started);
            assert_eq!(run(KILLING, "kill-after-checkpoint"), started);
            assert_eq!(run(Command::Kill, "kill-synthetic"), Ok(Reply::Done));
        }
        assert_eq!(
            run(CHECKPOINT, "checkpoint-refused"),
            Err(ExchangeError::Command(CommandError::NotRunning))
        );
        let interval = Command::SetInterval(Interval::Never);
        assert_eq!(run(interval, "interval"), Ok(Reply::Done));
        assert_eq!(run(Command::Kill, "kill"), Ok(Reply::Done));
        let list = run(Command::List, "list");
        if dialect == Dialect::V2_4 {
            assert_eq!(list, Err(ExchangeError::NoList { dialect }));
            continue;
        }
        let Ok(Reply::Workers(workers)) = list else {
            panic!("{dialect:?}: no list");
        };
        assert_eq!(workers.len(), 1);
        assert_eq!(workers[0].program, "counter");
        assert_eq!(workers[0].virtual_pid, 40000);
    }
    // The number of the unknown command is echoed, so it is not an answer to ours.
    assert_eq!(
        run(
            Dialect::V3,
            Command::Status,
            &answer(Dialect::V3, "invalid")
        ),
        Err(ExchangeError::Command(CommandError::Unsupported))
    );
    assert_eq!(
        run(
            Dialect::V5,
            Command::Status,
            &answer(Dialect::V5, "invalid")
        ),
        Err(ExchangeError::WrongVerb {
            sent: Verb::Status,
            answered: Verb::Unknown(77),
        })
    );
}

#[test]
fn commands_that_only_2_5_and_2_6_know() {
    for &dialect in Dialect::ALL {
        for command in [Command::CheckpointDir, Command::SetLogMask(LOG_MASK)] {
            let mut exchange = Exchange::new(dialect, FROM, command);
            if matches!(dialect, Dialect::V2_5 | Dialect::V2_6) {
                sent(&mut exchange);
            } else {
                // Not even a connection: one without a word ends coordinators before 4.0.0.
                let outcome = outcome(&mut exchange);
                assert!(matches!(outcome, Err(ExchangeError::Encode(_))));
            }
        }
    }
    for dialect in [Dialect::V2_5, Dialect::V2_6] {
        let done = run(
            dialect,
            Command::SetLogMask(LOG_MASK),
            &answer(dialect, "logmask"),
        );
        assert_eq!(done, Ok(Reply::Done));
        // The captured one is of a moment without workers.
        let mut frame = decode(dialect, &answer(dialect, "get-ckptdir"));
        let busy = run(dialect, Command::CheckpointDir, &bytes_of(dialect, &frame));
        assert_eq!(busy, Err(ExchangeError::Command(CommandError::NotRunning)));
        frame.payload = Bytes::from_static(b"/images\0");
        let told = run(dialect, Command::CheckpointDir, &bytes_of(dialect, &frame));
        assert_eq!(told, Ok(Reply::CheckpointDir(Text::from("/images"))));
    }
}

#[test]
fn an_answer_may_come_byte_by_byte() {
    for &dialect in Dialect::ALL.iter().filter(|&&it| it != Dialect::V2_4) {
        let mut exchange = Exchange::new(dialect, FROM, Command::List);
        sent(&mut exchange);
        let bytes = answer(dialect, "list");
        let (last, first) = bytes.split_last().unwrap();
        for byte in first {
            exchange.received(&[*byte]);
            assert_eq!(exchange.step(), Step::Receive);
        }
        exchange.received(&[*last]);
        let result = outcome(&mut exchange);
        assert!(matches!(result, Ok(Reply::Workers(_))), "{result:?}");
        // Whatever comes behind the answer changes nothing.
        exchange.received(b"more");
        exchange.closed();
        assert_eq!(outcome(&mut exchange), result);
    }
}

#[test]
fn blocking_on_the_development_head_is_one_connection() {
    let bytes = answer(Dialect::V5, "blocking-checkpoint");
    assert_eq!(
        run(Dialect::V5, BLOCKING, &bytes),
        Ok(Reply::Checkpointed(Checkpointed::new(1, None)))
    );
}

fn bytes_of(dialect: Dialect, frame: &Frame) -> Vec<u8> {
    let mut bytes = bytes::BytesMut::new();
    encode(dialect, frame, &mut bytes).unwrap();
    bytes.to_vec()
}

/// A prefix answered 0, as 2.x, 3.0.0 and this library's coordinator do; with default fields, like
/// the answer that is held back.
fn prefix_taken(dialect: Dialect) -> Vec<u8> {
    if dialect != Dialect::V3 {
        return answer(dialect, "exit-after-prefix");
    }
    let mut frame = decode(dialect, &answer(dialect, "blocking-prefix"));
    frame.header.status = 0;
    bytes_of(dialect, &frame)
}

const WITH_PREFIXES: [Dialect; 4] = [Dialect::V2_4, Dialect::V2_5, Dialect::V2_6, Dialect::V3];

/// The first message of a checkpoint that takes two, and the exchange behind the second.
fn two_connections(dialect: Dialect, command: Command) -> (u32, Exchange) {
    let mut exchange = Exchange::new(dialect, FROM, command);
    let first = decode(dialect, &sent(&mut exchange));
    let announces = dialect != Dialect::V3 || command == BLOCKING;
    assert_eq!(exchange.is_announcing(), announces);
    exchange.received(&prefix_taken(dialect));
    assert!(!exchange.is_announcing());
    // The end of the first connection is not the end of the exchange.
    exchange.closed();
    let second = decode(dialect, &sent(&mut exchange));
    assert_eq!(second.header.verb, u32::from(b'c'));
    for frame in [&first, &second] {
        assert_eq!(frame.header.from, guarded(dialect, FROM));
        assert_eq!(frame.header.interval, -1, "2.x and 3.0.0 would set it");
    }
    (first.header.verb, exchange)
}

#[test]
fn blocking_up_to_3_0_takes_two_connections() {
    for dialect in WITH_PREFIXES {
        let (first, mut exchange) = two_connections(dialect, BLOCKING);
        assert_eq!(first, u32::from(b'b'));
        assert_eq!(exchange.step(), Step::Receive);
        exchange.received(&prefix_taken(dialect));
        assert_eq!(
            outcome(&mut exchange),
            Ok(Reply::Checkpointed(Checkpointed::new(0, None)))
        );
    }
}

#[test]
fn an_answer_that_was_not_held_back_is_not_the_end() {
    for dialect in WITH_PREFIXES {
        let (_, mut exchange) = two_connections(dialect, BLOCKING);
        let at_once = answer(dialect, "checkpoint");
        let peers = decode(dialect, &at_once).header.peers;
        exchange.received(&at_once);
        assert_eq!(outcome(&mut exchange), Ok(Reply::Started { peers }));
        // This library's coordinator counts the workers at the end, too.
        let (_, mut exchange) = two_connections(dialect, BLOCKING);
        let mut ours = decode(dialect, &at_once);
        ours.header.group = FROM;
        exchange.received(&bytes_of(dialect, &ours));
        assert_eq!(
            outcome(&mut exchange),
            Ok(Reply::Checkpointed(Checkpointed::new(peers, None)))
        );
    }
}

#[test]
fn blocking_from_3_1_to_4_2_only_starts() {
    let mut exchange = Exchange::new(Dialect::V3, FROM, BLOCKING);
    sent(&mut exchange);
    exchange.received(&answer(Dialect::V3, "blocking-prefix"));
    sent(&mut exchange);
    exchange.received(&answer(Dialect::V3, "checkpoint"));
    assert_eq!(outcome(&mut exchange), Ok(Reply::Started { peers: 1 }));
}

#[test]
fn kill_after_checkpoint_is_a_prefix_up_to_3_0() {
    for dialect in WITH_PREFIXES {
        let (first, mut exchange) = two_connections(dialect, KILLING);
        // `K` and `k` are the same in 2.x: the workers would die without a checkpoint.
        let letter = if dialect == Dialect::V3 { b'K' } else { b'x' };
        assert_eq!(first, u32::from(letter));
        let started = answer(dialect, "checkpoint");
        let peers = decode(dialect, &started).header.peers;
        exchange.received(&started);
        assert_eq!(outcome(&mut exchange), Ok(Reply::Started { peers }));
    }
}

#[test]
fn only_quit_may_stay_unanswered() {
    for &dialect in Dialect::ALL {
        for command in [Command::Quit, Command::Kill, BLOCKING] {
            let mut exchange = Exchange::new(dialect, FROM, command);
            sent(&mut exchange);
            exchange.closed();
            match outcome(&mut exchange) {
                Ok(Reply::Done) => assert_eq!(command, Command::Quit),
                Err(ExchangeError::NoReply { .. }) => assert_ne!(command, Command::Quit),
                other => panic!("{other:?}"),
            }
            let mut exchange = Exchange::new(dialect, FROM, command);
            sent(&mut exchange);
            exchange.received(&answer(dialect, "kill")[..100]);
            exchange.closed();
            assert_eq!(
                outcome(&mut exchange),
                Err(ExchangeError::CutOff { received: 100 })
            );
        }
    }
}

#[test]
fn what_is_no_answer_is_named() {
    for (spoken, found) in [(Dialect::V3, Dialect::V5), (Dialect::V5, Dialect::V3)] {
        assert_eq!(
            run(spoken, Command::Status, &answer(found, "status-1peers")),
            Err(ExchangeError::WrongDialect { spoken, found })
        );
    }
    for &dialect in Dialect::ALL {
        let kill = captured(dialect, "s2c-KILL_PEER");
        assert!(matches!(
            run(dialect, Command::Status, &kill),
            Err(ExchangeError::Unexpected {
                found: Kind::KillPeer,
                ..
            })
        ));
        assert!(matches!(
            run(dialect, Command::Status, b"HTTP/1.1 400 Bad Request"),
            Err(ExchangeError::Decode { .. })
        ));
        let mut short = answer(dialect, "status-0peers");
        short[if dialect.header_len() == 208 { 88 } else { 16 }] = 100;
        assert!(matches!(
            run(dialect, Command::Status, &short),
            Err(ExchangeError::Decode { .. })
        ));
        if dialect == Dialect::V2_4 {
            continue;
        }
        let mut list = answer(dialect, "list");
        let row = list.len() - 10;
        list[row] = b'\n';
        let Err(ExchangeError::List(error)) = run(dialect, Command::List, &list) else {
            panic!("a broken list was read");
        };
        assert_eq!(error.line, 3);
    }
}

#[test]
fn the_computation_is_told_where_the_coordinator_tells_it() {
    let mut stock = Exchange::new(Dialect::V5, FROM, Command::Status);
    sent(&mut stock);
    stock.received(&answer(Dialect::V5, "status-1peers"));
    assert_eq!(stock.computation(), None);

    let mut frame = decode(Dialect::V5, &answer(Dialect::V5, "status-1peers"));
    frame.header.group = FROM.with_generation(3);
    let mut bytes = bytes::BytesMut::new();
    encode(Dialect::V5, &frame, &mut bytes).unwrap();
    let mut ours = Exchange::new(Dialect::V5, FROM, Command::Status);
    sent(&mut ours);
    ours.received(&bytes);
    assert_eq!(ours.computation(), Some(FROM.with_generation(3)));
}
