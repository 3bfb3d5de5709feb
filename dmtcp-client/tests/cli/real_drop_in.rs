//! Among real DMTCP programs: `dmtcp_launch` and `dmtcp_restart` start this coordinator as if it were
//! theirs, with their socket.

use crate::real::{on_each, soon};
use crate::state::nobody_starts;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A copy of an installation in which the coordinator and the command are ours.
struct Copy {
    dir: tempfile::TempDir,
}

impl Copy {
    fn of(from: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).unwrap();
        for folder in ["ckpt", "tmp"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        symlink(from.join("../lib"), dir.path().join("lib")).unwrap();
        // They look for each other where they really are, so that links would not do.
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            if name != "dmtcp_coordinator" && name != "dmtcp_command" {
                fs::copy(entry.path(), bin.join(name)).unwrap();
            }
        }
        for name in ["dmtcp_coordinator", "dmtcp_command"] {
            symlink(env!("CARGO_BIN_EXE_dmtcpctl"), bin.join(name)).unwrap();
        }
        Self { dir }
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.dir.path().join("bin").join(name));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DMTCP_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.dir.path().join("ckpt"))
            .env("DMTCP_TMPDIR", self.dir.path().join("tmp"))
            .env("DMTCP_CHECKPOINT_DIR", self.dir.path().join("ckpt"))
            .env("GLIBC_TUNABLES", "glibc.pthread.rseq=0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn spawn(&self, words: &[&str]) -> Running {
        let _alone = nobody_starts();
        Running(self.tool(words[0]).args(&words[1..]).spawn().unwrap())
    }

    fn ask(&self, port: &str, word: &str) -> Output {
        let mut command = self.tool("dmtcp_command");
        let command = command.args(["-h", "127.0.0.1", "-p", port, word]);
        command.stdout(Stdio::piped()).output().unwrap()
    }

    fn wait_running(&self, port: &str) {
        soon("the program to run", || {
            let output = self.ask(port, "-s");
            String::from_utf8_lossy(&output.stdout)
                .contains("RUNNING=yes")
                .then_some(())
        });
    }

    fn port(&self, name: &str) -> String {
        let path = self.dir.path().join("ckpt").join(name);
        soon("the port", || {
            fs::read_to_string(&path)
                .ok()
                .filter(|port| !port.is_empty())
        })
    }
}

/// Ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Ended by itself is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn stock_programs_start_it_checkpoint_with_it_and_restart_with_it() {
    on_each(|installation| {
        // Its dmtcp_restart needs to be told that it may run as root.
        if installation.version.starts_with("2.4") {
            return;
        }
        let copy = Copy::of(installation.folder());
        let port = ["--port-file", "port", "-p", "0"];
        let new = "--new-coordinator";
        let options = [
            &["dmtcp_launch", new],
            &port[..],
            &["--no-gzip", "sleep", "1000"],
        ]
        .concat();
        let mut launched = copy.spawn(&options);
        let port_of = copy.port("port");
        copy.wait_running(&port_of);
        assert!(copy.ask(&port_of, "-bc").status.success());
        let ckpt = copy.dir.path().join("ckpt");
        let link = ckpt.join("dmtcp_restart_script.sh");
        let script = soon("the script", || fs::read(&link).ok());
        let script = dmtcp_proto::RestartScript::parse(&script).unwrap();
        assert_eq!(script.processes(), 1);
        let restart = copy.dir.path().join("bin/dmtcp_restart");
        let restart = restart.canonicalize().unwrap();
        assert_eq!(
            script.restart_command.as_bytes(),
            restart.to_str().unwrap().as_bytes()
        );
        assert!(copy.ask(&port_of, "-k").status.success());
        launched.0.wait().unwrap();
        // It was started with --exit-on-last.
        soon("its end", || {
            (!copy.ask(&port_of, "-s").status.success()).then_some(())
        });

        let image = script.hosts[0].images[0].as_bytes().to_vec();
        let image = PathBuf::from(String::from_utf8(image).unwrap());
        let _again = copy.spawn(&[
            "dmtcp_restart",
            new,
            "--port-file",
            "again",
            "-p",
            "0",
            image.to_str().unwrap(),
        ]);
        let port_of = copy.port("again");
        copy.wait_running(&port_of);
        assert!(copy.ask(&port_of, "-bc").status.success());
        assert!(copy.ask(&port_of, "-q").status.success());
    });
}
