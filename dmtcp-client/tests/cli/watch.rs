//! `watch`: lines of JSON, a screen on a pseudoterminal, and its end.

use crate::counter::Counter;
use crate::real::soon;
use crate::run::{Ran, command, run};
use crate::state::{State, nobody_starts};
use dmtcp_client::Dialect;
use dmtcp_client::job::{CoordinatorRecord, JobRecord, Owner, ProgramKind, ProgramRecord};
use dmtcp_client::native::Options;
use dmtcp_client::server::{Computation, ComputationConfig, Server};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Longer than anything here takes unless it hangs.
const LONG: Duration = Duration::from_secs(60);

/// A coordinator with two workers that run.
struct Running {
    server: Server,
    computation: Computation,
    workers: [Counter; 2],
    _dir: tempfile::TempDir,
}

impl Running {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start().unwrap();
        let computation = server.open(ComputationConfig::default()).unwrap();
        let options = Options::new(computation.addr(), Dialect::V5)
            .checkpoint_dir(dir.path())
            .barrier_limit(LONG);
        let workers = [(); 2].map(|()| Counter::launch(&options));
        computation.wait_until_running(Some(2), LONG).unwrap();
        Self {
            server,
            computation,
            workers,
            _dir: dir,
        }
    }

    fn port(&self) -> String {
        self.computation.addr().port().to_string()
    }
}

/// A `watch --json` and what it writes.
struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    fn start(options: &[&str]) -> Self {
        let mut child = {
            let _alone = nobody_starts();
            command(["watch", "--json", "--every", "50ms", "--timeout", "60s"])
                .args(options)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        };
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// The next line that is like this.
    fn until(&self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.lines.recv_timeout(LONG);
            let out = line.unwrap_or_else(|_| panic!("no line with {what}"));
            let (code, err) = (0, String::new());
            let json = Ran { code, out, err }.json("watch");
            if is_it(&json) {
                return json;
            }
        }
    }

    fn end(&mut self) -> ExitStatus {
        soon("the end", || self.child.try_wait().unwrap())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Ended by itself is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_change_is_a_line_until_the_coordinator_ends() {
    let mut running = Running::start();
    let mut watch = Watch::start(&["-p", &running.port()]);
    let first = watch.until("everything", |_| true);
    assert_eq!(first["peers"], 2);
    assert_eq!(first["states"][0]["state"], "RUNNING");
    assert_eq!(first["states"][0]["count"], 2);
    let changed = first["changed"].as_array().unwrap();
    let numbers: Vec<u64> = changed
        .iter()
        .map(|worker| worker["number"].as_u64().unwrap())
        .collect();
    let pids: Vec<u64> = changed
        .iter()
        .map(|worker| worker["real_pid"].as_u64().unwrap())
        .collect();
    assert!(pids.contains(&u64::from(running.workers[0].child.id())));

    running.workers[0].kill();
    let fewer = watch.until("one worker", |line| line["peers"] == 1);
    let gone = fewer["gone"].as_array().unwrap();
    assert_eq!(gone.len(), 1, "{fewer}");
    assert!(numbers.contains(&gone[0].as_u64().unwrap()));
    assert_eq!(fewer["ended"], Value::Null);

    let Running {
        server,
        computation,
        ..
    } = running;
    computation.quit(LONG).unwrap();
    server.shutdown(LONG).unwrap();
    let last = watch.until("the end", |line| line["ended"] != Value::Null);
    assert_eq!(last["ended"], "coordinator-ended");
    assert_eq!(watch.end().code(), Some(0));
}

#[test]
fn who_is_waited_for_is_named() {
    let running = Running::start();
    let watch = Watch::start(&["-p", &running.port()]);
    let stopped = Pid::from_raw(i32::try_from(running.workers[1].child.id()).unwrap());
    kill(stopped, Signal::SIGSTOP).unwrap();
    running.computation.request_checkpoint().unwrap();
    let late = watch.until("somebody who is waited for", |line| {
        line["waiting_for"] != Value::Array(Vec::new())
    });
    let workers = running.computation.workers().unwrap();
    let late_pid = workers
        .iter()
        .find(|worker| late["waiting_for"][0] == worker.number)
        .map(|worker| worker.real_pid);
    assert_eq!(late_pid, Some(stopped.as_raw()), "{late}");
    kill(stopped, Signal::SIGCONT).unwrap();
    watch.until("nobody", |line| {
        line["waiting_for"] == Value::Array(Vec::new()) && line["running"] == true
    });
}

fn record(address: Option<&str>) -> JobRecord {
    let program = ProgramRecord::new(ProgramKind::Native, vec!["./heat".into()], "/work");
    let mut record = JobRecord::new(program);
    record.id = Some("a1".to_owned());
    record.runs = 3;
    record.owner = Some(Owner::this_process().unwrap());
    record.coordinator =
        address.map(|address| CoordinatorRecord::new(address.parse().unwrap(), None));
    record
}

fn watch_state(dir: &Path) -> Watch {
    Watch::start(&[dir.to_str().unwrap()])
}

#[test]
fn a_job_is_followed_from_one_coordinator_to_the_next() {
    let state = State::new();
    let store = state.store();
    store.seal(&state.round(1)).unwrap();
    let first = Running::start();
    let mut job = record(Some(&first.computation.addr().to_string()));
    job.write(&state.root).unwrap();
    let mut watch = watch_state(&state.root);
    let line = watch.until("the job", |_| true);
    assert_eq!(
        (&line["peers"], &line["job"]["id"]),
        (&2.into(), &"a1".into())
    );
    assert_eq!(
        (&line["job"]["runs"], &line["set"]["sequence"]),
        (&3.into(), &1.into())
    );
    assert_eq!(line["set"]["images"], 2);

    store.seal(&state.round(2)).unwrap();
    watch.until("the next set", |line| line["set"]["sequence"] == 2);

    // Between two attempts it has none.
    job.coordinator = None;
    job.write(&state.root).unwrap();
    watch.until("no coordinator", |line| line["address"] == Value::Null);
    let second = Running::start();
    let address = second.computation.addr();
    job.coordinator = Some(CoordinatorRecord::new(address, None));
    job.write(&state.root).unwrap();
    let line = watch.until("another", |line| line["peers"] == 2);
    assert_eq!(line["address"], address.to_string());

    job.owner = None;
    job.coordinator = None;
    job.write(&state.root).unwrap();
    watch.until("the end", |line| line["ended"] == "job-ended");
    assert_eq!(watch.end().code(), Some(0));
}

#[test]
fn a_job_that_does_not_run_is_told_at_once() {
    let state = State::new();
    state.store().seal(&state.round(1)).unwrap();
    let mut job = record(None);
    job.owner = None;
    job.write(&state.root).unwrap();
    let dir = state.root.to_str().unwrap();
    for at in [&["--state-dir", dir][..], &[dir]] {
        let ran = run([&["watch"], at].concat());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        assert!(
            ran.out.contains("the job is not running\nset 1, "),
            "{}",
            ran.out
        );
    }
}

#[test]
fn what_is_no_job_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().to_str().unwrap();
    for command in ["watch", "status", "workers", "checkpoint"] {
        for at in [&["--state-dir", dir][..], &[dir]] {
            let ran = run([&[command], at].concat());
            assert_eq!((ran.code, ran.slug()), (1, "no-job"), "{command} {at:?}");
            for other in [["-p", "7779"], ["--state-dir", dir]] {
                let ran = run([&[command], at, &other].concat());
                assert_eq!(ran.code, 2, "{command} {at:?} {other:?}");
            }
        }
    }
}

