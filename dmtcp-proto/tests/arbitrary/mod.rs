//! Arbitrary frames and messages.

#![allow(unreachable_pub, reason = "shared by several test crates")]
#![allow(dead_code, reason = "each test file uses its own part of this")]

use bytes::Bytes;
use dmtcp_proto::{
    Accept, Body, CheckpointFile, CommandStatus, Dialect, DoCheckpoint, Frame, Header, Hello,
    Interval, KeyValueOp, KeyValueRequest, KeyValueResponse, Kind, Message, Name, NameServiceOp,
    NameServiceRequest, Phase, PhaseOrder, Reject, Released, Text, UniquePid, UserCommand,
    UserResult, Verb,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;

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
    let numbers = vec(any::<u32>(), 16);
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
        header.log_mask = n[15];
        header
    })
}

/// Clears what a dialect's header has no place for.
fn fit(dialect: Dialect, header: &mut Header) {
    match dialect {
        Dialect::V3 | Dialect::V5 => header.log_mask = 0,
        _ => {
            header.name[8..].fill(0);
            header.key_value_code = 0;
            header.key_value_residue = 0;
            header.then_exit = 0;
        }
    }
    if dialect == Dialect::V2_4 {
        header.unique_id_offset = 0;
        header.log_mask = 0;
    }
}

/// A frame that a dialect can say.
pub fn frame_of(dialect: Dialect) -> impl Strategy<Value = Frame> {
    // Above 4096 a payload may keep the decoder's buffer; below it has a copy.
    let payload = prop_oneof![
        3 => vec(any::<u8>(), 0..40),
        1 => vec(any::<u8>(), 4000..4200),
        1 => vec(any::<u8>(), 0..5000),
    ];
    (header(), payload).prop_map(move |(mut header, payload)| {
        fit(dialect, &mut header);
        Frame {
            header,
            payload: Bytes::from(payload),
        }
    })
}

/// A dialect, and a frame that it can say.
pub fn frame() -> impl Strategy<Value = (Dialect, Frame)> {
    dialect().prop_flat_map(|dialect| (Just(dialect), frame_of(dialect)))
}

/// A dialect, and some frames that it can say.
pub fn frames(most: usize) -> impl Strategy<Value = (Dialect, Vec<Frame>)> {
    dialect().prop_flat_map(move |dialect| (Just(dialect), vec(frame_of(dialect), 1..=most)))
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

fn bytes(least: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), least..50).prop_map(Bytes::from)
}

fn command(dialect: Dialect) -> impl Strategy<Value = UserCommand> {
    (verb(dialect), interval(), any::<u32>()).prop_map(move |(verb, interval, mask)| UserCommand {
        verb,
        interval,
        // The others have no place for it.
        log_mask: match dialect {
            Dialect::V2_5 | Dialect::V2_6 => mask,
            _ => 0,
        },
    })
}

fn file(dialect: Dialect, unique: bool) -> impl Strategy<Value = CheckpointFile> {
    let shell = match dialect {
        Dialect::V2_4 => proptest::option::of(text()).boxed(),
        _ => text().prop_map(Some).boxed(),
    };
    (some_text(), shell, text()).prop_map(move |(path, shell, host)| CheckpointFile {
        path,
        shell,
        host,
        unique,
    })
}

fn order(phase: Phase) -> impl Strategy<Value = PhaseOrder> {
    let dir = match phase {
        Phase::Suspend => proptest::option::of(text()).boxed(),
        _ => Just(None).boxed(),
    };
    (any::<u32>(), dir).prop_map(move |(peers, checkpoint_dir)| PhaseOrder {
        phase,
        peers,
        checkpoint_dir,
    })
}

fn name_service(op: BoxedStrategy<NameServiceOp>) -> BoxedStrategy<Body> {
    let request = (any::<[u8; 8]>(), bytes(1), op);
    request
        .prop_map(|(database, key, op)| {
            Body::NameServiceRequest(NameServiceRequest { database, key, op })
        })
        .boxed()
}

fn register(sync: bool) -> BoxedStrategy<NameServiceOp> {
    bytes(1)
        .prop_map(move |value| NameServiceOp::Register { value, sync })
        .boxed()
}

