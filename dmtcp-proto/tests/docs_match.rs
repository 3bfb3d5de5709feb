//! The tables of `docs/PROTOCOL.md` say what the code does: numbers, offsets, words.

use bytes::BytesMut;
use dmtcp_proto::{
    Body, CommandStatus, Dialect, Frame, KeyValueOp, KeyValueRequest, KeyValueResponse, Kind,
    Message, Name, Text, UniquePid, Verb, encode,
};
use std::collections::BTreeSet;

const DOCS: &str = include_str!("../../docs/PROTOCOL.md");

/// The cells of the table whose first column is headed `first` and that stands under `heading`.
fn table(heading: &str, first: &str) -> Vec<Vec<String>> {
    let section = DOCS.split(&format!("\n{heading}\n")).nth(1);
    let section = section.unwrap_or_else(|| panic!("no heading {heading:?}"));
    let rows: Vec<Vec<String>> = section
        .lines()
        .skip_while(|line| !line.starts_with(&format!("| {first} |")))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().replace('`', "")).collect()
        })
        .collect();
    assert!(!rows.is_empty(), "no table {first:?} under {heading:?}");
    rows
}

fn number<T: std::str::FromStr>(cell: &str) -> Option<T> {
    match cell {
        "-" => None,
        digits => match digits.parse() {
            Ok(number) => Some(number),
            Err(_) => panic!("not a number: {digits:?}"),
        },
    }
}

fn bytes(frame: &Frame) -> BytesMut {
    let mut out = BytesMut::new();
    encode(Dialect::V3, frame, &mut out).unwrap();
    let mut same = BytesMut::new();
    encode(Dialect::V5, frame, &mut same).unwrap();
    assert_eq!(out, same, "the document describes one layout for both");
    out
}

/// The header that has all bits of one field set and no other.
fn only(field: &str) -> Frame {
    let mut frame = Frame::default();
    let header = &mut frame.header;
    let all = UniquePid {
        host_id: u64::MAX,
        time: u64::MAX,
        pid: -1,
        generation: u32::MAX,
    };
    // Fields whose default has bits set.
    (header.virtual_pid, header.real_pid, header.interval) = (0, 0, 0);
    match field {
        "" | "magic" | "header_len" => {}
        "payload_len" => frame.payload = vec![0; 0x0101].into(),
        "magic_residue" => header.magic_residue = 0xff,
        "name" => header.name = [0xff; 64],
        "key_value_code" => header.key_value_code = u32::MAX,
        "key_value_residue" => header.key_value_residue = u32::MAX,
        "kind" => header.kind = u32::MAX,
        "state" => header.state = u32::MAX,
        "from" => header.from = all,
        "group" => header.group = all,
        "virtual_pid" => header.virtual_pid = -1,
        "real_pid" => header.real_pid = -1,
        "key_len" => header.key_len = u32::MAX,
        "value_len" => header.value_len = u32::MAX,
        "peers" => header.peers = u32::MAX,
        "running" => header.running = u32::MAX,
        "verb" => header.verb = u32::MAX,
        "status" => header.status = -1,
        "time_stamp" => header.time_stamp = u64::MAX,
        "interval" => header.interval = -1,
        "ip" => header.ip = [0xff; 4],
        "unique_id_offset" => header.unique_id_offset = u32::MAX,
        "then_exit" => header.then_exit = u32::MAX,
        "host_id" => header.from.host_id = u64::MAX,
        "time" => header.from.time = u64::MAX,
        "pid" => header.from.pid = -1,
        "generation" => header.from.generation = u32::MAX,
        other => panic!("the header has no field {other:?}"),
    }
    frame
}

/// Offset and size of the bytes in which two headers differ.
fn differing(one: &[u8], other: &[u8]) -> (usize, usize) {
    let differ: Vec<usize> = (0..208).filter(|&at| one[at] != other[at]).collect();
    let (first, last) = (differ[0], differ[differ.len() - 1]);
    assert_eq!(last - first + 1, differ.len(), "not in one piece");
    (first, differ.len())
}

#[test]
fn the_header() {
    let none = bytes(&only(""));
    let mut at = 0;
    let mut fields = BTreeSet::new();
    for row in table("## Header", "Offset") {
        let (offset, size): (usize, usize) = (number(&row[0]).unwrap(), number(&row[1]).unwrap());
        let field = row[2].as_str();
        assert_eq!(offset, at, "{field} is not behind its predecessor");
        at += size;
        fields.insert(field.to_owned());
        let place = offset..offset + size;
        match field {
            "magic" => assert_eq!(&none[place], b"DMTCP_CKPT_V0\n\0"),
            "header_len" => assert_eq!(none[place], 208u32.to_le_bytes()),
            "payload_len" => assert_eq!(bytes(&only(field))[place], 0x0101u32.to_le_bytes()),
            _ => {
                let seen = differing(&none, &bytes(&only(field)));
                assert_eq!(seen, (offset, size), "{field}");
            }
        }
        let default = bytes(&Frame::default());
        let ones = vec![0xff; size];
        match row[3].as_str() {
            "-1" => assert_eq!(default[offset..offset + size], ones, "{field}"),
            "0" | "null" | "residue" => {
                assert_eq!(default[offset..offset + size], vec![0; size], "{field}");
            }
            "set" | "208" => {}
            other => panic!("default {other:?} of {field}"),
        }
    }
    assert_eq!(at, 208, "the table does not cover the header");
    assert_eq!(fields.len(), 24, "a field is missing or stands twice");
}

