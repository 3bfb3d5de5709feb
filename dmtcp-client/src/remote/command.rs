//! What is to run on a host, and its quoting.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::PathBuf,
    process::Command,
};

/// A program with its arguments, variables and directory, to be run on some host.
///
/// Nothing of this program's environment is in it but what was set for the program: the rest is
/// what the host gives to a login there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteCommand {
    required: Option<PathBuf>,
    dir: Option<PathBuf>,
    unset: Vec<OsString>,
    set: Vec<(OsString, OsString)>,
    program: Vec<OsString>,
}

impl RemoteCommand {
    /// What `command` would run here, in the same directory there. Its streams are not part of it.
    #[must_use]
    pub fn of(command: &Command) -> Self {
        let dir = command.get_current_dir().map(PathBuf::from);
        let mut this = Self {
            required: None,
            dir: dir.or_else(|| env::current_dir().ok()),
            unset: Vec::new(),
            set: Vec::new(),
            program: vec![command.get_program().to_owned()],
        };
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => this.set.push((name.to_owned(), value.to_owned())),
                None => this.unset.push(name.to_owned()),
            }
        }
        this.program.extend(command.get_args().map(OsStr::to_owned));
        this
    }

    /// A script for `sh`, with its arguments (`$1` and on), in no particular directory.
    pub(super) fn script(script: &str, args: impl IntoIterator<Item = OsString>) -> Self {
        let mut program: Vec<OsString> = ["sh", "-c", script, NAME].map(OsString::from).into();
        program.extend(args);
        Self {
            required: None,
            dir: None,
            unset: Vec::new(),
            set: Vec::new(),
            program,
        }
    }

    /// The same, which does nothing but fail (125) where this directory is not there: what
    /// comes late, behind the [cleaning](super::clean) that removed it, must not run.
    pub(crate) fn only_with(mut self, dir: PathBuf) -> Self {
        self.required = Some(dir);
        self
    }

    /// Program and arguments that do all of it when they are executed on the host **as they are**,
    /// by something that interprets none of them: `env`, which sets the variables, then `sh`,
    /// which changes the directory and becomes the program.
    #[must_use]
    pub fn argv(&self) -> Vec<OsString> {
        let mut argv = Vec::new();
        if !self.unset.is_empty() || !self.set.is_empty() {
            argv.push("env".into());
            for name in &self.unset {
                argv.extend(["-u".into(), name.clone()]);
            }
            for (name, value) in &self.set {
                let mut pair = name.clone();
                pair.push("=");
                pair.push(value);
                argv.push(pair);
            }
        }
        // A program with `=` in its name would be a variable to `env`.
        let mut enter = String::new();
        if self.required.is_some() {
            enter += r#"[ -d "$1" ] || exit 125; shift; "#;
        }
        if self.dir.is_some() {
            enter += r#"cd -- "$1" || exit 125; shift; "#;
        }
        enter += r#"exec "$@""#;
        argv.extend(["sh", "-c", &enter, NAME].map(OsString::from));
        let dirs = self.required.iter().chain(&self.dir);
        argv.extend(dirs.map(|dir| dir.clone().into_os_string()));
        argv.extend(self.program.iter().cloned());
        argv
    }

    /// The same as one line for a POSIX shell, for launchers that hand a line to the login shell
    /// of the host, as ssh does.
    #[must_use]
    pub fn shell_line(&self) -> OsString {
        let words: Vec<Vec<u8>> = self.argv().iter().map(|word| quoted(word)).collect();
        let mut line = b"exec ".to_vec();
        line.extend(words.join(&b' '));
        OsString::from_vec(line)
    }
}

/// One word for a POSIX shell.
fn quoted(word: &OsStr) -> Vec<u8> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./,:@%+".contains(byte);
    let bytes = word.as_bytes();
    if !bytes.is_empty() && bytes.iter().all(plain) {
        return bytes.to_vec();
    }
    let mut quoted = vec![b'\''];
    for &byte in bytes {
        match byte {
            b'\'' => quoted.extend(br"'\''"),
            _ => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

/// `$0` of the scripts, which shells put before their complaints.
const NAME: &str = "dmtcp-rs";

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: [&str; 12] = [
        "",
        " ",
        "a b",
        "it's",
        "\"",
        "$(touch pwned)",
        "`touch pwned`",
        "new\nline\n",
        "-n",
        "a=b",
        "\\",
        "*;!~#",
    ];

    /// What the program sees: its directory, a variable, one that is gone, and its arguments.
    fn look(dir: &std::path::Path) -> RemoteCommand {
        let script = r#"pwd; printf '<%s>\n' "$V" "${GONE-unset}" "$@""#;
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).args(HOSTILE);
        command.arg(OsStr::from_bytes(b"\xff"));
        command
            .current_dir(dir)
            .env("V", "two\nlines $(touch pwned)")
            .env_remove("GONE");
        RemoteCommand::of(&command)
    }

    fn expected(dir: &std::path::Path) -> Vec<u8> {
        let mut text = format!("{}\n", dir.display());
        text += "<two\nlines $(touch pwned)>\n<unset>\n";
        text += &HOSTILE.map(|word| format!("<{word}>\n")).concat();
        let mut bytes = text.into_bytes();
        bytes.extend(b"<\xff>\n");
        bytes
    }

    #[test]
    fn nothing_is_interpreted_on_the_way() {
        let base = tempfile::tempdir().unwrap();
        let dir = std::fs::canonicalize(base.path()).unwrap();
        let dir = dir.join("it's $(a) place");
        std::fs::create_dir(&dir).unwrap();
        let what = look(&dir);
        let argv = what.argv();
        let mut direct = Command::new(&argv[0]);
        direct.args(&argv[1..]);
        // As sshd does.
        let mut by_shell = Command::new("sh");
        by_shell.arg("-c").arg(what.shell_line());
        for mut command in [direct, by_shell] {
            command.env("GONE", "still there").current_dir("/");
            let output = command.output().unwrap();
            assert_eq!(output.stderr, b"");
            assert_eq!(
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&expected(&dir))
            );
        }
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_is_not_there_is_no_other_one() {
        let missing = "/no/such/directory";
        let in_dir = |dir: &str| RemoteCommand::of(Command::new("true").current_dir(dir));
        for (what, code) in [
            (in_dir(missing), 125),
            (in_dir("/").only_with(missing.into()), 125),
            (in_dir("/").only_with("/".into()), 0),
        ] {
            let argv = what.argv();
            let output = Command::new(&argv[0]).args(&argv[1..]).output().unwrap();
            assert_eq!(output.status.code(), Some(code), "{what:?}");
        }
    }
}