/// What a message of this kind can say; `None`: nothing that this library has a word for.
pub fn body_of(dialect: Dialect, kind: Kind) -> Option<BoxedStrategy<Body>> {
    Some(match kind {
        Kind::NewWorker => hello().prop_map(Body::NewWorker).boxed(),
        Kind::NameServiceWorker => Just(Body::NameServiceWorker).boxed(),
        Kind::RestartWorker => hello().prop_map(Body::RestartWorker).boxed(),
        Kind::Accept => any::<(i32, u64, [u8; 4])>()
            .prop_map(|(virtual_pid, time_stamp, ip)| {
                Body::Accept(Accept {
                    virtual_pid,
                    time_stamp,
                    ip,
                })
            })
            .boxed(),
        Kind::RejectNotRestarting => Just(Body::Reject(Reject::NotRestarting)).boxed(),
        Kind::RejectWrongComputation => Just(Body::Reject(Reject::WrongComputation)).boxed(),
        Kind::RejectNotRunning => Just(Body::Reject(Reject::NotRunning)).boxed(),
        Kind::RejectPeerMismatch => Just(Body::Reject(Reject::PeerMismatch)).boxed(),
        Kind::ProcessAfterFork => any::<i32>()
            .prop_map(|real_pid| Body::ProcessAfterFork { real_pid })
            .boxed(),
        Kind::ProcessAfterExec => (any::<i32>(), text())
            .prop_map(|(real_pid, program)| Body::ProcessAfterExec { real_pid, program })
            .boxed(),
        Kind::GetCheckpointDir => Just(Body::GetCheckpointDir).boxed(),
        Kind::CheckpointDir => text().prop_map(Body::CheckpointDir).boxed(),
        Kind::SetCheckpointDir => text().prop_map(Body::SetCheckpointDir).boxed(),
        Kind::SetGlobalCheckpointDir => text().prop_map(Body::SetGlobalCheckpointDir).boxed(),
        Kind::GlobalCheckpointDirSet => Just(Body::GlobalCheckpointDirSet(true)).boxed(),
        Kind::GlobalCheckpointDirFailed => Just(Body::GlobalCheckpointDirSet(false)).boxed(),
        Kind::CheckpointFile => file(dialect, false).prop_map(Body::CheckpointFile).boxed(),
        Kind::UniqueCheckpointFile => file(dialect, true).prop_map(Body::CheckpointFile).boxed(),
        Kind::UserCommand => command(dialect).prop_map(Body::UserCommand).boxed(),
        Kind::UserResult => result(dialect).prop_map(Body::UserResult).boxed(),
        Kind::DoCheckpoint => any::<(u32, bool)>()
            .prop_map(|(peers, then_exit)| Body::DoCheckpoint(DoCheckpoint { peers, then_exit }))
            .boxed(),
        Kind::Do(phase) => order(phase).prop_map(Body::Do).boxed(),
        Kind::Ok => Just(Body::Ok).boxed(),
        Kind::UpdateLogging => any::<u32>()
            .prop_map(|mask| Body::UpdateLogging { mask })
            .boxed(),
        Kind::Barrier => name().prop_map(Body::Barrier).boxed(),
        Kind::BarrierReleased => (name(), any::<(u32, bool)>())
            .prop_map(|(name, (peers, then_exit))| {
                Body::BarrierReleased(Released {
                    name,
                    peers,
                    then_exit,
                })
            })
            .boxed(),
        Kind::WorkerResuming => Just(Body::WorkerResuming).boxed(),
        Kind::KillPeer => Just(Body::KillPeer).boxed(),
        Kind::KeyValueRequest => key_value().prop_map(Body::KeyValueRequest).boxed(),
        Kind::KeyValueResponse => prop_oneof![
            text().prop_map(KeyValueResponse::Value),
            Just(KeyValueResponse::InvalidRequest),
            Just(KeyValueResponse::NoDatabase),
            Just(KeyValueResponse::NoKey),
            (4u32..).prop_map(KeyValueResponse::Unknown),
        ]
        .prop_map(Body::KeyValueResponse)
        .boxed(),
        Kind::NameServiceRegister => name_service(register(false)),
        Kind::NameServiceRegisterSync => name_service(register(true)),
        Kind::NameServiceRegistered => Just(Body::NameServiceRegistered).boxed(),
        Kind::NameServiceQuery => name_service(Just(NameServiceOp::Query).boxed()),
        Kind::NameServiceAnswer => bytes(0).prop_map(Body::NameServiceAnswer).boxed(),
        Kind::NameServiceUniqueIdQuery => name_service(
            (1u32.., any::<u32>())
                .prop_map(|(len, offset)| NameServiceOp::UniqueId { len, offset })
                .boxed(),
        ),
        Kind::NameServiceUniqueId => bytes(0).prop_map(Body::NameServiceUniqueId).boxed(),
        _ => return None,
    })
}

/// Every kind of message that a dialect has, with its number.
pub fn kinds(dialect: Dialect) -> impl Iterator<Item = (u32, Kind)> {
    (0..100).filter_map(move |number| match dialect.kind(number) {
        Kind::Unknown(_) | Kind::Null => None,
        kind => Some((number, kind)),
    })
}

fn body(dialect: Dialect) -> impl Strategy<Value = Body> {
    Union::new(kinds(dialect).map(|(_, kind)| {
        body_of(dialect, kind).unwrap_or_else(|| panic!("nobody makes a {kind:?}"))
    }))
}

/// A dialect, and a message that it can say.
pub fn message() -> impl Strategy<Value = (Dialect, Message)> {
    dialect().prop_flat_map(|dialect| {
        let state = prop_oneof![0u32..14, any::<u32>()];
        let group = prop_oneof![9 => id(), 1 => Just(UniquePid::NULL)];
        (id(), group, state, body(dialect)).prop_map(move |(from, group, state, body)| {
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
