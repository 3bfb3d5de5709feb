//! Finding the processes of one computation without asking a coordinator.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Identity, ProcessError,
    identity::Pause,
    kill_all,
    stat::{Stat, is_gone},
};
use crate::deadline::Deadline;

/// The processes of the computation whose `DMTCP_TMPDIR` is `tmp`, of this user, without this
/// program itself.
///
/// Give the directory to one computation only ([`ComputationTmp`](super::ComputationTmp)
/// does). A process belongs if it
///
/// - holds DMTCP's shared-area file of that directory open, as each worker does from its first
///   moment, before and after a restart, also when the file has been removed; or
/// - has `DMTCP_TMPDIR` with just this value in its environment, as `dmtcp_launch`,
///   `dmtcp_restart` and programs that DMTCP cannot enter have. A restored process shows no
///   environment at all, so this alone would miss every one of them. A stock coordinator
///   started with the variable is found too.
///
/// Unlike a process group this also finds those that called `setsid` and those whose parents
/// have ended. Native workers are not found: they use no shared area.
///
/// # Errors
/// When `/proc` itself cannot be read. Processes that end meanwhile, are in the middle of an
/// exec, or may not be looked into, are left out.
pub fn members(tmp: &Path) -> Result<Vec<Identity>, ProcessError> {
    let tmp = resolved(tmp);
    let mut found = Vec::new();
    let user = owner(&Path::new(PROC).join("self")).map_err(failed)?;
    for (pid, folder) in processes()? {
        let ours = owner(&folder).is_ok_and(|owner| owner == user);
        if !ours || !(holds_shared_area(&folder, &tmp) || has_environment(&folder, &tmp)) {
            continue;
        }
        if let Ok(Some(identity)) = Identity::of(pid) {
            found.push(identity);
        }
    }
    Ok(found)
}

/// SIGKILL for all [`members`] of the computation, again and again until none is found, at
/// most `limit`. Says how many were killed.
///
/// Repeating matters: a process may fork after it was listed.
///
/// # Errors
/// [`ProcessError::Survivors`]; and when `/proc` cannot be read.
pub fn kill_members(tmp: &Path, limit: Duration) -> Result<usize, ProcessError> {
    let end = Deadline::after(limit);
    let mut pause = Pause::default();
    let mut killed = 0;
    let mut empty_looks = 0;
    // A process can be missed once: if it takes a number that was already passed, or is in the
    // middle of an exec, where it shows no environment.
    while empty_looks < 2 {
        let found = members(tmp)?;
        if found.is_empty() {
            empty_looks += 1;
            pause.until(end);
            continue;
        }
        empty_looks = 0;
        kill_all(&found, end.left())?;
        killed += found.len();
        if !pause.until(end) {
            let left = members(tmp)?;
            if left.is_empty() {
                break;
            }
            return Err(ProcessError::Survivors { left, limit });
        }
    }
    Ok(killed)
}

/// The members of a process group that run, of whatever user; its leader may be a zombie.
pub(super) fn group_members(group: i32) -> Result<Vec<Identity>, ProcessError> {
    let mut found = Vec::new();
    for (pid, _) in processes()? {
        // One that cannot be read is not ours to wait for.
        if let Ok(Some(stat)) = Stat::read(pid) {
            if stat.group == group && stat.is_running() {
                found.push(Identity::from_stat(pid, &stat));
            }
        }
    }
    Ok(found)
}

/// All processes but this one.
fn processes() -> Result<Vec<(i32, PathBuf)>, ProcessError> {
    let own = i32::try_from(std::process::id()).ok();
    let mut found = Vec::new();
    for entry in fs::read_dir(PROC).map_err(failed)? {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if is_gone(&error) => continue,
            Err(error) => return Err(failed(error)),
        };
        let name = entry.file_name();
        let pid = name.to_str().and_then(|text| text.parse::<i32>().ok());
        if let Some(pid) = pid.filter(|&pid| pid > 1 && Some(pid) != own) {
            found.push((pid, entry.path()));
        }
    }
    Ok(found)
}

fn failed(source: io::Error) -> ProcessError {
    ProcessError::Proc {
        path: PathBuf::from(PROC),
        source,
    }
}

fn owner(process: &Path) -> io::Result<u32> {
    fs::metadata(process).map(|metadata| metadata.uid())
}

/// `tmp/dmtcp-USER@HOST/dmtcpSharedArea.*`; the link of a removed file has a suffix.
fn holds_shared_area(process: &Path, tmp: &Path) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    descriptors
        .flatten()
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .any(|target| is_shared_area(&target, tmp))
}

