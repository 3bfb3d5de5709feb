//! Ways to another host.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
    process::Command,
    time::Duration,
};

use super::{HostError, LauncherError, RemoteCommand};

/// Runs commands on other hosts. A closure is one:
///
/// ```
/// use dmtcp_client::remote::{HostLauncher, LauncherError, RemoteCommand};
/// use std::{ffi::OsStr, process::Command};
///
/// fn takes(_: impl HostLauncher) {}
/// takes(|host: &OsStr, what: &RemoteCommand| {
///     let mut command = Command::new("kubectl");
///     command.arg("exec").arg(host).arg("--").args(what.argv());
///     Ok::<_, LauncherError>(command)
/// });
/// ```
pub trait HostLauncher: Send + Sync {
    /// The command of **this** host that runs `what` on `host`, stays until it has ended there, and
    /// ends with its exit code. It must ask nobody anything. Its streams, where they are passed
    /// through, are those of the program there. It is not run through a shell.
    ///
    /// # Errors
    ///
    /// Whatever keeps the launcher from making one.
    fn command(&self, host: &OsStr, what: &RemoteCommand) -> Result<Command, LauncherError>;
}

impl<F> HostLauncher for F
where
    F: Fn(&OsStr, &RemoteCommand) -> Result<Command, LauncherError> + Send + Sync,
{
    fn command(&self, host: &OsStr, what: &RemoteCommand) -> Result<Command, LauncherError> {
        self(host, what)
    }
}

/// OpenSSH. Keys must let it in without a question, and the login shell there must be a POSIX one
/// (sh, bash, dash, ksh, zsh).
///
/// A host that stops answering ends the local end after about a minute (`ServerAliveInterval`).
#[derive(Clone, Debug)]
pub struct Ssh {
    program: OsString,
    connect: Duration,
    options: Vec<OsString>,
}

impl Ssh {
    /// `ssh` in PATH, with ten seconds to connect.
    #[must_use]
    pub fn new() -> Self {
        Self {
            program: "ssh".into(),
            connect: Duration::from_secs(10),
            options: Vec::new(),
        }
    }

    /// Another program that is called as ssh is. Default: `ssh`.
    #[must_use]
    pub fn program(self, program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            ..self
        }
    }

    /// How long connecting may take, in whole seconds, at least one. Default: 10 s.
    #[must_use]
    pub fn connect_timeout(self, limit: Duration) -> Self {
        Self {
            connect: limit,
            ..self
        }
    }

    /// One more option (or value of one), before all others, which therefore wins over them.
    #[must_use]
    pub fn option(mut self, option: impl Into<OsString>) -> Self {
        self.options.push(option.into());
        self
    }
}

impl Default for Ssh {
    fn default() -> Self {
        Self::new()
    }
}

impl HostLauncher for Ssh {
    fn command(&self, host: &OsStr, what: &RemoteCommand) -> Result<Command, LauncherError> {
        let mut command = Command::new(&self.program);
        // ssh takes the first value that it is given for an option.
        command.args(&self.options).args(["-T", "-x", "-a"]);
        let connect = format!("ConnectTimeout={}", self.connect.as_secs().max(1));
        for option in [
            "BatchMode=yes",
            &connect,
            "ServerAliveInterval=15",
            "ServerAliveCountMax=4",
        ] {
            command.args(["-o", option]);
        }
        command.arg("--").arg(host).arg(what.shell_line());
        Ok(command)
    }
}

/// Slurm's `srun`, from within an allocation that has the hosts: each command is a step of one task
/// on one node.
///
/// `--overlap` lets steps share what the allocation has, without which none could end another's
/// processes; Slurm before 20.11 does not know it ([`overlap`](Self::overlap)).
#[derive(Clone, Debug)]
pub struct Srun {
    program: OsString,
    overlap: bool,
    options: Vec<OsString>,
}

impl Srun {
    /// `srun` in PATH.
    #[must_use]
    pub fn new() -> Self {
        Self {
            program: "srun".into(),
            overlap: true,
            options: Vec::new(),
        }
    }

    /// Another program that is called as srun is. Default: `srun`.
    #[must_use]
    pub fn program(self, program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            ..self
        }
    }

    /// Whether steps may share resources. Default: true.
    #[must_use]
    pub fn overlap(self, on: bool) -> Self {
        Self {
            overlap: on,
            ..self
        }
    }

    /// One more option, behind all others.
    #[must_use]
    pub fn option(mut self, option: impl Into<OsString>) -> Self {
        self.options.push(option.into());
        self
    }
}

