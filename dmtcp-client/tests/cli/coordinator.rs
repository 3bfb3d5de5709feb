//! `dmtcpctl coordinator` as a process of its own, for tests of it, and `command` to ask it.

use crate::counter::Counter;
use crate::real::soon;
use crate::run::{Ran, command, run};
use crate::state::nobody_starts;
use dmtcp_client::Dialect;
use dmtcp_client::native::Options;
use serde_json::Value;
use std::fs;
use std::net::Ipv4Addr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Longer than anything here takes unless it hangs.
const LONG: Duration = Duration::from_secs(60);

pub(crate) struct Coordinator {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) child: Child,
    pub(crate) port: u16,
}

impl Coordinator {
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), options)
    }

    pub(crate) fn start_in(dir: tempfile::TempDir, options: &[&str]) -> Self {
        let mut command = command(["coordinator", "-p", "0", "--port-file", "port"]);
        command.args(options).current_dir(dir.path());
        Self::started(dir, command.stdin(Stdio::piped()))
    }

    /// By a command that has it write its port into `dir`.
    pub(crate) fn started(dir: tempfile::TempDir, command: &mut Command) -> Self {
        let child = {
            let _alone = nobody_starts();
            command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        };
        let port_file = dir.path().join("port");
        let port = soon("the port file", || fs::read_to_string(&port_file).ok());
        Self {
            port: port.parse().unwrap(),
            dir,
            child,
        }
    }

    pub(crate) fn ask(&self, words: &[&str]) -> Ran {
        let port = self.port.to_string();
        run([&["command", "-h", "127.0.0.1", "-p", &port], words].concat())
    }

    pub(crate) fn json(&self, words: &[&str], code: i32) -> Value {
        let ran = self.ask(&[&["--json"], words].concat());
        assert_eq!(
            (ran.code, ran.err.as_str()),
            (code, ""),
            "{words:?}: {}",
            ran.out
        );
        assert_eq!(ran.out.lines().count(), 1);
        serde_json::from_str(&ran.out).unwrap()
    }

    pub(crate) fn worker(&self) -> Counter {
        let addr = (Ipv4Addr::LOCALHOST, self.port).into();
        let options = Options::new(addr, Dialect::V5)
            .checkpoint_dir(self.dir.path())
            .barrier_limit(LONG);
        Counter::launch(&options)
    }

    pub(crate) fn wait_running(&self, peers: u32) {
        soon("all to run", || {
            let status = self.json(&["-s"], 0);
            (status["num_peers"] == peers && status["running"] == true).then_some(())
        });
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.dir.path().join(name).exists()
    }

    pub(crate) fn end(&mut self) -> ExitStatus {
        soon("the end", || self.child.try_wait().unwrap())
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        // Ended by itself is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
