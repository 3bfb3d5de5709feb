//! Detection against scripted coordinators of every kind, well-behaved and not, and against our own.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use dmtcp_client::coordinator::{
    Coordinator, DetectError, DetectOptions, Detected, DialectCache, Error, How, detect,
};
use dmtcp_client::server::{ComputationConfig, Server};
use dmtcp_proto::{Candidates, Dialect, Frame, Kind, Probe, ProbeError, UniquePid, Verb, encode};

/// For connecting and for what is answered within it, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(4);
/// Times the bytes of an answer, more than the limit.
const SLOW: Duration = Duration::from_millis(40);

/// How a scripted coordinator treats one connection.
#[derive(Clone, Debug)]
enum Act {
    /// Reads so many bytes, sends these, closes. What it has not read makes that a reset.
    Reply(usize, Vec<u8>),
    /// Reads a whole question, sends these, keeps the connection.
    Hold(Vec<u8>),
    /// Sends these again and again, one byte at a time, with this pause behind each.
    Dribble(Vec<u8>, Duration),
    /// Reads a whole question, stops listening, then closes.
    Die,
}

/// Listens until its script is over or it is dropped, and keeps what it was sent.
struct Peer {
    addr: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    fn start(script: Vec<Act>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = heard.clone();
        let thread = std::thread::spawn(move || {
            let mut listener = Some(listener);
            for act in script {
                let Some((stream, _)) = listener.as_ref().and_then(|l| l.accept().ok()) else {
                    return;
                };
                let all = play(&act, stream, &mut listener);
                kept.lock().unwrap().push(all);
            }
        });
        Self {
            addr,
            heard,
            thread: Some(thread),
        }
    }

    /// What it was sent, one entry for each connection, when all of its script was played.
    fn heard(mut self) -> Vec<Vec<u8>> {
        self.thread.take().unwrap().join().unwrap();
        self.heard.lock().unwrap().clone()
    }
}

/// Everything the peer sent on this connection, as far as this act reads it.
fn play(act: &Act, mut stream: TcpStream, listener: &mut Option<TcpListener>) -> Vec<u8> {
    let mut sent = vec![0; 208];
    match act {
        Act::Reply(len, reply) => {
            // All of it is there before anything is answered; only part of it is taken.
            while stream.peek(&mut sent).unwrap() < 208 {}
            let seen = sent.clone();
            stream.read_exact(&mut sent[..*len]).unwrap();
            // A client that goes away early is seen in what it was sent.
            let _ = stream.write_all(reply);
            seen
        }
        Act::Hold(reply) => {
            stream.read_exact(&mut sent).unwrap();
            stream.write_all(reply).unwrap();
            // Until the client gives up; whatever else it says belongs to what was heard.
            let _ = stream.read_to_end(&mut sent);
            sent
        }
        Act::Dribble(reply, pause) => {
            stream.read_exact(&mut sent).unwrap();
            for byte in reply.iter().cycle() {
                if stream.write_all(&[*byte]).is_err() {
                    break;
                }
                std::thread::sleep(*pause);
            }
            sent
        }
        Act::Die => {
            stream.read_exact(&mut sent).unwrap();
            *listener = None;
            sent
        }
    }
}

fn asked(probes: &[Probe]) -> Vec<Vec<u8>> {
    let bytes = |probe: &Probe| probe.bytes().unwrap().to_vec();
    probes.iter().map(bytes).collect()
}

/// A message of this kind from a coordinator.
fn message(dialect: Dialect, kind: Kind, status: i32, verb: u32) -> Vec<u8> {
    let mut frame = Frame::default();
    frame.header.kind = dialect.kind_number(kind).unwrap();
    frame.header.from = UniquePid {
        host_id: 1,
        time: 2,
        pid: 3,
        generation: 0,
    };
    frame.header.status = status;
    frame.header.verb = verb;
    let mut bytes = BytesMut::new();
    encode(dialect, &frame, &mut bytes).unwrap();
    bytes.to_vec()
}

/// The answer to a status request.
fn answer(dialect: Dialect) -> Vec<u8> {
    let verb = dialect.verb_number(Verb::Status).unwrap();
    let verb = if dialect.reply_echoes_verb() { verb } else { 0 };
    message(dialect, Kind::UserResult, 0, verb)
}

fn found(script: Vec<Act>, options: &DetectOptions) -> (Result<Detected, DetectError>, Peer) {
    let peer = Peer::start(script);
    (detect(peer.addr, options), peer)
}

fn candidates(dialects: &[Dialect]) -> Candidates {
    dialects.iter().copied().collect()
}

