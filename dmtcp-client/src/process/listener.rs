//! The stock coordinator that listens at an address of this host, found without a connection: from
//! the kernel's table of sockets to the process, from that to its executable. It notices nothing.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    os::{
        fd::AsRawFd as _,
        unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nix::{fcntl::OFlag, unistd::geteuid};

use super::{Identity, ProcessError, capture, clean_environment, tcp_table};

/// A process that runs `dmtcp_coordinator` and listens.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) process: Identity,
    /// Its executable, as it is named now; an executable that was removed keeps its name with a
    /// suffix.
    pub(crate) program: PathBuf,
}

impl Listener {
    /// The one at `addr`; `None`: another host's address, nobody, another program, or a process of
    /// a user into which this one may not look.
    pub(crate) fn at(addr: SocketAddr) -> io::Result<Option<Self>> {
        if !is_of_this_host(addr.ip()) {
            return Ok(None);
        }
        let sockets = listening(addr)?;
        if sockets.is_empty() {
            return Ok(None);
        }
        for entry in fs::read_dir("/proc")? {
            // Processes come and go while they are looked at.
            let Ok(entry) = entry else { continue };
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|text| text.parse().ok()) else {
                continue;
            };
            let Ok(program) = fs::read_link(entry.path().join("exe")) else {
                continue;
            };
            if !is_coordinator(&program) || !holds(&entry.path(), &sockets) {
                continue;
            }
            if let Ok(Some(process)) = Identity::of(pid) {
                return Ok(Some(Self { process, program }));
            }
        }
        Ok(None)
    }

    /// Its executable, if it is one that this process would run anyway: its user's own or root's,
    /// and not for everybody to write.
    pub(crate) fn executable(&self) -> Option<Executable> {
        let own = geteuid().as_raw();
        // The very file that runs, also when another one has taken its place since.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_PATH.bits())
            .open(format!("/proc/{}/exe", self.process.pid()))
            .ok()?;
        let found = file.metadata().ok()?;
        let may_be_run = (found.uid() == own || found.uid() == 0) && found.mode() & 0o002 == 0;
        may_be_run.then_some(Executable(file))
    }
}

/// Whether it is `pid`, and nobody else, who takes connections to `addr`, an address of this host.
/// `None`: nobody does.
///
/// # Errors
/// When the kernel does not tell which sockets there are.
pub(crate) fn listens(pid: i32, addr: SocketAddr) -> io::Result<Option<bool>> {
    let sockets = listening(addr)?;
    if sockets.is_empty() {
        return Ok(None);
    }
    let process = PathBuf::from(format!("/proc/{pid}"));
    let mut all = sockets.chunks(1).map(|socket| holds(&process, socket));
    Ok(Some(all.all(|held| held)))
}

/// An executable that was looked at. Held open: the process may run another one since.
#[derive(Debug)]
pub(crate) struct Executable(File);

impl Executable {
    /// What it prints when it is asked for its version.
    pub(crate) fn ask_version(&self, limit: Duration) -> Result<Vec<u8>, ProcessError> {
        let mut command = Command::new(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
        clean_environment(&mut command, env::vars_os());
        command.arg("--version");
        let (_, output) = capture(command, limit)?;
        Ok(output)
    }
}

fn is_coordinator(program: &Path) -> bool {
    let name = program.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.trim_end_matches(" (deleted)") == "dmtcp_coordinator")
}

/// Only an address of this host can be bound.
fn is_of_this_host(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified() || UdpSocket::bind((ip, 0)).is_ok()
}

