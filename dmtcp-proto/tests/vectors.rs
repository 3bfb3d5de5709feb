//! Every captured frame decodes to what its sidecar says, and encodes back to the same bytes.

mod captures;

use bytes::BytesMut;
use captures::Capture;
use dmtcp_proto::{
    Body, Decoder, Dialect, Frame, Interval, Limits, Message, UniquePid, Verb, encode,
};
use serde_json::Value;
use std::collections::BTreeSet;

fn decode(capture: &Capture) -> Frame {
    let mut decoder = Decoder::new(capture.dialect, Limits::default());
    decoder.feed(&capture.bytes);
    let frame = decoder
        .next_frame()
        .unwrap()
        .unwrap_or_else(|| panic!("{}: cut off", capture.name));
    assert_eq!(decoder.pending(), 0, "{}: bytes left over", capture.name);
    frame
}

fn encoded(dialect: Dialect, frame: &Frame) -> BytesMut {
    let mut bytes = BytesMut::new();
    encode(dialect, frame, &mut bytes).unwrap();
    bytes
}

fn for_each(test: impl Fn(&Capture, Frame)) {
    for capture in captures::all() {
        test(&capture, decode(&capture));
    }
}

#[test]
fn none_is_missing() {
    let counts = Dialect::ALL.iter().map(|&dialect| {
        let captures = captures::of(dialect).len();
        (dialect, captures)
    });
    assert_eq!(
        counts.collect::<Vec<_>>(),
        [
            (Dialect::V2_4, 64),
            (Dialect::V2_5, 73),
            (Dialect::V2_6, 76),
            (Dialect::V3, 128),
            (Dialect::V5, 130),
        ]
    );
    assert_eq!(captures::probes().len(), 3);
    let all = captures::all().into_iter().chain(captures::probes());
    let names: BTreeSet<String> = all.map(|capture| capture.name).collect();
    assert_eq!(names.len(), 474, "one stands twice");
}

#[test]
fn frames_encode_back_to_the_same_bytes() {
    for_each(|capture, frame| {
        let bytes = encoded(capture.dialect, &frame);
        assert_eq!(&bytes[..], &capture.bytes[..], "{}", capture.name);
    });
}

/// A stranger's frame is read no worse than that of a peer whose dialect is known.
#[test]
fn frames_are_the_same_to_a_decoder_that_detects() {
    for_each(|capture, frame| {
        let mut decoder = Decoder::detecting(Limits::default());
        decoder.feed(&capture.bytes);
        assert_eq!(decoder.next_frame(), Ok(Some(frame)), "{}", capture.name);
        let possible: Vec<Dialect> = decoder.candidates().iter().collect();
        let same_layout = |dialect: &Dialect| dialect.header_len() == capture.dialect.header_len();
        let expected: Vec<Dialect> = Dialect::ALL.iter().copied().filter(same_layout).collect();
        assert_eq!(possible, expected, "{}", capture.name);
    });
}