#[test]
fn an_identity() {
    let none = bytes(&only(""));
    let rows: Vec<_> = table("## Header", "Offset");
    let from: usize = rows
        .iter()
        .find(|row| row[2] == "from")
        .and_then(|row| number(&row[0]))
        .unwrap();
    let section = DOCS.split("An id (`from`").nth(1).unwrap();
    let mut at = 0;
    for line in section
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'))
    {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let (offset, size): (usize, usize) = (number(cells[0]).unwrap(), number(cells[1]).unwrap());
        let field = cells[2].trim_matches('`');
        let seen = differing(&none, &bytes(&only(field)));
        assert_eq!(seen, (from + offset, size), "{field}");
        assert_eq!(offset, at, "{field}");
        at += size;
    }
    assert_eq!(at, 24);
}

#[test]
fn messages() {
    let rows = table("## Messages", "Message");
    for (column, dialect) in [(2, Dialect::V3), (3, Dialect::V5)] {
        let mut numbers = BTreeSet::new();
        for row in &rows {
            match number::<u32>(&row[column]) {
                Some(number) => {
                    assert_eq!(format!("{:?}", dialect.kind(number)), row[0], "{dialect:?}");
                    assert!(numbers.insert(number), "{number} stands twice");
                }
                None => {
                    let known = (0..100).map(|number| format!("{:?}", dialect.kind(number)));
                    assert!(!known.into_iter().any(|kind| kind == row[0]), "{}", row[0]);
                }
            }
        }
        // Nothing that the code knows is left out.
        let known = (0..1000).filter(|&n| !matches!(dialect.kind(n), Kind::Unknown(_)));
        assert_eq!(numbers, known.collect::<BTreeSet<u32>>(), "{dialect:?}");
    }
}

#[test]
fn states() {
    let rows = table("### States", "State");
    for (column, dialect) in [(1, Dialect::V3), (2, Dialect::V5)] {
        for row in &rows {
            let number: u32 = number(&row[column]).unwrap();
            assert_eq!(dialect.state(number).to_string(), row[0], "{dialect:?}");
        }
        let behind = u32::try_from(rows.len()).unwrap();
        assert_eq!(dialect.state(behind).to_string(), behind.to_string());
    }
}

#[test]
fn commands() {
    let rows = table("## User commands", "Command");
    for (column, dialect) in [(1, Dialect::V3), (2, Dialect::V5)] {
        let mut numbers = BTreeSet::new();
        for row in &rows {
            for (index, code) in row[column].split(", ").enumerate() {
                if code == "-" {
                    let known = (0..200).map(|number| format!("{:?}", dialect.verb(number)));
                    assert!(!known.into_iter().any(|verb| verb == row[0]), "{}", row[0]);
                    continue;
                }
                let number = match dialect {
                    Dialect::V3 => u32::from(code.as_bytes()[0]),
                    _ => number(code).unwrap(),
                };
                let verb = dialect.verb(number);
                assert_eq!(format!("{verb:?}"), row[0], "{dialect:?}");
                if index == 0 {
                    assert_eq!(dialect.verb_number(verb), Some(number), "{verb:?}");
                }
                numbers.insert(number);
            }
        }
        let known = (0..1000).filter(|&n| !matches!(dialect.verb(n), Verb::Unknown(_)));
        assert_eq!(numbers, known.collect::<BTreeSet<u32>>(), "{dialect:?}");
    }
}

#[test]
fn outcomes() {
    let rows = table("## User commands", "`status`");
    assert_eq!(rows.len(), 4);
    for row in rows {
        let status = CommandStatus::from_wire(number(&row[0]).unwrap());
        let word = row[1].split(':').next().unwrap();
        assert_eq!(format!("{status:?}"), word);
    }
}

#[test]
fn the_key_value_store() {
    let code = |body: Body| {
        let message = Message::new(UniquePid::NULL, body);
        message.to_frame(Dialect::V5).unwrap().header.key_value_code
    };
    let ops = [
        KeyValueOp::Get,
        KeyValueOp::Set,
        KeyValueOp::IncrementBy,
        KeyValueOp::And,
        KeyValueOp::Or,
        KeyValueOp::Xor,
        KeyValueOp::Min,
        KeyValueOp::Max,
    ];
    let rows = table("## Key-value store", "Operation");
    assert_eq!(rows.len(), ops.len());
    for (row, op) in rows.iter().zip(ops) {
        assert_eq!(row[0], format!("{op:?}"));
        let request = KeyValueRequest {
            database: Name::EMPTY,
            op,
            key: Text::from("k"),
            value: Text::default(),
        };
        let number = number::<u32>(&row[1]).unwrap();
        assert_eq!(code(Body::KeyValueRequest(request)), number);
    }
    let answers = [
        (KeyValueResponse::Value(Text::default()), "Value"),
        (KeyValueResponse::InvalidRequest, "InvalidRequest"),
        (KeyValueResponse::NoDatabase, "NoDatabase"),
        (KeyValueResponse::NoKey, "NoKey"),
    ];
    let rows = table("## Key-value store", "Answer");
    assert_eq!(rows.len(), answers.len());
    for (row, (answer, word)) in rows.iter().zip(answers) {
        assert_eq!(row[0], word);
        assert_eq!(
            code(Body::KeyValueResponse(answer)),
            number::<u32>(&row[1]).unwrap()
        );
    }
}

#[test]
fn the_payload_limit() {
    assert!(DOCS.contains("A stock V5 peer refuses payloads over 1 MiB"));
    assert_eq!(Dialect::V5.peer_payload_limit(), Some(1 << 20));
    assert!(DOCS.contains("V3 has no limit"));
    assert_eq!(Dialect::V3.peer_payload_limit(), None);
}
