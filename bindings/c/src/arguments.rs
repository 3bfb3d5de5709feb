//! What arguments of several functions must be: limits, ports, hosts.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use crate::codes::ResultCode;
use crate::failure::Failure;

/// A wait that ends, and does not end before it begins.
pub(crate) fn limit(limit_ms: u64) -> Result<Duration, Failure> {
    if limit_ms == 0 {
        return Err(Failure::argument(
            "limit_ms is 0: say how long to wait; there is no waiting for ever",
        ));
    }
    Ok(Duration::from_millis(limit_ms))
}

/// The number of a port. Not `uint16_t` in C, where a larger number would become another port.
pub(crate) fn port_in_range(port: u32) -> Result<u16, Failure> {
    u16::try_from(port).map_err(|_| Failure::argument(format!("port is {port}, over 65535")))
}

pub(crate) fn port_of(port: u32) -> Result<u16, Failure> {
    match port_in_range(port)? {
        0 => Err(Failure::argument("port is 0")),
        port => Ok(port),
    }
}

pub(crate) fn address(host: &str, port: u16) -> Result<SocketAddr, Failure> {
    let failed = |why: &str| Failure {
        code: ResultCode::DMTCP_ERR_ADDRESS,
        message: format!("host {host:?} has no IPv4 address: {why}"),
    };
    let mut addrs = (host, port)
        .to_socket_addrs()
        .map_err(|error| failed(&error.to_string()))?;
    // DMTCP's coordinators listen on IPv4 only.
    addrs
        .find(SocketAddr::is_ipv4)
        .ok_or_else(|| failed("only others"))
}

/// In milliseconds, as C has times.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What a later release may give a meaning to.
pub(crate) fn zero(reserved: u32, name: &str) -> Result<(), Failure> {
    match reserved {
        0 => Ok(()),
        _ => Err(Failure::argument(format!("{name} is not 0"))),
    }
}

/// 0 stands for what is said elsewhere.
pub(crate) fn unless_zero(ms: u64) -> Option<Duration> {
    (ms > 0).then(|| Duration::from_millis(ms))
}
