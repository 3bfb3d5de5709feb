//! Peers that are slow, silent or deaf: nobody waits for them.

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

use dmtcp_client::server::{ComputationConfig, ComputationEvent};
use dmtcp_proto::{Body, Dialect, Kind, Message, UniquePid, Verb};
use socket2::SockRef;

use crate::frames::{frame, hello, lying, raw};
use crate::peer::{Peer, Worker};
use crate::store::{keep, read_back};
use crate::{LONG, Scene, for_each_dialect};

/// The stock coordinator answers nobody beside them: for a second each, or as long as they are there.
fn answers_beside(scene: &Scene, peers: usize, bad: impl Fn(SocketAddr, Dialect) -> Peer) {
    let mut there = Vec::new();
    for _ in 0..10 {
        there.push(bad(scene.computation.addr(), scene.dialect));
        for _ in 0..3 {
            scene.ask(Verb::Status);
            scene.ask(Verb::List);
        }
    }
    let expected = scene.honest.len() + 10 * peers;
    while scene.peers() != expected {
        scene.events.recv_timeout(LONG).unwrap();
    }
    assert_eq!(scene.ask(Verb::Status).peers as usize, expected);
}

#[test]
fn w04_nobody_waits_for_a_first_message() {
    for_each_dialect(|dialect| {
        let mut scene = Scene::open(dialect, 1);
        answers_beside(&scene, 0, Peer::connect);
        for len in [1, 16, 100, dialect.header_len()] {
            answers_beside(&scene, 0, |addr, dialect| {
                let mut peer = Peer::connect(addr, dialect);
                let bytes = raw(dialect, &hello(dialect));
                peer.stream.write_all(&bytes[..len]).unwrap();
                peer
            });
        }
        // They are still there while others are checkpointed.
        let silent = [(); 5].map(|()| TcpStream::connect(scene.computation.addr()).unwrap());
        scene.goes_on();
        drop(silent);
        scene.goes_on();
    });
}

#[test]
fn w05_nobody_waits_for_the_rest_of_a_message() {
    for_each_dialect(|dialect| {
        let mut scene = Scene::open(dialect, 1);
        for announced in [100, 64 << 20] {
            answers_beside(&scene, 1, |addr, dialect| {
                let mut worker = Worker::join(addr, dialect);
                let half = frame(dialect, Kind::ProcessAfterExec, &[b'p'; 50]).unwrap();
                let half = lying(dialect, &half, None, Some(announced));
                worker.peer.stream.write_all(&half).unwrap();
                worker.peer
            });
            scene.goes_on();
        }
    });
}

/// A worker that is stopped, or whose program reads nothing.
fn deaf(addr: SocketAddr, dialect: Dialect) -> Worker {
    let worker = Worker::join(addr, dialect);
    // Fails nowhere; the kernel takes more than it is told all the same.
    let _ = SockRef::from(&worker.peer.stream).set_recv_buffer_size(4096);
    worker
}

#[test]
fn w06_nobody_waits_for_one_that_does_not_read() {
    for_each_dialect(|dialect| {
        let config = ComputationConfig::default().max_queued(256 << 10);
        let mut scene = Scene::with(dialect, 1, config);
        answers_beside(&scene, 1, |addr, dialect| deaf(addr, dialect).peer);
        scene.goes_on();

        // One asks for far more than is read, and is cut off for it.
        let mut greedy = deaf(scene.computation.addr(), dialect).peer;
        greedy.send(&keep(dialect, 256 << 10));
        let ask = greedy.bytes(&read_back(dialect)).repeat(200);
        // It may be cut off meanwhile.
        let _ = greedy.stream.write_all(&ask);
        loop {
            scene.ask(Verb::Status);
            let event = scene.events.recv_timeout(LONG).unwrap();
            if matches!(event, ComputationEvent::PeerNotReading { .. }) {
                break;
            }
        }
        scene.goes_on();
        drop(greedy);
    });
}

/// An order goes to all: those who read it go on.
#[test]
fn w06_an_order_reaches_the_others_of_one_that_does_not_read() {
    for_each_dialect(|dialect| {
        let mut scene = Scene::open(dialect, 2);
        let addr = scene.computation.addr();
        let _deaf = deaf(addr, dialect);
        scene.computation.wait_until_running(Some(3), LONG).unwrap();
        let mut side = Peer::connect(addr, dialect);
        side.send(&Message::new(UniquePid::NULL, Body::NameServiceWorker));
        scene.computation.request_checkpoint().unwrap();
        for worker in &mut scene.honest {
            worker.order();
        }
        side.send(&keep(dialect, 1));
        assert!(side.receive().is_some());
        assert_eq!(scene.ask(Verb::Status).peers, 3);
    });
}
