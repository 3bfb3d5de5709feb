//! A real DMTCP computation over two hosts, which are network namespaces with host names of their
//! own on one bridge, for every installation that `DMTCP_BIN` (or PATH) names. Without DMTCP, or
//! where no namespaces may be made, each test says so and passes.
//!
//! Under 2.x two programs talk over a TCP connection that is checkpointed with them. Under 3.0 and
//! later each counts by itself: between the emptying of a connection and the handshake over it
//! those releases wait only for the processes of the same host, so that the handshake of one host
//! may end up in what the other takes for data; the round then hangs, in all of five tries.

use dmtcp_client::attempt::{Attempt, Attempts, Program, Recovered};
use dmtcp_client::process::{Exit, Stream, members};
use dmtcp_client::remote::{LauncherError, RemoteCommand};
use dmtcp_client::server::{Access, ComputationEvent, Event, Network, Server, ServerError};
use dmtcp_client::set::CheckpointSet;
use dmtcp_client::{Launch, Tools, WorkerInfo};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(60);
/// A restart that takes longer hangs: main's does at times.
const RESTART_LIMIT: Duration = Duration::from_secs(20);
const RESTART_TRIES: u32 = 8;

/// The client counts by asking the server for the next number, if they may talk; both say how far
/// they are, and neither bears a number that is lost or comes twice.
const PAIR: &str = r"
import os, socket, struct, sys, time
role, dir, addr = sys.argv[1:4]
file = os.open(dir + '/count-' + role, os.O_CREAT | os.O_WRONLY, 0o600)
def take(peer):
    got = b''
    while len(got) < 8:
        part = peer.recv(8 - len(got))
        if not part:
            sys.exit(7)
        got += part
    return struct.unpack('>Q', got)[0]
peer = None
if addr == '-':
    pass
elif role == 'server':
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(('0.0.0.0', 7001))
    listener.listen(1)
    peer, _ = listener.accept()
    listener.close()
else:
    while True:
        try:
            peer = socket.create_connection((addr, 7001))
            break
        except ConnectionError:
            time.sleep(0.05)
count = 0
while True:
    if not peer:
        if os.path.exists(dir + '/stop'):
            sys.exit(7)
        count += 1
        time.sleep(0.01)
    elif role == 'server':
        if take(peer) != count:
            sys.exit(9)
        count += 1
        peer.sendall(struct.pack('>Q', count))
    else:
        if os.path.exists(dir + '/stop'):
            sys.exit(7)
        peer.sendall(struct.pack('>Q', count))
        count += 1
        if take(peer) != count:
            sys.exit(9)
        time.sleep(0.01)
    os.pwrite(file, b'%012d' % count, 0)
";

/// A bridge in this program's network, and two hosts on it. All is gone when it is dropped.
struct Net {
    number: u32,
}

const HOSTS: [&str; 2] = ["n2", "n3"];

