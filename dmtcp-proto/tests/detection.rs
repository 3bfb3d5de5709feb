//! Which dialect a peer speaks, from its bytes on; and what may be said to it before that is known.
//!
//! The tables of `docs/PROTOCOL.md` are checked row by row in `docs_match_detection.rs`. Here:
//! whole openings of a connection, as a stock peer sends them.

mod captures;

use bytes::{Bytes, BytesMut};
use captures::Capture;
use dmtcp_proto::{
    Accept, Body, Candidates, CommandStatus, Decoder, Dialect, Frame, Hello, Kind, Limits, Message,
    NameServiceOp, NameServiceRequest, Reject, Text, UniquePid, UserCommand, UserResult, Verb,
    WorkerState, encode,
};

use Dialect::{V2_4, V2_5, V2_6, V3, V5};

fn dialects(candidates: Candidates) -> Vec<Dialect> {
    candidates.iter().collect()
}

/// What a server knows behind each message of a connection that begins with these bytes.
fn heard(bytes: &[u8]) -> Vec<Candidates> {
    let mut decoder = Decoder::detecting(Limits::default());
    decoder.feed(bytes);
    let mut known = Vec::new();
    while let Some(frame) = decoder.next_frame().unwrap() {
        let candidates = match known.last() {
            None => decoder.candidates().narrow_by_first(&frame),
            Some(before) => Candidates::narrow_by_later(*before, &frame),
        };
        known.push(candidates);
    }
    assert_eq!(decoder.pending(), 0);
    known
}

fn bytes(dialect: Dialect, messages: &[Message]) -> BytesMut {
    let mut bytes = BytesMut::new();
    for message in messages {
        encode(dialect, &message.to_frame(dialect).unwrap(), &mut bytes).unwrap();
    }
    bytes
}

fn says(state: WorkerState, body: Body) -> Message {
    Message::new(UniquePid::NULL, body).in_state(state)
}

fn hello() -> Hello {
    Hello {
        host: "host".into(),
        program: "program".into(),
        real_pid: 4711,
        virtual_pid: -1,
        ..Hello::default()
    }
}

fn after_exec() -> Message {
    let program = Text::from("program");
    let real_pid = -1;
    let body = Body::ProcessAfterExec { real_pid, program };
    says(WorkerState::Running, body)
}

fn after_fork() -> Message {
    says(WorkerState::Running, Body::ProcessAfterFork { real_pid: 1 })
}

fn frame_of(capture: &Capture) -> Frame {
    let mut decoder = Decoder::new(capture.dialect, Limits::default());
    decoder.feed(&capture.bytes);
    decoder.next_frame().unwrap().unwrap()
}

/// Those that a dialect shares its header with, itself included.
fn same_header(dialect: Dialect) -> Vec<Dialect> {
    let same = |other: &Dialect| other.header_len() == dialect.header_len();
    Dialect::ALL.iter().copied().filter(same).collect()
}

#[test]
fn a_launched_worker_is_known_by_what_follows_its_exec() {
    for &dialect in Dialect::ALL {
        let mut opening = vec![
            says(WorkerState::Unknown, Body::NewWorker(hello())),
            after_exec(),
        ];
        let barriers = dialect.phases().is_empty();
        if !barriers {
            opening.push(says(WorkerState::Running, Body::Ok));
        }
        let known: Vec<_> = heard(&bytes(dialect, &opening))
            .into_iter()
            .map(dialects)
            .collect();
        let open = same_header(dialect);
        if barriers {
            assert_eq!(known, [open, vec![dialect]]);
        } else {
            // After the exec 2.5 and 2.6 are still open: only the OK has another number.
            assert_eq!(known, [open.clone(), open, vec![dialect]]);
        }
    }
}

#[test]
fn a_forked_child_of_2_5_or_2_6_is_open_until_its_first_ok() {
    for &dialect in Dialect::ALL {
        let running = WorkerState::Running;
        let set_dir = || says(running, Body::SetCheckpointDir("/d".into()));
        let mut opening = vec![
            says(running, Body::NewWorker(hello())),
            after_fork(),
            set_dir(),
            after_exec(),
        ];
        let lockstep = !dialect.phases().is_empty();
        if lockstep {
            opening.push(says(WorkerState::Suspended, Body::Ok));
        }
        let known = heard(&bytes(dialect, &opening));
        let (last, earlier) = known.split_last().unwrap();
        assert_eq!(last.only(), Some(dialect));
        for (index, &candidates) in earlier.iter().enumerate() {
            let open = index == 0 || dialect.header_len() == 144;
            let expected = if open {
                same_header(dialect)
            } else {
                vec![dialect]
            };
            assert_eq!(dialects(candidates), expected, "{dialect:?}, {index}");
        }
    }
}

