//! `dmtcp_child`: a process that was launched or restarted.

use dmtcp_client::process::{Child as Process, Exit as Ended, Signal};

use crate::arguments::limit;
use crate::boundary::{call, contain};
use crate::codes::ResultCode;
use crate::ffi::{GrowingOut, In, Out, Owned, growing};

/// A child process that leads a process group of its own. Freeing it kills the whole group.
pub struct Child(Process);

/// How a process ended.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[non_exhaustive]
pub struct Exit {
    /// In: sizeof(dmtcp_exit).
    pub size: usize,
    /// Its exit code; -1: a signal ended it.
    pub code: i32,
    /// The signal that ended it; 0: none.
    pub signal: i32,
}

growing!(Exit, oldest = signal);

/// Its process number, which is also its group's.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_child_pid(child: In<Child>, pid: Out<i32>) -> ResultCode {
    call(|| {
        let process = &child.get("child")?.0;
        pid.place("pid")?.put(process.id());
        Ok(())
    })
}

/// Waits until it ends. DMTCP_ERR_TIMED_OUT: it runs on, untouched. A program that its coordinator
/// killed, also behind a checkpoint, ends with 0.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_child_wait(
    child: In<Child>,
    limit_ms: u64,
    exit: GrowingOut<Exit>,
) -> ResultCode {
    call(|| {
        let process = &child.get("child")?.0;
        let place = exit.place("exit")?;
        place.put(process.wait(limit(limit_ms)?)?.into());
        Ok(())
    })
}

/// Sends SIGTERM to every member of its group.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_child_terminate(child: In<Child>) -> ResultCode {
    call(|| Ok(child.get("child")?.0.signal_group(Signal::Terminate)?))
}

/// Sends SIGKILL to every member of its group.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_child_kill(child: In<Child>) -> ResultCode {
    call(|| Ok(child.get("child")?.0.kill_group()?))
}

/// Gives it up: it runs on, and the object is freed.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_child_detach(child: Owned<Child>) {
    contain((), || {
        if let Some(child) = child.take() {
            child.0.into_detached();
        }
    });
}

/// Kills its group, and frees the object.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_child_free(child: Owned<Child>) {
    contain((), || drop(child.take()));
}

impl From<Process> for Child {
    fn from(process: Process) -> Self {
        Self(process)
    }
}

impl From<Ended> for Exit {
    fn from(ended: Ended) -> Self {
        let (code, signal) = match ended {
            Ended::Code(code) => (code, 0),
            Ended::Signal(signal) => (-1, signal),
        };
        Self {
            size: size_of::<Self>(),
            code,
            signal,
        }
    }
}
