//! The embedded coordinator over real loopback sockets, with peers that speak the worker's and
//! the tools' side byte for byte. Real processes are in `real_*.rs`.

mod checkpoint;
mod lifetime;
mod peer;
mod peers;
mod processes;
mod scarce;

use std::time::Duration;

use dmtcp_client::server::{Computation, ComputationConfig, ComputationEvent, Events, Server};
use dmtcp_proto::Dialect;

/// Longer than anything here takes unless it hangs.
pub(crate) const LONG: Duration = Duration::from_secs(30);

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

pub(crate) fn open(config: ComputationConfig) -> (Server, Computation) {
    let server = Server::start().unwrap();
    let computation = server.open(config).unwrap();
    (server, computation)
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
