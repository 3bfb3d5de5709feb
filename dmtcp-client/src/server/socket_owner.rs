//! Which process holds a TCP socket, as `/proc` tells. Nothing else.

use std::{fs, io, net::SocketAddr, path::PathBuf};

/// Whether `pid` has a socket open whose own address is `local` and whose peer is `remote`.
///
/// # Errors
/// When `/proc` cannot be read or the process may not be looked into.
pub(super) fn holds_socket(pid: i32, local: SocketAddr, remote: SocketAddr) -> io::Result<bool> {
    let Some(inode) = inode_of(local, remote)? else {
        return Ok(false);
    };
    let wanted = PathBuf::from(format!("socket:[{inode}]"));
    for descriptor in fs::read_dir(format!("/proc/{pid}/fd"))? {
        // A descriptor can be closed while they are looked at.
        let target = fs::read_link(descriptor?.path());
        if target.is_ok_and(|target| target == wanted) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn inode_of(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<u64>> {
    let (local, remote) = (canonical(local), canonical(remote));
    let tables: &[&str] = if local.is_ipv4() {
        // An IPv6 socket can speak IPv4; it stands in the other table then.
        &["/proc/net/tcp", "/proc/net/tcp6"]
    } else {
        &["/proc/net/tcp6"]
    };
    for &table in tables {
        let mapped = table.ends_with('6');
        let wanted = (table_text(local, mapped), table_text(remote, mapped));
        let text = match fs::read_to_string(table) {
            Ok(text) => text,
            // Not there on a system without IPv6.
            Err(error) if mapped && error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let inode = text.lines().find_map(|line| match_line(line, &wanted));
        if inode.is_some() {
            return Ok(inode);
        }
    }
    Ok(None)
}

/// Fields: number, local address, remote address, state, queues, timer, retransmits, user,
/// timeout, inode.
fn match_line(line: &str, (local, remote): &(String, String)) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let same = fields.next()? == local && fields.next()? == remote;
    // 0: no process holds it any more.
    same.then(|| fields.nth(6)?.parse().ok())?
        .filter(|&inode| inode != 0)
}

fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// Addresses are words in the machine's own byte order, in hexadecimal.
fn table_text(addr: SocketAddr, mapped: bool) -> String {
    let v6 = match addr.ip() {
        std::net::IpAddr::V4(ip) if mapped => ip.to_ipv6_mapped(),
        std::net::IpAddr::V4(ip) => {
            let word = u32::from_ne_bytes(ip.octets());
            return format!("{word:08X}:{:04X}", addr.port());
        }
        std::net::IpAddr::V6(ip) => ip,
    };
    let mut text = String::new();
    for word in v6.octets().chunks_exact(4) {
        // Four bytes always, by chunks_exact.
        let word = word.try_into().map_or(0, u32::from_ne_bytes);
        text.push_str(&format!("{word:08X}"));
    }
    format!("{text}:{:04X}", addr.port())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn finds_both_ends_of_a_connection_of_this_process() {
        for addr in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(addr) else {
                println!("SKIPPED {addr}: no such address here");
                continue;
            };
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (here, there) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
            let accepted = listener.accept().unwrap();
            let own = i32::try_from(std::process::id()).unwrap();
            assert!(holds_socket(own, here, there).unwrap());
            assert!(holds_socket(own, there, here).unwrap());
            // Nobody has the ends the wrong way round with another port.
            let elsewhere = SocketAddr::new(there.ip(), 1);
            assert!(!holds_socket(own, here, elsewhere).unwrap());
            drop(accepted);
        }
    }

    #[test]
    fn another_process_does_not_hold_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (here, there) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
        let mut command = std::process::Command::new("sleep");
        let mut child = command.arg("600").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        assert!(!holds_socket(pid, here, there).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
