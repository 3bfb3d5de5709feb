//! What a dump says of captured frames is what their sidecars say, and no frame is too strange
//! for one.

mod arbitrary;
mod captures;

use bytes::BytesMut;
use captures::Capture;
use dmtcp_proto::{Candidates, Decoder, Dialect, Dump, Frame, Limits, UniquePid, encode};
use proptest::prelude::*;
use serde_json::Value;

fn captures() -> Vec<(Dialect, Value, Frame)> {
    let decoded = |capture: Capture| {
        let mut decoder = Decoder::new(capture.dialect, Limits::default());
        decoder.feed(&capture.bytes);
        let frame = decoder.next_frame().unwrap().unwrap();
        (capture.dialect, capture.sidecar, frame)
    };
    captures::all().into_iter().map(decoded).collect()
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digits).collect()
}

fn json(dump: &Dump<'_>) -> Value {
    let object = format!("{{{}}}", dump.json_members());
    serde_json::from_str(&object).unwrap_or_else(|error| panic!("{error}: {object}"))
}

fn id_of(object: &Value) -> UniquePid {
    UniquePid {
        host_id: object["hostid"].as_u64().unwrap(),
        time: object["time"].as_u64().unwrap(),
        pid: object["pid"].as_i64().unwrap() as i32,
        generation: object["generation"].as_u64().unwrap() as u32,
    }
}

/// The bytes that an annotated dump shows.
fn shown_bytes(annotated: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in annotated.lines().skip(1) {
        assert_eq!(line[..7].trim(), bytes.len().to_string(), "{line}");
        let digits = line.get(9..57).unwrap_or_else(|| &line[9..]).trim();
        match digits.strip_prefix("00 x") {
            Some(zeros) => bytes.resize(bytes.len() + zeros.parse::<usize>().unwrap(), 0),
            None => bytes.extend(digits.split(' ').flat_map(from_hex)),
        }
    }
    bytes
}

#[test]
fn a_line_says_what_the_sidecar_says() {
    for (dialect, sidecar, frame) in captures() {
        let line = Dump::new(dialect, &frame).line().to_string();
        let mut words = line.split(' ');
        assert_eq!(
            words.next(),
            Some(format!("{dialect:?}").as_str()),
            "{line}"
        );
        let kind = format!("{:?}", dialect.kind(frame.header.kind));
        assert_eq!(words.next(), Some(kind.as_str()), "{line}");
        assert_eq!(words.next(), sidecar["state_name"].as_str(), "{line}");
        let from = format!("from={}", id_of(&sidecar["from"]));
        assert_eq!(words.next(), Some(from.as_str()), "{line}");
        assert!(!line.contains('!'), "{line}");
        assert!(line.len() < 700, "{line}");
    }
}

#[test]
fn json_says_what_the_sidecar_says() {
    let mut compared = 0;
    for (dialect, sidecar, frame) in captures() {
        let shown = json(&Dump::new(dialect, &frame));
        let name = sidecar["name"].as_str().unwrap();
        assert_eq!(shown["hex"], sidecar["hex"], "{name}");
        assert_eq!(shown["kind_number"], sidecar["type"], "{name}");
        assert_eq!(shown["state"], sidecar["state_name"], "{name}");
        assert_eq!(shown["from"], id_of(&sidecar["from"]).to_string(), "{name}");
        assert_eq!(shown["payload_len"], sidecar["payload_bytes"], "{name}");
        assert_eq!(shown["problem"], Value::Null, "{name}");
        let group = id_of(&sidecar["compGroup"]);
        if group.is_null() {
            assert_eq!(shown["group"], Value::Null, "{name}");
        } else {
            assert_eq!(shown["group"], group.to_string(), "{name}");
            assert_eq!(shown["generation"], group.generation, "{name}");
        }
        for (field, value) in shown["fields"].as_object().unwrap() {
            let theirs = match field.as_str() {
                "name" if dialect.header_len() < 208 => "nsid",
                "name" => "name64",
                "virtual_pid" => "virtualPid",
                "real_pid" => "realPid",
                "key_len" => "keyLen",
                "value_len" => "valLen",
                "peers" => "numPeers",
                "running" => "isRunning",
                "time_stamp" => "coordTimeStamp",
                "interval" => "theCheckpointInterval",
                "ip" => "ipAddr",
                "then_exit" => "exitAfterCkpt",
                "unique_id_offset" => "uniqueIdOffset",
                "log_mask" => "logMask",
                // Words, for which the sidecars have numbers.
                "verb" | "status" | "key_value_code" => {
                    assert!(value.is_string(), "{name}: {field}");
                    continue;
                }
                other => panic!("{name}: {other}"),
            };
            assert_eq!(*value, sidecar[theirs], "{name}: {field}");
            compared += 1;
        }
        let pieces = shown["payload"].as_object().unwrap();
        assert!(!pieces.contains_key("data"), "{name}: {pieces:?}");
        if let Some(text) = sidecar["payload_text"].as_str() {
            // Together the pieces are the payload.
            let pieces = pieces.values().filter_map(Value::as_str);
            let without_nuls = |text: &str| text.replace('\0', "").len();
            let all: usize = pieces.clone().map(without_nuls).sum();
            assert_eq!(all, without_nuls(text), "{name}");
            assert!(pieces.clone().all(|piece| text.contains(piece)), "{name}");
        }
    }
    assert!(compared > 200, "only {compared} fields");
}