#[test]
fn raw_fields_are_those_of_the_sidecar() {
    for_each(|capture, Frame { header, payload }| {
        let name = &capture.name;
        let mut checked = BTreeSet::new();
        let mut check = |field: &'static str, found: Value| {
            checked.insert(field);
            assert_eq!(capture.sidecar[field], found, "{field} of {name}");
        };
        let id = |id: UniquePid| {
            serde_json::json!({
                "hostid": id.host_id, "time": id.time, "pid": id.pid, "generation": id.generation,
            })
        };
        let text = |bytes: &[u8]| {
            let text = bytes.split(|&byte| byte == 0).next().unwrap();
            Value::from(std::str::from_utf8(text).unwrap())
        };
        check("msgSize", capture.dialect.header_len().into());
        check("extraBytes", payload.len().into());
        check("payload_bytes", payload.len().into());
        check(
            "payload_text",
            std::str::from_utf8(&payload).unwrap().into(),
        );
        check("type", header.kind.into());
        check("state", header.state.into());
        check("from", id(header.from));
        check("compGroup", id(header.group));
        check("virtualPid", header.virtual_pid.into());
        check("realPid", header.real_pid.into());
        check("keyLen", header.key_len.into());
        check("valLen", header.value_len.into());
        check("numPeers", header.peers.into());
        check("isRunning", header.running.into());
        check("coordCmd", header.verb.into());
        check("coordCmdStatus", header.status.into());
        check("coordTimeStamp", header.time_stamp.into());
        check("theCheckpointInterval", header.interval.into());
        check("ipAddr", header.ip.map(|b| b.to_string()).join(".").into());
        let checked_everywhere = checked.len();
        let mut check = |field: &'static str, found: Value| {
            checked.insert(field);
            assert_eq!(capture.sidecar[field], found, "{field} of {name}");
        };
        match capture.dialect {
            Dialect::V3 | Dialect::V5 => {
                check("name64", text(&header.name));
                check("kvdb_op_or_response", header.key_value_code.into());
                check("exitAfterCkpt", header.then_exit.into());
            }
            dialect => {
                check("nsid", text(&header.name[..8]));
                assert_eq!(header.name[8..], [0; 56], "{name}");
                if dialect != Dialect::V2_4 {
                    check("uniqueIdOffset", header.unique_id_offset.into());
                    check("logMask", header.log_mask.into());
                }
            }
        }
        assert!(checked.len() > checked_everywhere, "{name}");
        // Words, and where the frame comes from: the other tests' and nobody's concern.
        let others = [
            "name",
            "hex",
            "release",
            "direction",
            "source",
            "garbage_fields",
            "type_name",
            "state_name",
        ];
        for field in capture.sidecar.as_object().unwrap().keys() {
            let field = field.as_str();
            assert!(
                checked.contains(field) || others.contains(&field),
                "nobody checks {field} of {name}"
            );
        }
    });
}

#[test]
fn kinds_and_states_are_those_of_the_sidecar() {
    for_each(|capture, frame| {
        let (dialect, name) = (capture.dialect, &capture.name);
        let kind = format!("{:?}", dialect.kind(frame.header.kind));
        let theirs = capture.sidecar["type_name"].as_str().unwrap();
        assert_eq!(upstream_name(dialect, &kind), theirs, "{name}");
        let state = dialect.state(frame.header.state).to_string();
        assert_eq!(state, capture.sidecar["state_name"], "{name}");
    });
}

/// DMTCP's own word for a kind.
fn upstream_name(dialect: Dialect, kind: &str) -> &str {
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
        "GlobalCheckpointDirFailed" => "UPDATE_GLOBAL_CKPT_DIR_FAIL",
        "CheckpointFile" => "CKPT_FILENAME",
        "UniqueCheckpointFile" => "UNIQUE_CKPT_FILENAME",
        "UserCommand" => "USER_CMD",
        "UserResult" => "USER_CMD_RESULT",
        "DoCheckpoint" => "DO_CHECKPOINT",
        "Do(Suspend)" => "DO_SUSPEND",
        "Do(FdLeaderElection)" => "DO_FD_LEADER_ELECTION",
        "Do(PreCheckpointRegister)" => "DO_PRE_CKPT_NAME_SERVICE_DATA_REGISTER",
        "Do(PreCheckpointQuery)" => "DO_PRE_CKPT_NAME_SERVICE_DATA_QUERY",
        "Do(Drain)" => "DO_DRAIN",
        "Do(Checkpoint)" => "DO_CHECKPOINT",
        "Do(RegisterNameServiceData)" => "DO_REGISTER_NAME_SERVICE_DATA",
        "Do(SendQueries)" => "DO_SEND_QUERIES",
        "Do(Refill)" => "DO_REFILL",
        "Do(Resume)" => "DO_RESUME",
        "Ok" => "OK",
        "Barrier" => "BARRIER",
        "BarrierReleased" => "BARRIER_RELEASED",
        "WorkerResuming" => "WORKER_RESUMING",
        "KillPeer" => "KILL_PEER",
        "KeyValueRequest" => "KVDB_REQUEST",
        "KeyValueResponse" => "KVDB_RESPONSE",
        "NameServiceRegisterSync" => "REGISTER_NAME_SERVICE_DATA_SYNC",
        "NameServiceRegistered" => "REGISTER_NAME_SERVICE_DATA_SYNC_RESPONSE",
        "NameServiceQuery" => "NAME_SERVICE_QUERY",
        "NameServiceAnswer" => "NAME_SERVICE_QUERY_RESPONSE",
        "NameServiceUniqueIdQuery" => "NAME_SERVICE_GET_UNIQUE_ID",
        "NameServiceUniqueId" => "NAME_SERVICE_GET_UNIQUE_ID_RESPONSE",
        other => panic!("{dialect:?} {other} has no captured frame yet: what does DMTCP call it?"),
    }
}

