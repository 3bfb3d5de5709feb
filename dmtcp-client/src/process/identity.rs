//! A process that can be recognised again, so that a number taken over by a stranger is never
//! signalled.

use std::time::Duration;

use nix::{errno::Errno, sys::signal, unistd::Pid};

use super::{ProcessError, Signal, stat::Stat};
use crate::deadline::Deadline;

/// A process: its number and the time it started. Numbers are used again, the pair is not
/// (until the machine boots).
///
/// Use *real* numbers. A DMTCP worker believes in a virtual one, which may belong to anybody;
/// [`WorkerInfo::real_pid`](dmtcp_proto::WorkerInfo) is the worker's own claim, so check it
/// against [`members`](super::members) before ending anything because of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    pid: i32,
    start_time: u64,
}

impl Identity {
    /// The process that has this number now; `None` when there is none (a zombie counts as
    /// none).
    ///
    /// # Errors
    /// [`ProcessError::InvalidPid`] below 2, which would mean a group, everybody or init; and
    /// when `/proc` cannot be read.
    pub fn of(pid: i32) -> Result<Option<Self>, ProcessError> {
        if pid < 2 {
            return Err(ProcessError::InvalidPid(pid));
        }
        let stat = Stat::read(pid)?;
        Ok(stat
            .filter(Stat::is_running)
            .map(|stat| Self::from_stat(pid, &stat)))
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// When it started, in clock ticks since the machine booted.
    #[must_use]
    pub fn start_time(&self) -> u64 {
        self.start_time
    }

    /// Whether this very process still runs. A zombie does not.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn is_alive(&self) -> Result<bool, ProcessError> {
        Ok(Stat::read(self.pid)?
            .is_some_and(|stat| stat.is_running() && stat.start_time == self.start_time))
    }

    /// Sends `signal` if this very process still runs, and says whether it did.
    ///
    /// The start time is compared directly before the signal is sent; what remains is the
    /// time of one system call in which the process would have to end, be reaped, and its
    /// number come round again.
    ///
    /// # Errors
    /// [`ProcessError::Signal`] when it belongs to another user; and when `/proc` cannot be
    /// read.
    pub fn kill(&self, signal: Signal) -> Result<bool, ProcessError> {
        if !self.is_alive()? {
            return Ok(false);
        }
        match signal::kill(Pid::from_raw(self.pid), signal.native()) {
            Ok(()) => Ok(true),
            Err(Errno::ESRCH) => Ok(false),
            Err(errno) => Err(ProcessError::Signal {
                pid: self.pid,
                signal: signal.name(),
                source: errno.into(),
            }),
        }
    }

    pub(super) fn from_stat(pid: i32, stat: &Stat) -> Self {
        Self {
            pid,
            start_time: stat.start_time,
        }
    }
}

/// Sends SIGKILL to each and waits until all are gone, at most `limit`.
///
/// All are signalled before the first is waited for. Processes that ended meanwhile are no
/// error.
///
/// # Errors
/// [`ProcessError::Survivors`] with those still there at the end, also because they may not be
/// signalled; and when `/proc` cannot be read.
pub fn kill_all(processes: &[Identity], limit: Duration) -> Result<(), ProcessError> {
    let end = Deadline::after(limit);
    for process in processes {
        match process.kill(Signal::Kill) {
            // It shows up among the survivors.
            Ok(_) | Err(ProcessError::Signal { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let mut pause = Pause::default();
    loop {
        let mut left = Vec::new();
        for process in processes {
            if process.is_alive()? {
                left.push(*process);
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        if !pause.until(end) {
            return Err(ProcessError::Survivors { left, limit });
        }
    }
}

/// Waiting for processes that are not children: the system sends no event for them, so they
/// are looked at again after a pause that grows.
#[derive(Debug, Default)]
pub(super) struct Pause(Duration);

impl Pause {
    /// False when `end` is over.
    pub(super) fn until(&mut self, end: Deadline) -> bool {
        if end.has_passed() {
            return false;
        }
        self.0 = (self.0 * 2).clamp(Duration::from_millis(1), Duration::from_millis(20));
        end.pause(self.0);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::process::{Child, Exit};

    const LONG: Duration = Duration::from_secs(60);

    fn sleeper() -> Child {
        let mut command = Command::new("sleep");
        command.arg("600");
        Child::spawn(command).unwrap()
    }

    #[test]
    fn a_recycled_number_is_not_signalled() {
        let child = sleeper();
        let real = Identity::of(child.id()).unwrap().unwrap();
        let former = Identity {
            start_time: real.start_time - 1,
            ..real
        };
        assert!(!former.is_alive().unwrap());
        assert!(!former.kill(Signal::Kill).unwrap());
        kill_all(&[former], LONG).unwrap();
        assert_eq!(child.try_wait().unwrap(), None);
        assert!(real.is_alive().unwrap());
        assert!(real.kill(Signal::Kill).unwrap());
        assert_eq!(child.wait(LONG).unwrap(), Exit::Signal(9));
        // Still a zombie until `child` goes.
        assert!(!real.is_alive().unwrap());
        assert_eq!(Identity::of(child.id()).unwrap(), None);
    }

    #[test]
    fn all_are_gone_when_it_returns() {
        let children = [sleeper(), sleeper(), sleeper()];
        let processes: Vec<Identity> = children
            .iter()
            .map(|child| Identity::of(child.id()).unwrap().unwrap())
            .collect();
        // As long as there is time: no overflow.
        kill_all(&processes, Duration::MAX).unwrap();
        for process in &processes {
            assert!(!process.is_alive().unwrap());
        }
    }

    #[test]
    fn groups_and_init_are_refused() {
        for pid in [i32::MIN, -1, 0, 1] {
            assert!(matches!(Identity::of(pid), Err(ProcessError::InvalidPid(p)) if p == pid));
        }
    }
}
