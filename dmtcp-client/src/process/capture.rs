//! Running a short command to its end and keeping what it printed.

use std::{
    io::Read,
    path::{Path, PathBuf},
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
    command.stderr(Stdio::null());
    let (exit, output, _) = run(command, limit)?;
    Ok((exit, output))
}

/// The same with what it wrote to standard error as well.
pub(crate) fn capture_both(
    mut command: Command,
    limit: Duration,
) -> Result<(Exit, Vec<u8>, Vec<u8>), ProcessError> {
    command.stderr(Stdio::piped());
    run(command, limit)
}

fn run(mut command: Command, limit: Duration) -> Result<(Exit, Vec<u8>, Vec<u8>), ProcessError> {
    let end = Deadline::after(limit);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let program = PathBuf::from(command.get_program());
    let mut child = Child::spawn(command)?;
    let output = read_aside(child.take_stdout(), &program)?;
    let errors = read_aside(child.take_stderr(), &program)?;
    let exit = child.wait(limit)?;
    // A member of the group that holds the pipe must not hold us.
    child.kill_group()?;
    let text = |receiver: mpsc::Receiver<Vec<u8>>| {
        receiver
            .recv_timeout(end.left().max(MIN_READ))
            .map_err(|_| ProcessError::TimedOut {
                pid: child.id(),
                limit,
            })
    };
    Ok((exit, text(output)?, text(errors)?))
}

/// Reads a stream to its end on a thread of its own; nothing of one that is not there.
fn read_aside(
    stream: Option<impl Read + Send + 'static>,
    program: &Path,
) -> Result<mpsc::Receiver<Vec<u8>>, ProcessError> {
    let (sender, receiver) = mpsc::channel();
    let read = move || {
        let mut text = Vec::new();
        if let Some(stream) = stream {
            // What was read before a failure is still worth having.
            let _ = stream.take(MAX_OUTPUT).read_to_end(&mut text);
        }
        // Nobody listens any more after the deadline.
        let _ = sender.send(text);
    };
    match thread::Builder::new().spawn(read) {
        Ok(_) => Ok(receiver),
        Err(source) => Err(ProcessError::Spawn {
            program: program.to_owned(),
            source,
        }),
    }
}

const MAX_OUTPUT: u64 = 64 * 1024;
/// The command may end in the last moment; its output is then there but not yet read.
const MIN_READ: Duration = Duration::from_millis(200);
