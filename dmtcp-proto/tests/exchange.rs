//! An exchange sends what stock tools send, and understands every captured answer.

use bytes::Bytes;
use dmtcp_proto::{
    AfterCheckpoint, Checkpointed, Command, CommandError, Decoder, Dialect, Exchange,
    ExchangeError, Frame, Interval, Kind, Limits, Reply, Status, Step, UniquePid, Verb, encode,
};
use serde_json::Value;
use std::time::Duration;

const FROM: UniquePid = UniquePid {
    host_id: 0x98ff,
    time: 7,
    pid: 42,
    generation: 0,
};
const CHECKPOINT: Command = Command::Checkpoint(AfterCheckpoint::ReplyAtOnce);
const BLOCKING: Command = Command::Checkpoint(AfterCheckpoint::ReplyWhenDone);
const KILLING: Command = Command::Checkpoint(AfterCheckpoint::KillWorkers);

/// The captured frame of this name, without the prefix that says its dialect.
fn captured(dialect: Dialect, name: &str) -> Vec<u8> {
    let (text, prefix) = match dialect {
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
        let blocking = match dialect {
            Dialect::V3 => "blocking-prefix",
            _ => "blocking-checkpoint",
        };
        for (name, command) in [
            ("status", Command::Status),
            ("list", Command::List),
            ("checkpoint", CHECKPOINT),
            (blocking, BLOCKING),
            ("kill-after-checkpoint", KILLING),
            ("interval", seconds(3600)),
            ("kill", Command::Kill),
            ("quit", Command::Quit),
        ] {
            let stock = captured(dialect, &format!("c2s-USER_CMD-{name}"));
            let stock = decode(dialect, &stock);
            let mut exchange = Exchange::new(dialect, stock.header.from, command);
            let ours = sent(&mut exchange);
            // Bytes that stock tools leave to chance; everything else must be the same.
            let mut expected = stock.clone();
            expected.header.key_value_code = 0;
            expected.header.key_value_residue = 0;
            expected.header.group.generation = 0;
            expected.header.unique_id_offset = 0;
            let mut bytes = bytes::BytesMut::new();
            encode(dialect, &expected, &mut bytes).unwrap();
            assert_eq!(ours, bytes, "{dialect:?} {name}");
        }
    }
}

#[test]
fn captured_answers() {
    let status = |peers, running| Ok(Reply::Status(Status::new(peers, running, Interval::Never)));
    for &dialect in Dialect::ALL {
        let run = |command, name: &str| run(dialect, command, &answer(dialect, name));
        assert_eq!(run(Command::Status, "status-0peers"), status(0, false));
        assert_eq!(run(Command::Status, "status-1peers"), status(1, true));
        let started = Ok(Reply::Started { peers: 1 });
        assert_eq!(run(CHECKPOINT, "checkpoint"), started);
        assert_eq!(run(CHECKPOINT, "checkpoint-accepted"), started);
        assert_eq!(run(KILLING, "kill-after-checkpoint"), started);
        assert_eq!(
            run(CHECKPOINT, "checkpoint-refused"),
            Err(ExchangeError::Command(CommandError::NotRunning))
        );
        let interval = Command::SetInterval(Interval::Never);
        assert_eq!(run(interval, "interval"), Ok(Reply::Done));
        assert_eq!(run(Command::Kill, "kill"), Ok(Reply::Done));
        assert_eq!(run(Command::Kill, "kill-synthetic"), Ok(Reply::Done));
        let Ok(Reply::Workers(workers)) = run(Command::List, "list") else {
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
fn an_answer_may_come_byte_by_byte() {
    for &dialect in Dialect::ALL {
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

/// `b` answered 0, as 3.0.0 and this library's coordinator do.
fn prefix_taken() -> Vec<u8> {
    let mut frame = decode(Dialect::V3, &answer(Dialect::V3, "blocking-prefix"));
    frame.header.status = 0;
    let mut bytes = bytes::BytesMut::new();
    encode(Dialect::V3, &frame, &mut bytes).unwrap();
    bytes.to_vec()
}

#[test]
fn blocking_on_3_0_takes_two_connections() {
    let mut exchange = Exchange::new(Dialect::V3, FROM, BLOCKING);
    sent(&mut exchange);
    exchange.received(&prefix_taken());
    // The end of the first connection is not the end of the exchange.
    exchange.closed();
    let second = decode(Dialect::V3, &sent(&mut exchange));
    assert_eq!(second.header.verb, u32::from(b'c'));
    assert_eq!(second.header.from, FROM);
    // 3.0.0's withheld answer has default fields.
    exchange.received(&prefix_taken());
    assert_eq!(
        outcome(&mut exchange),
        Ok(Reply::Checkpointed(Checkpointed::new(0, None)))
    );
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
fn kill_after_checkpoint_is_a_prefix_in_3_0() {
    let mut exchange = Exchange::new(Dialect::V3, FROM, KILLING);
    sent(&mut exchange);
    exchange.received(&prefix_taken());
    let second = decode(Dialect::V3, &sent(&mut exchange));
    assert_eq!(second.header.verb, u32::from(b'c'));
    exchange.received(&answer(Dialect::V3, "checkpoint"));
    assert_eq!(outcome(&mut exchange), Ok(Reply::Started { peers: 1 }));
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
        short[88] = 144;
        assert!(matches!(
            run(dialect, Command::Status, &short),
            Err(ExchangeError::Decode { .. })
        ));
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
