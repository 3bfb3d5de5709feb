//! A coordinator that is a program of its own, run in this one. What needs its command line is in
//! `../cli/weaknesses.rs`.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use dmtcp_client::standalone::{Ending, Standalone, StandaloneConfig};
use dmtcp_proto::{Body, Dialect, Message, UniquePid, Verb};

use crate::peer::{Peer, Worker, ask};
use crate::store::keep;
use crate::{LONG, for_each_dialect};

fn config(dir: &tempfile::TempDir) -> StandaloneConfig {
    let mut config = StandaloneConfig::default();
    config.addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config.script_dir = dir.path().to_owned();
    config.port_file = Some(dir.path().join("port"));
    config
}

#[test]
fn w33_a_side_channel_is_not_the_last_worker() {
    for_each_dialect(|dialect| {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(&dir);
        config.exit_on_last = true;
        let standalone = Standalone::start(config).unwrap();
        let computation = standalone.computation().clone();
        let running = thread::spawn(move || standalone.run(|_| {}));
        let side_comes_and_goes = |others: u64| {
            let mut side = Peer::connect(computation.addr(), dialect);
            side.send(&Message::new(UniquePid::NULL, Body::NameServiceWorker));
            side.send(&keep(dialect, 1));
            assert!(side.receive().is_some());
            drop(side);
            let end = Instant::now() + LONG;
            while computation.metrics().unwrap().connections != others {
                assert!(Instant::now() < end, "it is not noticed");
                thread::sleep(Duration::from_millis(1));
            }
            ask(computation.addr(), dialect, Verb::Status).peers
        };
        assert_eq!(side_comes_and_goes(0), 0);
        let worker = Worker::join(computation.addr(), dialect);
        computation.wait_until_running(Some(1), LONG).unwrap();
        assert_eq!(side_comes_and_goes(1), 1);
        assert!(!running.is_finished());
        drop(worker);
        assert_eq!(running.join().unwrap(), Ending::LastLeft);
    });
}

#[test]
fn w41_a_time_limit_leaves_no_port_file() {
    for (ending, stale) in [(Ending::TimedOut, false), (Ending::Stale, true)] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(&dir);
        let limit = Some(Duration::from_millis(1));
        if stale {
            config.stale_timeout = limit;
        } else {
            config.timeout = limit;
        }
        let path = config.port_file.clone().unwrap();
        let standalone = Standalone::start(config).unwrap();
        assert!(path.exists());
        assert_eq!(standalone.run(|_| {}), ending);
        assert!(!path.exists(), "{ending:?}");
    }
}

/// No worker need do anything for it.
#[test]
fn a_time_limit_ends_a_round() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(&dir);
    // Long enough to get into the round.
    config.timeout = Some(Duration::from_secs(5));
    let standalone = Standalone::start(config).unwrap();
    let computation = standalone.computation().clone();
    let running = thread::spawn(move || standalone.run(|_| {}));
    let mut worker = Worker::join(computation.addr(), Dialect::V5);
    computation.wait_until_running(Some(1), LONG).unwrap();
    ask(computation.addr(), Dialect::V5, Verb::Checkpoint);
    worker.order();
    assert!(worker.peer.receive().is_none());
    drop(worker);
    assert_eq!(running.join().unwrap(), Ending::TimedOut);
}
