//! Where the environment says that the coordinator is.

use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs as _};

use super::error::Error;

pub(super) const HOST: &str = "DMTCP_COORD_HOST";
pub(super) const PORT: &str = "DMTCP_COORD_PORT";

/// The address that a host and a port name as DMTCP's tools are given them; `None` or empty: their
/// defaults, 127.0.0.1 and 7779. The environment is not looked at.
///
/// A host name is looked up as the system does it, without a deadline.
///
/// # Errors
///
/// [`Error::Environment`]: no port number, or a host without an IPv4 address.
pub fn find(host: Option<OsString>, port: Option<OsString>) -> Result<SocketAddr, Error> {
    let text = |value: Option<OsString>, default: &str| match value {
        Some(value) if !value.is_empty() => value.to_string_lossy().into_owned(),
        _ => default.to_owned(),
    };
    let (host, port) = (text(host, "127.0.0.1"), text(port, "7779"));
    let number = match port.trim().parse::<u16>() {
        Ok(number) if number > 0 => number,
        _ => {
            return Err(Error::Environment {
                variable: PORT,
                value: port,
                expected: "a port number",
                source: None,
            });
        }
    };
    let no_address = |host: &str, source| Error::Environment {
        variable: HOST,
        value: host.to_owned(),
        expected: "a host with an IPv4 address",
        source,
    };
    let mut addrs = (host.as_str(), number)
        .to_socket_addrs()
        .map_err(|error| no_address(&host, Some(error)))?;
    // DMTCP's coordinators listen on IPv4 only.
    addrs
        .find(SocketAddr::is_ipv4)
        .ok_or_else(|| no_address(&host, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(host: &str, port: &str) -> Option<String> {
        let value = |text: &str| (text != "unset").then(|| OsString::from(text));
        find(value(host), value(port)).ok().map(|a| a.to_string())
    }

    #[test]
    fn defaults_are_those_of_dmtcp() {
        for nothing in ["unset", ""] {
            let addr = found(nothing, nothing);
            assert_eq!(addr.as_deref(), Some("127.0.0.1:7779"));
        }
    }

    #[test]
    fn host_and_port() {
        let addr = found("127.0.0.2", "1234");
        assert_eq!(addr.as_deref(), Some("127.0.0.2:1234"));
        let addr = found("localhost", "1234");
        assert_eq!(addr.as_deref(), Some("127.0.0.1:1234"));
    }

    #[test]
    fn what_is_no_address() {
        for (host, port) in [
            ("unset", "x"),
            ("unset", "0"),
            ("unset", "65536"),
            ("::1", "1"),
        ] {
            assert_eq!(found(host, port), None, "{host} {port}");
        }
    }
}
