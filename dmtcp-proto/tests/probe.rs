//! The probes are the bytes that were tried on stock coordinators, and every answer to them is
//! read for what it is, however it arrives.

mod captures;

use captures::Capture;
use dmtcp_proto::{
    Candidates, Dialect, Frame, Kind, Probe, ProbeError, ProbeStep, Probed, Probing,
};
use proptest::prelude::*;

/// What comes back on one connection.
#[derive(Clone, Debug)]
enum Back {
    Refused,
    /// These bytes, cut there, and the end.
    Bytes(Vec<u8>, usize),
}

/// What the probing that begins with `probe` learns, and what it has sent.
fn run(probe: Probe, script: &[Back]) -> (Result<Probed, ProbeError>, Vec<Vec<u8>>) {
    let mut probing = Probing::new(probe);
    let mut script = script.iter();
    let mut current = None;
    let mut sent = Vec::new();
    loop {
        match probing.step() {
            ProbeStep::Connect => {
                current = Some(script.next().expect("a connection that nobody planned"));
                if matches!(current, Some(Back::Refused)) {
                    probing.refused();
                }
            }
            ProbeStep::Send(bytes) => sent.push(bytes.to_vec()),
            ProbeStep::Receive => {
                let Some(Back::Bytes(bytes, cut)) = current.take() else {
                    probing.closed();
                    continue;
                };
                let (first, second) = bytes.split_at((*cut).min(bytes.len()));
                probing.received(first);
                probing.received(second);
                probing.closed();
            }
            ProbeStep::Done(outcome) => {
                assert_eq!(probing.step(), ProbeStep::Done(outcome.clone()));
                return (outcome, sent);
            }
        }
    }
}

fn closes() -> Back {
    Back::Bytes(Vec::new(), 0)
}

fn back(bytes: &[u8]) -> Back {
    Back::Bytes(bytes.to_vec(), usize::MAX)
}

/// A captured answer to a status request.
fn status_reply(dialect: Dialect) -> Capture {
    captures::of(dialect)
        .into_iter()
        .find(|c| c.name.contains("s2c-USER_CMD_RESULT-status"))
        .unwrap_or_else(|| panic!("{dialect:?}"))
}

/// A message from a coordinator of this dialect, with this kind.
fn message(dialect: Dialect, kind: Kind, change: impl FnOnce(&mut Frame)) -> Vec<u8> {
    let mut frame = Frame::default();
    frame.header.kind = dialect.kind_number(kind).unwrap();
    change(&mut frame);
    let mut bytes = bytes::BytesMut::new();
    dmtcp_proto::encode(dialect, &frame, &mut bytes).unwrap();
    bytes.to_vec()
}

fn candidates(dialects: &[Dialect]) -> Candidates {
    dialects.iter().copied().collect()
}

#[test]
fn they_are_the_bytes_that_were_tried() {
    for (name, probe) in [
        ("probe1-polyglot-2.5.1plus-and-b", Probe::From2_5_1),
        ("probe1-alt-polyglot-2.4-to-2.5.0-and-b", Probe::From2_4),
        ("probe2-c-status", Probe::Head),
    ] {
        let vectors = captures::probes();
        let vector = vectors.iter().find(|vector| vector.name == name).unwrap();
        assert_eq!(probe.bytes().unwrap(), vector.bytes, "{name}");
    }
}

#[test]
fn every_answer_is_read_however_it_is_cut() {
    for (dialect, expected) in [
        (Dialect::V2_5, &[Dialect::V2_5, Dialect::V2_6][..]),
        (Dialect::V2_6, &[Dialect::V2_5, Dialect::V2_6]),
        (Dialect::V3, &[Dialect::V3]),
    ] {
        let reply = status_reply(dialect);
        for cut in 0..=reply.bytes.len() {
            let (outcome, sent) = run(Probe::From2_5_1, &[Back::Bytes(reply.bytes.clone(), cut)]);
            let probed = outcome.unwrap();
            assert_eq!(probed.candidates, candidates(expected));
            assert!(probed.candidates.contains(probed.dialect));
            assert!(!probed.coordinator.is_null(), "{}", reply.name);
            assert!(probed.status.is_some());
            assert_eq!(sent, [Probe::From2_5_1.bytes().unwrap()]);
        }
    }
}

#[test]
fn the_development_head_is_asked_in_its_own_words_and_last() {
    let reply = status_reply(Dialect::V5);
    let (outcome, sent) = run(Probe::From2_5_1, &[closes(), back(&reply.bytes)]);
    assert_eq!(outcome.unwrap().candidates.only(), Some(Dialect::V5));
    let expected = [Probe::From2_5_1, Probe::Head].map(|probe| probe.bytes().unwrap());
    assert_eq!(sent, expected);
}