#[test]
fn a_restarting_worker_of_2_x_is_known_by_the_number_of_its_state() {
    for &dialect in Dialect::ALL {
        let restart = says(WorkerState::Restarting, Body::RestartWorker(hello()));
        let known = heard(&bytes(dialect, &[restart]));
        let expected = match dialect {
            V3 | V5 => vec![V3, V5],
            certain => vec![certain],
        };
        assert_eq!(dialects(known[0]), expected);
        assert_eq!(
            dialect.state_number(WorkerState::Restarting),
            Some(match dialect {
                V2_4 | V2_5 => 5,
                V2_6 => 7,
                _ => 6,
            })
        );
    }
}

/// A state that no dialect calls restarting is not a reason to be nobody: the process is refused
/// for its state, which can be said.
#[test]
fn a_restarting_worker_in_a_wrong_state_stays_open() {
    for &dialect in Dialect::ALL {
        for number in [0, 1, 2, 3, 4, 9, 100, u32::MAX] {
            let state = dialect.state(number);
            let restart = says(state, Body::RestartWorker(hello()));
            let known = heard(&bytes(dialect, &[restart]));
            assert_eq!(dialects(known[0]), same_header(dialect), "{number}");
        }
    }
}

#[test]
fn captured_openings_are_heard_for_what_they_are() {
    let mut firsts = 0;
    let mut restarts = 0;
    for capture in captures::all() {
        let dialect = capture.dialect;
        let from_client = capture.sidecar["direction"] == "c2s";
        let kind = dialect.kind(frame_of(&capture).header.kind);
        let expected = match kind {
            Kind::NewWorker | Kind::NameServiceWorker => same_header(dialect),
            Kind::RestartWorker if dialect.header_len() == 208 => vec![V3, V5],
            Kind::UserCommand | Kind::SetGlobalCheckpointDir if dialect.header_len() == 144 => {
                vec![V2_5, V2_6]
            }
            Kind::RestartWorker
            | Kind::UserCommand
            | Kind::NameServiceRegister
            | Kind::NameServiceRegisterSync
            | Kind::NameServiceQuery
            | Kind::NameServiceUniqueIdQuery => vec![dialect],
            _ => Vec::new(),
        };
        assert!(expected.is_empty() || from_client, "{}", capture.name);
        let known = heard(&capture.bytes)[0];
        // What is no first message in its own dialect may be one in another.
        if expected.is_empty() {
            assert!(!known.contains(dialect), "{}", capture.name);
        } else {
            assert_eq!(dialects(known), expected, "{}", capture.name);
            firsts += 1;
            restarts += u32::from(kind == Kind::RestartWorker);
        }
    }
    assert_eq!((firsts, restarts), (124, 17));
}

/// Two captured messages of one worker, one behind the other.
#[test]
fn captured_second_messages_decide() {
    let mut decided = 0;
    for &dialect in Dialect::ALL {
        let captures = captures::of(dialect);
        let named = |kind: &str| captures.iter().find(|capture| capture.kind() == kind);
        let hello = named("new-worker").unwrap();
        for second in &captures {
            let kind = dialect.kind(frame_of(second).header.kind);
            let expected = match kind {
                Kind::ProcessAfterExec | Kind::ProcessAfterFork if dialect.header_len() == 144 => {
                    vec![V2_5, V2_6]
                }
                Kind::ProcessAfterExec
                | Kind::ProcessAfterFork
                | Kind::SetCheckpointDir
                | Kind::GetCheckpointDir
                | Kind::Barrier
                | Kind::WorkerResuming
                | Kind::KeyValueRequest
                | Kind::Ok
                | Kind::NameServiceRegister
                | Kind::NameServiceRegisterSync
                | Kind::NameServiceQuery
                | Kind::NameServiceUniqueIdQuery => vec![dialect],
                _ => continue,
            };
            let known = heard(&[&hello.bytes[..], &second.bytes].concat());
            assert_eq!(dialects(known[1]), expected, "{}", second.name);
            decided += 1;
        }
    }
    assert_eq!(decided, 99);
}

