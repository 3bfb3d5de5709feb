//! Running a short command to its end and keeping what it printed.

use std::{
    io::Read as _,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::{Child, Exit, ProcessError};

/// Runs `command` with no input, at most `limit`, and returns how it ended with the first 64 KiB
/// of its standard output. Standard error goes to `/dev/null`: the stock tools of 3.0 to 4.2
/// lose their error text on a pipe.
pub(crate) fn capture(
    mut command: Command,
    limit: Duration,
) -> Result<(Exit, Vec<u8>), ProcessError> {
    let end = Instant::now() + limit;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = Child::spawn(command)?;
    let (sender, receiver) = mpsc::channel();
    if let Some(output) = child.take_stdout() {
        thread::spawn(move || {
            let mut text = Vec::new();
            // What was read before a failure is still worth having.
            let _ = output.take(MAX_OUTPUT).read_to_end(&mut text);
            // Nobody listens any more after the deadline.
            let _ = sender.send(text);
        });
    }
    let exit = child.wait(limit)?;
    // A member of the group that holds the pipe must not hold us.
    child.kill_group()?;
    let text = receiver
        .recv_timeout(end.saturating_duration_since(Instant::now()).max(MIN_READ))
        .map_err(|_| ProcessError::TimedOut {
            pid: child.id(),
            limit,
        })?;
    Ok((exit, text))
}

const MAX_OUTPUT: u64 = 64 * 1024;
/// The command may end in the last moment; its output is then there but not yet read.
const MIN_READ: Duration = Duration::from_millis(200);
