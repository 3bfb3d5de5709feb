//! Every verb, in every dialect.

use super::{LONG, counter::Counter, on_one_thread};
use dmtcp_client::aio;
use dmtcp_client::coordinator::{DetectOptions, Evidence};
use dmtcp_client::native::Options;
use dmtcp_client::server::{ComputationConfig, ComputationEvent, Event, ServerError};
use dmtcp_client::{Dialect, Interval};
use std::path::Path;
use std::time::Duration;

const HOUR: Interval = Interval::Every(Duration::from_secs(3600));

fn launch(computation: &aio::Computation, dialect: Dialect, dir: &Path) -> Counter {
    let options = Options::new(computation.addr(), dialect)
        .checkpoint_dir(dir)
        .barrier_limit(LONG);
    Counter::launch(&options)
}

#[test]
fn of_the_embedded_server() {
    on_one_thread(async {
        let server = aio::Server::start().unwrap();
        for &dialect in Dialect::ALL {
            let dir = tempfile::tempdir().unwrap();
            let computation = server.open(ComputationConfig::default()).await.unwrap();
            let events = computation.events();
            let _worker = launch(&computation, dialect, dir.path());
            let status = computation.wait_until_running(Some(1), LONG).await;
            assert_eq!(status.unwrap().peers, 1);
            assert_eq!(computation.workers().await.unwrap().len(), 1);
            computation.set_interval(HOUR).await.unwrap();
            assert_eq!(computation.status().await.unwrap().interval, HOUR);
            let sealed = computation.checkpoint(LONG).await.unwrap();
            assert_eq!(sealed.images.len(), 1);
            assert_eq!(computation.timelines().await.unwrap().len(), 1);
            assert_eq!(computation.metrics().await.unwrap().rounds_complete, 1);
            assert!(computation.key_values().await.is_ok());
            // It may be about to run again.
            computation.wait_until_running(Some(1), LONG).await.unwrap();
            assert_eq!(computation.request_checkpoint().await.unwrap(), 1);
            let mut complete = 0;
            while complete < 2 {
                let event = tokio::time::timeout(LONG, events.recv()).await.unwrap();
                let event = event.expect("it goes on");
                let is_complete = |event| matches!(event, Event::CheckpointComplete { .. });
                if let ComputationEvent::Coordinator(event) = event {
                    complete += usize::from(is_complete(event));
                }
            }
            computation.wait_until_running(Some(1), LONG).await.unwrap();
            computation.checkpoint_and_kill(LONG).await.unwrap();
            let none = computation.checkpoint(LONG).await;
            let is_refused = matches!(
                none,
                Err(ServerError::NotRunning | ServerError::Busy { .. })
            );
            assert!(is_refused, "{none:?}");

            let _worker = launch(&computation, dialect, dir.path());
            computation.wait_until_running(Some(1), LONG).await.unwrap();
            computation.kill_workers(LONG).await.unwrap();
            computation.quit(LONG).await.unwrap();
            computation.close(LONG).await.unwrap();
            let closed = computation.status().await;
            assert!(matches!(closed, Err(ServerError::Closed)), "{closed:?}");
            while tokio::time::timeout(LONG, events.recv())
                .await
                .unwrap()
                .is_some()
            {}
        }
        server.shutdown(LONG).await.unwrap();
    });
}

#[test]
fn over_the_wire() {
    on_one_thread(async {
        let server = aio::Server::start().unwrap();
        for &dialect in Dialect::ALL {
            let dir = tempfile::tempdir().unwrap();
            let computation = server.open(ComputationConfig::default()).await.unwrap();
            let _worker = launch(&computation, dialect, dir.path());
            computation.wait_until_running(Some(1), LONG).await.unwrap();
            let options = DetectOptions::default().dialect(dialect);
            let coordinator = aio::Coordinator::detect(computation.addr(), &options).await;
            let coordinator = coordinator.unwrap().timeout(LONG);
            assert_eq!(coordinator.status().await.unwrap().peers, 1);
            if dialect != Dialect::V2_4 {
                assert_eq!(coordinator.workers().await.unwrap().len(), 1);
            }
            coordinator.set_interval(HOUR).await.unwrap();
            let has_more = matches!(dialect, Dialect::V2_5 | Dialect::V2_6);
            assert_eq!(coordinator.set_log_mask(0).await.is_ok(), has_more);
            assert_eq!(coordinator.checkpoint_dir().await.is_ok(), has_more);
            let report = coordinator.checkpoint(LONG).await.unwrap();
            assert_eq!(report.evidence, Evidence::CoordinatorReply, "{dialect:?}");
            computation.wait_until_running(Some(1), LONG).await.unwrap();
            assert_eq!(coordinator.request_checkpoint().await.unwrap(), 1);
            // Waits for the other one to be over.
            let report = coordinator.checkpoint_and_kill(LONG).await.unwrap();
            assert_eq!(report.peers, 1);
            let _worker = launch(&computation, dialect, dir.path());
            computation.wait_until_running(Some(1), LONG).await.unwrap();
            coordinator.kill_workers().await.unwrap();
            coordinator.quit().await.unwrap();
        }
    });
}

#[test]
fn deadlines_are_kept_and_leave_the_runtime_free() {
    on_one_thread(async {
        // Accepts and says nothing.
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let limit = Duration::from_millis(300);
        let ticks = async {
            let mut ticks = 0;
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                ticks += 1;
                if ticks == 20 {
                    return;
                }
            }
        };
        let coordinator = aio::Coordinator::new(addr, Dialect::V5).timeout(limit);
        let (status, ()) = tokio::join!(coordinator.status(), ticks);
        let error = status.unwrap_err();
        let timed_out = dmtcp_client::coordinator::Error::TimedOut {
            addr,
            awaited: "the answer",
            limit,
        };
        assert_eq!(error.to_string(), timed_out.to_string());
    });
}

#[test]
fn one_that_does_not_read_is_told_what_it_lost() {
    on_one_thread(async {
        let server = aio::Server::start().unwrap();
        let config = ComputationConfig::default().max_events(2);
        let computation = server.open(config).await.unwrap();
        let events = computation.events();
        // Each is told once when it comes, and once when it is turned away.
        for _ in 0..5 {
            let mut peer = std::net::TcpStream::connect(computation.addr()).unwrap();
            std::io::Write::write_all(&mut peer, &[b'x'; 300]).unwrap();
            let _ = std::io::Read::read(&mut peer, &mut [0; 300]);
        }
        let told = computation.metrics().await.unwrap().events;
        assert!(told >= 5, "{told}");
        let first = events.recv_next().await.unwrap();
        let lost = told - 2;
        assert!(
            matches!(first.event, ComputationEvent::Lagged(n) if n == lost),
            "{first:?}"
        );
        assert_eq!(first.sequence, lost);
        assert_eq!(events.recv_next().await.unwrap().sequence, lost + 1);
        assert_eq!(events.recv_next().await.unwrap().sequence, lost + 2);
        // As a stream: woken by what comes next.
        let next = std::future::poll_fn(|cx| events.poll_recv(cx));
        let close = computation.close(LONG);
        let (last, closed) = tokio::join!(next, close);
        closed.unwrap();
        assert!(last.is_none(), "{last:?}");
    });
}
