//! Those who are served first do not keep the others from being served.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use dmtcp_client::server::ComputationConfig;
use dmtcp_proto::{Body, Dialect, Message, UniquePid, Verb};

use crate::{
    LONG, open,
    peer::{Peer, Worker, ask},
    store::{keep, read_back},
};

/// Runs `work` while `flood` runs again and again on so many threads; says whether it ended before
/// these gave up.
fn ends_under(flood: impl Fn() + Sync, threads: usize, work: impl FnOnce()) -> bool {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let end = Instant::now() + LONG / 2;
        let (flood, seen) = (&flood, &done);
        let floods: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(move || {
                    while !seen.load(Ordering::Relaxed) && Instant::now() < end {
                        flood();
                    }
                    seen.load(Ordering::Relaxed)
                })
            })
            .collect();
        work();
        done.store(true, Ordering::Relaxed);
        floods.into_iter().all(|flood| flood.join().unwrap())
    })
}

/// A side channel that asks one thing after another.
fn ask_the_store(addr: SocketAddr, dialect: Dialect) {
    let mut peer = Peer::connect(addr, dialect);
    peer.send(&Message::new(UniquePid::NULL, Body::NameServiceWorker));
    peer.send(&keep(dialect, 5));
    assert!(peer.receive().is_some());
    for _ in 0..200 {
        peer.send(&read_back(dialect));
        assert!(peer.receive().is_some());
    }
}

#[test]
fn a_program_that_asks_without_end_keeps_no_peer_waiting() {
    let (_server, computation) = open(ComputationConfig::default());
    let addr = computation.addr();
    let _workers: Vec<Worker> = (0..400).map(|_| Worker::join(addr, Dialect::V5)).collect();
    computation.wait_until_running(Some(400), LONG).unwrap();
    let flood = || assert_eq!(computation.workers().unwrap().len(), 400);
    assert!(
        ends_under(flood, 16, || ask_the_store(addr, Dialect::V5)),
        "it was served only when the others gave up"
    );
}

#[test]
fn tools_without_end_keep_no_worker_waiting() {
    let (_server, computation) = open(ComputationConfig::default());
    let addr = computation.addr();
    let _workers: Vec<Worker> = (0..100)
        .map(|_| Worker::join(addr, Dialect::V2_6))
        .collect();
    computation.wait_until_running(Some(100), LONG).unwrap();
    // Only this release has it. Each is passed on to all workers, which do not even read it.
    let flood = || {
        ask(addr, Dialect::V2_6, Verb::SetLogMask);
    };
    assert!(
        ends_under(flood, 16, || ask_the_store(addr, Dialect::V2_6)),
        "it was served only when the others gave up"
    );
}
