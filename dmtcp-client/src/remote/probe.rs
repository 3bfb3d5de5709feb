//! A look at a host before anything is started on it.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use dmtcp_proto::Release;

use super::{
    HostError, HostLauncher, RemoteCommand,
    cleanup::{failed, timed},
    local_command,
};
use crate::{Tools, host::HostFingerprint, process::capture_both};

/// What has to hold on the host.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    /// The attempt's `DMTCP_TMPDIR`, made there if it is not there.
    pub(crate) tmp: &'a Path,
    /// A file that ends with that path, in a directory that must be shared.
    pub(crate) note: PathBuf,
    /// What has to be installed there, if anything.
    pub(crate) tools: Option<&'a Tools>,
}

/// What was found on a host that can be used.
#[derive(Clone, Debug)]
pub(crate) struct Probed {
    /// Its functions of the vdso are not known: no shell can tell them.
    pub(crate) fingerprint: HostFingerprint,
}

pub(crate) fn probe(
    launcher: &dyn HostLauncher,
    host: &OsStr,
    question: &Question<'_>,
    limit: Duration,
) -> Result<Probed, HostError> {
    // The cleaning looks for it by lines.
    if question.tmp.as_os_str().as_bytes().contains(&b'\n') {
        return Err(HostError::NotMade {
            path: question.tmp.to_owned(),
        });
    }
    let tool = question.tools.map(Tools::launch);
    let args = [
        question.tmp.into(),
        question.note.clone().into_os_string(),
        tool.clone().unwrap_or_default().into_os_string(),
    ];
    let what = RemoteCommand::script(SCRIPT, args);
    let command = local_command(launcher, host, &what)?;
    let (exit, output, stderr) =
        capture_both(command, limit).map_err(|error| timed(error, limit))?;
    let is_told = |word: &str| lines(&output).any(|line| line == format!("dmtcp-rs {word}"));
    if is_told("no-tmp") {
        return Err(HostError::NotMade {
            path: question.tmp.to_owned(),
        });
    }
    if is_told("not-shared") {
        let dir = question.note.parent().unwrap_or(&question.note);
        return Err(HostError::NotShared {
            path: dir.to_owned(),
        });
    }
    let no_tools = || HostError::NoTools {
        tool: tool.clone().unwrap_or_default(),
    };
    if is_told("no-tools") {
        return Err(no_tools());
    }
    if !is_told("end") {
        return Err(failed(exit, &stderr));
    }
    if let Some(tools) = question.tools {
        let here = tools.version()?.text;
        let there = Release::parse(&section(&output, "version")).ok_or_else(no_tools)?;
        if there.text != here {
            return Err(HostError::OtherRelease {
                there: there.text,
                here,
            });
        }
    }
    let text = |name| section(&output, name).trim().to_owned();
    let fingerprint = HostFingerprint::from_texts(
        text("name").into(),
        &text("machine"),
        text("kernel"),
        &text("glibc"),
        &text("cpu"),
        &text("maps"),
    );
    Ok(Probed { fingerprint })
}

/// Launchers and logins may print something of their own.
pub(super) fn lines(output: &[u8]) -> impl Iterator<Item = &str> {
    let lines = output.split(|&byte| byte == b'\n');
    lines.filter_map(|line| Some(std::str::from_utf8(line).ok()?.trim_end_matches('\r')))
}

/// What is between this heading and the next.
fn section(output: &[u8], name: &str) -> String {
    let heading = format!("dmtcp-rs {name}");
    let found = lines(output).skip_while(|line| *line != heading).skip(1);
    let found: Vec<&str> = found
        .take_while(|line| !line.starts_with("dmtcp-rs "))
        .collect();
    found.join("\n")
}

/// A directory that has just been made may take a network file system some seconds to show.
const SCRIPT: &str = r#"
umask 077
mkdir -p -- "$1" 2>/dev/null
if [ ! -d "$1" ] || [ -L "$1" ] || [ ! -O "$1" ]; then
    echo 'dmtcp-rs no-tmp'
    exit 0
fi
looks=0
until case "$(cat -- "$2" 2>/dev/null)" in *"$1") true ;; *) false ;; esac; do
    looks=$((looks + 1))
    if [ "$looks" -gt 5 ]; then
        rmdir -- "$1" 2>/dev/null
        echo 'dmtcp-rs not-shared'
        exit 0
    fi
    sleep 1
done
if [ -n "$3" ]; then
    if [ ! -x "$3" ]; then
        rmdir -- "$1" 2>/dev/null
        echo 'dmtcp-rs no-tools'
        exit 0
    fi
    echo 'dmtcp-rs version'
    "$3" --version 2>/dev/null </dev/null
fi
echo 'dmtcp-rs name'
uname -n
echo 'dmtcp-rs machine'
uname -m
echo 'dmtcp-rs kernel'
uname -r
echo 'dmtcp-rs glibc'
getconf GNU_LIBC_VERSION 2>/dev/null
echo 'dmtcp-rs cpu'
grep -m 1 -E '^(flags|Features)' /proc/cpuinfo
echo 'dmtcp-rs maps'
grep -E '\[(vdso|vvar|vvar_vclock)\]' /proc/self/maps
echo 'dmtcp-rs end'
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::ComputationTmp;
    use crate::remote::LauncherError;
    use std::fs;
    use std::process::Command;

    const LONG: Duration = Duration::from_secs(60);

    /// As a login that greets, behind a terminal.
    #[expect(clippy::unnecessary_wraps, reason = "it is a launcher")]
    fn here(_: &OsStr, what: &RemoteCommand) -> Result<Command, LauncherError> {
        let mut command = Command::new("sh");
        let greet = r#"echo Welcome; "$@" | sed 's/$/\r/'"#;
        command.args(["-c", greet, "sh"]).args(what.argv());
        Ok(command)
    }

    #[test]
    fn this_host_is_found_to_be_what_it_is() {
        let tmp = ComputationTmp::create().unwrap();
        let shared = tempfile::tempdir().unwrap();
        let note = shared.path().join("tmp");
        fs::write(&note, format!("1 2\n{}", tmp.path().display())).unwrap();
        let question = Question {
            tmp: tmp.path(),
            note: note.clone(),
            tools: None,
        };
        let probed = probe(&here, OsStr::new("n2"), &question, LONG).unwrap();
        let mut this = HostFingerprint::of_this_host();
        if let Some(vdso) = &mut this.vdso {
            vdso.functions.clear();
        }
        let mut found = probed.fingerprint;
        // Not every system has getconf.
        found.glibc = this.glibc.clone();
        assert_eq!(found, this);
        assert!(tmp.path().exists());

        fs::write(&note, "1 2\n/another").unwrap();
        let error = probe(&here, OsStr::new("n2"), &question, LONG).unwrap_err();
        assert!(
            matches!(&error, HostError::NotShared { path } if path == shared.path()),
            "{error}"
        );
    }
}