/// Everything that was written to a terminal, of which this is the other end.
struct Screen {
    child: Child,
    written: Arc<Mutex<String>>,
    keys: File,
}

impl Screen {
    fn start(port: &str, columns: u16) -> Self {
        let size = Winsize {
            ws_row: 24,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let _alone = nobody_starts();
        let pty = openpty(Some(&size), None).unwrap();
        let (stdin, stdout) = (pty.slave.try_clone().unwrap(), pty.slave);
        let child = command(["top", "--every", "50ms", "--timeout", "60s", "-p", port])
            .env("TERM", "xterm")
            .env("LC_ALL", "C")
            .env("NO_COLOR", "1")
            .stdin(Stdio::from(stdin))
            .stdout(Stdio::from(stdout))
            .spawn()
            .unwrap();
        let keys = File::from(pty.master);
        let mut output = keys.try_clone().unwrap();
        let written = Arc::new(Mutex::new(String::new()));
        let log = Arc::clone(&written);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // An error when the other end is gone.
            while let Ok(count) = output.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
                log.lock().unwrap().push_str(&text);
            }
        });
        Self {
            child,
            written,
            keys,
        }
    }

    fn wait_for(&self, text: &str) {
        soon(text, || {
            self.written.lock().unwrap().contains(text).then_some(())
        });
    }

    fn end(&mut self) -> ExitStatus {
        soon("the end", || self.child.try_wait().unwrap())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Ended by itself is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const OTHER_SCREEN: &str = "\x1b[?1049h";
const FORMER_SCREEN: &str = "\x1b[?25h\x1b[?1049l";

#[test]
fn a_terminal_shows_a_table_and_is_given_back() {
    let mut running = Running::start();
    for (columns, by_signal) in [(80, false), (40, true)] {
        let mut screen = Screen::start(&running.port(), columns);
        screen.wait_for("all running");
        screen.wait_for("RUNNING");
        let pid = Pid::from_raw(i32::try_from(screen.child.id()).unwrap());
        match by_signal {
            true => kill(pid, Signal::SIGTERM).unwrap(),
            false => screen.keys.write_all(b"xq").unwrap(),
        }
        assert_eq!(screen.end().code(), Some(0));
        screen.wait_for(FORMER_SCREEN);
        screen.wait_for("2 processes, all running\r\n");
        let written = screen.written.lock().unwrap().clone();
        assert!(written.starts_with(OTHER_SCREEN), "{written:?}");
        let shown = written.split(FORMER_SCREEN).next().unwrap();
        let shown = without_escapes(shown);
        let is_too_wide = |line: &&str| line.chars().count() > columns.into();
        assert_eq!(shown.split("\r\n").find(is_too_wide), None);
        assert!(shown.contains("PROGRAM"), "{shown}");
    }
    let mut screen = Screen::start(&running.port(), 80);
    screen.wait_for("all running");
    running.workers.iter_mut().for_each(Counter::kill);
    screen.wait_for("no processes");
    running.computation.quit(LONG).unwrap();
    running.server.shutdown(LONG).unwrap();
    assert_eq!(screen.end().code(), Some(0));
    screen.wait_for("has ended");
}

/// Frames in lines; each begins one.
fn without_escapes(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        if part[end..].starts_with('H') {
            plain += "\r\n";
        }
        plain += &part[end + 1..];
    }
    plain
}

#[test]
fn it_stops_when_nobody_reads() {
    let running = Running::start();
    let mut child = {
        let _alone = nobody_starts();
        let mut watch = command(["watch", "--json", "--every", "50ms", "-p", &running.port()]);
        watch.stdout(Stdio::piped()).spawn().unwrap()
    };
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    // Nothing changes any more.
    drop(output);
    let status = soon("the end", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}
