//! Ending what was started on another host.
//!
//! It is found as `process::members` finds it here: by the attempt's private `DMTCP_TMPDIR`, in
//! the environment, or, for restored processes, which show none, in the shared-area file that they
//! hold open.

use std::{ffi::OsStr, path::Path, time::Duration};

use super::{HostError, HostLauncher, RemoteCommand, local_command, probe::lines};
use crate::process::{Exit, capture_both};

/// SIGKILL for all processes of this user on `host` that belong to the attempt with this
/// `DMTCP_TMPDIR`, which is then removed there.
///
/// Processes that may not be looked into there are left out, as on this host.
pub(crate) fn clean(
    launcher: &dyn HostLauncher,
    host: &OsStr,
    tmp: &Path,
    limit: Duration,
) -> Result<(), HostError> {
    // It has to end by itself before it is given up.
    let seconds = limit.mul_f32(0.7).as_secs().max(1).to_string();
    let what = RemoteCommand::script(SCRIPT, [tmp.into(), seconds.into()]);
    let command = local_command(launcher, host, &what)?;
    let (exit, output, stderr) =
        capture_both(command, limit).map_err(|error| timed(error, limit))?;
    let mut told = lines(&output);
    match told.find_map(|line| line.strip_prefix("dmtcp-rs left")) {
        Some(pids) => {
            return Err(HostError::Survivors {
                pids: pids.trim().to_owned(),
            });
        }
        None if lines(&output).any(|line| line == "dmtcp-rs cleaned") => return Ok(()),
        None => {}
    }
    Err(failed(exit, &stderr))
}

pub(super) fn timed(error: crate::process::ProcessError, limit: Duration) -> HostError {
    match error {
        crate::process::ProcessError::TimedOut { .. } => HostError::TimedOut { limit },
        error => error.into(),
    }
}

pub(super) fn failed(exit: Exit, stderr: &[u8]) -> HostError {
    let from = stderr.len().saturating_sub(SHOWN);
    let shown = stderr.get(from..).unwrap_or_default();
    HostError::Failed {
        exit,
        stderr: String::from_utf8_lossy(shown).trim().to_owned(),
    }
}

/// Two looks that find nothing end it: a process can be missed once, in the middle of an exec.
///
/// All processes are searched by two programs, and only what they find is looked at one by one:
/// a host may have thousands.
const SCRIPT: &str = r#"
real=$(cd -P -- "$1" 2>/dev/null && pwd -P) || real=$1
suspects() {
    grep -lsF -e "DMTCP_TMPDIR=$1" -e "DMTCP_TMPDIR=$real" /proc/[0-9]*/environ
    ls -l /proc/[0-9]*/fd 2>/dev/null | MARK=$1 REAL=$real awk '
        /^\/proc\/[0-9]+\/fd:$/ { dir = $0; next }
        index($0, " -> " ENVIRON["MARK"] "/dmtcp-") || index($0, " -> " ENVIRON["REAL"] "/dmtcp-") {
            if (index($0, "/dmtcpSharedArea.")) print dir
        }'
}
is_member() {
    tr '\0' '\n' < "$p/environ" | grep -qxF -e "DMTCP_TMPDIR=$1" -e "DMTCP_TMPDIR=$real" && return 0
    ls -l "$p/fd" | grep -F -e "-> $1/dmtcp-" -e "-> $real/dmtcp-" | grep -qF /dmtcpSharedArea.
}
end=$(( $(date +%s) + $2 ))
empty=0
while [ "$empty" -lt 2 ]; do
    found=
    for p in $(suspects "$1"); do
        pid=${p#/proc/}
        pid=${pid%%/*}
        p=/proc/$pid
        [ "$pid" != "$$" ] && [ -O "$p" ] && is_member "$1" || continue
        kill -9 "$pid" && found="$found $pid"
    done 2>/dev/null
    if [ -z "$found" ]; then
        empty=$((empty + 1))
    else
        empty=0
        if [ "$(date +%s)" -ge "$end" ]; then
            echo "dmtcp-rs left$found"
            exit 1
        fi
    fi
    sleep 0.1 2>/dev/null || sleep 1
done
rm -rf -- "$1"
echo 'dmtcp-rs cleaned'
"#;
const SHOWN: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Child, ComputationTmp};
    use crate::remote::LauncherError;
    use std::fs::{self, File};
    use std::process::{Command, Stdio};

    const LONG: Duration = Duration::from_secs(60);

    #[expect(clippy::unnecessary_wraps, reason = "it is a launcher")]
    fn here(_: &OsStr, what: &RemoteCommand) -> Result<Command, LauncherError> {
        let argv = what.argv();
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]);
        Ok(command)
    }

    #[test]
    fn members_are_ended_and_nobody_else() {
        let base = tempfile::tempdir().unwrap();
        let odd = base.path().join("it's a $(base)");
        fs::create_dir(&odd).unwrap();
        let tmp = ComputationTmp::create_in(&odd).unwrap();
        let mut command = Command::new("sleep");
        command.arg("600").env("DMTCP_TMPDIR", tmp.path());
        let by_variable = Child::spawn(command).unwrap();
        let folder = tmp.path().join("dmtcp-me@here");
        fs::create_dir(&folder).unwrap();
        let area = File::create(folder.join("dmtcpSharedArea.1")).unwrap();
        let mut command = Command::new("sleep");
        command.arg("600").stdin(Stdio::from(area));
        let by_area = Child::spawn(command).unwrap();
        let mut command = Command::new("sleep");
        let longer = format!("{}0", tmp.path().display());
        command.arg("600").env("DMTCP_TMPDIR", longer);
        let another = Child::spawn(command).unwrap();
        // `spawn` returns in the middle of the exec.
        while crate::process::members(tmp.path()).unwrap().len() < 2 {
            std::thread::yield_now();
        }
        clean(&here, OsStr::new("n2"), tmp.path(), LONG).unwrap();
        for child in [by_variable, by_area] {
            assert_eq!(child.wait(LONG).unwrap(), Exit::Signal(9));
        }
        assert_eq!(another.try_wait().unwrap(), None);
        assert!(!tmp.path().exists());
        clean(&here, OsStr::new("n2"), tmp.path(), LONG).unwrap();
    }

    #[test]
    fn who_does_not_answer_is_not_clean() {
        let told = |script: &'static str, limit| {
            let launcher = move |_: &OsStr, _: &RemoteCommand| {
                let mut command = Command::new("sh");
                command.args(["-c", script]);
                Ok::<_, LauncherError>(command)
            };
            clean(&launcher, OsStr::new("n2"), Path::new("/t"), limit).unwrap_err()
        };
        let error = told("echo No route to host >&2; exit 255", LONG);
        assert!(
            matches!(&error, HostError::Failed { exit: Exit::Code(255), stderr } if stderr == "No route to host"),
            "{error}"
        );
        // Success without having done anything, as a launcher that queues does.
        assert!(matches!(told("exit 0", LONG), HostError::Failed { .. }));
        let error = told("sleep 600", Duration::from_millis(300));
        assert!(matches!(error, HostError::TimedOut { .. }), "{error}");
        let error = told("echo dmtcp-rs left 7 8; exit 1", LONG);
        assert!(
            matches!(&error, HostError::Survivors { pids } if pids == "7 8"),
            "{error}"
        );
    }
}