fn probe_error(error: DetectError) -> ProbeError {
    match error {
        DetectError::Answer { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_coordinator_from_2_5_1_on_is_recognised() {
    let options = DetectOptions::default();
    for (script, expected, probes) in [
        // Old ones leave 64 bytes unread: their answer is followed by a reset at once.
        (
            vec![Act::Reply(144, answer(Dialect::V2_5))],
            &[Dialect::V2_5, Dialect::V2_6][..],
            &[Probe::From2_5_1][..],
        ),
        (
            vec![Act::Reply(208, answer(Dialect::V3))],
            &[Dialect::V3],
            &[Probe::From2_5_1],
        ),
        (
            vec![
                Act::Reply(208, Vec::new()),
                Act::Reply(208, answer(Dialect::V5)),
            ],
            &[Dialect::V5],
            &[Probe::From2_5_1, Probe::Head],
        ),
        // Killing its workers, it takes the probe for one more.
        (
            vec![Act::Reply(208, message(Dialect::V5, Kind::KillPeer, 0, 0))],
            &[Dialect::V5],
            &[Probe::From2_5_1],
        ),
    ] {
        // A reset may come before the answer is read, or behind.
        for _ in 0..20 {
            let (detected, peer) = found(script.clone(), &options);
            let detected = detected.unwrap();
            assert_eq!(detected.candidates, candidates(expected));
            assert_eq!(detected.how, How::Asked);
            assert_eq!(detected.handle().dialect(), detected.dialect);
            assert_eq!(detected.handle().addr(), peer.addr);
            assert_eq!(peer.heard(), asked(probes));
        }
    }
}

#[test]
fn the_oldest_are_recognised_if_that_is_asked_for() {
    let options = DetectOptions::default().ask_so_that_2_5_1_to_2_6_0_end();
    let (detected, peer) = found(vec![Act::Reply(136, answer(Dialect::V2_4))], &options);
    assert_eq!(detected.unwrap().candidates.only(), Some(Dialect::V2_4));
    assert_eq!(peer.heard(), asked(&[Probe::From2_4]));
    let (detected, peer) = found(vec![Act::Die], &options);
    let releases = "2.5.1 to 2.6.0";
    let error = probe_error(detected.unwrap_err());
    assert_eq!(error, ProbeError::Ended { releases });
    assert_eq!(peer.heard(), asked(&[Probe::From2_4]));
}

#[test]
fn a_coordinator_that_ended_of_the_question_is_owned_up_to() {
    let (detected, _peer) = found(vec![Act::Die], &DetectOptions::default());
    let error = probe_error(detected.unwrap_err());
    let releases = "2.4.0 to 2.5.0";
    assert_eq!(error, ProbeError::Ended { releases });
    assert!(error.to_string().contains("2.4.0 to 2.5.0"), "{error}");
}

#[test]
fn nobody_is_not_taken_for_a_victim() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let error = detect(addr, &DetectOptions::default()).unwrap_err();
    assert_eq!(probe_error(error), ProbeError::NobodyListens);
}

#[test]
fn a_build_between_the_dialects_is_named() {
    let refusal = message(Dialect::V3, Kind::UserResult, -1, u32::from(b's'));
    let (detected, _peer) = found(vec![Act::Reply(208, refusal)], &DetectOptions::default());
    assert_eq!(probe_error(detected.unwrap_err()), ProbeError::Mixture);
}

#[test]
fn hostile_peers_end_in_an_error() {
    let v3 = answer(Dialect::V3);
    let options = DetectOptions::default();
    for (what, script) in [
        ("text", vec![Act::Reply(208, b"HTTP/1.1 400 Bad".to_vec())]),
        ("noise", vec![Act::Reply(208, vec![0xa5; 4096])]),
        (
            "noise for ever",
            vec![Act::Dribble(vec![7], Duration::from_millis(5))],
        ),
        ("half an answer", vec![Act::Reply(208, v3[..144].to_vec())]),
        (
            "silent ends",
            vec![Act::Reply(208, Vec::new()), Act::Reply(208, Vec::new())],
        ),
        (
            "a reset without a word",
            vec![Act::Reply(0, Vec::new()), Act::Reply(0, Vec::new())],
        ),
        (
            "another message",
            vec![Act::Reply(208, message(Dialect::V3, Kind::Accept, 0, 0))],
        ),
    ] {
        let (detected, _peer) = found(script, &options);
        let error = probe_error(detected.unwrap_err());
        println!("{what}: {error}");
        assert!(
            !matches!(error, ProbeError::Ended { .. } | ProbeError::NobodyListens),
            "{what}: {error}"
        );
    }
}

#[test]
fn who_does_not_answer_in_time_is_given_up() {
    let v3 = answer(Dialect::V3);
    let options = DetectOptions::default().timeout(LIMIT);
    let scripts = [
        vec![Act::Hold(Vec::new())],
        vec![Act::Hold(v3[..207].to_vec())],
        // Slower than the deadline, though it never stops.
        vec![Act::Dribble(v3[..100].to_vec(), SLOW)],
        vec![Act::Reply(208, Vec::new()), Act::Hold(Vec::new())],
    ];
    let given_up = |script: Vec<Act>| {
        let connections = script.len();
        let start = Instant::now();
        let (detected, peer) = found(script, &options);
        // One limit for each byte would be far more.
        assert!(start.elapsed() < LIMIT + Duration::from_secs(60));
        match detected.unwrap_err() {
            DetectError::TimedOut { awaited, limit, .. } => {
                assert_eq!((awaited, limit), ("the answer", LIMIT));
            }
            other => panic!("{other:?}"),
        }
        // Nothing but the questions was said, though there was time.
        let expected = &[Probe::From2_5_1, Probe::Head][..connections];
        assert_eq!(peer.heard(), asked(expected));
    };
    // Side by side: each takes its whole limit.
    std::thread::scope(|scope| {
        for script in scripts {
            scope.spawn(|| given_up(script));
        }
    });
}

#[test]
fn what_the_caller_knows_is_not_asked() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let addr = listener.local_addr().unwrap();
    for &dialect in Dialect::ALL {
        let options = DetectOptions::default().dialect(dialect);
        let detected = detect(addr, &options).unwrap();
        assert_eq!(detected.candidates.only(), Some(dialect));
        assert_eq!((detected.dialect, detected.how), (dialect, How::Told));
        assert_eq!(detected.coordinator, None);
        let handle = Coordinator::detect(addr, &options).unwrap();
        assert_eq!(handle.dialect(), dialect);
    }
    // Nobody has even knocked.
    assert!(listener.accept().is_err());
}

#[test]
fn our_own_server_is_recognised_by_either_question_and_speaks_all() {
    let server = Server::start().unwrap();
    let computation = server.open(ComputationConfig::default()).unwrap();
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, computation.port()));
    for options in [
        DetectOptions::default(),
        DetectOptions::default().without_executable(),
        DetectOptions::default().ask_so_that_2_5_1_to_2_6_0_end(),
    ] {
        let detected = detect(addr, &options).unwrap();
        assert_eq!(detected.candidates.only(), Some(Dialect::V3));
        assert_eq!(detected.how, How::Asked);
        assert_eq!(detected.status, Some(computation.status().unwrap()));
        assert_eq!(detected.process, None);
        let again = detect(addr, &options).unwrap();
        assert_eq!(detected.coordinator, again.coordinator);
        assert_eq!(detected.handle().status().unwrap().peers, 0);
    }
    for &dialect in Dialect::ALL {
        let options = DetectOptions::default().dialect(dialect);
        let handle = Coordinator::detect(addr, &options).unwrap();
        assert_eq!(handle.status().unwrap(), computation.status().unwrap());
        assert_eq!(handle.workers().unwrap(), []);
    }
    assert_eq!(computation.workers().unwrap(), []);
}

