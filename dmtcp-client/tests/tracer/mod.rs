//! A process that is killed right before one of its system calls: as a crash at that point, with
//! everything before it done and nothing after it.
//!
//! Only calls that can change what is on disk are counted; between two of them the disk is as
//! after the first. (The kernel's cache outlives the process, so this does not show what a power
//! cut does.)

use nix::errno::Errno;
use nix::libc::{self, c_long};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// What a process prints when it has come to what shall be traced; it then waits for a line.
pub(crate) const READY: &str = "ready to be traced";

/// How a traced process ended.
#[derive(Debug)]
pub(crate) struct Traced {
    /// The name of every counted call that it made, in order, the one before which it was killed
    /// at the end.
    pub(crate) calls: Vec<&'static str>,
    /// It came to the end.
    pub(crate) finished: bool,
}

/// Runs the command and kills it before its `nth` counted call, beginning at 1.
///
/// `None` if this machine does not let processes be traced. Must be the only test of its program
/// that has children at the time.
pub(crate) fn kill_before(command: &mut Command, nth: usize) -> Option<Traced> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains(READY) {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "it ended early");
    }
    if let Err(error) = seize_all(pid) {
        println!("cannot trace: {error}");
        kill(pid, Signal::SIGKILL).unwrap();
        child.wait().unwrap();
        return None;
    }
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"go\n").unwrap();
    let traced = run(pid, nth);
    // Reaped already; this is only to forget it.
    let _ = child.try_wait();
    Some(traced)
}

fn seize_all(pid: Pid) -> Result<(), Errno> {
    let options =
        Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL;
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let name = task.unwrap().file_name();
        let thread = Pid::from_raw(name.to_str().unwrap().parse().unwrap());
        ptrace::seize(thread, options)?;
        ptrace::interrupt(thread)?;
    }
    Ok(())
}

fn run(pid: Pid, nth: usize) -> Traced {
    let names = BTreeMap::from(CHANGING);
    let mut calls = Vec::new();
    let mut finished = false;
    loop {
        let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Err(Errno::ECHILD) => return Traced { calls, finished },
            other => other.unwrap(),
        };
        let (thread, signal) = match status {
            WaitStatus::PtraceSyscall(thread) => {
                if let Some(name) = entered(thread).and_then(|number| names.get(&number)) {
                    calls.push(*name);
                    if calls.len() == nth {
                        kill(pid, Signal::SIGKILL).unwrap();
                        continue;
                    }
                }
                (thread, None)
            }
            WaitStatus::PtraceEvent(thread, ..) => (thread, None),
            WaitStatus::Stopped(thread, Signal::SIGTRAP | Signal::SIGSTOP) => (thread, None),
            WaitStatus::Stopped(thread, signal) => (thread, Some(signal)),
            WaitStatus::Exited(thread, code) => {
                finished |= thread == pid && code == 0;
                continue;
            }
            _ => continue,
        };
        match ptrace::syscall(thread, signal) {
            // Killed meanwhile.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// The number of a counted call that the thread is about to make.
fn entered(thread: Pid) -> Option<c_long> {
    let info = ptrace::syscall_info(thread).ok()?;
    if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return None;
    }
    let text = fs::read_to_string(format!("/proc/{thread}/syscall")).ok()?;
    let mut words = text.split_whitespace();
    let number: c_long = words.next()?.parse().ok()?;
    let mut argument = |n| {
        let word: &str = words.nth(n)?;
        i64::from_str_radix(word.trim_start_matches("0x"), 16).ok()
    };
    let changes = match number {
        libc::SYS_openat => argument(2)? & i64::from(libc::O_CREAT | libc::O_TRUNC) != 0,
        // What is said to the terminal is not on disk.
        libc::SYS_write => argument(0)? > 2,
        _ => true,
    };
    changes.then_some(number)
}

/// System calls by which the library changes files, and their names.
#[cfg(target_arch = "x86_64")]
const CHANGING: [(c_long, &str); 23] = [
    (libc::SYS_chmod, "chmod"),
    (libc::SYS_copy_file_range, "copy_file_range"),
    (libc::SYS_fchmod, "fchmod"),
    (libc::SYS_fdatasync, "fdatasync"),
    (libc::SYS_fsync, "fsync"),
    (libc::SYS_ftruncate, "ftruncate"),
    (libc::SYS_link, "link"),
    (libc::SYS_linkat, "linkat"),
    (libc::SYS_mkdir, "mkdir"),
    (libc::SYS_mkdirat, "mkdirat"),
    (libc::SYS_openat, "openat"),
    (libc::SYS_pwrite64, "pwrite64"),
    (libc::SYS_rename, "rename"),
    (libc::SYS_renameat, "renameat"),
    (libc::SYS_renameat2, "renameat2"),
    (libc::SYS_rmdir, "rmdir"),
    (libc::SYS_sendfile, "sendfile"),
    (libc::SYS_symlink, "symlink"),
    (libc::SYS_symlinkat, "symlinkat"),
    (libc::SYS_unlink, "unlink"),
    (libc::SYS_unlinkat, "unlinkat"),
    (libc::SYS_write, "write"),
    (libc::SYS_writev, "writev"),
];
/// As above; the others do not exist here.
#[cfg(not(target_arch = "x86_64"))]
const CHANGING: [(c_long, &str); 16] = [
    (libc::SYS_copy_file_range, "copy_file_range"),
    (libc::SYS_fchmod, "fchmod"),
    (libc::SYS_fchmodat, "fchmodat"),
    (libc::SYS_fdatasync, "fdatasync"),
    (libc::SYS_fsync, "fsync"),
    (libc::SYS_ftruncate, "ftruncate"),
    (libc::SYS_linkat, "linkat"),
    (libc::SYS_mkdirat, "mkdirat"),
    (libc::SYS_openat, "openat"),
    (libc::SYS_pwrite64, "pwrite64"),
    (libc::SYS_renameat2, "renameat2"),
    (libc::SYS_sendfile, "sendfile"),
    (libc::SYS_symlinkat, "symlinkat"),
    (libc::SYS_unlinkat, "unlinkat"),
    (libc::SYS_write, "write"),
    (libc::SYS_writev, "writev"),
];