#[test]
fn the_annotated_bytes_are_the_captured_ones() {
    for (dialect, sidecar, frame) in captures() {
        let annotated = Dump::new(dialect, &frame).annotated().to_string();
        let bytes = from_hex(sidecar["hex"].as_str().unwrap());
        assert_eq!(shown_bytes(&annotated), bytes, "{annotated}");
    }
}

#[test]
fn residue_is_shown_as_bytes_and_told_as_nothing() {
    let captures = captures();
    let named = |name: &str| {
        let mut found = captures
            .iter()
            .filter(|(_, sidecar, _)| sidecar["name"] == name);
        let (dialect, _, frame) = found.next().unwrap();
        (*dialect, frame)
    };
    let (dialect, frame) = named("b-s2c-USER_CMD_RESULT-status-1peers");
    let dump = Dump::new(dialect, frame);
    assert_eq!(
        dump.line().to_string(),
        "V3 UserResult UNKNOWN from=98ff-18735-3c5651d89ca peers=1 running=1 \
         status=Success interval=0"
    );
    let annotated = dump.annotated().to_string();
    let row = |field: &str| {
        let row = annotated.lines().find(|line| line.contains(field));
        row.unwrap_or_else(|| panic!("no {field} in {annotated}"))
    };
    assert!(row(" key_value_code ").ends_with(" 2684371976  (unused)"));
    assert!(row(" group.generation ").ends_with(" 32765  (unused)"));
    assert!(row(" peers ").ends_with(" 1"));
    assert!(row(" virtual_pid ").ends_with(" -1"));

    let (dialect, frame) = named("c-c2s-KVDB_REQUEST-incrby-second");
    assert_eq!(
        Dump::new(dialect, frame).line().to_string(),
        "V5 KeyValueRequest RUNNING from=1234-4242-5678 name=\"demo-db\" \
         key_value_code=IncrementBy key_len=2 value_len=2 key=\"n\" value=\"7\""
    );
}

#[test]
fn open_dialects_are_all_named() {
    let mut frame = Frame::default();
    frame.header.kind = 1;
    let line = Dump::new(Candidates::all(), &frame).line().to_string();
    assert!(
        line.contains("V3|V5 NewWorker UNKNOWN from=0-0-0"),
        "{line}"
    );
    frame.header.kind = 17;
    (frame.header.peers, frame.header.key_value_code) = (2, 5);
    let line = Dump::new(Candidates::all(), &frame).line().to_string();
    // Of two readings neither says which fields count: those off their default are told.
    assert!(
        line.contains("V3|V5 DoCheckpoint|UserResult UNKNOWN"),
        "{line}"
    );
    assert!(line.ends_with("from=0-0-0 peers=2"), "{line}");
}

#[test]
fn what_is_wrong_is_said_and_texts_stay_in_their_line() {
    let mut frame = Frame::default();
    frame.header.kind = 1;
    frame.payload = b"\x1b[2J\n\xff\0".to_vec().into();
    let dump = Dump::new(Dialect::V3, &frame);
    let line = dump.line().to_string();
    let end = r#" data="\u{1b}[2J\n�\0" !malformed program name in NewWorker"#;
    assert!(line.ends_with(end), "{line}");
    assert_eq!(json(&dump)["payload"]["data"], "\u{1b}[2J\n\u{fffd}\0");

    frame.payload = vec![b'x'; 1000].into();
    let line = Dump::new(Dialect::V3, &frame).line().to_string();
    assert!(line.contains(r#"xxx"+880 !malformed"#), "{line}");
}

proptest! {
    #[test]
    fn any_frame_is_shown(
        (dialect, mut frame) in arbitrary::frame(), kind in 0u32..40, open in any::<bool>(),
    ) {
        frame.header.kind = kind;
        let same_header = |other: &Dialect| other.header_len() == dialect.header_len();
        let candidates = match open {
            true => Dialect::ALL.iter().copied().filter(same_header).collect(),
            false => Candidates::from(dialect),
        };
        let mut bytes = BytesMut::new();
        encode(dialect, &frame, &mut bytes).unwrap();

        let dump = Dump::new(candidates, &frame);
        let line = dump.line().to_string();
        prop_assert!(!line.contains(|c: char| c.is_control()), "{}", line);
        let shown = json(&dump);
        prop_assert_eq!(from_hex(shown["hex"].as_str().unwrap()), &bytes[..]);
        prop_assert_eq!(shown["kind_number"].as_u64(), Some(u64::from(kind)));
        prop_assert_eq!(shown_bytes(&dump.annotated().to_string()), &bytes[..]);
    }
}