#[test]
fn a_coordinator_is_asked_once_for_as_long_as_it_answers() {
    let options = DetectOptions::default();
    let cache = DialectCache::default();
    let reply = answer(Dialect::V3);
    let peer = Peer::start(vec![
        Act::Reply(208, reply.clone()),
        Act::Reply(208, reply.clone()),
        Act::Reply(208, answer(Dialect::V5)),
        Act::Reply(208, reply),
    ]);
    let handle = cache.handle(peer.addr, &options).unwrap();
    assert_eq!(handle.dialect(), Dialect::V3);
    let known = cache.known(peer.addr).unwrap();
    assert!(known.coordinator.is_some());
    handle.status().unwrap();
    let handle = cache.handle(peer.addr, &options).unwrap();
    let error = handle.status().unwrap_err();
    assert!(matches!(error, Error::Exchange { .. }), "{error:?}");
    cache.forget_after(&error);
    assert!(cache.known(peer.addr).is_none());
    cache.handle(peer.addr, &options).unwrap();
    assert!(cache.known(peer.addr).is_some());
    let addr = peer.addr;
    let heard = peer.heard();
    let probe = Probe::From2_5_1.bytes().unwrap();
    let probes = heard.iter().filter(|bytes| **bytes == *probe).count();
    assert_eq!((heard.len(), probes), (4, 2));
    // What failed is not remembered; a refusal changes nothing.
    cache.forget_after(&Error::Command {
        addr,
        source: dmtcp_proto::CommandError::NotRunning,
    });
    assert!(cache.known(addr).is_some());
    cache.forget(addr);
    assert!(cache.handle(addr, &options).is_err());
    assert!(cache.known(addr).is_none());
}
