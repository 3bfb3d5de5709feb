//! A child process in a group of its own.

use std::{
    fs, io,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{self, ChildStderr, ChildStdin, ChildStdout, Command},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use nix::{
    errno::Errno,
    libc::SIGCHLD,
    sys::{
        signal::killpg,
        wait::{Id, WaitPidFlag, WaitStatus, waitid},
    },
    unistd::Pid,
};

use super::{
    Exit, Identity, ProcessError, Signal, Stream, descriptors::spawn_without_inherited,
    identity::Pause, members::group_members, stat::Stat,
};
use crate::deadline::Deadline;

/// A child process that leads a process group of its own.
///
/// **Dropping it kills the whole group** with SIGKILL, so that nothing is left behind by an
/// early return or a panic; [`into_detached`](Self::into_detached) gives the child up instead.
///
/// - The child stays a zombie until this value goes, however long ago it ended. So its number,
///   which is the group's too, cannot pass to a stranger while this value may still signal it.
/// - The group is what the child starts and what does not leave: a process that calls
///   `setsid` is out of reach here (see [`kill_members`](super::kill_members)).
/// - All descriptors that Rust opens are closed at exec. Those that this program itself
///   inherited without the close-on-exec flag reach a child of [`spawn`](Self::spawn), but not
///   one that [`Launch`](crate::Launch) or [`Restart`](crate::Restart) starts: see
///   [`inherited_descriptors`](super::inherited_descriptors).
/// - One thread waits for each child; it costs a stack and ends with the child.
#[derive(Debug)]
#[must_use = "dropping a child kills its process group"]
pub struct Child {
    pid: i32,
    shared: Arc<Shared>,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    detached: bool,
}

impl Child {
    /// Starts `command` in a new process group.
    ///
    /// # Errors
    /// [`ProcessError::Spawn`], [`ProcessError::ChildrenIgnored`].
    pub fn spawn(mut command: Command) -> Result<Self, ProcessError> {
        look_at_sigchld(&command)?;
        let child = command
            .process_group(0)
            .spawn()
            .map_err(|source| spawn_error(&command, source))?;
        Self::adopt(&command, child)
    }

    /// As [`spawn`](Self::spawn), with these three streams and without what this program's
    /// children inherit beyond them.
    pub(crate) fn spawn_clean(
        mut command: Command,
        [stdin, stdout, stderr]: [&Stream; 3],
    ) -> Result<Self, ProcessError> {
        look_at_sigchld(&command)?;
        let failed = |stream: &Stream, source| ProcessError::Stream {
            path: stream.path(),
            source,
        };
        let (theirs_in, our_in) = stdin.input().map_err(|error| failed(stdin, error))?;
        let (theirs_out, our_out) = stdout.output().map_err(|error| failed(stdout, error))?;
        let (theirs_err, our_err) = stderr.output().map_err(|error| failed(stderr, error))?;
        command
            .stdin(theirs_in)
            .stdout(theirs_out)
            .stderr(theirs_err)
            .process_group(0);
        let child = spawn_without_inherited(&mut command)
            .map_err(|source| spawn_error(&command, source))?;
        let mut this = Self::adopt(&command, child)?;
        this.stdin = our_in.map(Into::into);
        this.stdout = our_out.map(Into::into);
        this.stderr = our_err.map(Into::into);
        Ok(this)
    }

    fn adopt(command: &Command, mut child: process::Child) -> Result<Self, ProcessError> {
        // The system's own type is signed; std only shows it unsigned.
        let pid = i32::try_from(child.id())
            .map_err(|error| spawn_error(command, io::Error::other(error)))?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                ended: None,
                abandoned: false,
                unreaped: Some(child),
            }),
            changed: Condvar::new(),
        });
        let this = Self {
            pid,
            shared: Arc::clone(&shared),
            stdin,
            stdout,
            stderr,
            detached: false,
        };
        let watching = thread::Builder::new()
            .name(format!("wait-{pid}"))
            .stack_size(64 * 1024)
            .spawn(move || shared.watch(pid));
        match watching {
            Ok(_) => Ok(this),
            Err(error) => {
                // Nobody would wait for it.
                this.kill_group()?;
                this.shared.watch(pid);
                Err(spawn_error(command, error))
            }
        }
    }

    /// Its process number, which is also the number of its group.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.pid
    }

    /// The writing end of its standard input, once, if that is [`Stream::Pipe`](super::Stream).
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.stdin.take()
    }

    /// The reading end of its standard output, once, if that is [`Stream::Pipe`](super::Stream).
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.stdout.take()
    }

    /// The reading end of its standard error, once, if that is [`Stream::Pipe`](super::Stream).
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.stderr.take()
    }

    /// How it ended, or `None` while it runs.
    ///
    /// # Errors
    /// [`ProcessError::Wait`].
    pub fn try_wait(&self) -> Result<Option<Exit>, ProcessError> {
        self.ended(&self.shared.lock())
    }

    /// Waits until it ends, at most `limit`. Members of its group that live on are not waited
    /// for.
    ///
    /// # Errors
    /// [`ProcessError::TimedOut`], with the child untouched; [`ProcessError::Wait`].
    pub fn wait(&self, limit: Duration) -> Result<Exit, ProcessError> {
        let running = |state: &mut State| state.ended.is_none();
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), limit, running)
            .unwrap_or_else(PoisonError::into_inner);
        self.ended(&state)?.ok_or(ProcessError::TimedOut {
            pid: self.pid,
            limit,
        })
    }

    /// Sends `signal` to every member of the group. No error when all have ended.
    ///
    /// # Errors
    /// [`ProcessError::Signal`] when a member belongs to another user; [`ProcessError::Wait`]
    /// when it cannot be told whether the number is still the child's.
    pub fn signal_group(&self, signal: Signal) -> Result<(), ProcessError> {
        // The lock keeps the child from being reaped between the check and the signal.
        let state = self.shared.lock();
        if state.unreaped.is_none() {
            return Ok(());
        }
        // The system may have reaped it (where SIGCHLD is ignored) and given its number away.
        if let Some(Err(_)) = state.ended {
            return self.ended(&state).map(drop);
        }
        match killpg(Pid::from_raw(self.pid), signal.native()) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(ProcessError::Signal {
                pid: self.pid,
                signal: signal.name(),
                source: errno.into(),
            }),
        }
    }

    /// Sends SIGKILL to every member of the group and returns at once.
    ///
    /// # Errors
    /// As [`signal_group`](Self::signal_group).
    pub fn kill_group(&self) -> Result<(), ProcessError> {
        self.signal_group(Signal::Kill)
    }

    /// Asks, waits, kills: SIGTERM to the group, up to `grace` for all members to end, then
    /// SIGKILL to what is left. Returns when all have ended, and says how the child itself did.
    ///
    /// Under DMTCP this is for after the set is sealed, or when there will be none.
    ///
    /// # Errors
    /// [`ProcessError::Survivors`] when even SIGKILL does not end all within half a minute;
    /// [`ProcessError::Signal`]; [`ProcessError::Wait`].
    pub fn stop(self, grace: Duration) -> Result<Exit, ProcessError> {
        let end = Deadline::after(grace);
        self.signal_group(Signal::Terminate)?;
        match self.wait(grace) {
            Ok(_) | Err(ProcessError::TimedOut { .. }) => {}
            Err(error) => return Err(error),
        }
        if !self.group_left(end)?.is_empty() {
            self.kill_group()?;
            let left = self.group_left(Deadline::after(KILL_LIMIT))?;
            if !left.is_empty() {
                return Err(ProcessError::Survivors {
                    left,
                    limit: KILL_LIMIT,
                });
            }
        }
        self.wait(KILL_LIMIT)
    }

    /// Gives the child up: it runs on when this value goes, and is reaped when it ends, as
    /// long as this program lives.
    pub fn into_detached(mut self) {
        self.detached = true;
    }

    /// The members that have not ended by `end`.
    fn group_left(&self, end: Deadline) -> Result<Vec<Identity>, ProcessError> {
        let mut pause = Pause::default();
        loop {
            let left = group_members(self.pid)?;
            if left.is_empty() || !pause.until(end) {
                return Ok(left);
            }
        }
    }

    fn ended(&self, state: &State) -> Result<Option<Exit>, ProcessError> {
        match state.ended {
            None => Ok(None),
            Some(Ok(exit)) => Ok(Some(exit)),
            Some(Err(errno)) => Err(ProcessError::Wait {
                pid: self.pid,
                source: errno.into(),
            }),
        }
    }
}

