//! Arbitrary frames and messages.

#![allow(unreachable_pub, reason = "shared by several test crates")]
#![allow(dead_code, reason = "each test file uses its own part of this")]

use bytes::Bytes;
use dmtcp_proto::{
    Accept, Body, CheckpointFile, CommandStatus, Dialect, DoCheckpoint, Frame, Header, Hello,
    Interval, KeyValueOp, KeyValueRequest, KeyValueResponse, Message, Name, Reject, Released, Text,
    UniquePid, UserCommand, UserResult, Verb,
};
use proptest::collection::vec;
use proptest::prelude::*;

pub fn dialect() -> impl Strategy<Value = Dialect> {
    proptest::sample::select(Dialect::ALL)
}

pub fn id() -> impl Strategy<Value = UniquePid> {
    any::<(u64, u64, i32, u32)>().prop_map(|(host_id, time, pid, generation)| UniquePid {
        host_id,
        time,
        pid,
        generation,
    })
}

fn header() -> impl Strategy<Value = Header> {
    let ids = (id(), id());
    let name = vec(any::<u8>(), 64);
    let numbers = vec(any::<u32>(), 15);
    let rest = any::<(u8, u64, [u8; 4])>();
    (ids, name, numbers, rest).prop_map(|((from, group), name, n, (residue, time_stamp, ip))| {
        let mut header = Header::default();
        header.magic_residue = residue;
        header.name.copy_from_slice(&name);
        header.key_value_code = n[0];
        header.key_value_residue = n[1];
        header.kind = n[2];
        header.state = n[3];
        header.from = from;
        header.group = group;
        header.virtual_pid = n[4] as i32;
        header.real_pid = n[5] as i32;
        header.key_len = n[6];
        header.value_len = n[7];
        header.peers = n[8];
        header.running = n[9];
        header.verb = n[10];
        header.status = n[11] as i32;
        header.time_stamp = time_stamp;
        header.interval = n[12] as i32;
        header.ip = ip;
        header.unique_id_offset = n[13];
        header.then_exit = n[14];
        header
    })
}

pub fn frame() -> impl Strategy<Value = Frame> {
    // Around 1024 the decoder changes from copying a payload to sharing it.
    let payload = prop_oneof![
        3 => vec(any::<u8>(), 0..40),
        1 => vec(any::<u8>(), 1000..1050),
        1 => vec(any::<u8>(), 0..5000),
    ];
    (header(), payload).prop_map(|(header, payload)| Frame {
        header,
        payload: Bytes::from(payload),
    })
}

fn text() -> impl Strategy<Value = Text> {
    vec(1u8.., 0..50).prop_map(|bytes| Text::new(bytes).unwrap())
}

fn some_text() -> impl Strategy<Value = Text> {
    vec(1u8.., 1..50).prop_map(|bytes| Text::new(bytes).unwrap())
}

fn name() -> impl Strategy<Value = Name> {
    vec(1u8.., 0..64).prop_map(|bytes| Name::from_field(&bytes))
}

fn interval() -> impl Strategy<Value = Interval> {
    any::<i32>().prop_map(Interval::from_wire)
}

fn hello() -> impl Strategy<Value = Hello> {
    let numbers = any::<(i32, i32, u32)>();
    (text(), text(), numbers, interval()).prop_map(|(host, program, numbers, interval)| Hello {
        host,
        program,
        real_pid: numbers.0,
        virtual_pid: numbers.1,
        peers: numbers.2,
        interval,
    })
}

fn verb(dialect: Dialect) -> impl Strategy<Value = Verb> {
    // Through the table, so that a number and its meaning fit.
    prop_oneof![0u32..128, any::<u32>()].prop_map(move |number| dialect.verb(number))
}

fn result(dialect: Dialect) -> impl Strategy<Value = UserResult> {
    let text = vec(any::<u8>(), 0..80);
    let numbers = (any::<i32>(), any::<u32>(), any::<bool>());
    (verb(dialect), numbers, interval(), text).prop_map(
        move |(verb, (status, peers, running), interval, text)| UserResult {
            verb: dialect.reply_echoes_verb().then_some(verb),
            status: CommandStatus::from_wire(status),
            peers,
            running,
            interval,
            text: text.into(),
        },
    )
}