/// A name-service request tells 2.5 and 2.6 apart, although five numbers mean something in both.
#[test]
fn name_service_requests_decide() {
    let request = |op| {
        let (database, key) = (*b"database", Bytes::from_static(b"key"));
        let request = NameServiceRequest { database, key, op };
        says(WorkerState::Running, Body::NameServiceRequest(request))
    };
    let register = |sync| NameServiceOp::Register {
        value: Bytes::from_static(b"value"),
        sync,
    };
    let unique = NameServiceOp::UniqueId { len: 4, offset: 1 };
    let ops = [
        register(false),
        register(true),
        NameServiceOp::Query,
        unique,
    ];
    let mut said = 0;
    for dialect in [V2_4, V2_5, V2_6] {
        for op in &ops {
            let request = request(op.clone());
            if dialect.kind_number(request.body.kind()).is_none() {
                continue;
            }
            let one_shot = heard(&bytes(dialect, std::slice::from_ref(&request)));
            assert_eq!(one_shot[0].only(), Some(dialect), "{op:?}");
            let side_channel = says(WorkerState::Running, Body::NameServiceWorker);
            let on_side_channel = heard(&bytes(dialect, &[side_channel, request]));
            assert_eq!(dialects(on_side_channel[0]), same_header(dialect));
            assert_eq!(on_side_channel[1].only(), Some(dialect), "{op:?}");
            said += 1;
        }
    }
    assert_eq!(said, 3 + 4 + 4);
}

/// Our server answers both probes as the 208 bytes they are.
#[test]
fn probes_are_status_requests_of_208_bytes() {
    for probe in captures::probes() {
        let known = heard(&probe.bytes)[0];
        let expected = match probe.name.contains("c-status") {
            true => V5,
            false => V3,
        };
        assert_eq!(known.only(), Some(expected), "{}", probe.name);
        let frame = frame_of(&probe);
        let body = Message::parse(expected, &frame).unwrap().body;
        let status = UserCommand::new(Verb::Status);
        assert_eq!(body, Body::UserCommand(status), "{}", probe.name);
    }
}

/// Some builds between 4.2.0 and the development head number messages as the one and commands as
/// the other.
#[test]
fn commands_by_number_in_messages_of_v3_are_understood() {
    for number in 1..=9 {
        let mut frame = Frame::default();
        frame.header.kind = 15;
        frame.header.verb = number;
        let mut bytes = BytesMut::new();
        encode(V5, &frame, &mut bytes).unwrap();
        assert_eq!(heard(&bytes)[0].only(), Some(V3));
        let Ok(Body::UserCommand(command)) = Message::parse(V3, &frame).map(|m| m.body) else {
            panic!("command {number} is not understood");
        };
        assert_eq!(command.verb, V5.verb(number));
        assert!(!matches!(command.verb, Verb::Unknown(_)), "{number}");
    }
    // Letters are what 3.0.0 to 4.2.0 know and what we send them.
    let ours = |verb| V3.verb_number(verb).unwrap();
    for verb in [Verb::Status, Verb::List, Verb::Checkpoint, Verb::Kill] {
        assert!(ours(verb) >= 0x20, "{verb:?}");
    }
}

