//! Every captured frame decodes to what its sidecar says, and encodes back to the same bytes.

use bytes::BytesMut;
use dmtcp_proto::{Body, Decoder, Dialect, Frame, Limits, Message, UniquePid, encode};
use serde_json::Value;

struct Vector {
    name: String,
    bytes: Vec<u8>,
    sidecar: Value,
}

fn vectors(dialect: Dialect) -> Vec<Vector> {
    let text = match dialect {
        Dialect::V3 => include_str!("../vectors/v3.jsonl"),
        Dialect::V5 => include_str!("../vectors/v5.jsonl"),
        other => panic!("no vectors for {other:?}"),
    };
    text.lines()
        .map(|line| {
            let sidecar: Value = serde_json::from_str(line).unwrap();
            let hex = sidecar["hex"].as_str().unwrap();
            let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            Vector {
                name: format!("{dialect:?} {}", sidecar["name"].as_str().unwrap()),
                bytes: (0..hex.len()).step_by(2).map(digits).collect(),
                sidecar,
            }
        })
        .collect()
}

fn decode(dialect: Dialect, vector: &Vector) -> Frame {
    let mut decoder = Decoder::new(dialect, Limits::default());
    decoder.feed(&vector.bytes);
    let frame = decoder
        .next_frame()
        .unwrap()
        .unwrap_or_else(|| panic!("{}: cut off", vector.name));
    assert_eq!(decoder.pending(), 0, "{}: bytes left over", vector.name);
    frame
}

fn for_each(test: impl Fn(Dialect, &Vector, Frame)) {
    let mut seen = 0;
    for &dialect in Dialect::ALL {
        for vector in vectors(dialect) {
            test(dialect, &vector, decode(dialect, &vector));
            seen += 1;
        }
    }
    assert!(seen >= 176, "only {seen} vectors");
}

#[test]
fn frames_encode_back_to_the_same_bytes() {
    for_each(|dialect, vector, frame| {
        let mut bytes = BytesMut::new();
        encode(dialect, &frame, &mut bytes).unwrap();
        assert_eq!(&bytes[..], &vector.bytes[..], "{}", vector.name);
    });
}

#[test]
fn raw_fields_are_those_of_the_sidecar() {
    for_each(|_, vector, Frame { header, payload }| {
        let want = |field: &str| vector.sidecar[field].as_i64().unwrap();
        let id = |field: &str| {
            let object = &vector.sidecar[field];
            UniquePid {
                host_id: object["hostid"].as_u64().unwrap(),
                time: object["time"].as_u64().unwrap(),
                pid: object["pid"].as_i64().unwrap() as i32,
                generation: object["generation"].as_u64().unwrap() as u32,
            }
        };
        let name = &vector.name;
        assert_eq!(i64::from(header.kind), want("type"), "{name}");
        assert_eq!(i64::from(header.state), want("state"), "{name}");
        assert_eq!(header.from, id("from"), "{name}");
        assert_eq!(header.group, id("compGroup"), "{name}");
        assert_eq!(i64::from(header.virtual_pid), want("virtualPid"), "{name}");
        assert_eq!(i64::from(header.real_pid), want("realPid"), "{name}");
        assert_eq!(i64::from(header.key_len), want("keyLen"), "{name}");
        assert_eq!(i64::from(header.value_len), want("valLen"), "{name}");
        assert_eq!(i64::from(header.peers), want("numPeers"), "{name}");
        assert_eq!(i64::from(header.running), want("isRunning"), "{name}");
        assert_eq!(i64::from(header.verb), want("coordCmd"), "{name}");
        assert_eq!(i64::from(header.status), want("coordCmdStatus"), "{name}");
        assert_eq!(header.time_stamp as i64, want("coordTimeStamp"), "{name}");
        assert_eq!(
            i64::from(header.interval),
            want("theCheckpointInterval"),
            "{name}"
        );
        assert_eq!(
            i64::from(header.key_value_code),
            want("kvdb_op_or_response"),
            "{name}"
        );
        assert_eq!(i64::from(header.then_exit), want("exitAfterCkpt"), "{name}");
        let ip = header.ip.map(|byte| byte.to_string()).join(".");
        assert_eq!(ip, vector.sidecar["ipAddr"].as_str().unwrap(), "{name}");
        let text = header.name.split(|&b| b == 0).next().unwrap();
        assert_eq!(
            text,
            vector.sidecar["name64"].as_str().unwrap().as_bytes(),
            "{name}"
        );
        assert_eq!(payload.len() as i64, want("payload_bytes"), "{name}");
        if let Some(text) = vector.sidecar["payload_text"].as_str() {
            assert_eq!(&payload[..], text.as_bytes(), "{name}");
        }
    });
}

#[test]
fn kinds_and_states_are_those_of_the_sidecar() {
    for_each(|dialect, vector, frame| {
        let kind = dialect.kind(frame.header.kind);
        let theirs = vector.sidecar["type_name"].as_str().unwrap();
        assert_eq!(
            upstream_name(&format!("{kind:?}")),
            theirs,
            "{}",
            vector.name
        );
        let state = dialect.state(frame.header.state).to_string();
        assert_eq!(
            state,
            vector.sidecar["state_name"].as_str().unwrap(),
            "{}",
            vector.name
        );
    });
}

/// DMTCP's own word for a kind.
fn upstream_name(kind: &str) -> &str {
    match kind {
        "NewWorker" => "NEW_WORKER",
        "NameServiceWorker" => "NAME_SERVICE_WORKER",
        "RestartWorker" => "RESTART_WORKER",
        "Accept" => "ACCEPT",
        "RejectNotRestarting" => "REJECT_NOT_RESTARTING",
        "RejectWrongComputation" => "REJECT_WRONG_COMP",
        "RejectNotRunning" => "REJECT_NOT_RUNNING",
        "RejectPeerMismatch" => "REJECT_RESTART_PEER_MISMATCH",
        "ProcessAfterFork" => "UPDATE_PROCESS_INFO_AFTER_FORK",
        "ProcessAfterExec" => "UPDATE_PROCESS_INFO_AFTER_INIT_OR_EXEC",
        "GetCheckpointDir" => "GET_CKPT_DIR",
        "CheckpointDir" => "GET_CKPT_DIR_RESULT",
        "SetCheckpointDir" => "UPDATE_CKPT_DIR",
        "CheckpointFile" => "CKPT_FILENAME",
        "UserCommand" => "USER_CMD",
        "UserResult" => "USER_CMD_RESULT",
        "DoCheckpoint" => "DO_CHECKPOINT",
        "Barrier" => "BARRIER",
        "BarrierReleased" => "BARRIER_RELEASED",
        "WorkerResuming" => "WORKER_RESUMING",
        "KillPeer" => "KILL_PEER",
        "KeyValueRequest" => "KVDB_REQUEST",
        "KeyValueResponse" => "KVDB_RESPONSE",
        other => other,
    }
}

#[test]
fn every_capture_has_a_meaning_that_survives() {
    for_each(|dialect, vector, frame| {
        let message = Message::parse(dialect, &frame)
            .unwrap_or_else(|error| panic!("{}: {error}", vector.name));
        assert!(!matches!(message.body, Body::Unknown(_)), "{}", vector.name);
        let again = message.to_frame(dialect).unwrap();
        assert_eq!(
            Message::parse(dialect, &again),
            Ok(message),
            "{}",
            vector.name
        );
        assert_eq!(again.payload, frame.payload, "{}", vector.name);
    });
}