fn key_value() -> impl Strategy<Value = KeyValueRequest> {
    let op = prop_oneof![
        Just(KeyValueOp::Get),
        Just(KeyValueOp::Set),
        Just(KeyValueOp::IncrementBy),
        Just(KeyValueOp::And),
        Just(KeyValueOp::Or),
        Just(KeyValueOp::Xor),
        Just(KeyValueOp::Min),
        Just(KeyValueOp::Max),
        (8u32..).prop_map(KeyValueOp::Unknown),
    ];
    (name(), op, some_text(), text()).prop_map(|(database, op, key, value)| KeyValueRequest {
        database,
        op,
        key,
        value,
    })
}

fn body(dialect: Dialect) -> impl Strategy<Value = Body> {
    let processes = prop_oneof![
        hello().prop_map(Body::NewWorker),
        hello().prop_map(Body::RestartWorker),
        Just(Body::NameServiceWorker),
        any::<(i32, u64, [u8; 4])>().prop_map(|(virtual_pid, time_stamp, ip)| Body::Accept(
            Accept {
                virtual_pid,
                time_stamp,
                ip
            }
        )),
        Just(Body::Reject(Reject::NotRestarting)),
        Just(Body::Reject(Reject::WrongComputation)),
        Just(Body::Reject(Reject::NotRunning)),
        Just(Body::Reject(match dialect {
            Dialect::V3 => Reject::NotRunning,
            _ => Reject::PeerMismatch,
        })),
        any::<i32>().prop_map(|real_pid| Body::ProcessAfterFork { real_pid }),
        (any::<i32>(), text())
            .prop_map(|(real_pid, program)| Body::ProcessAfterExec { real_pid, program }),
        Just(Body::KillPeer),
    ];
    let checkpoint = prop_oneof![
        Just(Body::GetCheckpointDir),
        text().prop_map(Body::CheckpointDir),
        text().prop_map(Body::SetCheckpointDir),
        (some_text(), text(), text(), any::<bool>()).prop_map(|(path, shell, host, unique)| {
            Body::CheckpointFile(CheckpointFile {
                path,
                shell,
                host,
                unique,
            })
        }),
        any::<(u32, bool)>()
            .prop_map(|(peers, then_exit)| Body::DoCheckpoint(DoCheckpoint { peers, then_exit })),
        name().prop_map(Body::Barrier),
        (name(), any::<(u32, bool)>()).prop_map(|(name, (peers, then_exit))| {
            Body::BarrierReleased(Released {
                name,
                peers,
                then_exit,
            })
        }),
        Just(Body::WorkerResuming),
    ];
    let rest = prop_oneof![
        (verb(dialect), interval())
            .prop_map(|(verb, interval)| Body::UserCommand(UserCommand { verb, interval })),
        result(dialect).prop_map(Body::UserResult),
        key_value().prop_map(Body::KeyValueRequest),
        text().prop_map(|text| Body::KeyValueResponse(KeyValueResponse::Value(text))),
        Just(Body::KeyValueResponse(KeyValueResponse::InvalidRequest)),
        Just(Body::KeyValueResponse(KeyValueResponse::NoDatabase)),
        Just(Body::KeyValueResponse(KeyValueResponse::NoKey)),
        (4u32..).prop_map(|code| Body::KeyValueResponse(KeyValueResponse::Unknown(code))),
    ];
    prop_oneof![processes, checkpoint, rest]
}

/// A dialect, and a message that it can say.
pub fn message() -> impl Strategy<Value = (Dialect, Message)> {
    dialect().prop_flat_map(|dialect| {
        let state = prop_oneof![0u32..9, any::<u32>()];
        (id(), id(), state, body(dialect)).prop_map(move |(from, group, state, body)| {
            let state = dialect.state(state);
            let message = Message {
                from,
                group,
                state,
                body,
            };
            (dialect, message)
        })
    })
}
