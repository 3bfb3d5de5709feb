//! Coordinators that run: whose ports they have, and whether anybody is connected.
//!
//! One that was forgotten sits on a port, often 7779, where the next `dmtcp_launch` joins it
//! (dmtcp#234, #1064). They are only looked at through `/proc`: a connection would end those of 3.x.

use std::{collections::HashMap, ffi::OsStr, path::Path};

use serde::{Deserialize, Serialize};

use crate::doctor::{
    Finding, World,
    processes::{Process, Processes},
};

/// A coordinator of this user that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunningCoordinator {
    /// Its process.
    pub pid: i32,
    /// `dmtcp_coordinator`, or `dmtcpctl` with its first argument.
    pub program: String,
    /// The ports on which it listens.
    pub ports: Vec<u16>,
    /// Seconds since it was started; `None`: not known.
    pub age_s: Option<u64>,
    /// Connections to those ports.
    pub peers: u64,
}

pub(crate) fn coordinators(world: &World, processes: &Processes) -> Vec<RunningCoordinator> {
    let own = processes.iter().filter(|found| found.user == world.user());
    let mut found = own
        .filter(|process| u32::try_from(process.pid) != Ok(std::process::id()))
        .filter_map(|process| Some((process, program(process)?)))
        .peekable();
    if found.peek().is_none() {
        return Vec::new();
    }
    let sockets = sockets(world);
    let uptime = uptime(world);
    found
        .map(|(process, program)| running(process, program, &sockets, uptime))
        .filter(|coordinator| !coordinator.ports.is_empty())
        .collect()
}

pub(crate) fn judge(coordinators: &[RunningCoordinator]) -> Vec<Finding> {
    const SLUG: &str = "coordinators";
    if coordinators.is_empty() {
        return vec![Finding::ok(SLUG, "none of this user runs")];
    }
    coordinators.iter().map(one).collect()
}

fn one(coordinator: &RunningCoordinator) -> Finding {
    const SLUG: &str = "coordinators";
    let RunningCoordinator {
        pid,
        program,
        ports,
        age_s,
        peers,
    } = coordinator;
    let ports_text: Vec<String> = ports.iter().map(u16::to_string).collect();
    let age = age_s.map_or_else(String::new, |age| format!(", for {}", age_text(age)));
    let seen = format!(
        "{program} (pid {pid}) on port {}{age}, {peers} connected",
        ports_text.join(", ")
    );
    let is_forgotten = *peers == 0 && age_s.is_some_and(|age| age >= FORGOTTEN);
    if is_forgotten || (*peers == 0 && ports.contains(&DEFAULT_PORT)) {
        return Finding::warning(SLUG, seen).advice(format!(
            "nobody uses it, and programs that are started without a port may join it: `kill {pid}`, \
             or `kill -9 {pid}` for one that was started with --daemon"
        ));
    }
    Finding::note(SLUG, seen)
}

/// What makes a process a coordinator.
fn program(process: &Process) -> Option<String> {
    let executable = process.executable()?;
    let name = executable.file_name()?.to_str()?;
    let arguments = process.arguments();
    let called = |index: usize| -> Option<&str> {
        Path::new(arguments.get(index)?)
            .file_name()
            .and_then(OsStr::to_str)
    };
    match name.trim_end_matches(" (deleted)") {
        COORDINATOR => Some(COORDINATOR.to_owned()),
        "dmtcpctl" => match (called(0), called(1)) {
            (Some(COORDINATOR), _) => Some(COORDINATOR.to_owned()),
            (_, Some(task)) if TASKS.contains(&task) => Some(format!("dmtcpctl {task}")),
            _ => None,
        },
        _ => None,
    }
}