#[test]
fn the_other_probe_finds_the_oldest() {
    for dialect in [Dialect::V2_4, Dialect::V3] {
        let reply = status_reply(dialect);
        let (outcome, _) = run(Probe::From2_4, &[back(&reply.bytes)]);
        assert_eq!(outcome.unwrap().candidates.only(), Some(dialect));
    }
}

/// To one that kills its workers, who does not ask in its own dialect is one more.
#[test]
fn a_coordinator_that_kills_its_workers_is_known_by_that() {
    for (probe, dialect) in [
        (Probe::From2_5_1, Dialect::V5),
        (Probe::From2_5_1, Dialect::V2_4),
        (Probe::From2_4, Dialect::V2_5),
        (Probe::From2_4, Dialect::V2_6),
        (Probe::Head, Dialect::V3),
    ] {
        let kill = message(dialect, Kind::KillPeer, |_| {});
        let probed = run(probe, &[back(&kill)]).0.unwrap();
        assert_eq!(probed.candidates.only(), Some(dialect), "{probe:?}");
        assert_eq!(probed.status, None);
    }
}

#[test]
fn a_build_between_the_dialects_is_named() {
    let verb = u32::from(b's');
    let refusal = |verb: u32| {
        message(Dialect::V3, Kind::UserResult, |frame| {
            frame.header.status = -1;
            frame.header.verb = verb;
        })
    };
    let (outcome, _) = run(Probe::From2_5_1, &[back(&refusal(verb))]);
    assert_eq!(outcome, Err(ProbeError::Mixture));
    let (outcome, _) = run(Probe::From2_5_1, &[back(&refusal(0))]);
    assert_eq!(outcome, Err(ProbeError::Refused { status: -1 }));
}

#[test]
fn silence_and_absence_are_told_apart() {
    let outcome = |script: &[Back]| run(Probe::From2_5_1, script).0.unwrap_err();
    assert_eq!(outcome(&[Back::Refused]), ProbeError::NobodyListens);
    let releases = "2.4.0 to 2.5.0";
    assert_eq!(
        outcome(&[closes(), Back::Refused]),
        ProbeError::Ended { releases }
    );
    assert_eq!(
        outcome(&[closes(), closes()]),
        ProbeError::NoAnswer { releases }
    );
    let half = status_reply(Dialect::V3).bytes[..143].to_vec();
    assert_eq!(
        outcome(&[back(&half)]),
        ProbeError::CutOff { received: 143 }
    );
}

#[test]
fn what_is_no_answer_is_none() {
    let outcome = |bytes: &[u8]| run(Probe::From2_5_1, &[back(bytes)]).0.unwrap_err();
    assert!(matches!(
        outcome(b"SSH-2.0-OpenSSH_9.2\r\n"),
        ProbeError::Foreign(_)
    ));
    // The header of 2.4 says 136 bytes, where nobody was asked who speaks so.
    let reply = status_reply(Dialect::V2_4);
    assert_eq!(
        outcome(&reply.bytes),
        ProbeError::Unexpected {
            kind: 16,
            header_len: 136
        }
    );
    // An answer in numbers to a question in letters.
    let reply = status_reply(Dialect::V5);
    assert!(matches!(
        outcome(&reply.bytes),
        ProbeError::Unexpected { kind: 17, .. }
    ));
    // A status has no payload, whatever its length.
    let long = message(Dialect::V3, Kind::UserResult, |frame| {
        frame.payload = vec![0; 8].into();
    });
    assert!(matches!(outcome(&long), ProbeError::Foreign(_)));
}

proptest! {
    /// Whatever comes back, it ends within two connections, and the second one asks as the
    /// development head only if the first one was silent.
    #[test]
    fn any_bytes_end_it(
        first in hostile(),
        second in hostile(),
        cut in 0..300_usize,
        form in prop_oneof![Just(Probe::From2_5_1), Just(Probe::From2_4)],
    ) {
        let silent = first.is_empty();
        let (outcome, sent) = run(form, &[Back::Bytes(first, cut), Back::Bytes(second, cut)]);
        prop_assert_eq!(sent.len(), if silent { 2 } else { 1 });
        if let Ok(probed) = outcome {
            prop_assert!(probed.candidates.contains(probed.dialect));
        }
    }
}

/// Nothing, noise, or a captured message with some bytes changed.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let messages: Vec<Vec<u8>> = captures::all().into_iter().map(|c| c.bytes).collect();
    let changed = (
        proptest::sample::select(messages),
        proptest::collection::vec((0..208_usize, any::<u8>()), 0..4),
    )
        .prop_map(|(mut bytes, changes)| {
            for (at, value) in changes {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            bytes
        });
    prop_oneof![
        Just(Vec::new()),
        proptest::collection::vec(any::<u8>(), 1..300),
        changed,
    ]
}