impl Net {
    /// What keeps it from being made is the reason for skipping.
    fn make() -> Result<Self, String> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        // Tests of one process run side by side, and interfaces have short names.
        let net = Self {
            number: std::process::id() % 400_000 * 10 + MADE.fetch_add(1, Ordering::Relaxed) % 10,
        };
        let bridge = net.bridge();
        ip(&["link", "add", &bridge, "type", "bridge"])?;
        ip(&[
            "addr",
            "add",
            &format!("{}/24", net.addr(0)),
            "dev",
            &bridge,
        ])?;
        ip(&["link", "set", &bridge, "up"])?;
        for (index, host) in (1..).zip(HOSTS) {
            let (space, outer) = (net.space(host), net.link(host));
            ip(&["netns", "add", &space])?;
            let inner = ["peer", "name", "eth0", "netns", &space];
            let mut link = vec!["link", "add", &outer, "type", "veth"];
            link.extend(inner);
            ip(&link)?;
            ip(&["link", "set", &outer, "master", &bridge])?;
            ip(&["link", "set", &outer, "up"])?;
            let addr = format!("{}/24", net.addr(index));
            ip(&["-n", &space, "addr", "add", &addr, "dev", "eth0"])?;
            ip(&["-n", &space, "link", "set", "eth0", "up"])?;
            ip(&["-n", &space, "link", "set", "lo", "up"])?;
        }
        let mut named = Self::enter(net.number, OsStr::new("n2"), &["true".into()]);
        match named.output() {
            Ok(output) if output.status.success() => Ok(net),
            other => Err(format!("no UTS namespace: {other:?}")),
        }
    }

    /// Of this program (0) and the two hosts.
    fn addr(&self, index: u8) -> IpAddr {
        IpAddr::from([10, 213, (self.number % 251) as u8, index + 1])
    }

    fn network(&self) -> Network {
        format!("{}/24", self.addr(0)).parse().unwrap()
    }

    fn bridge(&self) -> String {
        format!("dmtb{}", self.number)
    }

    /// The end of a host's cable that is on the bridge.
    fn link(&self, host: &str) -> String {
        format!("dmt{host}{}", self.number)
    }

    fn space(&self, host: &str) -> String {
        format!("dmtcp-rs-{}-{host}", self.number)
    }

    fn cut(&self, host: &str, how: &str) {
        ip(&["link", "set", &self.link(host), how]).unwrap();
    }

    fn enter(number: u32, host: &OsStr, argv: &[OsString]) -> Command {
        let mut command = Command::new("nsenter");
        let mut space = OsString::from(format!("--net=/run/netns/dmtcp-rs-{number}-"));
        space.push(host);
        let name = r#"hostname "$1" && shift && exec "$@""#;
        command
            .arg(space)
            .args(["unshare", "--uts", "sh", "-c", name, "sh"]);
        command.arg(host).args(argv);
        command
    }

    fn launcher(
        &self,
    ) -> impl Fn(&OsStr, &RemoteCommand) -> Result<Command, LauncherError> + Send + Sync + 'static
    {
        let number = self.number;
        move |host, what| Ok(Self::enter(number, host, &what.argv()))
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // What was not made cannot be removed.
        for host in HOSTS {
            let _ = ip(&["link", "del", &self.link(host)]);
            let _ = ip(&["netns", "del", &self.space(host)]);
        }
        let _ = ip(&["link", "del", &self.bridge()]);
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(args).output();
    let output = output.map_err(|error| format!("no `ip`: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < end, "not within {LONG:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

struct Stage<'n> {
    net: &'n Net,
    tools: Tools,
    python: PathBuf,
    base: TempDir,
    server: Server,
}

/// One after the other, for each installation.
fn on_each(test: impl Fn(&Stage<'_>)) {
    let all = Tools::all();
    if all.is_empty() {
        println!("SKIPPED: no DMTCP");
        return;
    }
    let Some(python) = interpreter() else {
        println!("SKIPPED: no Python interpreter in /usr/bin");
        return;
    };
    let net = match Net::make() {
        Ok(net) => net,
        Err(reason) => {
            println!("SKIPPED: no network namespaces: {reason}");
            return;
        }
    };
    for tools in all {
        println!("--- {}", tools.dir().display());
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("work")).unwrap();
        test(&Stage {
            net: &net,
            tools,
            python: python.clone(),
            base,
            server: Server::start().unwrap(),
        });
    }
}

/// Not a script that starts one: DMTCP would hold its shell.
fn interpreter() -> Option<PathBuf> {
    let path = fs::canonicalize("/usr/bin/python3").ok()?;
    let mut magic = [0; 4];
    fs::File::open(&path).ok()?.read_exact(&mut magic).ok()?;
    (magic == *b"\x7fELF").then_some(path)
}

impl Stage<'_> {
    fn work(&self) -> PathBuf {
        self.base.path().join("work")
    }

    fn attempts(&self) -> Attempts<'_> {
        Attempts::open(&self.server, &self.base.path().join("job"))
            .unwrap()
            .tools(self.tools.clone())
            .listen(SocketAddr::new(self.net.addr(0), 0))
            .access(Access::default().network(self.net.network()))
            .launcher(self.net.launcher())
            .restart_limit(RESTART_LIMIT)
            .tries(RESTART_TRIES)
    }

    fn program(&self, role: &str, host: &str) -> Program {
        let log = Stream::File(self.base.path().join("log"));
        let launch = Launch::new(&self.tools, &self.python)
            .args(["-c", PAIR, role])
            .arg(self.work())
            .arg(match self.tools.version().unwrap().major < 3 {
                true => self.net.addr(1).to_string(),
                false => "-".to_owned(),
            })
            .gzip(false)
            .stdout(log.clone())
            .stderr(log);
        Program::from(launch).on_host(host)
    }

    fn start(&self, attempts: &Attempts<'_>) -> Attempt {
        let programs = [self.program("server", "n2"), self.program("client", "n3")];
        let attempt = attempts.start(programs).unwrap();
        attempt.wait_until_running(LONG).unwrap();
        eventually("both count", || {
            self.counts().iter().all(|count| *count > 0)
        });
        attempt
    }

    /// Of the server and the client.
    fn counts(&self) -> [u64; 2] {
        ["server", "client"].map(|role| {
            let text = fs::read_to_string(self.work().join(format!("count-{role}")));
            text.ok()
                .and_then(|text| text.trim().parse().ok())
                .unwrap_or(0)
        })
    }

    fn await_more(&self) {
        let before = self.counts();
        eventually("both count on", || {
            let now = self.counts();
            now.iter().zip(before).all(|(now, before)| *now > before)
        });
    }

    fn checkpoint(&self, attempt: &Attempt) -> CheckpointSet {
        let computation = attempt.computation();
        let sealed = computation.checkpoint(LONG).unwrap_or_else(|error| {
            panic!("{error}: {:?}", computation.workers());
        });
        assert_eq!(sealed.images.len(), 2);
        computation.wait_until_running(Some(2), LONG).unwrap();
        CheckpointSet::open(&sealed.set.unwrap().directory).unwrap()
    }
}

fn tell(recovered: &Recovered) {
    for failure in &recovered.failed {
        println!("{failure}");
    }
    println!("running after {:?}", recovered.took);
}

/// The process that ran on this host.
fn pid_on(set: &CheckpointSet, host: &str) -> i32 {
    let mut images = set.manifest().images.iter();
    images.find(|image| image.host == host).unwrap().virtual_pid
}

fn host_of(workers: &[WorkerInfo]) -> Vec<String> {
    let mut hosts: Vec<_> = workers.iter().map(|worker| worker.host.clone()).collect();
    hosts.sort();
    hosts
}

#[test]
fn a_pair_goes_on_with_its_hosts_swapped() {
    on_each(|stage| {
        let attempts = stage.attempts();
        let attempt = stage.start(&attempts);
        assert_eq!(host_of(&attempt.computation().workers().unwrap()), HOSTS);
        stage.checkpoint(&attempt);
        stage.await_more();
        let before = stage.counts();
        let set = stage.checkpoint(&attempt);
        let known: Vec<_> = set.manifest().hosts.iter().map(|host| &host.name).collect();
        assert_eq!(known, HOSTS);
        let note = fs::read_to_string(attempt.images_dir().with_file_name("tmp")).unwrap();
        let tmp = PathBuf::from(note.lines().last().unwrap());
        assert_eq!(members(&tmp).unwrap().len(), 2);
        attempt.kill().unwrap();
        assert_eq!(members(&tmp).unwrap(), []);
        for role in ["server", "client"] {
            fs::write(stage.work().join(format!("count-{role}")), "0").unwrap();
        }

        let attempts = attempts.on_host("n2", "n3").on_host("n3", "n2");
        let recovered = attempts.restart().unwrap();
        tell(&recovered);
        assert_eq!(recovered.set.sequence(), set.sequence());
        assert_eq!(recovered.unchecked, []);
        eventually("both count on", || {
            let counts = stage.counts();
            let is_on = |(now, before): (&u64, u64)| *now > before;
            counts.iter().zip(before).all(is_on)
        });
        let swapped = stage.checkpoint(&recovered.attempt);
        for (then, now) in [("n2", "n3"), ("n3", "n2")] {
            assert_eq!(pid_on(&set, then), pid_on(&swapped, now));
        }
        stage.await_more();
        recovered.attempt.kill().unwrap();

        // And back, from the set of the swapped ones.
        let recovered = attempts.restart().unwrap();
        tell(&recovered);
        stage.await_more();
        let back = stage.checkpoint(&recovered.attempt);
        assert_eq!(pid_on(&back, "n2"), pid_on(&set, "n2"));
        fs::write(stage.work().join("stop"), "").unwrap();
        let mut exits = None;
        eventually("both end", || {
            exits = recovered.attempt.finished().unwrap();
            exits.is_some()
        });
        assert_eq!(exits.unwrap(), [Exit::Code(7); 2]);
    });
}

#[test]
fn a_host_that_is_cut_off_in_a_round_is_named_and_comes_back() {
    on_each(|stage| {
        let attempts = stage.attempts().silence_limit(Duration::from_secs(600));
        let attempt = stage.start(&attempts);
        let first = stage.checkpoint(&attempt);
        // A cut that is mended in time costs only the time.
        stage.net.cut("n3", "down");
        let events = attempt.computation().events();
        let limit = Duration::from_secs(3);
        let error = attempt.computation().checkpoint(limit).unwrap_err();
        assert!(matches!(error, ServerError::TimedOut { .. }), "{error}");
        let workers = attempt.computation().workers().unwrap();
        let behind = |host: &str| {
            let worker = workers.iter().find(|worker| worker.host == host).unwrap();
            format!("{} at {:?}", worker.state, worker.barrier)
        };
        println!("n2 is {}, n3 is {}", behind("n2"), behind("n3"));
        assert_ne!(
            behind("n2"),
            behind("n3"),
            "the one that waits and the one that is cut off"
        );
        stage.net.cut("n3", "up");
        loop {
            match events.recv_timeout(LONG).unwrap() {
                ComputationEvent::Coordinator(Event::CheckpointComplete { images, .. }) => {
                    assert_eq!(images.len(), 2);
                    break;
                }
                ComputationEvent::Coordinator(Event::CheckpointFailed { reason, .. }) => {
                    panic!("{reason}")
                }
                _ => {}
            }
        }
        stage.await_more();
        attempt.kill().unwrap();

        // One that is not mended ends the round, and the peer is named.
        let attempts = attempts.silence_limit(Duration::from_secs(5));
        let recovered = attempts.restart().unwrap();
        tell(&recovered);
        assert!(recovered.set.sequence() > first.sequence());
        stage.await_more();
        stage.net.cut("n3", "down");
        let begun = Instant::now();
        let error = recovered
            .attempt
            .computation()
            .checkpoint(LONG)
            .unwrap_err();
        let ServerError::CheckpointFailed { reason, .. } = &error else {
            panic!("{error}")
        };
        println!("after {:?}: {reason}", begun.elapsed());
        assert!(reason.to_string().contains("n3"), "{reason}");
        // The launcher still gets there; a host that it does not reach is for `tests/hosts.rs`.
        recovered.attempt.kill().unwrap();
        stage.net.cut("n3", "up");
        let recovered = attempts.restart().unwrap();
        tell(&recovered);
        stage.await_more();
        recovered.attempt.kill().unwrap();
    });
}
