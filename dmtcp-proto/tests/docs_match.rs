//! The tables of `docs/PROTOCOL.md` say what the code does: numbers, offsets, words. Those about
//! telling dialects apart are in `docs_match_detection.rs`.

mod tables;

use bytes::BytesMut;
use dmtcp_proto::{
    BlockingCheckpoint, Body, CommandStatus, Dialect, Frame, ImageFormat, KeyValueOp,
    KeyValueRequest, KeyValueResponse, KillingCheckpoint, Kind, Limits, Message, Name,
    NameServiceId, Quirks, Release, RestartScriptForm, Strangers, Text, UniquePid, Verb,
    WorkerState, encode,
};
use std::collections::BTreeSet;
use tables::{DOCS, Row, Table, dialect, number};

#[test]
fn dialects() {
    let table = Table::behind("## Dialects", "Dialect");
    let named: Vec<Dialect> = table
        .rows()
        .map(|row| dialect(row.cell("Dialect")))
        .collect();
    assert_eq!(named, Dialect::ALL);
    for (row, &dialect) in table.rows().zip(Dialect::ALL) {
        assert_eq!(row.number("Header"), Some(dialect.header_len()));
        let limit = row.number("Largest payload it takes");
        assert_eq!(dialect.peer_payload_limit(), limit);
        let status = dialect.verb_number(Verb::Status).unwrap();
        let commands = if status < 0x20 { "numbers" } else { "letters" };
        assert_eq!(row.cell("Commands"), commands);
        let lockstep = !dialect.phases().is_empty();
        let rounds = if lockstep { "phases" } else { "barriers" };
        assert_eq!(row.cell("Rounds"), rounds);
        assert_eq!(lockstep, dialect.kind_number(Kind::Barrier).is_none());
    }
}

#[test]
fn limits() {
    let default = Limits::default().max_payload;
    assert!(DOCS.contains(&format!("up to {} MiB from an admitted", default >> 20)));
    assert_eq!(default % (1 << 20), 0);
    assert_eq!(Dialect::V5.peer_payload_limit(), Some(1 << 20));
    assert!(DOCS.contains("peer\nrefuses more than 1 MiB"));
    let longest = "x".repeat(63);
    assert!(DOCS.contains("Names have at most 63 bytes, those of the name service\n8."));
    assert!(Name::new(&longest).is_ok() && Name::new(&(longest + "x")).is_err());
    assert_eq!(NameServiceId::default().len(), 8);
}

