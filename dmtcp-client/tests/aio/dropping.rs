//! Futures dropped at every place where they wait: coordinators get whole commands all the same.

use super::fake::{Answer, Fake, answer, list};
use super::polls::dropped_after;
use super::{LONG, on_one_thread};
use dmtcp_client::aio;
use dmtcp_client::coordinator::Coordinator;
use dmtcp_client::server::{ComputationConfig, ServerError};
use dmtcp_client::{Dialect, Interval, WorkerState};
use dmtcp_proto::Verb;
use socket2::{Domain, Socket, Type};
use std::future::Future;
use std::io::Read as _;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// A verb, and the end of what comes of it.
type Ask = fn(aio::Coordinator) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Those that a scripted coordinator can be asked in every dialect.
const VERBS: &[(&str, Ask)] = &[
    ("status", |c| {
        Box::pin(async move { drop(c.status().await) })
    }),
    ("workers", |c| {
        Box::pin(async move { drop(c.workers().await) })
    }),
    ("request_checkpoint", |c| {
        Box::pin(async move { drop(c.request_checkpoint().await) })
    }),
    ("checkpoint", |c| {
        Box::pin(async move { drop(c.checkpoint(LONG).await) })
    }),
    ("checkpoint_and_kill", |c| {
        Box::pin(async move { drop(c.checkpoint_and_kill(LONG).await) })
    }),
    ("set_interval", |c| {
        Box::pin(async move { drop(c.set_interval(Interval::Never).await) })
    }),
];

/// One that refuses nothing, and whose checkpoints end with the first look at the workers.
fn script(dialect: Dialect) -> impl FnMut(Verb) -> Answer + Send + 'static {
    use WorkerState::{Checkpointed, Running};
    let states = [Running, Checkpointed, Running];
    let mut next = 0;
    move |verb| {
        Answer::Send(match verb {
            Verb::Status | Verb::SetInterval => answer(dialect, "status-1peers"),
            Verb::List if dialect == Dialect::V2_4 => answer(dialect, "list"),
            Verb::List => {
                next += 1;
                list(dialect, &[states[next % states.len()]], false)
            }
            Verb::BlockingPrefix if dialect == Dialect::V3 => answer(dialect, "blocking-prefix"),
            Verb::BlockingPrefix | Verb::KillingPrefix => answer(dialect, "exit-after-prefix"),
            Verb::CheckpointAndKill => answer(dialect, "kill-after-checkpoint"),
            _ => answer(dialect, "checkpoint"),
        })
    }
}

/// How many of these were asked.
fn asked(fake: &Fake, of: impl Fn(&Verb) -> bool) -> usize {
    fake.verbs().into_iter().filter(of).count()
}

fn is_prefix(verb: &Verb) -> bool {
    matches!(verb, Verb::BlockingPrefix | Verb::KillingPrefix)
}

#[test]
fn no_command_is_cut_off_wherever_its_future_is_dropped() {
    on_one_thread(async {
        for &dialect in Dialect::ALL {
            for &(name, ask) in VERBS {
                let mut places = 0;
                loop {
                    let fake = Fake::start(dialect, script(dialect));
                    let handle = fake.handle();
                    let whole = dropped_after(places, ask(handle.clone().into())).await;
                    let begun = Instant::now();
                    loop {
                        // Behind everything that was begun: it serves one after the other.
                        let status = handle.status();
                        assert!(status.is_ok(), "{dialect:?} {name} {places}: {status:?}");
                        let is_whole =
                            asked(&fake, is_prefix) <= asked(&fake, |v| *v == Verb::Checkpoint);
                        if is_whole {
                            break;
                        }
                        assert!(begun.elapsed() < LONG, "{dialect:?} {name} {places}");
                    }
                    assert_eq!(fake.silent(), 0, "{dialect:?} {name} {places}");
                    // Some look again and again, for as long as they may.
                    if whole.is_some() || places == 24 {
                        break;
                    }
                    places += 1;
                }
                assert!(places > 1, "{dialect:?} {name} waits nowhere");
            }
        }
    });
}

#[test]
fn a_connection_that_comes_late_gets_its_command() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = ([127, 0, 0, 1], 0).into();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap().as_socket().unwrap();
    // The backlog is full: the next connection has to knock again.
    let first = std::net::TcpStream::connect(addr).unwrap();
    runtime.block_on(async {
        let coordinator = aio::Coordinator::new(addr, Dialect::V3).timeout(LONG);
        let status = coordinator.status();
        assert!(dropped_after(1, status).await.is_none());
    });
    // Nothing of the runtime is needed for it.
    drop(runtime);
    let listener: std::net::TcpListener = listener.into();
    let (accepted, _) = listener.accept().unwrap();
    drop((first, accepted));
    let (mut late, _) = listener.accept().unwrap();
    late.set_read_timeout(Some(LONG)).unwrap();
    let mut command = vec![0; Dialect::V3.header_len()];
    late.read_exact(&mut command).unwrap();
}

#[test]
fn the_embedded_server_forgets_what_nobody_waits_for() {
    on_one_thread(async {
        let server = aio::Server::start().unwrap();
        let mut places = 0;
        let computation = loop {
            let config = ComputationConfig::default();
            if let Some(opened) = dropped_after(places, server.open(config)).await {
                break opened.unwrap();
            }
            places += 1;
        };
        assert!(places > 0, "it waits nowhere");
        let addr = computation.addr();
        let short = Duration::from_millis(20);
        for places in 0..3 {
            drop(dropped_after(places, computation.status()).await);
            drop(dropped_after(places, computation.workers()).await);
            drop(dropped_after(places, computation.metrics()).await);
            drop(dropped_after(places, computation.checkpoint(LONG)).await);
            drop(dropped_after(places, computation.kill_workers(LONG)).await);
            drop(dropped_after(places, computation.wait_until_running(Some(1), short)).await);
        }
        let waited = computation.wait_until_running(Some(1), short).await;
        assert!(matches!(waited, Err(ServerError::TimedOut { .. })));
        // And from outside.
        let handle = Coordinator::new(addr, Dialect::V5).timeout(LONG);
        for places in 0..8 {
            for &(_, ask) in VERBS {
                dropped_after(places, ask(handle.clone().into())).await;
            }
        }
        assert_eq!(computation.status().await.unwrap().peers, 0);
        let peers = computation.metrics().await.unwrap().peers;
        assert_eq!((peers.misbehaved, peers.silent), (0, 0));
        drop(dropped_after(1, computation.close(LONG)).await);
        // It goes on all the same.
        computation.close(LONG).await.unwrap();
    });
}
