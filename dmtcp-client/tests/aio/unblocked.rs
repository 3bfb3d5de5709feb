//! What waits on a runtime waits for it, and not beside it; and nothing is done behind a refusal.

use super::fake::{Answer, Fake, answer, list};
use super::{LONG, on_one_thread};
use dmtcp_client::aio::{self, BoxFuture, Runtime, Tokio};
use dmtcp_client::coordinator::Error;
use dmtcp_client::{Dialect, WorkerState};
use dmtcp_proto::Verb;
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Tokio, and how often it was asked for a pause between two looks.
#[derive(Clone, Debug, Default)]
struct Counting {
    pauses: Arc<AtomicUsize>,
}

impl Runtime for Counting {
    fn watch(&self, socket: Arc<TcpStream>) -> io::Result<Box<dyn aio::Socket>> {
        Tokio::default().watch(socket)
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        // Limits are as long as the handle's.
        if time <= Duration::from_millis(100) {
            self.pauses.fetch_add(1, Ordering::Relaxed);
        }
        Tokio::default().sleep(time)
    }
}

#[test]
fn a_round_is_watched_without_holding_the_thread() {
    use WorkerState::{Checkpointed, Checkpointing, Running};
    const LOOKS: usize = 12;
    let dialect = Dialect::V3;
    let mut lists = 0;
    let fake = Fake::start(dialect, move |verb| {
        Answer::Send(match verb {
            Verb::Status => answer(dialect, "status-1peers"),
            Verb::List => {
                lists += 1;
                match lists {
                    1 => list(dialect, &[Running], false),
                    n if n <= LOOKS => list(dialect, &[Checkpointing], false),
                    n if n == LOOKS + 1 => list(dialect, &[Checkpointed], false),
                    _ => list(dialect, &[], false),
                }
            }
            Verb::KillingPrefix => answer(dialect, "exit-after-prefix"),
            _ => answer(dialect, "checkpoint"),
        })
    });
    on_one_thread(async {
        let runtime = Counting::default();
        let coordinator = aio::Coordinator::on(runtime.clone(), fake.handle());
        let report = coordinator.checkpoint_and_kill(LONG).await;
        assert!(report.is_ok(), "{report:?}");
        let pauses = runtime.pauses.load(Ordering::Relaxed);
        assert!(pauses >= LOOKS, "{pauses} pauses in {LOOKS} looks");
    });
}

#[test]
fn what_could_not_be_asked_in_time_is_not_asked_later() {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap().as_socket().unwrap();
    // The backlog is full: the next connection has to knock again, after a second.
    let first = TcpStream::connect(addr).unwrap();
    on_one_thread(async {
        let coordinator = aio::Coordinator::new(addr, Dialect::V3);
        let coordinator = coordinator.timeout(Duration::from_millis(300));
        let asked = coordinator.kill_workers().await;
        assert!(matches!(asked, Err(Error::TimedOut { .. })), "{asked:?}");
    });
    let listener: TcpListener = listener.into();
    let (accepted, _) = listener.accept().unwrap();
    drop((first, accepted));
    listener.set_nonblocking(true).unwrap();
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        assert!(listener.accept().is_err(), "it was asked all the same");
        std::thread::sleep(Duration::from_millis(10));
    }
}
