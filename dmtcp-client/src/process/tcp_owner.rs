//! Whose a TCP connection of this host is: the kernel is asked for the very connection
//! (`sock_diag(7)`), or, where that is not allowed, for its whole table (`/proc/net/tcp`).
//!
//! Not here: listening sockets (`listener`), and what follows from the answer.

use std::{
    fs, io,
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use super::tcp_table;
use socket2::{Domain, Protocol, Socket, Type};

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpOwner {
    /// The user whose process opened the socket.
    pub(crate) uid: u32,
    /// The socket, as links in `/proc/PID/fd` name it; 0: no process holds it any more.
    pub(crate) inode: u64,
}

/// Asks the kernel.
#[derive(Debug)]
pub(crate) struct TcpOwners {
    /// `None`: not allowed here.
    diag: Option<Socket>,
}

impl TcpOwners {
    pub(crate) fn open() -> Self {
        Self { diag: diag().ok() }
    }

    /// The one whose own address is `local` and whose peer is `remote`; `None`: there is none on
    /// this host, as far as this process's network namespace reaches.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub(crate) fn find(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> io::Result<Option<TcpOwner>> {
        let (local, remote) = (canonical(local), canonical(remote));
        let asked = self.diag.as_ref().map(|diag| ask(diag, local, remote));
        match asked {
            Some(Ok(owner)) => Ok(owner),
            Some(Err(_)) | None => in_table(local, remote),
        }
    }

    /// Whether `pid` has the socket open.
    ///
    /// # Errors
    /// As [`find`](Self::find); or the process may not be looked into.
    pub(crate) fn is_held_by(
        &self,
        pid: i32,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> io::Result<bool> {
        let owner = self.find(local, remote)?.filter(|owner| owner.inode != 0);
        let Some(owner) = owner else {
            return Ok(false);
        };
        let wanted = PathBuf::from(format!("socket:[{}]", owner.inode));
        for descriptor in fs::read_dir(format!("/proc/{pid}/fd"))? {
            // A descriptor can be closed while they are looked at.
            let target = fs::read_link(descriptor?.path());
            if target.is_ok_and(|target| target == wanted) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn diag() -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::from(AF_NETLINK),
        Type::DGRAM,
        Some(Protocol::from(NETLINK_SOCK_DIAG)),
    )?;
    // The kernel answers before the question returns; this is for one that does not.
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    Ok(socket)
}

fn ask(mut diag: &Socket, local: SocketAddr, remote: SocketAddr) -> io::Result<Option<TcpOwner>> {
    diag.write_all(&question(local, remote))?;
    let mut answer = [0; 4096];
    let len = diag.read(&mut answer)?;
    read_answer(answer.get(..len).unwrap_or_default())
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?
}

/// `nlmsghdr` and `inet_diag_req_v2`.
fn question(local: SocketAddr, remote: SocketAddr) -> Vec<u8> {
    let mut message = Vec::with_capacity(QUESTION_LEN);
    message.extend((QUESTION_LEN as u32).to_ne_bytes());
    message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    message.extend([0; 8]);
    let family = if local.is_ipv4() { AF_INET } else { AF_INET6 };
    message.extend([family, IPPROTO_TCP, 0, 0]);
    message.extend(u32::MAX.to_ne_bytes());
    message.extend(local.port().to_be_bytes());
    message.extend(remote.port().to_be_bytes());
    for ip in [local.ip(), remote.ip()] {
        match ip {
            IpAddr::V4(ip) => {
                message.extend(ip.octets());
                message.extend([0; 12]);
            }
            IpAddr::V6(ip) => message.extend(ip.octets()),
        }
    }
    // Any interface, any cookie.
    message.extend([0; 4]);
    message.extend([0xff; 8]);
    message
}

/// `None`: it is not understood.
fn read_answer(answer: &[u8]) -> Option<io::Result<Option<TcpOwner>>> {
    let word = |at: usize| {
        let bytes = answer.get(at..at.checked_add(4)?)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    };
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    match kind {
        SOCK_DIAG_BY_FAMILY => Some(Ok(Some(TcpOwner {
            uid: word(HEADER_LEN + 64)?,
            inode: word(HEADER_LEN + 68)?.into(),
        }))),
        NLMSG_ERROR => {
            let code = i32::from_ne_bytes(word(HEADER_LEN)?.to_ne_bytes()).checked_neg()?;
            let error = io::Error::from_raw_os_error(code);
            Some(match error.kind() {
                io::ErrorKind::NotFound => Ok(None),
                _ => Err(error),
            })
        }
        _ => None,
    }
}

fn in_table(local: SocketAddr, remote: SocketAddr) -> io::Result<Option<TcpOwner>> {
    // An IPv6 socket can speak IPv4; it stands in the other table then.
    let tables: &[bool] = if local.is_ipv4() {
        &[false, true]
    } else {
        &[true]
    };
    for &v6 in tables {
        let wanted = (table_text(local, v6), table_text(remote, v6));
        let text = tcp_table(v6)?;
        let owner = text.lines().find_map(|line| match_line(line, &wanted));
        if owner.is_some() {
            return Ok(owner);
        }
    }
    Ok(None)
}

/// Fields: number, local address, remote address, state, queues, timer, retransmits, user,
/// timeout, inode.
fn match_line(line: &str, (local, remote): &(String, String)) -> Option<TcpOwner> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    if fields.next()? != local || fields.next()? != remote {
        return None;
    }
    Some(TcpOwner {
        uid: fields.nth(4)?.parse().ok()?,
        inode: fields.nth(1)?.parse().ok()?,
    })
}

fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// Addresses are words in the machine's own byte order, in hexadecimal.
fn table_text(addr: SocketAddr, mapped: bool) -> String {
    let v6 = match addr.ip() {
        IpAddr::V4(ip) if mapped => ip.to_ipv6_mapped(),
        IpAddr::V4(ip) => {
            let word = u32::from_ne_bytes(ip.octets());
            return format!("{word:08X}:{:04X}", addr.port());
        }
        IpAddr::V6(ip) => ip,
    };
    let mut text = String::new();
    for word in v6.octets().chunks_exact(4) {
        // Four bytes always, by chunks_exact.
        let word = word.try_into().map_or(0, u32::from_ne_bytes);
        text.push_str(&format!("{word:08X}"));
    }
    format!("{text}:{:04X}", addr.port())
}

const AF_NETLINK: i32 = 16;
const NETLINK_SOCK_DIAG: i32 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
/// Of `nlmsghdr`.
const HEADER_LEN: usize = 16;
const QUESTION_LEN: usize = HEADER_LEN + 56;

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    /// Both ways of asking; the first where the kernel lets us.
    fn ways() -> Vec<TcpOwners> {
        let table = TcpOwners { diag: None };
        let asks = TcpOwners::open();
        if asks.diag.is_none() {
            println!("SKIPPED sock_diag: not allowed here");
            return vec![table];
        }
        vec![asks, table]
    }

    #[test]
    fn finds_both_ends_of_a_connection_of_this_process() {
        for addr in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            let Ok(listener) = TcpListener::bind(addr) else {
                println!("SKIPPED {addr}: no such address here");
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            // The last accepts IPv4 on an IPv6 socket.
            let to = match addr {
                "[::1]:0" => SocketAddr::new("::1".parse().unwrap(), port),
                _ => SocketAddr::new("127.0.0.1".parse().unwrap(), port),
            };
            let stream = TcpStream::connect(to).unwrap();
            let (here, there) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
            let accepted = listener.accept().unwrap();
            let own = i32::try_from(std::process::id()).unwrap();
            let uid = fs::metadata("/proc/self").unwrap().uid();
            for owners in ways() {
                assert_eq!(owners.find(here, there).unwrap().unwrap().uid, uid);
                assert!(owners.is_held_by(own, here, there).unwrap());
                assert!(owners.is_held_by(own, there, here).unwrap());
                // Nobody has the ends the wrong way round with another port.
                let elsewhere = SocketAddr::new(there.ip(), 1);
                assert_eq!(owners.find(here, elsewhere).unwrap(), None);
                assert!(!owners.is_held_by(own, here, elsewhere).unwrap());
            }
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
        for owners in ways() {
            assert!(!owners.is_held_by(pid, here, there).unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn answers_that_make_no_sense() {
        for len in 0..100 {
            for kind in [SOCK_DIAG_BY_FAMILY, NLMSG_ERROR, 3] {
                let mut answer = vec![0xff; len];
                if let Some(bytes) = answer.get_mut(4..6) {
                    bytes.copy_from_slice(&kind.to_ne_bytes());
                }
                let told = matches!(read_answer(&answer), Some(Ok(Some(_))));
                assert_eq!(told, kind == SOCK_DIAG_BY_FAMILY && len >= HEADER_LEN + 72);
            }
        }
    }
}
