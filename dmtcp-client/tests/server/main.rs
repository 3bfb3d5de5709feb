//! The embedded coordinator over real loopback sockets, with peers that speak the worker's and
//! the tools' side byte for byte. Real processes are in `real_*.rs`.

mod checkpoint;
#[path = "../chrome_trace/mod.rs"]
mod chrome_trace;
mod exposition;
mod fairness;
mod key_values;
mod lifetime;
mod observe;
mod peer;
mod peers;
mod processes;
#[path = "../sample_images/mod.rs"]
mod sample_images;
mod scarce;
mod script;
mod store;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use dmtcp_client::server::{Computation, ComputationConfig, ComputationEvent, Events, Server};
use dmtcp_proto::Dialect;

/// Longer than anything here takes unless it hangs.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) fn for_each_dialect(test: impl Fn(Dialect)) {
    for &dialect in Dialect::ALL {
        eprintln!("--- {dialect:?}");
        test(dialect);
    }
}

/// Those whose workers wait for each other where no message reaches them.
pub(crate) fn for_each_barrier_dialect(test: impl Fn(Dialect)) {
    for_each_dialect(|dialect| {
        if dialect.phases().is_empty() {
            test(dialect);
        }
    });
}

/// A computation that has more patience with its peers than they with it.
pub(crate) fn open(mut config: ComputationConfig) -> (Server, Computation) {
    let server = Server::start().unwrap();
    config.coordinator.hello_timeout = 10 * LONG;
    config.coordinator.kill_timeout = 10 * LONG;
    let computation = server.open(config).unwrap();
    (server, computation)
}

/// An address on which nobody else listens, before or after the test: the other tests' ports are
/// chosen by the system, which gives what is free again to the next.
pub(crate) fn own_address() -> ComputationConfig {
    static LAST: AtomicU8 = AtomicU8::new(1);
    let own = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let [.., high, low] = std::process::id().to_be_bytes();
    ComputationConfig::default().addr(SocketAddr::from((Ipv4Addr::new(127, high, low, own), 0)))
}

/// Everything up to and with the first event that `wanted` accepts.
pub(crate) fn events_until(
    events: &Events,
    wanted: impl Fn(&ComputationEvent) -> bool,
) -> Vec<ComputationEvent> {
    let mut seen = Vec::new();
    loop {
        match events.recv_timeout(LONG) {
            Ok(event) => {
                let last = wanted(&event);
                seen.push(event);
                if last {
                    return seen;
                }
            }
            Err(error) => panic!("{error} after {seen:#?}"),
        }
    }
}