fn running(
    process: &Process,
    program: String,
    sockets: &HashMap<u64, Socket>,
    uptime: Option<u64>,
) -> RunningCoordinator {
    let files = process.open_files();
    let own: Vec<&Socket> = files
        .iter()
        .filter_map(|file| {
            let inode = file.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            sockets.get(&inode.parse().ok()?)
        })
        .collect();
    let mut ports: Vec<u16> = own.iter().filter(|s| s.listens).map(|s| s.port).collect();
    ports.sort_unstable();
    ports.dedup();
    let peers = own
        .iter()
        .filter(|socket| !socket.listens && ports.contains(&socket.port));
    RunningCoordinator {
        pid: process.pid,
        program,
        age_s: uptime.map(|uptime| uptime.saturating_sub(process.start_time / TICKS)),
        peers: peers.count() as u64,
        ports,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Socket {
    port: u16,
    listens: bool,
}

/// Those that listen or are connected, by inode.
fn sockets(world: &World) -> HashMap<u64, Socket> {
    let mut found = HashMap::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = world.read(table).unwrap_or_default();
        found.extend(text.lines().filter_map(socket));
    }
    found
}

/// Fields: number, local address, remote address, state, queues, timer, retransmits, user, timeout,
/// inode.
fn socket(line: &str) -> Option<(u64, Socket)> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (_, port) = fields.next()?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let listens = match fields.nth(1)? {
        "0A" => true,
        "01" => false,
        _ => return None,
    };
    let inode = fields.nth(5)?.parse().ok()?;
    Some((inode, Socket { port, listens }))
}

fn uptime(world: &World) -> Option<u64> {
    let text = world.read("/proc/uptime").ok()?;
    text.split('.').next()?.trim().parse().ok()
}

fn age_text(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

const COORDINATOR: &str = "dmtcp_coordinator";
/// What `dmtcpctl` is while it is a coordinator.
const TASKS: [&str; 4] = ["coordinator", "run", "start", "restart"];
const DEFAULT_PORT: u16 = 7779;
/// With nobody connected, in seconds.
const FORGOTTEN: u64 = 3600;
/// Clock ticks in a second, on every architecture that DMTCP knows.
const TICKS: u64 = 100;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::doctor::{Verdict, processes::tests::Made};

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1E63 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 501 1
   1: 0100007F:1E63 0100007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 502 1
   2: 0100007F:1E64 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 503 1
   3: 0100007F:1E63 0100007F:C351 06 00000000:00000000 00:00000000 00000000  1000        0 0 1
";

    #[test]
    fn they_are_found_with_port_age_and_peers() {
        let root = tempfile::tempdir().unwrap();
        let made = |pid, executable, arguments, files| {
            let made = Made {
                pid,
                parent: 1,
                start_time: 100_000,
                executable,
                arguments,
                files,
            };
            made.below(root.path());
        };
        let connected: &[&str] = &["/dev/null", "socket:[501]", "socket:[502]", "socket:[9]"];
        made(50, "/o/bin/dmtcp_coordinator", &["x"], connected);
        let ours: &[&str] = &["dmtcpctl", "coordinator", "-p", "0"];
        made(51, "/o/bin/dmtcpctl (deleted)", ours, &["socket:[503]"]);
        made(
            52,
            "/o/bin/dmtcpctl",
            &["dmtcpctl", "status"],
            &["socket:[503]"],
        );
        made(53, "/bin/sleep", &["sleep"], &["socket:[503]"]);
        made(54, "/o/bin/dmtcp_coordinator", &["x"], &[]);
        fs::create_dir_all(root.path().join("proc/net")).unwrap();
        fs::write(root.path().join("proc/net/tcp"), TCP).unwrap();
        fs::write(root.path().join("proc/uptime"), "5000.25 9000.00\n").unwrap();

        let world = World::new(root.path(), []);
        let found = coordinators(&world, &Processes::of(&world));
        let expected = |pid, program: &str, port, peers| RunningCoordinator {
            pid,
            program: program.to_owned(),
            ports: vec![port],
            age_s: Some(4000),
            peers,
        };
        assert_eq!(
            found,
            [
                expected(50, COORDINATOR, 7779, 1),
                expected(51, "dmtcpctl coordinator", 7780, 0)
            ]
        );
        let findings = judge(&found);
        let verdicts: Vec<Verdict> = findings.iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Note, Verdict::Warning]);
        assert!(findings[1].advice.as_ref().unwrap().contains("kill 51"));
        assert_eq!(judge(&[])[0].verdict, Verdict::Ok);
    }

    #[test]
    fn a_young_one_without_peers_only_harms_on_the_default_port() {
        let young = |port| RunningCoordinator {
            pid: 7,
            program: COORDINATOR.to_owned(),
            ports: vec![port],
            age_s: Some(5),
            peers: 0,
        };
        assert_eq!(one(&young(7779)).verdict, Verdict::Warning);
        assert_eq!(one(&young(40_000)).verdict, Verdict::Note);
    }

    #[test]
    fn ages() {
        let texts = [119, 3600, 10_000, 259_200].map(age_text);
        assert_eq!(texts, ["119 s", "60 min", "2 h", "3 days"]);
    }
}
