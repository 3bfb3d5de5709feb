//! Running a short command to its end and keeping what it printed.

use std::{
    io::Read as _,
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use super::{Child, Exit, ProcessError};
use crate::deadline::Deadline;

/// Runs `command` with no input, at most `limit`, and returns how it ended with the first 64 KiB
/// of its standard output. Standard error goes to `/dev/null`: the stock tools of 3.0 to 4.2
/// lose their error text on a pipe.
pub(crate) fn capture(
    mut command: Command,
    limit: Duration,
) -> Result<(Exit, Vec<u8>), ProcessError> {
    let end = Deadline::after(limit);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let program = PathBuf::from(command.get_program());
    let mut child = Child::spawn(command)?;
    let (sender, receiver) = mpsc::channel();
    if let Some(output) = child.take_stdout() {
        let read = move || {
            let mut text = Vec::new();
            // What was read before a failure is still worth having.
            let _ = output.take(MAX_OUTPUT).read_to_end(&mut text);
            // Nobody listens any more after the deadline.
            let _ = sender.send(text);
        };
        thread::Builder::new()
            .spawn(read)
            .map_err(|source| ProcessError::Spawn { program, source })?;
    }
    let exit = child.wait(limit)?;
    // A member of the group that holds the pipe must not hold us.
    child.kill_group()?;
    let text = receiver
        .recv_timeout(end.left().max(MIN_READ))
        .map_err(|_| ProcessError::TimedOut {
            pid: child.id(),
            limit,
        })?;
    Ok((exit, text))
}

const MAX_OUTPUT: u64 = 64 * 1024;
/// The command may end in the last moment; its output is then there but not yet read.
const MIN_READ: Duration = Duration::from_millis(200);