fn is_shared_area(target: &Path, tmp: &Path) -> bool {
    let starts_with = |part: Option<&OsStr>, prefix: &str| {
        part.is_some_and(|part| part.as_bytes().starts_with(prefix.as_bytes()))
    };
    let folder = target.parent();
    starts_with(target.file_name(), "dmtcpSharedArea.")
        && starts_with(folder.and_then(Path::file_name), "dmtcp-")
        && folder.and_then(Path::parent) == Some(tmp)
}

fn has_environment(process: &Path, tmp: &Path) -> bool {
    // At most what the system lets a program start with; a process may map more in its place.
    let Ok(environment) = read_at_most(&process.join("environ"), 8 << 20) else {
        return false;
    };
    environment
        .split(|&byte| byte == 0)
        .filter_map(|entry| entry.strip_prefix(b"DMTCP_TMPDIR="))
        .any(|value| resolved(Path::new(OsStr::from_bytes(value))) == tmp)
}

fn read_at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// As the links in `/proc` show it; a directory already removed is taken as it is written.
fn resolved(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

const PROC: &str = "/proc";

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::process::{Child, ComputationTmp, Exit};

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn only_the_shared_area_of_this_directory_counts() {
        let tmp = Path::new("/t/a");
        let area = "dmtcpSharedArea.98ff-40000-1.2";
        for (target, expected) in [
            (format!("/t/a/dmtcp-me@here/{area}"), true),
            (format!("/t/a/dmtcp-me@here/{area} (deleted)"), true),
            (format!("/t/ab/dmtcp-me@here/{area}"), false),
            (format!("/t/a/{area}"), false),
            (format!("/t/a/deep/dmtcp-me@here/{area}"), false),
            ("/t/a/dmtcp-me@here/program.log".to_owned(), false),
            ("socket:[1]".to_owned(), false),
            (area.to_owned(), false),
        ] {
            assert_eq!(
                is_shared_area(Path::new(&target), tmp),
                expected,
                "{target}"
            );
        }
    }

    /// Leaves its process group, its parent and its environment behind, and holds only the file.
    #[test]
    fn one_that_only_holds_the_file_is_found_and_killed() {
        let tmp = ComputationTmp::create().unwrap();
        let folder = tmp.path().join("dmtcp-me@here");
        fs::create_dir(&folder).unwrap();
        let area = folder.join("dmtcpSharedArea.1-2-3.4");
        fs::write(&area, "").unwrap();
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                "exec 9<\"$0\"; rm \"$0\"; setsid sh -c 'echo; exec sleep 600' &",
            ])
            .arg(&area)
            .stdout(std::process::Stdio::piped());
        let mut child = Child::spawn(command).unwrap();
        // Wait for the line: then the grandchild is in its own session.
        let mut line = [0];
        io::Read::read_exact(&mut child.take_stdout().unwrap(), &mut line).unwrap();
        assert_eq!(child.wait(LONG).unwrap(), Exit::Code(0));
        child.kill_group().unwrap();

        let found = members(tmp.path()).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(kill_members(tmp.path(), LONG).unwrap(), 1);
        assert!(!found.first().unwrap().is_alive().unwrap());
        assert_eq!(kill_members(tmp.path(), LONG).unwrap(), 0);
    }

    #[test]
    fn one_that_only_has_the_variable_is_found() {
        let tmp = ComputationTmp::create().unwrap();
        let other = ComputationTmp::create().unwrap();
        let mut command = Command::new("sleep");
        command.arg("600").env("DMTCP_TMPDIR", tmp.path());
        let child = Child::spawn(command).unwrap();
        // `spawn` returns in the middle of the exec.
        let end = Deadline::after(LONG);
        let mut pause = Pause::default();
        let found = loop {
            let found = members(tmp.path()).unwrap();
            if !found.is_empty() || !pause.until(end) {
                break found;
            }
        };
        assert_eq!(
            found.iter().map(Identity::pid).collect::<Vec<_>>(),
            [child.id()]
        );
        assert_eq!(members(other.path()).unwrap(), []);
    }

    #[test]
    fn a_group_has_members_of_any_user() {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new("sleep");
        command.arg("600").uid(12_345);
        let Ok(child) = Child::spawn(command) else {
            println!("SKIPPED: only root can run a process as another user");
            return;
        };
        let found = group_members(child.id()).unwrap();
        assert_eq!(found, [Identity::of(child.id()).unwrap().unwrap()]);
        assert_eq!(child.stop(LONG).unwrap(), Exit::Signal(15));
    }
}