fn bytes(dialect: Dialect, frame: &Frame) -> BytesMut {
    let mut out = BytesMut::new();
    encode(dialect, frame, &mut out).unwrap();
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
        "log_mask" => header.log_mask = u32::MAX,
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
fn differing(len: usize, one: &[u8], other: &[u8]) -> (usize, usize) {
    let differ: Vec<usize> = (0..len).filter(|&at| one[at] != other[at]).collect();
    let (first, last) = (differ[0], differ[differ.len() - 1]);
    assert_eq!(last - first + 1, differ.len(), "not in one piece");
    (first, differ.len())
}

fn place(row: Row<'_>) -> (usize, usize) {
    (row.number("Offset").unwrap(), row.number("Size").unwrap())
}

const LAYOUTS: [(&str, usize, &[Dialect]); 2] = [
    ("\n### 208 bytes\n", 24, &[Dialect::V3, Dialect::V5]),
    (
        "\n### 136 and 144 bytes\n",
        22,
        &[Dialect::V2_4, Dialect::V2_5, Dialect::V2_6],
    ),
];

#[test]
fn headers() {
    for (heading, count, dialects) in LAYOUTS {
        let table = Table::behind(heading, "Offset");
        let fields: BTreeSet<&str> = table.rows().map(|row| row.cell("Field")).collect();
        assert_eq!(
            (fields.len(), table.len()),
            (count, count),
            "twice or missing"
        );
        for &dialect in dialects {
            header(&table, dialect);
        }
    }
    let mut described: Vec<Dialect> = LAYOUTS.iter().flat_map(|(.., d)| d.to_vec()).collect();
    described.sort_unstable();
    assert_eq!(described, Dialect::ALL);
}

fn header(table: &Table, dialect: Dialect) {
    let len = dialect.header_len();
    let header_len = u32::try_from(len).unwrap().to_le_bytes();
    let bytes = |frame: &Frame| bytes(dialect, frame);
    let none = bytes(&only(""));
    let default = bytes(&Frame::default());
    let mut at = 0;
    // What stands behind the header's end is missing in this dialect.
    let here = |row: &Row<'_>| row.number::<usize>("Offset").unwrap() < len;
    for row in table.rows().filter(here) {
        let (offset, size) = place(row);
        let field = row.cell("Field");
        assert_eq!(offset, at, "{field} is not behind its predecessor");
        at += size;
        let place = offset..offset + size;
        match field {
            "magic" => assert_eq!(&none[place.clone()], b"DMTCP_CKPT_V0\n\0"),
            "header_len" => assert_eq!(none[place.clone()], header_len),
            "payload_len" => {
                assert_eq!(bytes(&only(field))[place.clone()], 0x0101u32.to_le_bytes());
            }
            _ => {
                let seen = differing(len, &none, &bytes(&only(field)));
                assert_eq!(seen, (offset, size), "{field}");
            }
        }
        let expected = match row.cell("Default") {
            "-1" => vec![0xff; size],
            "0" | "null" | "residue" => vec![0; size],
            "208" | "length" => header_len.to_vec(),
            "set" => continue,
            other => panic!("default {other:?} of {field}"),
        };
        assert_eq!(default[place], expected, "{field}");
    }
    assert_eq!(
        at, len,
        "the table does not cover the header of {dialect:?}"
    );
}

#[test]
fn identities() {
    let table = Table::behind("\n### Identities\n", "Offset");
    for (heading, _, dialects) in LAYOUTS {
        let layout = Table::behind(heading, "Offset");
        for &dialect in dialects {
            let from = layout.rows().find(|row| row.cell("Field") == "from");
            let (from, len) = place(from.unwrap());
            let none = bytes(dialect, &only(""));
            let mut at = 0;
            for row in table.rows() {
                let (offset, size) = place(row);
                let field = row.cell("Field");
                let seen = differing(dialect.header_len(), &none, &bytes(dialect, &only(field)));
                assert_eq!(seen, (from + offset, size), "{field}");
                assert_eq!(offset, at, "{field}");
                at += size;
            }
            assert_eq!(at, len);
        }
    }
}

/// Checks a column of numbers against the words of the code, both ways.
fn column(table: &Table, first: &str, dialect: Dialect, word: impl Fn(u32) -> Option<String>) {
    let mut numbers = BTreeSet::new();
    for row in table.rows() {
        let name = row.cell(first);
        match number::<u32>(row.of(dialect)) {
            Some(number) => {
                assert_eq!(word(number).as_deref(), Some(name), "{dialect:?} {number}");
                assert!(numbers.insert(number), "{dialect:?} {number} stands twice");
            }
            None => {
                let known = (0..1000).any(|number| word(number).as_deref() == Some(name));
                assert!(!known, "{dialect:?} has {name}");
            }
        }
    }
    // Nothing that the code knows is left out.
    let known: BTreeSet<u32> = (0..1000).filter(|&number| word(number).is_some()).collect();
    assert_eq!(numbers, known, "{dialect:?}");
}

#[test]
fn messages() {
    let table = Table::behind("\n## Messages\n", "Message");
    for &dialect in Dialect::ALL {
        column(&table, "Message", dialect, |number| {
            match dialect.kind(number) {
                Kind::Unknown(_) => None,
                kind => Some(format!("{kind:?}")),
            }
        });
    }
}

#[test]
fn states() {
    let table = Table::behind("\n### States\n", "State");
    for &dialect in Dialect::ALL {
        column(&table, "State", dialect, |number| {
            match dialect.state(number) {
                WorkerState::Other(_) => None,
                state => Some(state.to_string()),
            }
        });
    }
}

#[test]
fn phases() {
    let table = Table::behind("\n### 2.x: phases\n", "Order");
    for &dialect in Dialect::ALL {
        if dialect.phases().is_empty() {
            continue;
        }
        let mut described: Vec<(usize, String, String)> = table
            .rows()
            .filter_map(|row| {
                let words = [row.cell("Order"), row.cell("Ends in state")];
                let [order, state] = words.map(str::to_owned);
                number(row.of(dialect)).map(|place| (place, order, state))
            })
            .collect();
        described.sort_unstable();
        let ours = (1..).zip(dialect.phases());
        let ours: Vec<(usize, String, String)> = ours
            .map(|(place, (phase, state))| (place, format!("{phase:?}"), state.to_string()))
            .collect();
        assert_eq!(described, ours, "{dialect:?}");
        for &(phase, state) in dialect.phases() {
            assert!(dialect.kind_number(Kind::Do(phase)).is_some(), "{phase:?}");
            assert!(dialect.state_number(state).is_some(), "{state}");
        }
    }
}

/// The number of a command as the table writes it.
fn code(cell: &str) -> u32 {
    match cell {
        "space" => b' '.into(),
        "tab" => b'\t'.into(),
        "LF" => b'\n'.into(),
        "CR" => b'\r'.into(),
        _ => match (cell.as_bytes(), cell.parse()) {
            (_, Ok(number)) => number,
            (&[letter], _) => letter.into(),
            _ => panic!("not a command: {cell:?}"),
        },
    }
}

#[test]
fn commands() {
    let table = Table::behind("\n## User commands\n", "Command");
    assert!(DOCS.contains("`V3` also takes the numbers of `V5`"));
    for &dialect in Dialect::ALL {
        let mut numbers = BTreeSet::new();
        let described = |dialect| {
            table.rows().flat_map(move |row| {
                let codes = row.of(dialect).split(", ").filter(|&code| code != "-");
                codes.map(move |cell| (row.cell("Command"), code(cell)))
            })
        };
        for (command, number) in described(dialect) {
            assert_eq!(
                format!("{:?}", dialect.verb(number)),
                command,
                "{dialect:?}"
            );
            assert!(numbers.insert(number), "{number} stands twice");
        }
        for row in table.rows() {
            let first = row.of(dialect).split(", ").next().unwrap();
            if first != "-" {
                let number = code(first);
                assert_eq!(dialect.verb_number(dialect.verb(number)), Some(number));
            }
        }
        if dialect == Dialect::V3 {
            for (command, number) in described(Dialect::V5) {
                assert_eq!(format!("{:?}", dialect.verb(number)), command);
                assert!(numbers.insert(number), "{number} stands twice");
            }
        }
        let known = (0..1000).filter(|&n| !matches!(dialect.verb(n), Verb::Unknown(_)));
        assert_eq!(numbers, known.collect::<BTreeSet<u32>>(), "{dialect:?}");
        assert_eq!(dialect.reply_echoes_verb(), dialect == Dialect::V5);
    }
    assert!(DOCS.contains("V5 repeats the number in the answer, the others say 0."));
}

#[test]
fn outcomes() {
    let table = Table::behind("\n## User commands\n", "`status`");
    assert_eq!(table.len(), 5);
    for row in table.rows() {
        let status = CommandStatus::from_wire(row.number("status").unwrap());
        let word = row.cell("Meaning").split(':').next().unwrap();
        assert_eq!(format!("{status:?}"), word);
    }
}

#[test]
fn the_key_value_store() {
    let code = |body: Body| {
        let message = Message::new(UniquePid::NULL, body);
        let [old, new] = [Dialect::V3, Dialect::V5]
            .map(|dialect| message.to_frame(dialect).unwrap().header.key_value_code);
        assert_eq!(old, new);
        old
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
    let table = Table::behind("\n## Key-value store\n", "Operation");
    assert_eq!(table.len(), ops.len());
    for (row, op) in table.rows().zip(ops) {
        assert_eq!(row.cell("Operation"), format!("{op:?}"));
        let request = KeyValueRequest {
            database: Name::EMPTY,
            op,
            key: Text::from("k"),
            value: Text::default(),
        };
        let number = row.number("Number");
        assert_eq!(Some(code(Body::KeyValueRequest(request))), number);
    }
    let answers = [
        (KeyValueResponse::Value(Text::default()), "Value"),
        (KeyValueResponse::InvalidRequest, "InvalidRequest"),
        (KeyValueResponse::NoDatabase, "NoDatabase"),
        (KeyValueResponse::NoKey, "NoKey"),
    ];
    let table = Table::behind("\n## Key-value store\n", "Answer");
    assert_eq!(table.len(), answers.len());
    for (row, (answer, word)) in table.rows().zip(answers) {
        assert_eq!(row.cell("Answer"), word);
        let number = row.number("Number");
        assert_eq!(Some(code(Body::KeyValueResponse(answer))), number);
    }
}

#[test]
fn the_name_service() {
    let table = Table::behind("\n## Name service\n", "Request");
    let kinds =
        |dialect: Dialect| (0..100).map(move |number| format!("{:?}", dialect.kind(number)));
    let mut described: BTreeSet<&str> = BTreeSet::new();
    for row in table.rows() {
        described.extend([row.cell("Request"), row.cell("Answer")]);
    }
    assert!(described.remove("-"), "one is not answered");
    let ours = kinds(Dialect::V2_6).filter(|kind| kind.starts_with("NameService"));
    let ours: BTreeSet<String> = ours.filter(|kind| kind != "NameServiceWorker").collect();
    assert_eq!(described, ours.iter().map(String::as_str).collect());
}

/// What a row of the table of releases says about one of them.
fn described(behaviour: &str, quirks: &Quirks) -> String {
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    match behaviour {
        "dialect" => format!("{:?}", quirks.dialect),
        "texts in the report of an image" => if quirks.shell_in_reports { "3" } else { "2" }.into(),
        "worker list in the answer" => yes(quirks.lists_workers),
        "blocking checkpoint over the wire" => match quirks.blocking {
            BlockingCheckpoint::Prefix => "prefix".into(),
            BlockingCheckpoint::No => "no".into(),
            BlockingCheckpoint::Command => "command".into(),
            other => panic!("{other:?}"),
        },
        "checkpoint that kills" => match quirks.killing {
            KillingCheckpoint::Prefix => "prefix".into(),
            KillingCheckpoint::Command => "command".into(),
            other => panic!("{other:?}"),
        },
        "interval command has an effect" => yes(quirks.interval_command),
        "every command applies its interval" => yes(quirks.commands_apply_interval),
        "interval in the status is right" => yes(quirks.status_tells_interval),
        "coordinator reads DMTCP_CHECKPOINT_INTERVAL" => yes(quirks.reads_interval_variable),
        "coordinator obeys --tmpdir" => yes(quirks.obeys_tmpdir),
        "kills behind a killing checkpoint by KillPeer" => yes(quirks.kills_by_message),
        "survives an unexpected first message" => match quirks.strangers {
            Strangers::EndIt => "no".into(),
            Strangers::MayBeOfKnownKind => "known kinds".into(),
            Strangers::AreRefused => "yes".into(),
            other => panic!("{other:?}"),
        },
        "largest virtual pid" => format!("{:e}", quirks.largest_virtual_pid),
        "restart script for one host names its images in" => match quirks.restart_script {
            RestartScriptForm::GivenCkptFiles => "given_ckpt_files".into(),
            RestartScriptForm::WorkerCkpts => "worker_ckpts".into(),
            other => panic!("{other:?}"),
        },
        "dmtcp_restart refuses root without --run-as-root" => yes(quirks.restart_refuses_root),
        "image signature" => match quirks.image_format {
            ImageFormat::V2 => "v2.0".into(),
            ImageFormat::V4 => "v4.0".into(),
            other => panic!("{other:?}"),
        },
        "payload limit" => match quirks.dialect.peer_payload_limit() {
            None => "-".into(),
            Some(limit) => format!("{} MiB", limit >> 20),
        },
        other => panic!("the code knows nothing of {other:?}"),
    }
}

#[test]
fn releases() {
    let table = Table::behind("\n## Releases\n", "Behaviour");
    let columns = [
        ("2.4.x", &["2.4.0", "2.4.9"][..]),
        ("2.5.0", &["2.5.0"]),
        ("2.5.1, 2.5.2", &["2.5.1", "2.5.2"]),
        ("2.6.0", &["2.6.0"]),
        ("3.0.0", &["3.0.0"]),
        ("3.1.0", &["3.1.0"]),
        ("3.1.1", &["3.1.1"]),
        ("3.1.2 to 3.2.0", &["3.1.2", "3.2.0"]),
        ("4.0.0 to 4.2.0", &["4.0.0", "4.1.1", "4.2.0"]),
        ("V5", &["5.0"]),
    ];
    // One row for each field of the quirks, and the payload limit.
    assert_eq!(table.len(), 17);
    for (column, versions) in columns {
        for version in versions {
            let release = Release::parse(&format!("dmtcp_launch (DMTCP) {version}")).unwrap();
            let quirks = release.quirks().unwrap();
            for row in table.rows() {
                let behaviour = row.cell("Behaviour");
                let expected = described(behaviour, quirks);
                assert_eq!(row.cell(column), expected, "{behaviour} of {version}");
            }
        }
    }
}