fn spawn_error(command: &Command, source: io::Error) -> ProcessError {
    ProcessError::Spawn {
        program: PathBuf::from(command.get_program()),
        source,
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.detached {
            // Nobody is left to tell; the group may also be gone.
            let _ = self.kill_group();
            let _ = self.wait(DROP_LIMIT);
        }
        self.shared.abandon();
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    ended: Option<Result<Exit, Errno>>,
    /// The [`Child`] is gone: whoever sees the end reaps.
    abandoned: bool,
    unreaped: Option<process::Child>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock still guards plain values that are always whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, pid: i32) {
        let ended = wait_without_reaping(pid);
        let mut state = self.lock();
        state.ended = Some(ended);
        state.reap_if_due();
        self.changed.notify_all();
    }

    fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        state.reap_if_due();
    }
}

impl State {
    fn reap_if_due(&mut self) {
        if !self.abandoned || self.ended.is_none() {
            return;
        }
        if let Some(mut child) = self.unreaped.take() {
            // It has ended, so this does not wait; its status is already known.
            let _ = child.try_wait();
        }
    }
}

/// Where SIGCHLD is ignored nobody learns how a child ended, and one that has done its work would be
/// taken for one that has not.
fn look_at_sigchld(command: &Command) -> Result<(), ProcessError> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The lowest bit is signal 1. What cannot be read is seen when it ends.
    if mask.is_some_and(|mask| mask & (1 << (SIGCHLD - 1)) != 0) {
        let program = command.get_program().into();
        return Err(ProcessError::ChildrenIgnored { program });
    }
    Ok(())
}

/// Blocks until the child has ended and leaves it a zombie.
fn wait_without_reaping(pid: i32) -> Result<Exit, Errno> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    loop {
        match waitid(Id::Pid(Pid::from_raw(pid)), flags) {
            Ok(WaitStatus::Exited(_, code)) => return Ok(Exit::Code(code)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Exit::Signal(signal as i32)),
            Ok(_) | Err(Errno::EINTR) => {}
            // `waitid` cannot name real-time signals; the zombie's own record can.
            Err(Errno::EINVAL) => {
                let stat = Stat::read(pid).ok().flatten();
                return stat.and_then(|stat| stat.exit()).ok_or(Errno::EINVAL);
            }
            Err(errno) => return Err(errno),
        }
    }
}

/// How long SIGKILL may take before [`Child::stop`] gives up: on a busy machine what is killed
/// waits for its turn to end.
const KILL_LIMIT: Duration = Duration::from_secs(30);
/// How long dropping may take for a child that SIGKILL does not end; its thread reaps it later.
const DROP_LIMIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