/// The sockets that take connections to `addr`, as the links in `/proc/PID/fd` name them. Those of
/// the very address come before those of all addresses, as in the kernel.
fn listening(addr: SocketAddr) -> io::Result<Vec<PathBuf>> {
    let wanted = match addr.ip().to_canonical() {
        // The kernel takes this for the own host.
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let mut exact = Vec::new();
    let mut any = Vec::new();
    for v6 in [false, true] {
        let text = tcp_table(v6)?;
        for (local, inode) in text.lines().filter_map(listener) {
            let socket = PathBuf::from(format!("socket:[{inode}]"));
            if local.port() != addr.port() {
                continue;
            }
            if local.ip() == wanted {
                exact.push(socket);
            } else if local.ip().is_unspecified() {
                any.push(socket);
            }
        }
    }
    Ok(if exact.is_empty() { any } else { exact })
}

/// Address and inode of a line that is a listening socket. Fields: number, local address, remote
/// address, state, queues, timer, retransmits, user, timeout, inode.
fn listener(line: &str) -> Option<(SocketAddr, u64)> {
    const LISTEN: &str = "0A";
    let mut fields = line.split_ascii_whitespace().skip(1);
    let local = fields.next()?;
    if fields.nth(1)? != LISTEN {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    let (ip, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((SocketAddr::new(address(ip)?, port), inode))
}

/// Addresses are words in the machine's own byte order, in hexadecimal.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = text.get(at..at + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    match text.len() {
        8 => word(0).map(IpAddr::from),
        32 => {
            let mut bytes = [0; 16];
            for (index, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(index * 8)?);
            }
            Some(IpAddr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

fn holds(process: &Path, sockets: &[PathBuf]) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    descriptors
        .flatten()
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .any(|target| sockets.contains(&target))
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, net::TcpListener, process::Stdio, thread, time::Instant};

    use super::*;
    use crate::deadline::Deadline;

    #[test]
    fn sockets_are_found_and_told_apart_by_port_and_address() {
        for (bind, ask) in [
            ("127.0.0.1", "127.0.0.1"),
            ("0.0.0.0", "127.0.0.1"),
            ("127.0.0.1", "0.0.0.0"),
            ("::1", "::1"),
            ("::", "::1"),
        ] {
            let bind: IpAddr = bind.parse().unwrap();
            let Ok(listener) = TcpListener::bind((bind, 0)) else {
                println!("SKIPPED {bind}: no such address here");
                continue;
            };
            let port = listener.local_addr().unwrap().port();
            let addr = SocketAddr::new(ask.parse().unwrap(), port);
            let sockets = listening(addr).unwrap();
            assert_eq!(sockets.len(), 1, "{bind} {ask}");
            assert!(holds(Path::new("/proc/self"), &sockets));
            let own = i32::try_from(std::process::id()).unwrap();
            assert_eq!(listens(own, addr).unwrap(), Some(true), "{bind} {ask}");
            assert_eq!(
                listens(i32::MAX, addr).unwrap(),
                Some(false),
                "{bind} {ask}"
            );
            // This program is no coordinator.
            assert!(Listener::at(addr).unwrap().is_none());
            let end = Deadline::after(Duration::from_secs(20));
            drop(listener);
            // A child that another test forks holds it until its exec.
            while !listening(addr).unwrap().is_empty() {
                assert!(!end.has_passed(), "{bind} {ask}");
                end.pause(Duration::from_millis(5));
            }
            assert_eq!(listens(own, addr).unwrap(), None, "{bind} {ask}");
        }
    }

    /// It may run something else between the two, and that may be anybody's.
    #[test]
    fn what_was_looked_at_is_what_is_run() {
        let mut child = Command::new("sh")
            .args(["-c", "read line; exec sleep 1000"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let program = || fs::read_link(format!("/proc/{pid}/exe")).unwrap();
        let is_sleep = || program().file_name().unwrap() != shell().file_name().unwrap();
        let start = Instant::now();
        while is_sleep() {
            assert!(start.elapsed() < Duration::from_secs(60), "no shell");
            thread::sleep(Duration::from_millis(5));
        }
        let listener = Listener {
            process: Identity::of(pid).unwrap().unwrap(),
            program: program(),
        };
        let executable = listener.executable().unwrap();
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        while !is_sleep() {
            assert!(start.elapsed() < Duration::from_secs(60), "no sleep");
            thread::sleep(Duration::from_millis(5));
        }
        let output = executable.ask_version(Duration::from_secs(60)).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let output = String::from_utf8_lossy(&output);
        assert!(!output.contains("sleep"), "{output}");
    }

    fn shell() -> PathBuf {
        fs::canonicalize("/bin/sh").unwrap()
    }

    #[test]
    fn a_connection_is_no_listener() {
        let line = "  0: 0100007F:1E63 00000000:0000 0A 00000000:00000000 00:00000000 00000000  \
                    1000        0 4711 1 0000000000000000 100 0 0 10 0";
        let connection = line.replace(" 0A ", " 01 ");
        if cfg!(target_endian = "little") {
            let found = listener(line).unwrap();
            assert_eq!(found, ("127.0.0.1:7779".parse().unwrap(), 4711));
        }
        assert_eq!(listener(&connection), None);
        for broken in ["", "  sl  local_address rem_address   st", "0: 7F:1 0:0 0A"] {
            assert_eq!(listener(broken), None, "{broken}");
        }
    }

    #[test]
    fn only_the_name_makes_a_coordinator() {
        for (path, expected) in [
            ("/usr/bin/dmtcp_coordinator", true),
            ("/usr/bin/dmtcp_coordinator (deleted)", true),
            ("/usr/bin/dmtcp_coordinator2", false),
            ("/dmtcp_coordinator/sh", false),
        ] {
            assert_eq!(is_coordinator(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn other_hosts_are_not_looked_at() {
        assert!(is_of_this_host("127.0.0.5".parse().unwrap()));
        // Of the range that is for documentation only.
        assert!(!is_of_this_host("192.0.2.1".parse().unwrap()));
        assert!(
            Listener::at("192.0.2.1:7779".parse().unwrap())
                .unwrap()
                .is_none()
        );
    }
}