/// The bytes without what the sidecar calls residue, without two fields that stock coordinators
/// fill and nobody reads, and of several ways to say the same the one we use.
fn what_is_said(capture: &Capture) -> Vec<u8> {
    let mut bytes = capture.bytes.clone();
    for field in capture.sidecar["garbage_fields"].as_array().unwrap() {
        let (_, place) = field.as_str().unwrap().rsplit_once('@').unwrap();
        let (from, to) = place.split_once("..").unwrap();
        let place: std::ops::RangeInclusive<usize> = from.parse().unwrap()..=to.parse().unwrap();
        bytes[place].fill(0);
    }
    let header_len = capture.dialect.header_len();
    match capture.kind().as_str() {
        // The virtual pid that it would have had.
        "reject-not-running" | "reject-wrong-comp" => {
            let at = if header_len == 208 { 152 } else { 80 };
            bytes[at..at + 4].fill(0xff);
        }
        // The number of workers that were told.
        "kill-peer" if header_len == 208 => bytes[168..172].fill(0),
        // A command has several letters, of which we send the first.
        "user-cmd" if header_len == 208 => {
            let dialect = capture.dialect;
            let ours = dialect.verb_number(dialect.verb(u32::from(bytes[176])));
            bytes[176..180].copy_from_slice(&ours.unwrap().to_le_bytes());
        }
        // Who gives no names has empty ones.
        "new-worker" if bytes.len() == 208 => {
            bytes[92] = 2;
            bytes.extend(b"\0\0");
        }
        _ => {}
    }
    bytes
}

/// What a message says is all that a frame says: written again, only the residue is missing.
#[test]
fn every_capture_has_a_meaning_that_is_all_it_says() {
    for_each(|capture, frame| {
        let (dialect, name) = (capture.dialect, &capture.name);
        let message =
            Message::parse(dialect, &frame).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!matches!(message.body, Body::Unknown(_)), "{name}");
        let again = message.to_frame(dialect).unwrap();
        let written = encoded(dialect, &again);
        assert_eq!(&written[..], what_is_said(capture), "{name}");
        assert_eq!(Message::parse(dialect, &again), Ok(message), "{name}");
    });
}

/// A probe is 208 bytes to newer coordinators, and its beginning a whole frame to older ones.
#[test]
fn probes_ask_for_the_status_in_several_dialects() {
    let status = |dialect: Dialect, frame: &Frame| {
        let message = Message::parse(dialect, frame).unwrap();
        let Body::UserCommand(command) = message.body else {
            panic!("{dialect:?} reads {message:?}");
        };
        assert_eq!(command.verb, Verb::Status, "{dialect:?}");
        assert_eq!(command.interval, Interval::Unchanged, "{dialect:?}");
    };
    for probe in captures::probes() {
        assert_eq!(probe.bytes.len(), 208, "{}", probe.name);
        let frame = decode(&probe);
        status(probe.dialect, &frame);
        let written = encoded(probe.dialect, &frame);
        assert_eq!(&written[..], &probe.bytes[..], "{}", probe.name);

        let (older, header_len): (&[Dialect], u8) = match probe.name.as_str() {
            "probe1-polyglot-2.5.1plus-and-b" => (&[Dialect::V2_5, Dialect::V2_6], 144),
            "probe1-alt-polyglot-2.4-to-2.5.0-and-b" => (&[Dialect::V2_4], 136),
            "probe2-c-status" => continue,
            other => panic!("what is {other}?"),
        };
        for &dialect in older {
            // Coordinators of 2.x do not look at the length in a first message; our decoder does.
            let mut bytes = probe.bytes.clone();
            bytes[16] = header_len;
            let mut decoder = Decoder::new(dialect, Limits::default());
            decoder.feed(&bytes);
            status(dialect, &decoder.next_frame().unwrap().unwrap());
            assert_eq!(decoder.pending(), 208 - dialect.header_len());
        }
    }
}
