//! A place where scripts run: every `dmtcp_restart`, `ssh`, `rsh` and `xterm` is a fake that notes
//! its arguments.

use dmtcp_proto::RestartScript;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Not written by the test: a file that was just written may still be busy.
pub(crate) const FAKE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/restart_script/fake.sh");

pub(crate) struct Stage {
    dir: PathBuf,
    env: Vec<(&'static str, String)>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Program and arguments, by program; calls of the same program in no order.
    pub(crate) calls: Vec<Vec<Vec<u8>>>,
}

impl Stage {
    /// `None`, with a note, where there is no bash.
    pub(crate) fn new() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if !Path::new("/bin/bash").exists() {
            eprintln!("SKIPPED: no bash");
            return None;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("restart-script-{}-{number}", std::process::id());
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(dir.join("bin")).unwrap();
        for name in ["dmtcp_restart", "ssh", "rsh", "xterm"] {
            symlink(FAKE, dir.join("bin").join(name)).unwrap();
        }
        Some(Self {
            dir,
            env: Vec::new(),
        })
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn run(&self, script: &RestartScript, args: &[&str]) -> Ran {
        self.run_text(&script.to_text(), args)
    }

    pub(crate) fn run_text(&self, text: &[u8], args: &[&str]) -> Ran {
        let (calls, work) = (self.path("calls"), self.path("work"));
        for dir in [&calls, &work] {
            let _ = fs::remove_dir_all(dir);
            fs::create_dir(dir).unwrap();
        }
        let script = self.path("dmtcp_restart_script.sh");
        fs::write(&script, text).unwrap();
        let path = std::env::var("PATH").unwrap();
        let output = Command::new("/bin/bash")
            .arg(&script)
            .args(args)
            .current_dir(&work)
            .env_clear()
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("CALLS", &calls)
            .envs(self.env.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let left = fs::read_dir(&work).unwrap().count();
        assert_eq!(left, 0, "something was created: {output:?}");
        let mut calls: Vec<Vec<Vec<u8>>> = fs::read_dir(&calls)
            .unwrap()
            .map(|entry| {
                let mut noted = fs::read(entry.unwrap().path()).unwrap();
                assert_eq!(noted.pop(), Some(0));
                noted.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect()
            })
            .collect();
        calls.sort();
        Ran {
            status: output.status.code().unwrap(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            calls,
        }
    }
}

impl Ran {
    /// The only call.
    pub(crate) fn call(&self) -> Vec<&str> {
        assert_eq!((self.status, self.calls.len()), (0, 1), "{self:?}");
        texts(&self.calls[0])
    }

    pub(crate) fn refused(&self, why: &str) {
        assert_eq!((self.status, self.calls.len()), (2, 0), "{self:?}");
        assert!(self.stderr.contains(why), "{self:?}");
    }
}

pub(crate) fn texts(call: &[Vec<u8>]) -> Vec<&str> {
    call.iter()
        .map(|arg| std::str::from_utf8(arg).unwrap())
        .collect()
}
