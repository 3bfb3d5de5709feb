//! Keeping this program's own descriptors out of the computations it starts.
//!
//! A descriptor that several computations inherit makes their images worthless: the processes
//! that share an open file choose one of them to restore it, by the file's owner (`F_SETOWN`),
//! and that choice does not stop at the border of a computation. The image of every process
//! that was not chosen then waits for ever, at each restart, for a process of another
//! computation to hand the file over. Standard streams are exempt.

use std::{fs, io, path::Path, process, thread};

use nix::{
    sched::{CloneFlags, unshare},
    unistd,
};

use super::ProcessError;

/// The descriptors above standard error that a child of this program inherits, since they lack
/// the close-on-exec flag: this program inherited them itself, or C code opened them.
///
/// [`Launch`](crate::Launch) and [`Restart`](crate::Restart) keep them from the computation.
/// Where the system forbids that (a container without `unshare(2)`) they are passed on; a
/// program with several computations should then warn of [`passed_on_descriptors`].
///
/// # Errors
/// When `/proc` cannot be read.
pub fn inherited_descriptors() -> Result<Vec<i32>, ProcessError> {
    let folder = Path::new("/proc/self/fdinfo");
    let failed = |source| ProcessError::Proc {
        path: folder.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|text| text.parse::<i32>().ok());
        let Some(number) = number.filter(|&number| number > 2) else {
            continue;
        };
        // Other threads open and close files meanwhile.
        let Ok(text) = fs::read_to_string(entry.path()) else {
            continue;
        };
        if flags(&text).is_some_and(|flags| flags & CLOSE_ON_EXEC == 0) {
            found.push(number);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Those of the [`inherited_descriptors`] that a computation gets in spite of all: none where the
/// system lets [`Launch`](crate::Launch) and [`Restart`](crate::Restart) keep them from it.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn passed_on_descriptors() -> Result<Vec<i32>, ProcessError> {
    let found = inherited_descriptors()?;
    // Tried on a thread that ends with it.
    let tried = thread::scope(|scope| {
        let thread =
            thread::Builder::new().spawn_scoped(scope, || unshare(CloneFlags::CLONE_FILES));
        thread.map(|thread| thread.join().is_ok_and(|unshared| unshared.is_ok()))
    });
    Ok(if tried.unwrap_or(false) {
        Vec::new()
    } else {
        found
    })
}

/// Starts `command` without the descriptors that this program's children inherit.
///
/// The command must not ask for pipes: they would be made in a table of descriptors that ends
/// with this call.
pub(super) fn spawn_without_inherited(
    command: &mut process::Command,
) -> io::Result<process::Child> {
    let inherited = inherited_descriptors().unwrap_or_default();
    if inherited.is_empty() {
        return command.spawn();
    }
    // A thread with a table of its own can close them without closing them for this program.
    let spawn = || {
        if unshare(CloneFlags::CLONE_FILES).is_ok() {
            for descriptor in inherited {
                // One that is closed already is as good.
                let _ = unistd::close(descriptor);
            }
        }
        command.spawn()
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, spawn)?;
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the starting thread panicked")))
    })
}

fn flags(fdinfo: &str) -> Option<u32> {
    let line = fdinfo
        .lines()
        .find_map(|line| line.strip_prefix("flags:"))?;
    u32::from_str_radix(line.trim(), 8).ok()
}

/// `O_CLOEXEC` as `/proc` shows it, the same on every architecture that DMTCP knows.
const CLOSE_ON_EXEC: u32 = 0o2_000_000;

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{Read as _, Write as _},
        process::Command,
        time::Duration,
    };

    use super::*;
    use crate::process::{Child, Exit, Stream};

    #[test]
    fn flags_are_read_in_octal() {
        assert_eq!(
            flags("pos:\t0\nflags:\t02100002\nmnt_id:\t1\n"),
            Some(0o2_100_002)
        );
        assert_eq!(flags("pos:\t0\n"), None);
        assert_eq!(flags("flags:\tx\n"), None);
    }

    #[test]
    fn an_inherited_file_does_not_reach_the_child_and_stays_open_here() {
        if thread::spawn(|| unshare(CloneFlags::CLONE_FILES))
            .join()
            .unwrap()
            .is_err()
        {
            println!("SKIPPED: unshare(2) is forbidden here");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("inherited");
        let closed_on_exec = File::create(&path).unwrap();
        let own = unistd::dup(&closed_on_exec).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&own);
        assert!(inherited_descriptors().unwrap().contains(&number));
        assert_eq!(passed_on_descriptors().unwrap(), Vec::<i32>::new());

        let mut command = Command::new("sh");
        command.args(["-c", "ls -l /proc/$$/fd; read line; echo \"got $line\""]);
        let mut child =
            Child::spawn_clean(command, [&Stream::Pipe, &Stream::Pipe, &Stream::Null]).unwrap();
        writeln!(child.take_stdin().unwrap(), "word").unwrap();
        let mut listed = String::new();
        child
            .take_stdout()
            .unwrap()
            .read_to_string(&mut listed)
            .unwrap();
        assert_eq!(child.wait(Duration::from_secs(60)).unwrap(), Exit::Code(0));
        assert!(!listed.contains("/inherited"), "{listed}");
        assert!(listed.ends_with("got word\n"), "{listed}");
        File::from(own).write_all(b"still open").unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "still open");
    }
}
