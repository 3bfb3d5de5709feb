//! Runs the built example `trace` between clients and coordinators. What needs DMTCP is done for
//! every installation that `DMTCP_BIN` (or PATH) names; without one those tests say so and pass.

mod decoding;
mod forwarding;
mod real;

use dmtcp_client::process::{Child, Exit, Signal};
use serde_json::Value;
use std::{
    env,
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(60);

/// `cargo test` builds the examples of a package next to its tests.
fn example(name: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let example = folder.join("examples").join(name);
    assert!(example.is_file(), "{} is not built", example.display());
    example
}

/// A proxy with its folder.
struct Trace {
    child: Child,
    dir: TempDir,
    port: u16,
}

impl Trace {
    /// One in front of this coordinator, with these options, its output in a file.
    fn start(coordinator: SocketAddr, args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Self::command(&dir, coordinator, args);
        command.stdout(File::create(dir.path().join("out")).unwrap());
        Self::spawn(dir, command)
    }

    fn command(dir: &TempDir, coordinator: SocketAddr, args: &[&str]) -> Command {
        let mut command = Command::new(example("trace"));
        command
            .args(args)
            .args(["--port-file", "port", "--record", "recording"])
            .arg(coordinator.to_string())
            .current_dir(dir.path())
            .stderr(File::create(dir.path().join("err")).unwrap());
        command
    }

    fn spawn(dir: TempDir, command: Command) -> Self {
        let child = Child::spawn(command).unwrap();
        let port = eventually("the port file", || {
            let text = fs::read_to_string(dir.path().join("port")).ok()?;
            Some(text.parse().unwrap())
        });
        Self { child, dir, port }
    }

    fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap()
    }

    /// Ends it as Ctrl-C does; its output is whole then.
    fn stop(&self) -> String {
        self.child.signal_group(Signal::Interrupt).unwrap();
        let exit = self.child.wait(LONG).unwrap();
        assert_eq!(exit, Exit::Code(0), "{}", self.read("err"));
        self.read("out")
    }

    /// What `trace --read` says of the recording.
    fn replay(&self, args: &[&str]) -> String {
        let mut command = Command::new(example("trace"));
        let recording = self.dir.path().join("recording");
        let output = command.args(args).arg("--read").arg(recording).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The objects of JSON lines.
fn objects(text: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap();
    text.lines().map(parse).collect()
}

/// Kind, direction and dialect of the frames of a connection.
fn frames(objects: &[Value], connection: u64) -> Vec<String> {
    let of_it = objects
        .iter()
        .filter(|object| object["event"] == "frame" && object["connection"] == connection);
    of_it
        .map(|frame| {
            let word = |member: &str| frame[member].as_str().unwrap();
            format!("{} {} {}", word("direction"), word("dialect"), word("kind"))
        })
        .collect()
}

/// All bytes that went one way over one connection.
fn bytes(objects: &[Value], connection: u64, direction: &str) -> Vec<u8> {
    let of_it = objects
        .iter()
        .filter(|object| object["connection"] == connection && object["direction"] == direction);
    let hex: String = of_it.filter_map(|object| object["hex"].as_str()).collect();
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digits).collect()
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + LONG;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "not within {LONG:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
