//! Where the caller, or else the environment, says that the coordinator is.

use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

use super::error::Error;

/// The address that a host and a port name as DMTCP's tools are given them; what is `None` is said by
/// `DMTCP_COORD_HOST` and `DMTCP_COORD_PORT`. What is empty, or said by nobody, is DMTCP's default:
/// 127.0.0.1 and 7779.
///
/// A host name is looked up as the system does it, without a deadline.
///
/// # Errors
///
/// No port number, or a host without an IPv4 address: [`Error::Address`] where it was given,
/// [`Error::Environment`] where a variable says it.
pub fn find(host: Option<OsString>, port: Option<OsString>) -> Result<SocketAddr, Error> {
    find_with(host, port, |variable| std::env::var_os(variable))
}

fn find_with(
    host: Option<OsString>,
    port: Option<OsString>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<SocketAddr, Error> {
    let host = Said::of(&HOST, host, &environment);
    let port = Said::of(&PORT, port, &environment);
    let number = match port.text.trim().parse::<u16>() {
        Ok(number) if number > 0 => number,
        _ => return Err(port.refused(None)),
    };
    let found = (host.text.as_str(), number).to_socket_addrs();
    match found {
        // DMTCP's coordinators listen on IPv4 only.
        Ok(mut addrs) => addrs
            .find(SocketAddr::is_ipv4)
            .ok_or_else(|| host.refused(None)),
        Err(error) => Err(host.refused(Some(error))),
    }
}

/// A part of an address.
struct Part {
    name: &'static str,
    variable: &'static str,
    default: &'static str,
    expected: &'static str,
}

const HOST: Part = Part {
    name: "host",
    variable: "DMTCP_COORD_HOST",
    default: "127.0.0.1",
    expected: "a host with an IPv4 address",
};

const PORT: Part = Part {
    name: "port",
    variable: "DMTCP_COORD_PORT",
    default: "7779",
    expected: "a port number",
};

/// What is said of a part, and by whom.
struct Said {
    part: &'static Part,
    text: String,
    by_caller: bool,
}

impl Said {
    fn of(
        part: &'static Part,
        given: Option<OsString>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let by_caller = given.is_some();
        let value = given.or_else(|| environment(part.variable));
        let text = match value {
            Some(value) if !value.is_empty() => value.to_string_lossy().into_owned(),
            _ => part.default.to_owned(),
        };
        Self {
            part,
            text,
            by_caller,
        }
    }

    fn refused(self, source: Option<io::Error>) -> Error {
        let (value, expected) = (self.text, self.part.expected);
        if self.by_caller {
            return Error::Address {
                part: self.part.name,
                value,
                expected,
                source,
            };
        }
        Error::Environment {
            variable: self.part.variable,
            value,
            expected,
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(host: &str, port: &str) -> Option<String> {
        let value = |text: &str| (text != "unset").then(|| OsString::from(text));
        let found = find_with(value(host), value(port), |_| None);
        found.ok().map(|addr| addr.to_string())
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

    fn environment(variable: &str) -> Option<OsString> {
        match variable {
            "DMTCP_COORD_HOST" => Some("::1".into()),
            "DMTCP_COORD_PORT" => Some("many".into()),
            _ => None,
        }
    }

    #[test]
    fn the_environment_says_what_is_not_given() {
        let said = |variable: &str| match variable {
            "DMTCP_COORD_HOST" => Some("127.0.0.3".into()),
            _ => environment(variable),
        };
        let found = find_with(None, Some("1234".into()), said);
        assert_eq!(found.unwrap().to_string(), "127.0.0.3:1234");
        // Empty is said, too: by the caller, for the default.
        let found = find_with(Some("".into()), Some("".into()), environment);
        assert_eq!(found.unwrap().to_string(), "127.0.0.1:7779");
    }

    #[test]
    fn an_error_names_who_said_it() {
        let refused = |host: Option<&str>, port: Option<&str>| {
            let found = find_with(host.map(Into::into), port.map(Into::into), environment);
            found.unwrap_err()
        };
        let given = refused(Some("::2"), Some("1"));
        assert_eq!(
            given.to_string(),
            "\"::2\" is not a host with an IPv4 address"
        );
        assert!(matches!(given, Error::Address { part: "host", .. }));
        let given = refused(None, Some("0"));
        assert_eq!(given.to_string(), "\"0\" is not a port number");
        assert!(matches!(given, Error::Address { part: "port", .. }));
        assert_eq!(
            refused(None, Some("1")).to_string(),
            "DMTCP_COORD_HOST=\"::1\" is not a host with an IPv4 address"
        );
        assert_eq!(
            refused(Some("127.0.0.1"), None).to_string(),
            "DMTCP_COORD_PORT=\"many\" is not a port number"
        );
    }
}
