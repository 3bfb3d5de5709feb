//! Peers that are slow, silent, deaf or speak nonsense, and what they cost the others: nothing.

use std::{
    io::Write as _,
    thread,
    time::{Duration, Instant},
};

use dmtcp_client::server::{ComputationConfig, ComputationEvent};
use dmtcp_proto::{Body, Message, UniquePid, Verb};

use crate::{
    LONG, events_until, for_each_dialect, open,
    peer::{Peer, Worker, ask, take_part},
    store::{keep, read_back},
};

#[test]
fn a_message_may_come_byte_by_byte() {
    for_each_dialect(|dialect| {
        let (_server, computation) = open(ComputationConfig::default());
        let mut peer = Peer::connect(computation.addr(), dialect);
        let mut bytes = peer.bytes(&Message::new(UniquePid::NULL, Body::NameServiceWorker));
        bytes.extend_from_slice(&peer.bytes(&keep(dialect, 5)));
        bytes.extend_from_slice(&peer.bytes(&read_back(dialect)));
        for byte in bytes {
            peer.stream.write_all(&[byte]).unwrap();
        }
        let answers = [peer.receive().unwrap().body, peer.receive().unwrap().body];
        let last = format!("{:?}", answers[1]);
        assert!(last.contains("11111"), "{answers:?}");
    });
}

#[test]
fn w06_a_peer_that_never_reads_is_cut_off() {
    for_each_dialect(|dialect| {
        let config = ComputationConfig::default().max_queued(1 << 20);
        let (_server, computation) = open(config);
        let events = computation.events();
        let mut deaf = Peer::connect(computation.addr(), dialect);
        deaf.send(&Message::new(UniquePid::NULL, Body::NameServiceWorker));
        deaf.send(&keep(dialect, 256 << 10));
        // Far more than the sockets' buffers and the limit hold together.
        let one = deaf.bytes(&read_back(dialect));
        // Fails when it is cut off before that.
        drop(deaf.stream.write_all(&one.repeat(200)));
        let seen = events_until(&events, |event| {
            matches!(event, ComputationEvent::PeerNotReading { .. })
        });
        let here = deaf.stream.local_addr().unwrap();
        match seen.last() {
            Some(ComputationEvent::PeerNotReading { peer, queued, .. }) => {
                assert_eq!(*peer, here);
                // One message beyond the limit at most.
                assert!((1 << 20..3 << 19).contains(queued), "{queued}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(ask(computation.addr(), dialect, Verb::Status).peers, 0);
    });
}

#[test]
fn a_peer_that_reads_late_gets_all_of_it() {
    for_each_dialect(|dialect| {
        // In one message more than the limit and, where peers take it, the sockets' buffers.
        let longest = dialect.peer_payload_limit().unwrap_or(usize::MAX);
        let len = longest.saturating_sub(1000).min(30_000_000);
        let config = ComputationConfig::default().max_queued(64 << 10);
        let (_server, computation) = open(config);
        let mut peer = Peer::connect(computation.addr(), dialect);
        peer.send(&Message::new(UniquePid::NULL, Body::NameServiceWorker));
        peer.send(&keep(dialect, len));
        assert!(peer.receive().is_some());
        peer.send(&read_back(dialect));
        let answer = peer.receive().unwrap();
        let frame = answer.to_frame(dialect).unwrap();
        assert!(frame.payload.len() >= len);
    });
}

/// Stock workers write header and payload apart with Nagle's algorithm on: the payload is held
/// back until the header is acknowledged, which a kernel left alone delays by 40 ms.
#[test]
fn headers_are_acknowledged_at_once() {
    for_each_dialect(|dialect| {
        let (_server, computation) = open(ComputationConfig::default());
        let mut peer = Peer::connect(computation.addr(), dialect);
        peer.stream.set_nodelay(false).unwrap();
        peer.send(&Message::new(UniquePid::NULL, Body::NameServiceWorker));
        let bytes = peer.bytes(&keep(dialect, 10));
        let (header, payload) = bytes.split_at(dialect.header_len());
        let mut exchange = || {
            let start = Instant::now();
            peer.stream.write_all(header).unwrap();
            peer.stream.write_all(payload).unwrap();
            assert!(peer.receive().is_some());
            start.elapsed()
        };
        // The kernel acknowledges the first few of a connection at once, whoever asks.
        let first: Vec<Duration> = (0..30).map(|_| exchange()).collect();
        // On a busy machine most may take long, but each that does not was acknowledged at once.
        let end = Instant::now() + LONG;
        let mut at_once = 0;
        while at_once < 10 {
            assert!(Instant::now() < end, "{at_once} of ten, after {first:?}");
            at_once += u32::from(exchange() < Duration::from_millis(35));
        }
    });
}

#[test]
fn many_peers_at_once_are_all_served() {
    for_each_dialect(|dialect| {
        let (_server, computation) = open(ComputationConfig::default());
        let mut workers: Vec<Worker> = (0..200)
            .map(|_| Worker::join(computation.addr(), dialect))
            .collect();
        let status = computation.wait_until_running(Some(200), LONG).unwrap();
        assert_eq!(status.peers, 200);
        // What goes to all of them is sent in several turns.
        thread::scope(|scope| {
            let checkpoint = scope.spawn(|| computation.checkpoint(LONG));
            take_part(&mut workers);
            let sealed = checkpoint.join().unwrap().unwrap();
            assert_eq!(sealed.images.len(), 200);
        });
        drop(workers);
        let events = computation.events();
        while computation.status().unwrap().peers > 0 {
            events.recv_timeout(LONG).unwrap();
        }
    });
}
