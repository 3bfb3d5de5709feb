//! The kernel's tables of TCP sockets. Not here: what their lines mean to whom.

use std::{fs, io};

/// The table of IPv4 or IPv6 sockets as text; empty for IPv6 on a system without it.
pub(crate) fn tcp_table(v6: bool) -> io::Result<String> {
    let table = if v6 {
        "/proc/net/tcp6"
    } else {
        "/proc/net/tcp"
    };
    match fs::read_to_string(table) {
        Err(error) if v6 && error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        text => text,
    }
}