impl Default for Srun {
    fn default() -> Self {
        Self::new()
    }
}

impl HostLauncher for Srun {
    fn command(&self, host: &OsStr, what: &RemoteCommand) -> Result<Command, LauncherError> {
        let mut nodes = OsString::from("--nodelist=");
        nodes.push(host);
        let mut command = Command::new(&self.program);
        command
            .args(["--nodes=1", "--ntasks=1"])
            .arg(nodes)
            .args(self.overlap.then_some("--overlap"))
            .args(&self.options)
            .args(what.argv());
        Ok(command)
    }
}

/// What runs `what` on `host`, when that is a name at all.
pub(crate) fn local_command(
    launcher: &dyn HostLauncher,
    host: &OsStr,
    what: &RemoteCommand,
) -> Result<Command, HostError> {
    check_name(host)?;
    launcher.command(host, what).map_err(HostError::Launcher)
}

/// A name that starts with `-` would be an option of the launcher.
pub(crate) fn check_name(host: &OsStr) -> Result<(), HostError> {
    let bytes = host.as_bytes();
    let bad = |byte: &u8| byte.is_ascii_whitespace() || byte.is_ascii_control();
    if bytes.is_empty() || bytes.starts_with(b"-") || bytes.iter().any(bad) {
        return Err(HostError::Name(host.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    /// A program that is called as ssh is, and does what sshd does: it hands the rest of the line
    /// to a shell.
    const FAKE_SSH: &str = r#"#!/bin/sh
while [ "$1" != -- ]; do printf '%s\n' "$1" >> "$0.options"; shift; done
printf '%s\n' "$2" > "$0.host"
shift 2
exec sh -c "$*"
"#;

    fn words() -> Command {
        let mut command = Command::new("printf");
        command.args(["<%s>", "a b", "$(touch pwned)", "new\nline", "'", ""]);
        command.env("NAME", "it's $HOME").current_dir("/");
        command
    }

    #[test]
    fn ssh_hands_every_word_over_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let fake = dir.path().join("ssh");
        fs::write(&fake, FAKE_SSH).unwrap();
        fs::set_permissions(&fake, fs::Permissions::from_mode(0o700)).unwrap();
        let ssh = Ssh::new()
            .program(&fake)
            .option("-oPort=2222")
            .connect_timeout(Duration::from_millis(1500));
        let what = RemoteCommand::of(&words());
        let output = local_command(&ssh, OsStr::new("me@n2"), &what)
            .unwrap()
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text, "<a b><$(touch pwned)><new\nline><'><>");
        assert_eq!(
            fs::read_to_string(dir.path().join("ssh.host")).unwrap(),
            "me@n2\n"
        );
        let options = fs::read_to_string(dir.path().join("ssh.options")).unwrap();
        for option in ["-oPort=2222", "BatchMode=yes", "ConnectTimeout=1"] {
            assert!(options.lines().any(|line| line == option), "{options}");
        }
        assert!(options.starts_with("-oPort"), "{options}");
    }

    #[test]
    fn srun_gets_words_and_no_line() {
        let what = RemoteCommand::of(&words());
        let command = local_command(&Srun::new().option("-q"), OsStr::new("n7"), &what).unwrap();
        let args: Vec<_> = command.get_args().map(OsStr::to_owned).collect();
        let options = [
            "--nodes=1",
            "--ntasks=1",
            "--nodelist=n7",
            "--overlap",
            "-q",
        ];
        let expected: Vec<OsString> = options.map(OsString::from).into();
        assert_eq!(args[..5], expected);
        assert_eq!(args[5..], what.argv());
        let old = Srun::new().overlap(false).command(OsStr::new("n7"), &what);
        assert!(old.unwrap().get_args().all(|arg| arg != "--overlap"));
    }

    #[test]
    fn what_is_no_name_is_not_given_to_a_launcher() {
        let never = |_: &OsStr, _: &RemoteCommand| -> Result<Command, LauncherError> {
            panic!("the launcher was asked")
        };
        let what = RemoteCommand::of(&words());
        for host in ["", "-oProxyCommand=touch pwned", "a b", "n2\n", "n\u{1}"] {
            let error = local_command(&never, OsStr::new(host), &what).unwrap_err();
            assert!(matches!(error, HostError::Name(_)), "{error}");
        }
    }
}