/// Every frame, by number, payload and lengths, that leaves more than one dialect open.
fn open_frames() -> Vec<(bool, Vec<Dialect>, Frame)> {
    let mut open = Vec::new();
    for header_len in [144, 208] {
        let here = |dialect: &Dialect| dialect.header_len() == header_len;
        let all: Candidates = Dialect::ALL.iter().copied().filter(here).collect();
        for kind in 0..64 {
            for payload in [&b""[..], b"ab", b"a\0b\0"] {
                for (key, value) in [
                    (0, 0),
                    (1, 0),
                    (2, 0),
                    (2, 4),
                    (1, 1),
                    (2, 2),
                    (4, 0),
                    (4, 4),
                ] {
                    for name in [&b""[..], b"name"] {
                        for state in [0, 1, 5, 7] {
                            let mut frame = Frame::default();
                            frame.header.kind = kind;
                            frame.header.state = state;
                            frame.header.key_len = key;
                            frame.header.value_len = value;
                            frame.header.name[..name.len()].copy_from_slice(name);
                            frame.payload = Bytes::copy_from_slice(payload);
                            for first in [true, false] {
                                let left = match first {
                                    true => all.narrow_by_first(&frame),
                                    false => all.narrow_by_later(&frame),
                                };
                                if left.iter().count() > 1 {
                                    open.push((first, dialects(left), frame.clone()));
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    open
}

/// While several dialects are possible, what was said means the same in all of them.
#[test]
fn what_leaves_a_dialect_open_means_the_same_in_all() {
    let open = open_frames();
    let mut kinds: Vec<(bool, usize, u32)> = open
        .iter()
        .map(|(first, left, frame)| (*first, left[0].header_len(), frame.header.kind))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    let expected = [
        (false, 144, 8),
        (false, 144, 9),
        (false, 144, 10),
        (true, 144, 1),
        (true, 144, 2),
        (true, 144, 3),
        (true, 144, 11),
        (true, 144, 16),
        (true, 208, 1),
        (true, 208, 2),
        (true, 208, 3),
    ];
    assert_eq!(kinds, expected);
    for (_, left, frame) in open {
        let meanings: Vec<_> = left
            .iter()
            .map(|&dialect| Message::parse(dialect, &frame))
            .collect();
        for (&dialect, meaning) in left.iter().zip(&meanings) {
            match (meaning, &meanings[0]) {
                (Ok(one), Ok(other)) => {
                    assert_eq!(one.body, other.body, "{dialect:?}");
                    // States 5 and 7, which nobody has who says this.
                    assert!(one.state == other.state || frame.header.state > 1);
                }
                (one, other) => assert_eq!(one, other, "{dialect:?}"),
            }
        }
    }
    // Nor does the command of a tool: the tables of 2.5 and 2.6 are one.
    for number in 0..512 {
        assert_eq!(V2_5.verb(number), V2_6.verb(number));
    }
}

/// What we say to a peer whose dialect is open has the same bytes in all that are possible.
#[test]
fn what_is_said_to_an_open_peer_is_the_same_in_all() {
    let mut sets: Vec<Vec<Dialect>> = open_frames().into_iter().map(|(_, left, _)| left).collect();
    sets.sort_unstable();
    sets.dedup();
    assert_eq!(sets, [vec![V2_5, V2_6], vec![V3, V5]]);
    let accept = Accept {
        virtual_pid: 40000,
        time_stamp: 12345,
        ip: [192, 0, 2, 1],
    };
    let said = [
        Body::Accept(accept),
        Body::Reject(Reject::NotRestarting),
        Body::Reject(Reject::WrongComputation),
        Body::Reject(Reject::NotRunning),
    ];
    // Tools and plugins of 2.5 and 2.6 are answered without ever being told apart.
    let text = Bytes::from_static(b"list");
    let mut result = UserResult::new(CommandStatus::NotRunning);
    (result.peers, result.text) = (3, text);
    let said_to_2_x = [
        Body::UserResult(result),
        Body::GlobalCheckpointDirSet(true),
        Body::GlobalCheckpointDirSet(false),
    ];
    let group = UniquePid {
        host_id: 1,
        time: 2,
        pid: 3,
        generation: 4,
    };
    for (open, bodies) in [
        (&[V2_5, V2_6], &said[..]),
        (&[V2_5, V2_6], &said_to_2_x),
        (&[V3, V5], &said),
    ] {
        for body in bodies {
            let message = Message::new(group, body.clone()).in_group(group);
            let [one, other] = open.map(|dialect| bytes(dialect, std::slice::from_ref(&message)));
            assert_eq!(one, other, "{body:?}");
        }
    }
    // What must wait until it is known.
    for (open, kind) in [([V2_5, V2_6], Kind::KillPeer), ([V3, V5], Kind::KillPeer)] {
        let [one, other] = open.map(|dialect| dialect.kind_number(kind));
        assert_ne!(one, other, "{kind:?}");
    }
    assert_ne!(
        V3.kind_number(Kind::DoCheckpoint),
        V5.kind_number(Kind::DoCheckpoint)
    );
    assert_eq!(V3.kind_number(Kind::RejectPeerMismatch), None);
}

#[test]
fn what_is_excluded_stays_excluded() {
    let only = Candidates::from(V3);
    let frame = |kind| {
        let mut frame = Frame::default();
        frame.header.kind = kind;
        frame
    };
    assert_eq!(only.narrow_by_first(&frame(16)).iter().count(), 0);
    assert_eq!(only.narrow_by_first(&frame(1)), only);
    assert_eq!(only.narrow_by_later(&frame(21)).only(), None);
}

#[test]
fn sets_of_dialects() {
    for &dialect in Dialect::ALL {
        assert_eq!(Candidates::from(dialect).only(), Some(dialect));
        assert!(Candidates::all().contains(dialect));
        let others: Candidates = Dialect::ALL
            .iter()
            .copied()
            .filter(|&d| d != dialect)
            .collect();
        assert!(!others.contains(dialect));
        assert_eq!(others.only(), None);
        assert_eq!(others.iter().count() + 1, Dialect::ALL.len());
    }
}
