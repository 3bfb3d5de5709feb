//! How computations and servers begin and end.

use std::net::TcpStream;

use dmtcp_client::server::{ComputationConfig, Server, ServerError};
use dmtcp_proto::{Body, Verb};

use crate::{
    LONG, for_each_dialect, open, own_address,
    peer::{Peer, Worker, ask},
};

#[test]
fn one_server_has_many_computations() {
    for_each_dialect(|dialect| {
        let server = Server::start().unwrap();
        let computations: Vec<_> = (0..20)
            .map(|_| server.open(ComputationConfig::default()).unwrap())
            .collect();
        let mut workers: Vec<Vec<Worker>> = computations
            .iter()
            .enumerate()
            .map(|(index, computation)| {
                (0..index % 4)
                    .map(|_| Worker::join(computation.addr(), dialect))
                    .collect()
            })
            .collect();
        for (computation, workers) in computations.iter().zip(&workers) {
            let peers = u32::try_from(workers.len()).unwrap();
            if peers > 0 {
                computation.wait_until_running(Some(peers), LONG).unwrap();
            }
            assert_eq!(computation.status().unwrap().peers, peers);
            assert_eq!(ask(computation.addr(), dialect, Verb::Status).peers, peers);
            assert_eq!(computation.workers().unwrap().len(), workers.len());
        }
        workers[3].clear();
        computations[3].close(LONG).unwrap();
        assert_eq!(computations[7].status().unwrap().peers, 3);
        drop(workers);
        server.shutdown(LONG).unwrap();
    });
}

#[test]
fn closing_takes_the_coordinator_from_its_workers() {
    for_each_dialect(|dialect| {
        let (server, computation) = open(own_address());
        let other = server.open(ComputationConfig::default()).unwrap();
        let mut worker = Worker::join(computation.addr(), dialect);
        computation.wait_until_running(Some(1), LONG).unwrap();
        let events = computation.events();
        let closing = computation.clone();
        let closer = std::thread::spawn(move || closing.close(LONG));
        assert!(worker.peer.receive().is_none());
        drop(worker);
        closer.join().unwrap().unwrap();
        assert!(TcpStream::connect(computation.addr()).is_err());
        assert!(matches!(computation.status(), Err(ServerError::Closed)));
        assert!(matches!(
            computation.checkpoint(LONG),
            Err(ServerError::Closed)
        ));
        computation.close(LONG).unwrap();
        assert_eq!(computation.events().count(), 0);
        drop(events);
        assert_eq!(other.status().unwrap().peers, 0);
    });
}

#[test]
fn a_worker_that_keeps_its_end_open_does_not_keep_it_from_closing() {
    for_each_dialect(|dialect| {
        let (_server, computation) = open(ComputationConfig::default());
        let worker = Worker::join(computation.addr(), dialect);
        computation.close(LONG).unwrap();
        drop(worker);
    });
}

#[test]
fn dropping_the_server_ends_everything() {
    for_each_dialect(|dialect| {
        let (server, computation) = open(ComputationConfig::default());
        let events = computation.events();
        let mut worker = Worker::join(computation.addr(), dialect);
        computation.wait_until_running(Some(1), LONG).unwrap();
        drop(server);
        assert!(worker.peer.receive().is_none());
        assert!(matches!(computation.status(), Err(ServerError::ServerGone)));
        assert!(matches!(
            computation.close(LONG),
            Err(ServerError::ServerGone)
        ));
        // Ends, instead of waiting for ever.
        let _ = events.count();
    });
}

#[test]
fn dropping_handles_ends_nothing() {
    for_each_dialect(|dialect| {
        let (_server, computation) = open(ComputationConfig::default());
        let addr = computation.addr();
        drop(computation);
        assert_eq!(ask(addr, dialect, Verb::Status).peers, 0);
    });
}

#[test]
fn kill_and_quit_tell_the_workers_to_exit() {
    for_each_dialect(|dialect| {
        let (_server, computation) = open(own_address());
        for quit in [false, true] {
            let mut worker = Worker::join(computation.addr(), dialect);
            computation.wait_until_running(Some(1), LONG).unwrap();
            let killing = computation.clone();
            let killer = std::thread::spawn(move || match quit {
                false => killing.kill_workers(LONG),
                true => killing.quit(LONG),
            });
            let told = worker.peer.receive().unwrap();
            assert!(matches!(told.body, Body::KillPeer), "{told:?}");
            drop(worker);
            killer.join().unwrap().unwrap();
            assert_eq!(computation.status().is_ok(), !quit);
        }
        assert!(TcpStream::connect(computation.addr()).is_err());
    });
}

#[test]
fn a_tool_can_quit_it() {
    for_each_dialect(|dialect| {
        let (_server, computation) = open(ComputationConfig::default());
        let events = computation.events();
        // Stock tools do not wait for an answer to this one.
        let mut tool = Peer::connect(computation.addr(), dialect);
        tool.command(Verb::Quit);
        while tool.receive().is_some() {}
        drop(tool);
        // Ends with the computation.
        let _ = events.count();
        assert!(matches!(computation.status(), Err(ServerError::Closed)));
    });
}

#[test]
fn an_address_that_is_taken_is_refused() {
    let (server, computation) = open(own_address());
    let config = ComputationConfig::default().addr(computation.addr());
    let error = server.open(config).unwrap_err();
    assert!(
        matches!(&error, ServerError::Listen { addr, .. } if *addr == computation.addr()),
        "{error:?}"
    );
    computation.close(LONG).unwrap();
    let again = ComputationConfig::default().addr(computation.addr());
    assert_eq!(server.open(again).unwrap().port(), computation.port());
    server.shutdown(LONG).unwrap();
}
